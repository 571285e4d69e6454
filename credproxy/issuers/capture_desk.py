"""Takes tokens that an issuer gives to an agent's tool: into the vault, and placeholders to the tool.

The tool goes on with its placeholders. When it asks for new tokens with one of them, it is answered from here; when it
uses one, the request needs a grant that names the secret, as with every other.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import logging
import re
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from credproxy.injection.placeholders import PlaceholderName
from credproxy.issuers import capture
from credproxy.issuers.capture import FoundLogin, TokenAsk
from credproxy.issuers.credentials import Credentials
from credproxy.issuers.oauth import read_account_id
from credproxy.issuers.recipe import CAPTURED, BadRecipe, parse_issuer_url
from credproxy.issuers.services import find_service
from credproxy.issuers.token_client import Note
from credproxy.vault.errors import BadSecretName, NotWritten, SealBroken, SecretExists, ValueMoved
from credproxy.vault.rows import SealedSecret
from credproxy.vault.secret import BadValue
from credproxy.vault.vault import Vault
from credproxy.wire.target import Target
from protocol.ids import GroupId

log = logging.getLogger(__name__)

PlaceholderOf = Callable[[GroupId, str, str, str], str]
"""(group, secret, preset, part)."""
IsUsed = Callable[[str], bool]
"""Whether a route or grant names a secret."""

CLIENT_TYPE, CLIENT_PART = "basic", "client_secret"
"""A registered client is kept as id and secret; its placeholder is that of this part."""
SHORTEST_LIFE_S = 60
USUAL_LIFE_S = 3600
_NOT_A_NAME = re.compile(r"[^a-z0-9]+")
MAX_NAME_CHARS = 32


class CaptureFailed(Exception):
    """Fresh tokens that could not be taken, or may not be asked for: the tool does not get them.

    Codes: `token_unreadable`, `token_not_kept`, `login_exists`.
    """

    def __init__(self, code: str, sentence: str, mend: str = "") -> None:
        super().__init__(code, sentence)
        self.code = code
        self.sentence = sentence
        self.mend = mend


class CaptureDesk:
    """Asked for requests that `capture.is_token_endpoint` knows, twice: before they are sent, and with the answer."""

    def __init__(
        self,
        vault: Vault,
        credentials: Credentials,
        *,
        placeholder_of: PlaceholderOf,
        is_used: IsUsed,
        note: Note,
        clock: Callable[[], float],
    ) -> None:
        self._vault = vault
        self._credentials = credentials
        self._placeholder_of = placeholder_of
        self._is_used = is_used
        self._note = note
        self._clock = clock

    def with_client(self, target: Target, ask: TokenAsk, group_id: GroupId) -> TokenAsk:
        """Return what a tool asks, with the client secret that it was registered with in place of its placeholder: at
        the host that gave it, and nowhere else."""
        name = client_name(target.host, group_id)
        row = self._vault.find(name) if ask.client_secret else None
        if row is None or row.preset != CAPTURED or row.type != CLIENT_TYPE:
            return ask
        if ask.client_secret != self._placeholder_of(group_id, name, CAPTURED, CLIENT_PART):
            return ask
        values = self._vault.values(name)
        if not values:
            return ask
        real = values[0].parts["password"].reveal()
        return replace(ask, client_secret=real, client_name=name, shown_secret=ask.client_secret)

    def find(self, target: Target, ask: TokenAsk, group_id: GroupId) -> SealedSecret | None:
        """Return the login to answer from, where a tool shows the placeholder of its refresh token at its own issuer;
        None: let it ask. Raises CaptureFailed where it would log in anew over a login in use."""
        if ask.grant_type == "refresh_token":
            return self._row_of(target, ask, group_id)
        if ask.grant_type != "client_credentials":
            self._refuse_second(target, group_id)
        return None

    async def answer(self, row: SealedSecret, group_id: GroupId) -> bytes:
        """Return the JSON that a tool gets for its placeholder: a token got anew if the old one is over, and shown as
        the same placeholder. Raises CredentialFailed.

        The agent decides nothing: a token that is good for long is not changed because a tool asks.
        """
        credentials = await self._credentials.candidates(row.name, group_id)
        values = self._vault.values(row.name)
        ends_at = values[0].token_ends_at if values else None
        left_s = int(ends_at - self._clock()) if ends_at is not None else USUAL_LIFE_S
        token = credentials[0].value.reveal()
        answer = {
            "access_token": capture.shaped_like(token, self._placeholder_of(group_id, row.name, row.preset, "value")),
            "refresh_token": self._placeholder_of(group_id, row.name, row.preset, "refresh_token"),
            "token_type": "Bearer",
            "expires_in": max(SHORTEST_LIFE_S, left_s),
        }
        return json.dumps(answer).encode("ascii")

    async def take(
        self, target: Target, ask: TokenAsk, status: int, content_type: str, body: bytes, group_id: GroupId
    ) -> bytes:
        """Return what the tool gets in place of an answer. `body` is whole and not compressed. Raises CaptureFailed."""
        page = capture.read_page(body, content_type)
        if page is None:
            if (200 <= status < 300 and body.strip()) or capture.may_hold_token(body):
                sentence = f"{target.host} answered a request for tokens with what cannot be read; it was withheld."
                raise CaptureFailed("token_unreadable", sentence)
            return body
        logins = capture.find_logins(page)
        if not logins:
            return body
        placeholders: dict[str, str] = {}
        for number, login in enumerate(logins, 1):
            placeholders |= await self._keep(target, ask, login, group_id, number)
        return capture.write_page(page, placeholders)

    def _row_of(self, target: Target, ask: TokenAsk, group_id: GroupId) -> SealedSecret | None:
        """Return the login whose refresh token's placeholder a tool shows at the login's own issuer."""
        for row in self._vault.secrets():
            if row.type == "oauth2-refresh" and row.source == "vault":
                shown = self._placeholder_of(group_id, row.name, row.preset, "refresh_token")
                if ask.refresh_token == shown:
                    return row if self._is_issuer(row, target) else None
        return None

    def _is_issuer(self, row: SealedSecret, target: Target) -> bool:
        values = self._vault.values(row.name)
        named = values[0].parts.get("token_url") if values else None
        service = find_service(row.preset)
        url = named.reveal() if named is not None else service.token_url if service is not None else ""
        try:
            return bool(url) and parse_issuer_url(url) == target
        except BadRecipe:
            return False

    def _refuse_second(self, target: Target, group_id: GroupId) -> None:
        """An agent must not put an account of its own in place of a login that a grant trusts."""
        name = captured_name(target.host, group_id, 1)
        if self._vault.find(name) is not None and self._is_used(name):
            sentence = f"A login at {target.host} is in the vault already, as {name}, and a grant names it."
            raise CaptureFailed("login_exists", sentence, f"nightyard secret remove {name}")

    async def _keep(
        self, target: Target, ask: TokenAsk, login: FoundLogin, group_id: GroupId, number: int
    ) -> Mapping[str, str]:
        """Store one login; return token to placeholder."""
        name = captured_name(target.host, group_id, number)
        old = self._vault.find(name)
        if old is not None and (old.preset != CAPTURED or self._is_used(name)):
            self._refuse_second(target, group_id)
            raise CaptureFailed(
                "login_exists", f"A secret named {name} is in the vault already.", f"nightyard secret remove {name}"
            )
        if "access_token" in login.tokens or "refresh_token" in login.tokens:
            try:
                await asyncio.to_thread(self._store, name, target, ask, login)
            except (BadValue, BadSecretName, SecretExists, NotWritten, ValueMoved, SealBroken) as error:
                sentence = f"The tokens that {target.host} gave could not be put into the vault, so they were dropped."
                raise CaptureFailed("token_not_kept", sentence) from error
            self._credentials.forget(name)
            await self._note(name, f"login captured from {target.host}")
            log.info(
                "a tool of the group %s logged in at %s; the login is in the vault as %s, for grants to name",
                group_id,
                target.host,
                name,
                extra={"action": "login_captured", "secret": name, "group_id": group_id},
            )
        if "client_secret" in login.tokens:
            await self._keep_client(target, login, group_id)
        client, parts = client_name(target.host, group_id), {"access_token": "value"}
        return {
            token: capture.shaped_like(
                token,
                self._placeholder_of(
                    group_id,
                    client if kind == CLIENT_PART else name,
                    CAPTURED,
                    parts.get(kind, kind.partition(" ")[0]),
                ),
            )
            for kind, token in login.tokens.items()
        }

    async def _keep_client(self, target: Target, login: FoundLogin, group_id: GroupId) -> None:
        """Store the secret of a client that a tool has registered: it shows the placeholder when it asks for tokens."""
        name = client_name(target.host, group_id)
        old = self._vault.find(name)
        if old is not None and (old.preset != CAPTURED or self._is_used(name)):
            sentence = f"A secret named {name} is in the vault already."
            raise CaptureFailed("login_exists", sentence, f"nightyard secret remove {name}")
        parts = {"username": login.client_id or "client", "password": login.tokens["client_secret"]}
        try:
            await asyncio.to_thread(self._vault.add, name, parts, type_name=CLIENT_TYPE, preset=CAPTURED, replace=True)
        except (BadValue, BadSecretName, SecretExists, NotWritten) as error:
            sentence = f"The client secret that {target.host} gave could not be put into the vault; it was dropped."
            raise CaptureFailed("token_not_kept", sentence) from error
        self._credentials.forget(name)
        await self._note(name, f"client registered at {target.host}")

    def _store(self, name: str, target: Target, ask: TokenAsk, login: FoundLogin) -> None:
        access_token, refresh_token = login.tokens.get("access_token"), login.tokens.get("refresh_token")
        if refresh_token is None:
            self._vault.add(name, access_token or "", type_name="key", preset=CAPTURED, replace=True)
            return
        parts = {
            "refresh_token": refresh_token,
            "token_url": urllib.parse.urlunsplit((target.scheme, target.authority, target.path, "", "")),
            "client_id": ask.client_id or login.client_id,
            "client_secret": ask.client_secret or login.tokens.get("client_secret", ""),
            "scope": login.scope or ask.scope,
            "account_id": read_account_id(login.tokens.get("id_token", ""), access_token or ""),
        }
        kept = {part: text for part, text in parts.items() if text}
        self._vault.add(name, kept, type_name="oauth2-refresh", preset=CAPTURED, replace=True)
        if access_token is not None:
            value = self._vault.values(name)[0]
            ends_at = self._clock() + login.expires_in if login.expires_in is not None else None
            self._vault.store_token(name, value, {"access_token": access_token}, token_ends_at=ends_at)


def captured_placeholders(vault: Vault, groups: Iterable[GroupId]) -> Iterator[PlaceholderName]:
    """Yield what the placeholders stand for that tools may have got: whose login it is, its row does not say."""
    captured = [row for row in vault.secrets() if row.preset == CAPTURED]
    for row, group_id in itertools.product(captured, tuple(groups)):
        for part in (CLIENT_PART,) if row.type == CLIENT_TYPE else ("value", "refresh_token"):
            yield PlaceholderName(group_id=group_id, secret=row.name, preset=CAPTURED, part=part)


def client_name(host: str, group_id: GroupId) -> str:
    """Return the name of the secret of a client that a group's tool has registered at a host."""
    return _name(host, f"-{group_id}-client")


def captured_name(host: str, group_id: GroupId, number: int) -> str:
    """Return the secret's name for a login at a host by a group: one each, so that groups do not share them."""
    return _name(host, f"-{group_id}" + (f"-{number}" if number > 1 else ""))


def _name(host: str, tail: str) -> str:
    name = _NOT_A_NAME.sub("-", host.lower()).strip("-") + tail
    if len(name) <= MAX_NAME_CHARS:
        return name
    digest = hashlib.sha256(name.encode("ascii")).hexdigest()[:8]
    return f"{name[: MAX_NAME_CHARS - 9].rstrip('-')}-{digest}"
