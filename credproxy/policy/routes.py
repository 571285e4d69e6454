"""A model route from the owner's settings, or why it is none. Pure."""

from __future__ import annotations

from typing import Literal

from credproxy.injection.grant_inject import default_inject
from credproxy.injection.kinds import Bearer, Injection, SetHeader
from credproxy.policy.verdict import Route
from credproxy.wire.target import DEFAULT_PORTS, Scheme, TargetRefused, parse_authority, parse_path


def build_route(
    name: str, api: Literal["anthropic", "openai", "responses"], url: str, secret: str | None
) -> Route | str:
    """Return the route that an address such as `https://api.anthropic.com` or `http://127.0.0.1:11434/v1` makes, or
    what is wrong with it."""
    scheme_text, separator, rest = url.partition("://")
    if not separator or scheme_text not in ("http", "https"):
        return f"routes.{name}: the address must begin with https:// or http://"
    scheme: Scheme = "https" if scheme_text == "https" else "http"
    authority_text, slash, path_text = rest.partition("/")
    try:
        authority = parse_authority(authority_text, default_port=DEFAULT_PORTS[scheme])
        path = parse_path(slash + path_text) if slash else None
    except TargetRefused as refusal:
        return f"routes.{name}: {refusal.reason}"
    if path is not None and (path.query is not None or path.is_ambiguous):
        return f"routes.{name}: the address must end in a plain path"
    return Route(
        name=name,
        api="anthropic" if api == "anthropic" else "openai",
        scheme=scheme,
        host=authority.host,
        port=authority.port,
        prefix=path.path.rstrip("/") if path is not None else "",
        secret=secret,
        injection=None if secret is None else _injection(api, authority.host),
    )


def _injection(api: str, host: str) -> Injection:
    """Return how the provider that a preset knows takes its key; else how the API says."""
    return default_inject(host) or (SetHeader(name="x-api-key") if api == "anthropic" else Bearer())
