"""Verbs about logins that a person does in a browser: `nightyard secret login`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from credproxy.admin_server.verb import AdminRefused, Verb, read_maybe_text, read_text
from credproxy.audit.entry import AuditEntry
from credproxy.audit.jobs import AuditFailed
from credproxy.issuers.token_client import TokenClient
from credproxy.pipeline.proxy import CredentialProxy
from credproxy.policy.rules import users_of_secret
from credproxy.vault.errors import BadSecretName, VaultError
from credproxy.vault.secret import BadValue, is_secret_name
from protocol.codec import ShapeError

if TYPE_CHECKING:
    from credproxy.issuers.login_desk import LoginDesk


class LoginsVerbs:
    def __init__(self, proxy: CredentialProxy) -> None:
        self._proxy = proxy

    def table(self) -> dict[str, Verb]:
        return {"login_begin": self._begin, "login_finish": self._finish, "login_take_over": self._take_over}

    @cached_property
    def _desk(self) -> LoginDesk:
        """Made with the first login: most proxies never see one."""
        from credproxy.issuers.login_desk import LoginDesk

        send = TokenClient(self._proxy.upstreams, self._proxy.deadlines).send
        return LoginDesk(self._proxy.vault, send, note=self._note, clock=time.time)

    async def _begin(self, arguments: Mapping[str, Any]) -> object:
        from credproxy.issuers.login import LoginRefused
        from credproxy.issuers.recipe import BadRecipe

        name, service, parts = _read_name(arguments), read_maybe_text(arguments, "service"), arguments.get("parts", {})
        if not isinstance(parts, dict) or not all(type(text) is str for text in (*parts, *parts.values())):
            raise ShapeError("parts", "expected an object of texts")
        try:
            address = self._desk.begin(
                name,
                service or "",
                {part: text for part, text in parts.items() if text},
                replace=arguments.get("replace") is True,
                is_reserve=arguments.get("reserve") is True,
            )
        except (LoginRefused, BadRecipe, BadValue) as refused:
            raise AdminRefused("login_refused", refused.reason, "nightyard secret login --help") from None
        return {"address": address}

    async def _finish(self, arguments: Mapping[str, Any]) -> object:
        name = _read_name(arguments)
        return await self._end(name, self._desk.finish(name, read_text(arguments, "pasted")))

    async def _take_over(self, arguments: Mapping[str, Any]) -> object:
        from credproxy.issuers.login import LoginRefused, read_found_login

        name = _read_name(arguments)
        try:
            found = read_found_login(read_text(arguments, "text"))
        except LoginRefused as refused:
            raise AdminRefused("login_refused", refused.reason, f"nightyard secret login {name}") from None
        taking = self._desk.take_over(
            name, found, replace=arguments.get("replace") is True, is_reserve=arguments.get("reserve") is True
        )
        return await self._end(name, taking)

    async def _end(self, name: str, ending: Any) -> object:
        from credproxy.issuers.login import LoginRefused

        try:
            await ending
        except LoginRefused as refused:
            raise AdminRefused("login_refused", refused.reason, f"nightyard secret login {name}") from None
        except BadValue as bad:
            raise AdminRefused("bad_value", f"the login {name} was not stored: {bad.reason}") from None
        except VaultError as error:
            raise AdminRefused("vault_failed", str(error)) from None
        finally:
            self._proxy.secret_changed(name)
        return {"used_by": list(users_of_secret(name, self._proxy.policy))}

    async def _note(self, secret: str, what: str) -> bool:
        try:
            await self._proxy.audit.note(AuditEntry(kind="secret", secret=secret, detail=what))
        except AuditFailed:
            return False
        return True


def _read_name(arguments: Mapping[str, Any]) -> str:
    name = read_text(arguments, "name")
    if not is_secret_name(name):
        raise AdminRefused("bad_name", str(BadSecretName()))
    return name
