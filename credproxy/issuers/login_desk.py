"""Logins that a person does in a browser: begun here, and ended with what is pasted back. The verifier and the tokens
never leave the proxy. The address and what was pasted are read in `login.py`.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from credproxy.issuers import oauth
from credproxy.issuers.login import (
    FoundLogin,
    LoginPlan,
    LoginRefused,
    build_address,
    plan_login,
    read_pasted,
)
from credproxy.issuers.services import SERVICES, Service, find_service
from credproxy.issuers.token import NoToken, Token
from credproxy.issuers.token_client import Note, SendTokenRequest
from credproxy.vault.rows import SealedSecret
from credproxy.vault.vault import Vault
from credproxy.wire.upstream import UpstreamFailed

PENDING_S = 1800.0
"""How long a person may take in the browser."""
MAX_PENDING = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pending:
    plan: LoginPlan
    state: str
    verifier: str
    is_reserve: bool
    ends_at: float


class LoginDesk:
    """The logins that were begun and not ended."""

    def __init__(self, vault: Vault, send: SendTokenRequest, *, note: Note, clock: Callable[[], float]) -> None:
        self._vault = vault
        self._send = send
        self._note = note
        self._clock = clock
        self._pending: dict[str, _Pending] = {}

    def begin(self, name: str, service_name: str, parts: Mapping[str, str], *, replace: bool, is_reserve: bool) -> str:
        """Return the address that a person opens. Raises LoginRefused, recipe.BadRecipe, secret.BadValue."""
        row = self._vault.find(name)
        self._check_name(row, name, replace=replace, is_reserve=is_reserve)
        plan = plan_login(name, self._service(service_name, name, row), {**self._known(row), **parts})
        now = self._clock()
        self._pending = {other: pending for other, pending in self._pending.items() if now < pending.ends_at}
        if len(self._pending) >= MAX_PENDING and name not in self._pending:
            raise LoginRefused("too many logins are begun and not ended; end one, or wait half an hour")
        pending = _Pending(
            plan=plan,
            state=secrets.token_urlsafe(24),
            verifier=secrets.token_urlsafe(48),
            is_reserve=is_reserve,
            ends_at=now + PENDING_S,
        )
        self._pending[name] = pending
        return build_address(plan, pending.state, pending.verifier)

    async def finish(self, name: str, pasted: str) -> None:
        """Turn what was pasted into tokens, and keep them as the secret. Raises LoginRefused, and VaultError or
        secret.BadValue where the vault does not take them."""
        pending = self._pending.get(name)
        if pending is None or self._clock() >= pending.ends_at:
            raise LoginRefused(f"no login for {name} is begun, or it took too long; begin again")
        code = read_pasted(pasted, pending.state)
        token, fields = await self._exchange(name, pending, code)
        self._pending.pop(name, None)
        if token.refresh_token is None:
            raise LoginRefused("the service gave no refresh token, so the login would not last; ask for another scope")
        parts = {
            **pending.plan.kept,
            "refresh_token": token.refresh_token.reveal(),
            "access_token": token.access_token.reveal(),
        }
        account_id = oauth.read_account_id(str(fields.get("id_token") or ""), token.access_token.reveal())
        if account_id:
            parts["account_id"] = account_id
        await self._keep(name, parts, pending.plan.preset, token.expires_at, is_reserve=pending.is_reserve)

    async def take_over(self, name: str, found: FoundLogin, *, replace: bool, is_reserve: bool) -> None:
        """Keep a login that another tool has made. Raises as `finish` does."""
        row = self._vault.find(name)
        self._check_name(row, name, replace=replace, is_reserve=is_reserve)
        preset = SERVICES[found.service].preset
        await self._keep(name, found.parts, preset, found.token_ends_at, is_reserve=is_reserve)

    async def _exchange(self, name: str, pending: _Pending, code: str) -> tuple[Token, Mapping[str, object]]:
        plan = pending.plan
        extra = {"state": pending.state} if plan.is_state_in_exchange else {}
        if not await self._note(name, f"login: POST {plan.login.target}"):
            raise LoginRefused("the audit could not be written, so nothing was sent")
        ways: tuple[oauth.ClientAuth, ...] = ("body", "basic") if plan.login.client_secret is not None else ("body",)
        got: Token | NoToken | None = None
        for way in ways:
            request = oauth.build_code_request(plan.login, code, pending.verifier, plan.redirect_url, extra, way)
            try:
                answer = await self._send(name, request, plan.login.is_owners)
            except UpstreamFailed as failure:
                raise LoginRefused(failure.sentence) from failure
            except TimeoutError:
                raise LoginRefused(f"{plan.login.target.host} did not answer in time") from None
            got = oauth.read_token_answer(answer, name, self._clock())
            if isinstance(got, Token):
                return got, oauth.read_fields(answer) or {}
            if not got.is_client_auth:
                break
        raise LoginRefused(got.sentence if isinstance(got, NoToken) else "no answer came")

    async def _keep(
        self, name: str, parts: Mapping[str, str], preset: str, ends_at: float | None, *, is_reserve: bool
    ) -> None:
        await asyncio.to_thread(self._store, name, parts, preset, ends_at, is_reserve)
        await self._note(name, "login kept in reserve" if is_reserve else "login kept")

    def _store(self, name: str, parts: Mapping[str, str], preset: str, ends_at: float | None, is_reserve: bool) -> None:
        label = "current"
        if is_reserve:
            label = self._vault.add_reserve(name, parts)
        else:
            self._vault.add(name, parts, type_name="oauth2-refresh", preset=preset, replace=True)
        value = next(value for value in self._vault.values(name) if value.label == label)
        self._vault.store_token(name, value, {}, token_ends_at=ends_at)

    def _check_name(self, row: SealedSecret | None, name: str, *, replace: bool, is_reserve: bool) -> None:
        """A lost login is replaced by its next without being asked for it; any other secret is not."""
        if is_reserve:
            if row is None or row.type != "oauth2-refresh":
                raise LoginRefused(f"{name} is no login that could have one in reserve; log in without --reserve first")
        elif row is not None and row.type != "oauth2-refresh" and not replace:
            raise LoginRefused(f"a secret named {name} is in the vault already, of another type; --replace replaces it")

    def _service(self, service_name: str, name: str, row: SealedSecret | None) -> Service | None:
        if service_name:
            service = SERVICES.get(service_name)
            if service is None:
                raise LoginRefused(f"no service named {service_name[:40]} is known; known: {', '.join(SERVICES)}")
            return service
        if row is not None:
            return find_service(row.preset, self._known(row).get("token_url", ""))
        return SERVICES.get(name)

    def _known(self, row: SealedSecret | None) -> dict[str, str]:
        """Return what a login that is to be replaced says of its issuer and its client."""
        values = self._vault.values(row.name) if row is not None and row.type == "oauth2-refresh" else ()
        parts = values[0].parts if values else {}
        return {
            part: parts[part].reveal() for part in ("token_url", "client_id", "client_secret", "scope") if part in parts
        }
