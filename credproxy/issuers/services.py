"""The services whose logins are known by name: where they log in, where they give tokens, and as whom. Pure.

Client ids of command-line tools are public: they name the tool that a person allows, and prove nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service with an OAuth login that a person can do in a browser."""

    name: str
    what: str
    preset: str = ""
    """The preset that knows the API (`injection/presets`); its secrets need not say where tokens are got."""
    token_url: str
    client_id: str = ""
    """Empty: the person registers a client of their own."""
    body_form: Literal["form", "json"] = "form"
    authorize_url: str = ""
    redirect_url: str = ""
    """Where the browser ends up; its address, or the code that the page shows, is pasted."""
    scope: str = ""
    authorize_extra: Mapping[str, str] = field(default_factory=dict)
    is_state_in_exchange: bool = False
    """The exchange of the code must repeat the state."""


SERVICES: Mapping[str, Service] = {
    each.name: each
    for each in (
        Service(
            name="claude",
            what="a Claude plan (Pro, Max, Team)",
            preset="anthropic-plan",
            token_url="https://platform.claude.com/v1/oauth/token",
            client_id="9d1c250a-e61b-44d9-88ed-5944d1962f5e",
            body_form="json",
            authorize_url="https://claude.ai/oauth/authorize",
            redirect_url="https://platform.claude.com/oauth/code/callback",
            scope="user:profile user:inference",
            authorize_extra={"code": "true"},
            is_state_in_exchange=True,
        ),
        Service(
            name="chatgpt",
            what="a ChatGPT plan (Plus, Pro, Team)",
            preset="chatgpt-plan",
            token_url="https://auth.openai.com/oauth/token",
            client_id="app_EMoamEEZ73f0CkXaXp7hrann",
            authorize_url="https://auth.openai.com/oauth/authorize",
            redirect_url="http://localhost:1455/auth/callback",
            scope="openid profile email offline_access",
            authorize_extra={"id_token_add_organizations": "true", "codex_cli_simplified_flow": "true"},
        ),
        Service(
            name="google",
            what="a Google account, by an OAuth client of your own (type Desktop app)",
            token_url="https://oauth2.googleapis.com/token",
            authorize_url="https://accounts.google.com/o/oauth2/v2/auth",
            redirect_url="http://localhost:8085/",
            authorize_extra={"access_type": "offline", "prompt": "consent"},
        ),
    )
}
_BY_PRESET = {service.preset: service for service in SERVICES.values() if service.preset}
_BY_ADDRESS = {
    **{service.token_url: service for service in SERVICES.values()},
    "https://console.anthropic.com/v1/oauth/token": SERVICES["claude"],
    "https://api.anthropic.com/v1/oauth/token": SERVICES["claude"],
}


def find_service(preset: str, token_url: str = "") -> Service | None:
    """Return the service of the address that a secret names itself, or else of its preset."""
    return _BY_ADDRESS.get(token_url) if token_url else _BY_PRESET.get(preset)
