"""What `inject:` says, in a grant or in a preset's file, as an injection. Pure.

`bearer`, `basic`, `aws`, a preset's name, a mapping with one kind's key, or a list of these, in order: in
docs/credentials.md each is explained. Who names which secret for which host is `policy/grants.py`'s, and which presets
there are `grant_inject.py`'s.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import yaml

from credproxy.injection.kinds import (
    Basic,
    Bearer,
    ByPrefix,
    Cookie,
    HmacSigning,
    Injection,
    JsonField,
    ListHeader,
    PathHole,
    Query,
    Recipe,
    RemoveHeader,
    RemoveQuery,
    ReplaceHeader,
    SetHeader,
    SigV4,
    Step,
)
from credproxy.injection.parse_hmac import parse_hmac
from credproxy.injection.parse_parts import ENV, flag, header_name, matching, parse_variables, value_template
from credproxy.policy.yaml_nodes import NodeReader

KINDS = (
    "header", "remove", "remove_query", "list_header", "basic", "query", "path", "cookie", "json", "hmac", "sigv4",
    "preset", "by_prefix",
)  # fmt: skip
WORDS = ("bearer", "basic", "aws")
_EXTRAS = {
    "header": ("as", "only_if_sent", "part", "optional"),
    "query": ("part",),
    "list_header": ("item",),
    "by_prefix": ("otherwise",),
}
_COOKIE = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_QUERY_NAME = re.compile(r"[!-~]{1,64}")
_HOLE = re.compile(r"(?:/[A-Za-z0-9\-._~!$&'()*+,=:@]*)*\{\}[A-Za-z0-9\-._~!$&'()*+,=:@/]*?(?:/\*\*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantedHost:
    """What a grant says and a preset's file does not: for which host, where a preset may be named."""

    name: str
    parse_preset: Callable[[NodeReader, yaml.Node, str, str], Recipe | None]
    """Of the reader, the node, the preset's name and the host's; None with a problem told to the reader."""


def parse_inject(reader: NodeReader, node: yaml.Node, *, host: GrantedHost | None) -> Injection | None:
    """Return the injection, None with problems told to the reader. `host` None: within a preset, which names none."""
    if isinstance(node, yaml.SequenceNode):
        return _parse_list(reader, node, host)
    if isinstance(node, yaml.ScalarNode):
        return _parse_word(reader, node, str(node.value), host)
    return _parse_mapping(reader, node, host)


def _parse_list(reader: NodeReader, node: yaml.SequenceNode, host: GrantedHost | None) -> Recipe | None:
    parsed = [parse_inject(reader, item, host=host) for item in node.value]
    if not parsed:
        reader.complain(node, "inject", "is an empty list")
    steps: list[Step | ByPrefix] = []
    variables: tuple[str, ...] = ()
    preset = ""
    for injection in parsed:
        if injection is None:
            return None
        if isinstance(injection, Recipe):
            steps += injection.steps
            variables += injection.variables
            preset = preset or injection.preset
        else:
            steps.append(injection)
    # Signatures cover what the others put in.
    steps.sort(key=lambda step: isinstance(step, HmacSigning | SigV4))
    return Recipe(steps=tuple(steps), preset=preset, variables=variables)


def _parse_word(reader: NodeReader, node: yaml.Node, word: str, host: GrantedHost | None) -> Injection | None:
    if word == "bearer":
        return Bearer()
    if word == "basic":
        return Basic()
    if word == "aws":
        return _located(SigV4(), host)
    if host is None:
        reader.complain(node, "inject", f"`{word}` is not one of {', '.join(WORDS)}")
        return None
    return host.parse_preset(reader, node, word, host.name)


def _parse_mapping(reader: NodeReader, node: yaml.Node, host: GrantedHost | None) -> Injection | None:
    extras = tuple(extra for several in _EXTRAS.values() for extra in several)
    members = reader.mapping(node, (*KINDS, *extras, ENV))
    kinds = [key for key in members if key in KINDS]
    if len(kinds) != 1:
        reader.complain(
            node, "inject", f"must be one of {', '.join(WORDS)}, a preset, or one of {{{', '.join(KINDS)}}}"
        )
        return None
    kind = kinds[0]
    for key in members:
        if key not in (kind, ENV, *_EXTRAS.get(kind, ())):
            reader.complain(members[key], key, f"does not go with `{kind}`")
    before = len(reader.problems)
    if kind == "preset":
        name = reader.text(members[kind], kind) or ""
        if name in WORDS:
            reader.complain(members[kind], kind, f"`{name}` is a way of its own: `inject: {name}`")
            return None
        injection = _parse_word(reader, members[kind], name, host)
    elif kind == "by_prefix":
        injection = _parse_by_prefix(reader, members, host)
    else:
        injection = _PARSERS[kind](reader, members)
        injection = _located(injection, host) if isinstance(injection, SigV4) else injection
    if injection is None or len(reader.problems) > before:
        return None
    if ENV not in members:
        return injection
    variables = parse_variables(reader, members[ENV])
    if isinstance(injection, Recipe):
        return Recipe(steps=injection.steps, preset=injection.preset, variables=variables)
    return Recipe(steps=(injection,), variables=variables)


def _located(step: SigV4, host: GrantedHost | None) -> SigV4:
    from credproxy.injection.sigv4 import located

    return step if host is None else located(step, host.name)


def _parse_header(reader: NodeReader, members: dict[str, yaml.Node]) -> Step | None:
    name = header_name(reader, members["header"], "header")
    template = "{}" if "as" not in members else value_template(reader, members["as"])
    part = "value" if "part" not in members else reader.text(members["part"], "part") or ""
    if flag(reader, members, "only_if_sent"):
        return ReplaceHeader(name=name, template=template, part=part)
    return SetHeader(name=name, template=template, part=part, is_optional=flag(reader, members, "optional"))


def _parse_remove(reader: NodeReader, members: dict[str, yaml.Node]) -> Step | None:
    return RemoveHeader(name=header_name(reader, members["remove"], "remove"))


def _parse_remove_query(reader: NodeReader, members: dict[str, yaml.Node]) -> Step | None:
    return RemoveQuery(name=matching(reader, members["remove_query"], "remove_query", _QUERY_NAME, "a parameter"))


def _parse_list_header(reader: NodeReader, members: dict[str, yaml.Node]) -> Step | None:
    name = header_name(reader, members["list_header"], "list_header")
    item = matching(reader, members["item"], "item", _QUERY_NAME, "an item") if "item" in members else ""
    if not item or "," in item:
        reader.complain(members["list_header"], "item", "is missing, or more than one")
    return ListHeader(name=name, item=item)


def _parse_basic(reader: NodeReader, members: dict[str, yaml.Node]) -> Step | None:
    username = reader.text(members["basic"], "basic")
    if username is not None and (":" in username or not (username.isascii() and username.isprintable())):
        reader.complain(members["basic"], "basic", "a user name is printable ASCII without a colon")
    return Basic(username=username)


def _parse_query(reader: NodeReader, members: dict[str, yaml.Node]) -> Step | None:
    part = "value" if "part" not in members else reader.text(members["part"], "part") or ""
    return Query(name=matching(reader, members["query"], "query", _QUERY_NAME, "a parameter"), part=part)


def _parse_path(reader: NodeReader, members: dict[str, yaml.Node]) -> Step | None:
    templates = reader.texts(members["path"], "path")
    for template in templates:
        has_dots = any(segment in (".", "..") for segment in template.split("/"))
        if _HOLE.fullmatch(template) is None or "//" in template or has_dots:
            reader.complain(members["path"], "path", f"`{template}` is not like `/bot{{}}/**`: a path with one {{}}")
    return PathHole(templates=templates)


def _parse_cookie(reader: NodeReader, members: dict[str, yaml.Node]) -> Step | None:
    return Cookie(name=matching(reader, members["cookie"], "cookie", _COOKIE, "a cookie"))


def _parse_json(reader: NodeReader, members: dict[str, yaml.Node]) -> Step | None:
    from credproxy.injection.json_field import parse_pointer

    pointer = reader.text(members["json"], "json") or ""
    if parse_pointer(pointer) is None:
        reader.complain(members["json"], "json", f"`{pointer}` is not a JSON pointer such as /auth/token")
    return JsonField(pointer=pointer)


def _parse_hmac(reader: NodeReader, members: dict[str, yaml.Node]) -> Step | None:
    return parse_hmac(reader, members["hmac"])


def _parse_sigv4(reader: NodeReader, members: dict[str, yaml.Node]) -> Step | None:
    inner = reader.mapping(members["sigv4"], ("service", "region"))
    found = {}
    for key, node in inner.items():
        found[key] = reader.text(node, key) or ""
        if re.fullmatch(r"[a-z0-9-]{1,40}", found[key]) is None:
            reader.complain(node, key, f"`{found[key]}` is not the name of a {key}")
    return SigV4(service=found.get("service", ""), region=found.get("region", ""))


def _parse_by_prefix(reader: NodeReader, members: dict[str, yaml.Node], host: GrantedHost | None) -> ByPrefix | None:
    node, otherwise_node = members["by_prefix"], members.get("otherwise")
    if not isinstance(node, yaml.MappingNode) or otherwise_node is None:
        reader.complain(node, "by_prefix", "expected `{by_prefix: {PREFIX: …}, otherwise: …}`")
        return None
    cases = [(str(key.value), parse_inject(reader, value, host=host)) for key, value in node.value]
    otherwise = parse_inject(reader, otherwise_node, host=host)
    fitting = tuple((key, case) for key, case in cases if case is not None and not isinstance(case, ByPrefix))
    if otherwise is None or isinstance(otherwise, ByPrefix) or len(fitting) != len(cases):
        reader.complain(node, "by_prefix", "each case is a kind, or a list of kinds")
        return None
    return ByPrefix(cases=fitting, otherwise=otherwise)


_PARSERS: dict[str, Callable[[NodeReader, dict[str, yaml.Node]], Step | None]] = {
    "header": _parse_header,
    "remove": _parse_remove,
    "remove_query": _parse_remove_query,
    "list_header": _parse_list_header,
    "basic": _parse_basic,
    "query": _parse_query,
    "path": _parse_path,
    "cookie": _parse_cookie,
    "json": _parse_json,
    "hmac": _parse_hmac,
    "sigv4": _parse_sigv4,
}
