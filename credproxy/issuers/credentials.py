"""What a secret's name stands for at this moment: the credentials to try, in their order.

Plain secrets are as the vault has them; the rest is got first: from a file or a command (`vault/sources.py`), or as a
token from its issuer (`renewals.py`). Who may use which secret is policy's business, and decided before.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from credproxy.issuers.token_client import Note, SendTokenRequest
from credproxy.vault.credential import Credential
from credproxy.vault.errors import SealBroken
from credproxy.vault.rows import SecretValue
from credproxy.vault.secret import Secret
from credproxy.vault.sources import SourceFailed, Sources
from credproxy.vault.types import TYPES
from credproxy.vault.vault import Vault
from protocol.ids import GroupId

if TYPE_CHECKING:
    from credproxy.issuers.renewals import Renewals
    from credproxy.issuers.token import NoToken

log = logging.getLogger(__name__)

TOKEN_TYPES = frozenset(("oauth2-refresh", "client-credentials", "github-app"))
"""Types of secrets that are not sent themselves: tokens are got with them."""


class CredentialFailed(Exception):
    """A secret that gives no credential now. Nothing may be sent without it.

    Codes: `secret_missing`, `secret_broken`, `source_failed`, `login_lost`, `issuer_refused`, `issuer_unavailable` (the
    only one where asking again may help).
    """

    def __init__(self, code: str, sentence: str, mend: str = "") -> None:
        super().__init__(code, sentence)
        self.code = code
        self.sentence = sentence
        self.mend = mend

    @property
    def may_retry(self) -> bool:
        return self.code == "issuer_unavailable"


class _Changed(CredentialFailed):
    """The secret became another one while a token of it was got."""


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """A secret as it was at its last use: while nothing of it has changed, the same objects are given again."""

    values: tuple[SecretValue, ...]
    credentials: tuple[Credential, ...]
    needles: tuple[Secret, ...]


class Credentials:
    """All secrets, ready for use. `run` must be running."""

    def __init__(
        self,
        vault: Vault,
        sources: Sources,
        send: SendTokenRequest,
        *,
        note: Note,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock`: epoch seconds."""
        self._vault = vault
        self._sources = sources
        self._send = send
        self._note = note
        self._clock = clock
        self._renewals: Renewals | None = None
        self._wants_renewals = asyncio.Event()
        self._snapshots: dict[str, _Snapshot] = {}

    async def run(self) -> None:
        """Get tokens in the background until cancelled; then those under way are finished first."""
        await self._wants_renewals.wait()
        if self._renewals is not None:
            await self._renewals.run()

    def ready(self, name: str) -> tuple[Credential, ...] | None:
        """Return what `candidates` would of a plain secret that was used a moment ago; None: ask that."""
        snapshot = self._snapshots.get(name)
        if snapshot is None or snapshot.values is not self._vault.opened(name):
            return None
        is_plain = snapshot.values[0].source is None and snapshot.values[0].type not in TOKEN_TYPES
        return snapshot.credentials if is_plain else None

    async def candidates(self, name: str, group_id: GroupId) -> tuple[Credential, ...]:
        """Return what to try, in this order, at least one: the current value, the previous one in its overlap window,
        those in reserve. Raises CredentialFailed.

        Waits only where a value must be fetched; while nothing changes the very same tuple comes back. A reserve whose
        token is not there yet is left out, and got in the background.
        """
        values = self._values(name)
        snapshot = self._snapshots.get(name)
        if values[0].source is None and values[0].type not in TOKEN_TYPES:
            if snapshot is None or snapshot.values is not values:
                given = tuple(Credential(name, value.label, value.parts) for value in values)
                snapshot = self._keep(name, values, given)
            return snapshot.credentials
        try:
            credentials = await self._fetch_all(name, values, group_id)
        except _Changed:
            values = self._values(name)  # replaced or removed while its token was got
            credentials = await self._fetch_all(name, values, group_id)
        snapshot = self._snapshots.get(name)
        if snapshot is not None and _are_same(snapshot.credentials, credentials):
            if snapshot.values is values:
                return snapshot.credentials
            credentials = snapshot.credentials
        return self._keep(name, values, credentials).credentials

    def may_renew(self, name: str) -> bool:
        """Whether `renew` could bring another credential: what is sent is got from somewhere first."""
        row = self._vault.find(name)
        return row is not None and (row.type in TOKEN_TYPES or row.source != "vault")

    async def renew(self, refused: Credential) -> Credential | None:
        """Return another credential for the same value after a 401: a token got anew, or what the source says now.
        None: there is none, the next candidate's turn has come. Asked once for each refused credential."""
        name = refused.name
        try:
            values = self._values(name)
            value = next((value for value in values if value.label == refused.label), None)
            got = await self._renew(refused, value) if value is not None else None
        except (CredentialFailed, SourceFailed):
            return None
        if got is not None:
            snapshot = self._snapshots.get(name)
            others = snapshot.credentials if snapshot is not None else (got,)
            given = tuple(got if other.label == got.label else other for other in others)
            self._keep(name, self._values(name), given)
        return got

    async def _renew(self, refused: Credential, value: SecretValue) -> Credential | None:
        if value.type in TOKEN_TYPES:
            renewals = await self._running_renewals()
            return await renewals.renew(refused, await self._with_parts(value), self._preset(value.name))
        if value.source is None:
            return None
        self._sources.forget(value.name)
        parts = await self._sources.read(value)
        is_new = {part: secret.reveal() for part, secret in parts.items()} != {
            part: secret.reveal() for part, secret in refused.parts.items()
        }
        return Credential(value.name, value.label, parts) if is_new else None

    def needles(self, name: str) -> tuple[Secret, ...]:
        """Return all of a secret that must not come back in a response, as it was at its last use: every value and
        token, and what gets tokens. The same tuple while nothing changes."""
        snapshot = self._snapshots.get(name)
        return snapshot.needles if snapshot is not None else ()

    def forget(self, name: str) -> None:
        """A secret was changed or removed: nothing of it is used again as it was."""
        self._sources.forget(name)
        snapshot = self._snapshots.pop(name, None)
        if snapshot is not None and self._renewals is not None:
            self._renewals.forget(snapshot.values)

    def _values(self, name: str) -> tuple[SecretValue, ...]:
        try:
            values = self._vault.values(name)
        except SealBroken as broken:
            sentence = f"The secret {name} cannot be opened: its row was changed, or sealed with another key."
            raise CredentialFailed("secret_broken", sentence, f"nightyard secret add {name} --replace") from broken
        if not values:
            sentence = f"The secret {name} that this request needs is not in the vault."
            raise CredentialFailed("secret_missing", sentence, f"nightyard secret add {name}")
        return values

    async def _fetch_all(self, name: str, values: tuple[SecretValue, ...], group_id: GroupId) -> tuple[Credential, ...]:
        """Return what can be had; only for the first one there is any waiting."""
        found: list[Credential] = []
        failures: list[CredentialFailed] = []
        for value in values:
            try:
                credential = await self._fetch(value, may_wait=not found)
            except CredentialFailed as failure:
                failures.append(failure)
            else:
                found += [credential] if credential is not None else []
        if not found and any(isinstance(failure, _Changed) for failure in failures):
            raise next(failure for failure in failures if isinstance(failure, _Changed))
        if not found:
            log.warning(
                "no credential: %s",
                failures[0].sentence,
                extra={"action": "credential_failed", "secret": name, "group_id": group_id, "code": failures[0].code},
            )
            raise failures[0]
        return tuple(found)

    async def _fetch(self, value: SecretValue, *, may_wait: bool) -> Credential | None:
        try:
            value = await self._with_parts(value)
        except SourceFailed as failure:
            sentence = f"The secret {value.name} cannot be read: {failure.reason}."
            raise CredentialFailed("source_failed", sentence, failure.mend) from failure
        if value.type not in TOKEN_TYPES:
            return Credential(value.name, value.label, value.parts)
        preset, renewals = self._preset(value.name), await self._running_renewals()
        got = renewals.ready(value, preset)
        if got is not None:
            return got
        if not may_wait:
            renewals.want(value, preset)
            return None
        waited = await renewals.get(value, preset)
        if isinstance(waited, Credential):
            return waited
        raise _failed(value, preset, waited)

    async def _running_renewals(self) -> Renewals:
        """Return what gets tokens, made with the first secret that needs it: it takes a megabyte."""
        if self._renewals is None:
            from credproxy.issuers.renewals import Renewals

            self._renewals = Renewals(self._vault, self._send, self._clock, self._note)
            self._wants_renewals.set()
        await self._renewals.is_running.wait()
        return self._renewals

    async def _with_parts(self, value: SecretValue) -> SecretValue:
        if value.source is None:
            return value
        return dataclasses.replace(value, parts=await self._sources.read(value))

    def _preset(self, name: str) -> str:
        row = self._vault.find(name)
        return row.preset if row is not None else ""

    def _keep(self, name: str, values: tuple[SecretValue, ...], credentials: tuple[Credential, ...]) -> _Snapshot:
        public = {part.name for part in TYPES[values[0].type].parts if part.is_public or part.has_lines}
        holders = [credential.parts for credential in credentials]
        holders += [self._sources.kept(value) if value.source is not None else value.parts for value in values]
        secrets = [secret for parts in holders for part, secret in parts.items() if part not in public]
        if self._renewals is not None:
            secrets += [secret for value in values for secret in self._renewals.tokens(value)]
        unlike = {secret.reveal(): secret for secret in secrets}
        snapshot = _Snapshot(values, credentials, tuple(unlike.values()))
        self._snapshots[name] = snapshot
        return snapshot


def _are_same(before: tuple[Credential, ...], now: tuple[Credential, ...]) -> bool:
    return len(before) == len(now) and all(
        old is new or (old.label == new.label and old.parts is new.parts) for old, new in zip(before, now, strict=True)
    )


def _failed(value: SecretValue, preset: str, none: NoToken) -> CredentialFailed:
    sentence = f"With the secret {value.name} no token can be got now: {none.sentence}."
    if none.code == "secret_changed":
        return _Changed("issuer_unavailable", sentence)
    mend = ""
    if none.code == "login_lost":
        from credproxy.issuers.services import find_service

        token_url = value.parts["token_url"].reveal() if "token_url" in value.parts else ""
        service = find_service(preset, token_url)
        known = service is not None and service.authorize_url
        mend = f"nightyard secret login {value.name}" if known else f"nightyard secret add {value.name} --replace"
    elif none.code == "issuer_refused":
        mend = f"nightyard secret show {value.name}"
    return CredentialFailed(none.code, sentence, mend)
