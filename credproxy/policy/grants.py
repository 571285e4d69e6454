"""What one group's grants.yaml says, as rules; or every problem in it, with file, line and key. Pure, but for the
bundles that it names.

A list of grants, each for a host, a bundle, or the open web. docs/credentials.md explains the keys; what may be said of
a grant besides where it leads is `grant_terms.py`. A file with a problem grants nothing. How rules decide is
`decide.py`.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import replace

import yaml

from credproxy.injection.grant_inject import default_inject, parse_grant_inject
from credproxy.injection.kinds import Injection
from credproxy.injection.outgoing import needs_secret
from credproxy.injection.presets import idempotency_header_of
from credproxy.policy.bundles import bundle_names, read_bundle
from credproxy.policy.grant_terms import BUNDLE_KEYS, TERM_KEYS, Terms, read_terms, read_twin, read_web_read
from credproxy.policy.path_glob import PathGlob, is_glob
from credproxy.policy.public_suffix import refuse_wildcard
from credproxy.policy.rules import GroupRules, Rule, index_rules
from credproxy.policy.verdict import METHODS, READING_METHODS, Allow, Dial
from credproxy.policy.yaml_nodes import FileProblem, NodeReader, did_you_mean
from credproxy.vault.secret import is_secret_name
from credproxy.wire.addresses import Network
from credproxy.wire.target import DEFAULT_PORTS, Scheme, TargetRefused, parse_authority, parse_host
from protocol.ids import GroupId

HOST_KEYS = ("host", "scheme", "port", "methods", "paths", "secret", "inject", "addresses", *TERM_KEYS)
KEYS = (*HOST_KEYS, "bundle", "web_read")
LOOPBACK: tuple[Network, ...] = (ipaddress.IPv4Network("127.0.0.0/8"), ipaddress.IPv6Network("::1/128"))


def parse_grants(text: str, group_id: GroupId, file: str) -> GroupRules | list[FileProblem]:
    """Return the group's rules, or all that is wrong with the file."""
    reader = NodeReader(file)
    rules: list[Rule] = []
    web_read: Rule | None = None
    for node in reader.entries(text):
        members = reader.mapping(node, KEYS)
        name = f"{group_id}:{node.start_mark.line + 1}"
        if "bundle" in members:
            rules += _parse_bundle(reader, node, members, group_id, name)
        elif "web_read" in members:
            if web_read is not None:
                reader.complain(node, "web_read", "is there already; one line about the open web is enough")
            web_read = _parse_web_read(reader, members, group_id, name)
        else:
            rule = _parse_host_grant(reader, node, members, group_id, name)
            if rule is not None:
                rules.append(rule)
    return reader.problems or index_rules(rules, web_read)


def _parse_bundle(
    reader: NodeReader, node: yaml.Node, members: Mapping[str, yaml.Node], group_id: GroupId, name: str
) -> list[Rule]:
    _refuse_others(reader, members, "bundle", BUNDLE_KEYS)
    bundle = reader.text(members["bundle"], "bundle")
    text = read_bundle(bundle) if bundle is not None else None
    if bundle is None or text is None:
        near = did_you_mean(bundle or "", bundle_names())
        reader.complain(node, "bundle", f"is not a known bundle (known: {', '.join(bundle_names())}){near}")
        return []
    terms = read_terms(reader, members, f"{group_id} bundle {bundle}")
    inner = NodeReader(f"bundles/{bundle}.yaml")
    rules = []
    for number, item in enumerate(inner.entries(text), 1):
        inner_members = inner.mapping(item, HOST_KEYS)
        rule = _parse_host_grant(inner, item, inner_members, group_id, f"{name}/{bundle}.{number}", terms)
        if rule is not None:
            rules.append(rule)
    reader.problems += inner.problems
    return rules


def _parse_web_read(reader: NodeReader, members: Mapping[str, yaml.Node], group_id: GroupId, name: str) -> Rule | None:
    _refuse_others(reader, members, "web_read", ("expires",))
    before = len(reader.problems)
    settings = read_web_read(reader, members["web_read"], f"{group_id} web-read")
    terms = read_terms(reader, members, "")
    if settings is None or len(reader.problems) > before:
        return None
    return Rule(
        scheme="https",
        host="",
        is_wildcard=True,
        port=443,
        methods=READING_METHODS,
        paths=None,
        max_url_chars=settings.max_url_chars,
        allow=Allow(
            rule=f"{name}/web-read",
            secret=None,
            injection=None,
            quota=settings.quota,
            web_read=settings.web_read,
            body_bytes=0,
            expires_at=terms.expires_at,
        ),
    )


def _refuse_others(reader: NodeReader, members: Mapping[str, yaml.Node], kind: str, allowed: Iterable[str]) -> None:
    for key, value in members.items():
        if key != kind and key not in allowed:
            reader.complain(value, key, f"does not go with `{kind}`")


def _parse_host_grant(
    reader: NodeReader,
    node: yaml.Node,
    members: Mapping[str, yaml.Node],
    group_id: GroupId,
    name: str,
    bundle_terms: Terms | None = None,
) -> Rule | None:
    if "host" not in members:
        reader.complain(node, "host", "is missing: a grant names its host (or a `bundle`, or `web_read`)")
        return None
    before = len(reader.problems)
    scheme = _parse_scheme(reader, members.get("scheme"))
    host, is_wildcard = _parse_host_pattern(reader, members["host"])
    port_node, methods_node, paths_node = members.get("port"), members.get("methods"), members.get("paths")
    port = None if port_node is None else reader.number(port_node, "port", 1, 65535)
    methods = METHODS if methods_node is None else _parse_methods(reader, methods_node)
    paths = None if paths_node is None else _parse_paths(reader, paths_node)
    secret, injection = _parse_injection(reader, node, members, host)
    networks = tuple(_parse_networks(reader, members["addresses"])) if "addresses" in members else ()
    if secret is not None and scheme == "http":
        reader.complain(node, "secret", "never goes over plain http; use https")
    if secret is not None and is_wildcard:
        reader.complain(node, "secret", "never goes to a wildcard host; name each host")
    place = f"{scheme}://{'*.' if is_wildcard else ''}{host}:{port or DEFAULT_PORTS[scheme]}"
    globs = " ".join(sorted(glob.text for glob in paths or ()))
    terms = bundle_terms or read_terms(
        reader, members, f"{group_id} {place} {secret or '-'} {' '.join(sorted(methods))} {globs}"
    )
    if terms.must_carry and secret is None:
        reader.complain(members["must_carry"], "must_carry", "is about a placeholder, but no `secret` is named")
    dial = None if "twin" not in members else read_twin(reader, members["twin"])
    if len(reader.problems) > before:
        return None
    allow = Allow(
        rule=name,
        secret=secret,
        injection=injection,
        networks=networks + _own_network(host),
        must_carry=terms.must_carry,
        is_untrusted=terms.untrusted,
        body_bytes=terms.body_bytes,
        quota=terms.quota,
        approval=terms.approval,
        expires_at=terms.expires_at,
        idempotency_header=terms.idempotency_header if "idempotency" in members else idempotency_header_of(injection),
    )
    return Rule(
        scheme=scheme,
        host=host,
        is_wildcard=is_wildcard,
        port=port or DEFAULT_PORTS[scheme],
        methods=methods,
        paths=paths,
        allow=allow,
        twin=None if dial is None else _to_twin(allow, dial, networks),
    )


def _to_twin(allow: Allow, dial: Dial, networks: tuple[Network, ...]) -> Allow:
    """Return what a task that talks to twins only is answered: no key goes to a twin."""
    return replace(
        allow,
        secret=None,
        injection=None,
        must_carry=False,
        dial=dial,
        networks=networks + _own_network(dial.host),
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
    elif is_wildcard and (reason := refuse_wildcard(host)):
        reader.complain(node, "host", f"`*.{host}` is too wide: {reason}")
    return host, is_wildcard


def _parse_methods(reader: NodeReader, node: yaml.Node) -> frozenset[str]:
    methods = reader.texts(node, "methods")
    for method in methods:
        if method not in METHODS:
            near = did_you_mean(method.upper(), METHODS)
            reader.complain(node, "methods", f"`{method}` is not one of {', '.join(sorted(METHODS))}{near}")
    return _method_set(methods)


@functools.lru_cache(maxsize=128)
def _method_set(methods: tuple[str, ...]) -> frozenset[str]:
    """The same set for the same methods: thousands of grants have a handful."""
    return frozenset(methods)


def _parse_paths(reader: NodeReader, node: yaml.Node) -> tuple[PathGlob, ...]:
    globs = reader.texts(node, "paths")
    for glob in globs:
        if not is_glob(glob):
            reader.complain(node, "paths", f"`{glob}` is not a path from / on, with * for a segment, ** for any below")
    return tuple(map(PathGlob, globs))


def _parse_injection(
    reader: NodeReader, grant: yaml.Node, members: Mapping[str, yaml.Node], host: str
) -> tuple[str | None, Injection | None]:
    secret_node, inject_node = members.get("secret"), members.get("inject")
    injection: Injection | None = None
    if inject_node is not None:
        injection = parse_grant_inject(reader, inject_node, host=host)
    if secret_node is None:
        if injection is not None and needs_secret(injection):
            reader.complain(grant, "inject", "says how to send a secret, but no `secret` is named")
        return None, injection
    secret = reader.text(secret_node, "secret")
    if secret is not None and not is_secret_name(secret):
        reader.complain(
            secret_node, "secret", "must be the name of a secret (a-z, 0-9, inner hyphens), never its value"
        )
    if inject_node is None:
        injection = default_inject(host)
        if injection is None:
            reader.complain(grant, "inject", "is missing, and no preset knows the host: `inject: bearer`, for one")
    elif injection is not None and not needs_secret(injection):
        reader.complain(inject_node, "inject", f"does not say how the secret {secret} is sent")
    return secret, injection


def _parse_networks(reader: NodeReader, node: yaml.Node) -> Iterable[Network]:
    for text in reader.texts(node, "addresses"):
        try:
            yield ipaddress.ip_network(text)
        except ValueError:
            reader.complain(node, "addresses", f"`{text}` is not an address or a network such as 192.168.1.0/24")


def _own_network(host: str) -> tuple[Network, ...]:
    """A host that is an address names that address; `localhost` names this machine."""
    if host == "localhost":
        return LOOPBACK
    if not host or not (host[-1].isdigit() or ":" in host):
        return ()  # no address ends in a letter, but for those with colons
    try:
        return (ipaddress.ip_network(host),)
    except ValueError:
        return ()
