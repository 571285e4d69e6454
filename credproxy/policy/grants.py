"""What one group's grants.yaml says, as rules; or every problem in it, with file, line and key. Pure.

A list of grants, each: host, and optionally scheme, port, methods, paths, secret, inject, addresses.
docs/credentials.md explains them. A file with a problem grants nothing. How rules decide is `policy.py`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

import yaml

from credproxy.policy.path_glob import PathGlob, is_glob
from credproxy.policy.rules import Rule
from credproxy.policy.verdict import METHODS, Allow, InjectBearer, InjectHeader, Injection
from credproxy.policy.yaml_nodes import FileProblem, NodeReader, did_you_mean
from credproxy.vault.secret import is_secret_name
from credproxy.wire.addresses import Network
from credproxy.wire.target import DEFAULT_PORTS, Scheme, TargetRefused, parse_authority, parse_host
from protocol.ids import GroupId

KEYS = ("host", "scheme", "port", "methods", "paths", "secret", "inject", "addresses")

HEADER_NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
FRAMING_HEADERS = frozenset(
    ("host", "content-length", "transfer-encoding", "connection", "te", "trailer", "upgrade", "expect", "keep-alive")
)


def parse_grants(text: str, group_id: GroupId, file: str) -> tuple[Rule, ...] | list[FileProblem]:
    """Return the group's rules in the file's order, or all that is wrong with the file."""
    reader = NodeReader(file)
    top = reader.document(text)
    rules: list[Rule] = []
    if top is not None and not (isinstance(top, yaml.ScalarNode) and top.value in ("", "null", "~")):
        for node in reader.items(top, ""):
            rule = _parse_grant(reader, node, group_id)
            if rule is not None:
                rules.append(rule)
    return reader.problems or tuple(rules)


def _parse_grant(reader: NodeReader, node: yaml.Node, group_id: GroupId) -> Rule | None:
    members = reader.mapping(node, KEYS)
    if "host" not in members:
        reader.complain(node, "host", "is missing: a grant names its host")
        return None
    before = len(reader.problems)
    scheme = _parse_scheme(reader, members.get("scheme"))
    host, is_wildcard = _parse_host_pattern(reader, members["host"])
    port_node, methods_node, paths_node = members.get("port"), members.get("methods"), members.get("paths")
    port = None if port_node is None else reader.number(port_node, "port", 1, 65535)
    methods = METHODS if methods_node is None else _parse_methods(reader, methods_node)
    paths = None if paths_node is None else _parse_paths(reader, paths_node)
    secret, injection = _parse_injection(reader, node, members)
    networks = tuple(_parse_networks(reader, members["addresses"])) if "addresses" in members else ()
    if secret is not None and scheme == "http":
        reader.complain(node, "secret", "never goes over plain http; use https")
    if secret is not None and is_wildcard:
        reader.complain(node, "secret", "never goes to a wildcard host; name each host")
    if len(reader.problems) > before:
        return None
    return Rule(
        scheme=scheme,
        host=host,
        is_wildcard=is_wildcard,
        port=port or DEFAULT_PORTS[scheme],
        methods=methods,
        paths=paths,
        allow=Allow(
            rule=f"{group_id}:{node.start_mark.line + 1}",
            secret=secret,
            injection=injection,
            networks=networks + _own_network(host),
        ),
    )


def _parse_scheme(reader: NodeReader, node: yaml.Node | None) -> Scheme:
    scheme = "https" if node is None else reader.text(node, "scheme")
    if scheme == "http":
        return "http"
    if node is not None and scheme not in ("https", None):
        reader.complain(node, "scheme", "must be https or http")
    return "https"


def _parse_host_pattern(reader: NodeReader, node: yaml.Node) -> tuple[str, bool]:
    text = reader.text(node, "host")
    if text is None:
        return "", False
    is_wildcard = text.startswith("*.")
    try:
        if text.startswith("["):
            return parse_authority(text, default_port=443).host, False
        host = parse_host(text[2:] if is_wildcard else text)
    except TargetRefused as refusal:
        hint = "; the port is a key of its own" if ":" in text else ""
        reader.complain(node, "host", f"{refusal.reason}{hint}")
        return "", False
    if is_wildcard and "." not in host:
        reader.complain(node, "host", "a wildcard needs at least two labels after it, as in *.example.org")
    return host, is_wildcard


def _parse_methods(reader: NodeReader, node: yaml.Node) -> frozenset[str]:
    methods = reader.texts(node, "methods")
    for method in methods:
        if method not in METHODS:
            near = did_you_mean(method.upper(), METHODS)
            reader.complain(node, "methods", f"`{method}` is not one of {', '.join(sorted(METHODS))}{near}")
    return frozenset(methods)


def _parse_paths(reader: NodeReader, node: yaml.Node) -> tuple[PathGlob, ...]:
    globs = reader.texts(node, "paths")
    for glob in globs:
        if not is_glob(glob):
            reader.complain(node, "paths", f"`{glob}` is not a path from / on, with * for a segment, ** for any below")
    return tuple(map(PathGlob, globs))


def _parse_injection(
    reader: NodeReader, grant: yaml.Node, members: dict[str, yaml.Node]
) -> tuple[str | None, Injection | None]:
    secret_node, inject_node = members.get("secret"), members.get("inject")
    if secret_node is None:
        if inject_node is not None:
            reader.complain(grant, "inject", "says how to send a secret, but no `secret` is named")
        return None, None
    secret = reader.text(secret_node, "secret")
    if secret is not None and not is_secret_name(secret):
        reader.complain(
            secret_node, "secret", "must be the name of a secret (a-z, 0-9, inner hyphens), never its value"
        )
    if inject_node is None:
        reader.complain(grant, "inject", "is missing: `inject: bearer`, or `inject: {header: NAME}`")
        return secret, None
    return secret, _parse_inject(reader, inject_node)


def _parse_inject(reader: NodeReader, node: yaml.Node) -> Injection | None:
    if isinstance(node, yaml.ScalarNode):
        if node.value == "bearer":
            return InjectBearer()
        reader.complain(node, "inject", "must be `bearer` or `{header: NAME}`")
        return None
    header_node = reader.mapping(node, ("header",)).get("header")
    header = None if header_node is None else reader.text(header_node, "header")
    if header_node is None or header is None:
        reader.complain(node, "inject", "must be `bearer` or `{header: NAME}`")
        return None
    if HEADER_NAME_PATTERN.fullmatch(header) is None or header.lower() in FRAMING_HEADERS:
        reader.complain(header_node, "header", f"`{header}` cannot carry a secret")
        return None
    return InjectHeader(name=header.lower())


def _parse_networks(reader: NodeReader, node: yaml.Node) -> Iterable[Network]:
    for text in reader.texts(node, "addresses"):
        try:
            yield ipaddress.ip_network(text)
        except ValueError:
            reader.complain(node, "addresses", f"`{text}` is not an address or a network such as 192.168.1.0/24")


def _own_network(host: str) -> tuple[Network, ...]:
    """A grant whose host is an address names that address."""
    try:
        return (ipaddress.ip_network(host),)
    except ValueError:
        return ()
