"""Logins that a person does in a browser, and keeps as a secret. Tokens go nowhere but into the vault."""

from __future__ import annotations

from collections.abc import Mapping

from credproxy.admin_client.link import ProxyAdmin
from protocol.codec import ShapeError

LOGIN_TIMEOUT_S = 60.0
"""The service is asked for tokens in the meantime."""


async def begin_login(
    admin: ProxyAdmin,
    name: str,
    *,
    service: str | None = None,
    parts: Mapping[str, str] | None = None,
    replace: bool = False,
    reserve: bool = False,
) -> str:
    """Return the address to open in a browser. `service`: one that is known by name; `parts`: client_id, client_secret,
    scope, token_url, authorize_url, redirect_url. Refused `login_refused`."""
    arguments = {"name": name, "service": service, "parts": dict(parts or {}), "replace": replace, "reserve": reserve}
    answer = await admin.ask("login_begin", arguments)
    if not isinstance(answer, dict) or not isinstance(answer.get("address"), str):
        raise ShapeError("address", "is missing from the proxy's answer")
    return str(answer["address"])


async def finish_login(admin: ProxyAdmin, name: str, pasted: str) -> tuple[str, ...]:
    """End a login with what the browser came to: an address, or a code. Return who uses the secret."""
    return _users(await admin.ask("login_finish", {"name": name, "pasted": pasted}))


async def take_over_login(
    admin: ProxyAdmin, name: str, text: str, *, replace: bool = False, reserve: bool = False
) -> tuple[str, ...]:
    """Keep the login of another tool's file. Return who uses the secret."""
    arguments = {"name": name, "text": text, "replace": replace, "reserve": reserve}
    return _users(await admin.ask("login_take_over", arguments))


def _users(answer: object) -> tuple[str, ...]:
    users = answer.get("used_by") if isinstance(answer, dict) else None
    if not isinstance(users, list):
        raise ShapeError("used_by", "is missing from the proxy's answer")
    return tuple(str(user) for user in users)
