"""What a request line asks for, by the door it came through. Pure.

Three forms are taken: `/m/<route>/…` in origin form, CONNECT, and absolute form for plain http; inside a tunnel origin
form only, for the tunnel's own host, under the scheme that is spoken in it. All end in one `Ask`; everything else is
refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from credproxy.policy.decide import route_path
from credproxy.policy.rules import Policy
from credproxy.policy.verdict import Ask
from credproxy.wire.target import (
    DEFAULT_PORTS,
    Authority,
    Scheme,
    Target,
    TargetRefused,
    make_target,
    parse_absolute,
    parse_authority,
    parse_connect,
    parse_path,
)

_ROUTE_TARGET = re.compile(r"/m/([A-Za-z0-9][A-Za-z0-9._-]{0,63})(/.*)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTunnel:
    authority: Authority


@dataclass(frozen=True, slots=True, kw_only=True)
class Tunnel:
    """A tunnel that is open."""

    authority: Authority
    scheme: Scheme
    """What is spoken in it, whatever the port: a tunnel without TLS is plain http, and needs to be granted as that."""


class Misdirected(Exception):
    """A request in a tunnel names another host than the tunnel's (421)."""


def read_entry(method: str, target: str, host: str, tunnel: Tunnel | None, policy: Policy) -> Ask | OpenTunnel:
    """Return what is asked for; raises TargetRefused or Misdirected. `host` is the Host header."""
    if tunnel is not None:
        return _read_in_tunnel(method, target, host, tunnel)
    if method == "CONNECT":
        return OpenTunnel(authority=parse_connect(target))
    if target.startswith("/"):
        return _read_route(method, target, policy)
    absolute = parse_absolute(target)
    if parse_authority(host, default_port=80) != Authority(host=absolute.host, port=absolute.port):
        raise TargetRefused("the Host header names another host than the request line")
    return Ask(method=method, target=absolute)


def _read_in_tunnel(method: str, target: str, host: str, tunnel: Tunnel) -> Ask:
    if method == "CONNECT" or not target.startswith("/"):
        raise TargetRefused("in a tunnel only a path is asked for")
    asked = make_target(tunnel.scheme, tunnel.authority, parse_path(target))
    # Nearly always it is spelt as we would spell it.
    if host != asked.authority and parse_authority(host, default_port=DEFAULT_PORTS[tunnel.scheme]) != tunnel.authority:
        raise Misdirected
    return Ask(method=method, target=asked)


def _read_route(method: str, target: str, policy: Policy) -> Ask:
    found = _ROUTE_TARGET.fullmatch(target)
    if found is None:
        raise TargetRefused("the proxy itself serves only /m/<route>/…; ask for http://… or use CONNECT")
    name, path = found[1], parse_path(found[2])
    if path.is_ambiguous:
        raise TargetRefused("a model route's path is plain")
    route = policy.routes.get(name)
    if route is None:
        unknown = Target(scheme="http", host="unknown-route.invalid", port=80, path=path.path)
        return Ask(method=method, target=unknown, route=name)
    return Ask(
        method=method,
        target=Target(
            scheme=route.scheme,
            host=route.host,
            port=route.port,
            path=route_path(route, path.path),
            query=path.query,
        ),
        route=name,
    )
