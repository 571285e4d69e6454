"""What a token is made from: a secret's parts, read into the way to ask for its tokens. Pure.

`oauth.py` and `github_app.py` write the requests; `renewals.py` sends them when they are due.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from credproxy.issuers.services import find_service
from credproxy.vault.secret import Secret
from credproxy.wire.addresses import reach_of
from credproxy.wire.target import DEFAULT_PORTS, Scheme, Target, TargetRefused, make_target, parse_authority, parse_path

GITHUB_API = "https://api.github.com"
CAPTURED = "captured"
"""The preset of a login that an agent's tool made, and `capture.py` took in."""
BodyForm = Literal["form", "json"]


class BadRecipe(ValueError):
    """A secret whose parts do not say how to get a token; the text says what to mend, and no value."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthLogin:
    """A login by OAuth 2: its refresh token, or with none the client's own credentials."""

    target: Target
    client_id: str
    client_secret: Secret | None
    refresh_token: Secret | None
    """None: the client-credentials grant."""
    scope: str = ""
    audience: str = ""
    body_form: BodyForm = "form"
    is_owners: bool = True
    """The owner named the address, so it may be a private one; a captured login's came from an agent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GitHubApp:
    """A GitHub App's installation."""

    target: Target
    app_id: str
    private_key: Secret
    repositories: tuple[str, ...] = ()
    """None named: all that the installation has."""
    permissions: Mapping[str, str] = field(default_factory=dict)
    is_owners: bool = True


Recipe = OAuthLogin | GitHubApp


def build_recipe(type_name: str, parts: Mapping[str, Secret], preset: str = "") -> Recipe:
    """Return how to get tokens with a secret's parts; raises BadRecipe."""
    if type_name == "github-app":
        return _build_github_app(parts)
    service = find_service(preset, _text(parts, "token_url"))
    url = _text(parts, "token_url") or (service.token_url if service is not None else "")
    if not url:
        raise BadRecipe("the part token_url is missing: it says where tokens are got")
    login = OAuthLogin(
        target=parse_issuer_url(url),
        client_id=_text(parts, "client_id") or (service.client_id if service is not None else ""),
        client_secret=parts.get("client_secret"),
        refresh_token=parts.get("refresh_token") if type_name == "oauth2-refresh" else None,
        scope=_text(parts, "scope"),
        audience=_text(parts, "audience"),
        body_form=service.body_form if service is not None else "form",
        is_owners=preset != CAPTURED,
    )
    if type_name == "oauth2-refresh" and login.refresh_token is None:
        raise BadRecipe("the part refresh_token is missing: without it no token can be got")
    if type_name == "client-credentials" and (not login.client_id or login.client_secret is None):
        raise BadRecipe("the parts client_id and client_secret are both needed")
    return login


def parse_issuer_url(url: str) -> Target:
    """Return where tokens are asked for; raises BadRecipe. Secrets go there, so plain http is for this machine only."""
    scheme_text, separator, rest = url.partition("://")
    if not separator or scheme_text not in ("http", "https"):
        raise BadRecipe("the address that gives tokens must begin with https://")
    scheme: Scheme = "https" if scheme_text == "https" else "http"
    authority_text, slash, path_text = rest.partition("/")
    try:
        authority = parse_authority(authority_text, default_port=DEFAULT_PORTS[scheme])
        path = parse_path(slash + path_text if slash else "/")
    except TargetRefused as refusal:
        raise BadRecipe(f"the address that gives tokens is refused: {refusal.reason}") from None
    target = make_target(scheme, authority, path)
    if target.is_ambiguous:
        raise BadRecipe("the address that gives tokens must have a plain path")
    if scheme == "http" and not _is_this_machine(authority.host):
        raise BadRecipe("the address that gives tokens must begin with https://; only this machine's own may be http")
    return target


def _build_github_app(parts: Mapping[str, Secret]) -> GitHubApp:
    for needed in ("app_id", "installation_id", "private_key"):
        if needed not in parts:
            raise BadRecipe(f"the part {needed} is missing")
    installation_id = _text(parts, "installation_id")
    if not installation_id.isdigit():
        raise BadRecipe("the part installation_id is not a number; it stands at the end of the installation's address")
    api_url = (_text(parts, "api_url") or GITHUB_API).rstrip("/")
    return GitHubApp(
        target=parse_issuer_url(f"{api_url}/app/installations/{installation_id}/access_tokens"),
        app_id=_text(parts, "app_id"),
        private_key=parts["private_key"],
        repositories=_parse_repositories(_text(parts, "repositories")),
        permissions=_parse_permissions(_text(parts, "permissions")),
    )


def _parse_repositories(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if text and not names:
        raise BadRecipe("the part repositories is empty; name some, or leave it out for all of the installation's")
    for name in names:
        if "/" in name:
            raise BadRecipe(f"the repository {name[:60]} is named without its owner: the installation has one")
    return names


def _parse_permissions(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for piece in (piece.strip() for piece in text.split(",") if piece.strip()):
        name, colon, level = (part.strip() for part in piece.partition(":"))
        if not colon or level not in ("read", "write", "admin"):
            raise BadRecipe(f"the permission {piece[:60]} is not of the form contents:read (or write, or admin)")
        found[name] = level
    if text and not found:
        raise BadRecipe("the part permissions is empty; name some, or leave the part out for all that the app has")
    return found


def _text(parts: Mapping[str, Secret], name: str) -> str:
    found = parts.get(name)
    return found.reveal() if found is not None else ""


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return reach_of(ipaddress.ip_address(host)) == "loopback"
    except ValueError:
        return False
