"""Verbs about secrets: what the command line may do with the vault. Only a channel's token is ever told."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from credproxy.admin_client.link import StoredSecret
from credproxy.admin_server.verb import AdminRefused, Verb, read_text
from credproxy.audit.file import AuditEntry
from credproxy.pipeline.proxy import CredentialProxy
from credproxy.policy.decide import users_of_secret
from credproxy.vault.errors import BadSecretName, SealBroken, SecretExists, SecretUnknown
from credproxy.vault.secret import BadValue
from protocol.codec import ShapeError, to_json

MAX_PURPOSE_CHARS = 100


class SecretsVerbs:
    def __init__(self, proxy: CredentialProxy) -> None:
        self._proxy = proxy
        self._vault_lock = asyncio.Lock()

    def table(self) -> dict[str, Verb]:
        return {
            "secret_add": self._secret_add,
            "secret_list": self._secret_list,
            "secret_remove": self._secret_remove,
            "secret_fetch": self._secret_fetch,
        }

    async def _secret_add(self, arguments: Mapping[str, Any]) -> object:
        name, value, kind = read_text(arguments, "name"), read_text(arguments, "value"), arguments.get("kind", "key")
        if kind not in ("key", "channel"):
            raise ShapeError("kind", "expected key or channel")
        is_replacing = arguments.get("replace") is True
        try:
            async with self._vault_lock:
                await asyncio.to_thread(self._proxy.vault.add, name, value, kind, replace=is_replacing)
        except BadSecretName as error:
            raise AdminRefused("bad_name", str(error)) from None
        except BadValue as bad:
            raise AdminRefused("bad_value", f"the secret {name} was not stored: {bad.reason}") from None
        except SecretExists as exists:
            raise AdminRefused("secret_exists", str(exists), f"nightyard secret add {name} --replace") from None
        self._proxy.upstreams.drop_all()
        await self._proxy.audit.note(
            AuditEntry(kind="secret", secret=name, detail="replace" if is_replacing else "add")
        )
        return {"used_by": list(users_of_secret(name, self._proxy.policy))}

    async def _secret_list(self, _arguments: Mapping[str, Any]) -> object:
        secrets = [
            StoredSecret(
                name=row.name,
                kind=row.kind,
                created_at=row.created_at,
                changed_at=row.changed_at,
                used_by=users_of_secret(row.name, self._proxy.policy),
            )
            for row in self._proxy.vault.secrets()
        ]
        return {"secrets": [to_json(secret) for secret in secrets]}

    async def _secret_remove(self, arguments: Mapping[str, Any]) -> object:
        name = read_text(arguments, "name")
        try:
            async with self._vault_lock:
                await asyncio.to_thread(self._proxy.vault.remove, name)
        except SecretUnknown as unknown:
            raise AdminRefused("secret_unknown", str(unknown), "nightyard secret list") from None
        self._proxy.upstreams.drop_all()
        await self._proxy.audit.note(AuditEntry(kind="secret", secret=name, detail="remove"))
        return {}

    async def _secret_fetch(self, arguments: Mapping[str, Any]) -> object:
        """The one way a value leaves: a platform's bot token, which its SDK must have in the host."""
        name, purpose = read_text(arguments, "name"), read_text(arguments, "purpose")
        row = self._proxy.vault.find(name)
        if row is None:
            raise AdminRefused(
                "secret_unknown", str(SecretUnknown(name)), f"nightyard secret add {name} --kind channel"
            )
        if row.kind != "channel":
            message = f"{name} is a key: keys are put into requests by the proxy and told to nobody"
            raise AdminRefused("secret_is_key", message)
        detail = f"fetch: {purpose[:MAX_PURPOSE_CHARS]}"
        await self._proxy.audit.note(AuditEntry(kind="secret", secret=name, detail=detail))
        try:
            secret = self._proxy.vault.open(name)
        except SealBroken as broken:
            raise AdminRefused("secret_broken", str(broken), f"nightyard secret add {name} --replace") from None
        if secret is None:
            raise AdminRefused("secret_unknown", str(SecretUnknown(name)))
        return {"value": secret.reveal()}
