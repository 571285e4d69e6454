"""Getting tokens: when one is due, one request for all who wait, kept on the disk before anybody uses it.

A refresh token may be good for one use. So a renewal that has begun is never given up: not when those who wait for it
go away, not when the process is told to end (it then has some seconds), not when everything is frozen. Killed between
the issuer's answer and the disk, the proxy tries the old refresh token again: issuers that forgive a lost answer take
it, and with the others a person must log in again, which is said so.

Which token a request gets is `credentials.py`'s; how it is asked for `oauth.py`'s and `github_app.py`'s.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from credproxy.issuers import oauth
from credproxy.issuers.recipe import BadRecipe, GitHubApp, OAuthLogin, build_recipe
from credproxy.issuers.token import NoToken, Token
from credproxy.issuers.token_client import Note, SendTokenRequest
from credproxy.vault.credential import Credential
from credproxy.vault.errors import NotWritten, SealBroken, ValueMoved
from credproxy.vault.rows import SecretValue
from credproxy.vault.secret import BadValue, Secret
from credproxy.vault.vault import Vault
from credproxy.wire.upstream import UpstreamFailed

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
REFUSED_PAUSE_S = 30.0
LONGEST_REFUSED_PAUSE_S = 3600.0
"""A service that refuses each new token too is not helped by newer ones: between two there is ever more time."""
FOR_GOOD_S = 600.0
"""What only a person can mend is asked for again after so long, in case the issuer was wrong."""
FINISH_S = 8.0
"""How long renewals may go on when the process is told to end."""
CHANGED = NoToken(code="secret_changed", sentence="the secret was changed in the meantime", is_for_good=False)


@dataclass(slots=True, eq=False)
class _Held:
    """What is known of one value's tokens."""

    value: SecretValue
    preset: str
    credential: Credential | None = None
    token: Token | None = None
    last_token: Token | None = None
    """The one before: until it ends it must not come back either."""
    running: asyncio.Task[Token | NoToken] | None = None
    failure: NoToken | None = None
    failures: int = 0
    failed_at: float = 0.0
    asks_again_at: float = 0.0
    refused_at: float = 0.0
    """When a token was last renewed because a service refused it, and for how long that must do."""
    refused_pause_s: float = REFUSED_PAUSE_S
    client_auth: oauth.ClientAuth = "body"
    unsaved: dict[str, str | None] = field(default_factory=dict)
    """Parts that are not on the disk yet, because it failed."""


class Renewals:
    """Tokens of all values. `run` must be running: it owns what is under way."""

    def __init__(self, vault: Vault, send: SendTokenRequest, clock: Callable[[], float], note: Note) -> None:
        """`clock`: epoch seconds."""
        self._vault = vault
        self._send = send
        self._clock = clock
        self._note = note
        self._held: dict[int, _Held] = {}
        self._under_way: set[asyncio.Task[Token | NoToken]] = set()
        self._group: asyncio.TaskGroup | None = None
        self.is_running = asyncio.Event()

    async def run(self) -> None:
        """Own renewals until cancelled, and let those under way finish."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            self.is_running.set()
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                self._group = None
                if self._under_way:
                    await asyncio.wait(self._under_way, timeout=FINISH_S)

    def ready(self, value: SecretValue, preset: str) -> Credential | None:
        """Return a value's token if it may be used now, and get the next one in the background when it is due."""
        held, now = self._take_up(value, preset), self._clock()
        if held.token is None or held.token.is_over(now):
            return None
        if held.token.is_due(now):
            self._begin(held)
        return held.credential

    def want(self, value: SecretValue, preset: str) -> None:
        """Have a token got in the background, so that it is there when it is needed."""
        self._begin(self._take_up(value, preset))

    async def get(self, value: SecretValue, preset: str) -> Credential | NoToken:
        """Return a token that may be used, waiting for one where there is none. Cancelled while waiting: it is got
        nevertheless."""
        credential = self.ready(value, preset)
        if credential is not None:
            return credential
        return await self._wait(self._take_up(value, preset))

    async def renew(self, refused: Credential, value: SecretValue, preset: str) -> Credential | None:
        """Return another token than the one that was refused (401), None if there is none to be had now."""
        held = self._take_up(value, preset)
        if held.credential is not refused:
            return self.ready(value, preset)  # another request was faster
        now = self._clock()
        since_s = now - held.refused_at
        if (held.token is not None and held.token.is_too_young_to_renew(now)) or 0 <= since_s < held.refused_pause_s:
            return None
        is_again = 0 <= since_s < 2 * LONGEST_REFUSED_PAUSE_S
        held.refused_pause_s = min(2 * held.refused_pause_s, LONGEST_REFUSED_PAUSE_S) if is_again else REFUSED_PAUSE_S
        held.refused_at = now
        got = await self._wait(held)
        return got if isinstance(got, Credential) and got is not refused else None

    def forget(self, values: tuple[SecretValue, ...]) -> None:
        """Drop what is known of values that are gone."""
        for value in values:
            held = self._held.get(value.value_id)
            if held is not None and held.running is None and not held.unsaved:
                del self._held[value.value_id]

    def tokens(self, value: SecretValue) -> tuple[Secret, ...]:
        """Return all tokens of a value that may still be good somewhere."""
        held = self._held.get(value.value_id)
        tokens = (held.token, held.last_token) if held is not None else ()
        pairs = [(token.access_token, token.refresh_token) for token in tokens if token is not None]
        return tuple(secret for pair in pairs for secret in pair if secret is not None)

    def _take_up(self, value: SecretValue, preset: str) -> _Held:
        held = self._held.get(value.value_id)
        if held is None or held.value.revision != value.revision:
            if held is not None and (held.running is not None or held.value.revision > value.revision):
                return held  # ours is newer: what was read is from before our own writing
            held = _Held(value=value, preset=preset)
            stored = value.parts.get("access_token")
            if stored is not None:
                # When it was issued is not stored: long ago, then a refusal is a reason to renew it.
                held.token = Token(access_token=stored, issued_at=0.0, expires_at=value.token_ends_at)
                held.credential = _credential_of(value, stored)
            self._held[value.value_id] = held
        elif value.source is not None and held.running is None:
            held.value = value  # as its source has it now
        return held

    async def _wait(self, held: _Held) -> Credential | NoToken:
        running = self._begin(held)
        if running is None:
            return held.failure or CHANGED
        await asyncio.wait((running,))
        if running.cancelled():
            return CHANGED
        got = running.result()
        return held.credential if isinstance(got, Token) and held.credential is not None else _as_failure(got)

    def _begin(self, held: _Held) -> asyncio.Task[Token | NoToken] | None:
        """Return the renewal that is under way, begun now if need be; None: it is too early to ask again."""
        if held.running is not None:
            return held.running
        # A clock that was put back makes no pause longer.
        is_pausing = held.failure is not None and held.failed_at <= self._clock() < held.asks_again_at
        if self._group is None or is_pausing:
            return None
        held.running = running = self._group.create_task(self._renew(held))
        self._under_way.add(running)
        return running

    async def _renew(self, held: _Held) -> Token | NoToken:
        name = held.value.name
        got: Token | NoToken = CHANGED
        try:
            got = await self._ask(held)
            if isinstance(got, Token):
                got = await self._keep(held, got)
        finally:
            held.running = None
            task = asyncio.current_task()
            if task is not None:
                self._under_way.discard(task)
        if isinstance(got, NoToken):
            self._note_failure(held, got)
            await self._note(name, f"token refused: {got.code}")
        else:
            held.failure, held.failures = None, 0
            await self._note(name, f"token got for the {held.value.label} value")
        return got

    async def _ask(self, held: _Held) -> Token | NoToken:
        value, now = held.value, self._clock()
        try:
            recipe = build_recipe(value.type, value.parts, held.preset)
            if value.source is not None and isinstance(recipe, OAuthLogin) and recipe.refresh_token is not None:
                raise BadRecipe("a refresh token changes with each use, so it must be kept in the vault itself")
        except BadRecipe as bad:
            return NoToken(code="issuer_refused", sentence=bad.reason, is_for_good=True)
        if not await self._note(value.name, f"token asked: POST {recipe.target}"):
            return NoToken(code="issuer_unavailable", sentence="the audit could not be written", is_for_good=False)
        try:
            if isinstance(recipe, GitHubApp):
                from credproxy.issuers import github_app

                request = github_app.build_installation_request(recipe, now)
                answer = await self._send(value.name, request, recipe.is_owners)
                return github_app.read_installation_answer(recipe, answer, value.name, self._clock())
            return await self._ask_oauth(held, recipe)
        except BadRecipe as bad:
            return NoToken(code="issuer_refused", sentence=bad.reason, is_for_good=True)
        except UpstreamFailed as failure:
            return NoToken(code="issuer_unavailable", sentence=failure.sentence, is_for_good=False)
        except TimeoutError:
            sentence = f"{recipe.target.host} did not answer in time"
            return NoToken(code="issuer_unavailable", sentence=sentence, is_for_good=False)

    async def _ask_oauth(self, held: _Held, login: OAuthLogin) -> Token | NoToken:
        """Ask, and where the issuer does not know the client so, once more in the other way."""
        hidden = tuple(secret for secret in (login.refresh_token, login.client_secret) if secret is not None)
        got: Token | NoToken = CHANGED
        ways: tuple[oauth.ClientAuth, ...] = ("body", "basic") if held.client_auth == "body" else ("basic", "body")
        for way in ways if login.client_secret is not None else ways[:1]:
            request = oauth.build_token_request(login, way)
            answer = await self._send(held.value.name, request, login.is_owners)
            got = oauth.read_token_answer(answer, held.value.name, self._clock(), hidden)
            if isinstance(got, Token):
                held.client_auth = way
            if isinstance(got, Token) or not got.is_client_auth:
                break
        return got

    async def _keep(self, held: _Held, token: Token) -> Token | NoToken:
        """Put a token on the disk, then into use. A disk that fails keeps nobody from using it."""
        parts: dict[str, str | None] = {**held.unsaved, "access_token": token.access_token.reveal()}
        if token.refresh_token is not None:
            parts["refresh_token"] = token.refresh_token.reveal()
        value = held.value
        try:
            if value.source is not None:
                held.value = _with_parts(value, {}, token)  # its home is elsewhere: nothing of it is kept here
            else:
                held.value = await asyncio.to_thread(
                    self._vault.store_token, value.name, value, parts, token_ends_at=token.expires_at
                )
            held.unsaved = {}
        except (ValueMoved, SealBroken):
            self._held.pop(value.value_id, None)
            return CHANGED
        except BadValue as bad:
            return NoToken(
                code="issuer_refused", sentence=f"what it gave cannot be kept: {bad.reason}", is_for_good=True
            )
        except NotWritten as error:
            log.error(
                "a new token of the secret %s could not be stored and is held in memory only: %s",
                value.name,
                error,
                extra={"action": "token_not_stored", "secret": value.name},
            )
            held.value = _with_parts(value, parts, token)
            if not held.unsaved and self._group is not None:
                self._group.create_task(self._keep_later(held))
            held.unsaved = parts
        held.last_token, held.token = held.token, token
        held.credential = _credential_of(held.value, token.access_token)
        return token

    async def _keep_later(self, held: _Held) -> None:
        """Store what could not be stored, when the disk works again; the last try is when the process ends."""
        pause_s = FIRST_PAUSE_S
        try:
            while held.unsaved:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
                if held.running is None:
                    await asyncio.to_thread(self._store_unsaved, held)
        finally:
            if held.unsaved and held.running is None:
                self._store_unsaved(held)

    def _store_unsaved(self, held: _Held) -> None:
        ends_at = held.token.expires_at if held.token is not None else None
        try:
            held.value = self._vault.store_token(held.value.name, held.value, held.unsaved, token_ends_at=ends_at)
        except NotWritten:
            return
        except (ValueMoved, SealBroken, BadValue):
            held.unsaved = {}  # another value is there now, with tokens of its own
            return
        held.unsaved = {}
        log.info(
            "the new token of the secret %s is stored after all",
            held.value.name,
            extra={"action": "token_stored", "secret": held.value.name},
        )

    def _note_failure(self, held: _Held, failure: NoToken) -> None:
        if failure is CHANGED:
            return
        held.failure = failure
        held.failures += 1
        pause_s = min(FIRST_PAUSE_S * 2 ** (held.failures - 1), LONGEST_PAUSE_S)
        if failure.is_for_good:
            pause_s = FOR_GOOD_S
        elif failure.retry_after_s is not None:
            pause_s = max(pause_s, failure.retry_after_s)
        held.failed_at = self._clock()
        held.asks_again_at = held.failed_at + pause_s
        log.warning(
            "no token with the secret %s: %s",
            held.value.name,
            failure.sentence,
            extra={"action": "token_refused", "secret": held.value.name, "code": failure.code},
        )


def _credential_of(value: SecretValue, access_token: Secret) -> Credential:
    """Return what is put into requests: the token, and what an API wants beside it. Never what gets other tokens."""
    beside = {part: secret for part, secret in value.parts.items() if part == "account_id"}
    return Credential(value.name, value.label, {**beside, "value": access_token})


def _with_parts(value: SecretValue, parts: Mapping[str, str | None], token: Token) -> SecretValue:
    changed = {part: Secret(value.name, text) for part, text in parts.items() if text is not None}
    return dataclasses.replace(value, parts={**value.parts, **changed}, token_ends_at=token.expires_at)


def _as_failure(got: Token | NoToken) -> NoToken:
    return got if isinstance(got, NoToken) else CHANGED
