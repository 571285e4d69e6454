"""What a preset's file says, or every problem in it. Pure. The files are in `presets/`, the noun is in `preset.py`."""

from __future__ import annotations

import re
from collections.abc import Mapping

import yaml

from credproxy.injection.kinds import Injection, RemoveHeader, RemoveQuery
from credproxy.injection.parse import parse_inject
from credproxy.injection.placeholder_form import is_form
from credproxy.injection.preset import Preset, TestCall
from credproxy.policy.yaml_nodes import FileProblem, NodeReader
from credproxy.vault.types import TYPES

KEYS = (
    "title", "variant_of", "keys_at", "secret_type", "hosts", "remove", "placeholders", "environment", "test",
    "idempotency_header",
)  # fmt: skip
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{1,63}")


def parse_preset(text: str, name: str, file: str) -> Preset | list[FileProblem]:
    """Return the preset, or all that is wrong with its file."""
    reader = NodeReader(file)
    top = reader.document(text)
    if top is None:
        return reader.problems or [FileProblem(file=file, line=1, key="", message="the file is empty")]
    members = reader.mapping(top, KEYS)
    for key in ("title", "hosts", "placeholders"):
        if key not in members:
            reader.complain(top, key, "is missing")
    preset = Preset(
        name=name,
        title=_text(reader, members, "title"),
        secret_type=_text(reader, members, "secret_type") or "key",
        keys_at=_text(reader, members, "keys_at"),
        variant_of=_text(reader, members, "variant_of"),
        hosts=_hosts(reader, members.get("hosts")),
        remove=_remove(reader, members.get("remove")),
        placeholders=_texts(reader, members.get("placeholders"), "placeholders"),
        environment=_texts(reader, members.get("environment"), "environment"),
        idempotency_header=_text(reader, members, "idempotency_header").lower(),
        test=_test(reader, members.get("test")),
    )
    _check(reader, top, preset)
    return reader.problems or preset


def _check(reader: NodeReader, top: yaml.Node, preset: Preset) -> None:
    if preset.secret_type not in TYPES:
        reader.complain(top, "secret_type", f"`{preset.secret_type}` is not one of {', '.join(TYPES)}")
    for form in preset.placeholders.values():
        if not is_form(form):
            reader.complain(top, "placeholders", f"`{form}` is not a form with known fields and room for the tag")
    for variable, part in preset.environment.items():
        if _VARIABLE.fullmatch(variable) is None:
            reader.complain(top, "environment", f"`{variable}` is not the name of a variable")
        if part not in preset.placeholders:
            reader.complain(top, "environment", f"{variable}: no placeholder is given for the part {part}")


def _hosts(reader: NodeReader, node: yaml.Node | None) -> Mapping[str, Injection]:
    hosts = {}
    for host, value in _members(reader, node, "hosts"):
        injection = parse_inject(reader, value, host=None)
        if injection is not None:
            hosts[host] = injection
    return hosts


def _remove(reader: NodeReader, node: yaml.Node | None) -> tuple[RemoveHeader | RemoveQuery, ...]:
    if node is None:
        return ()
    members = reader.mapping(node, ("headers", "query"))
    headers = reader.texts(members["headers"], "headers") if "headers" in members else ()
    names = reader.texts(members["query"], "query") if "query" in members else ()
    return (*(RemoveHeader(name=each.lower()) for each in headers), *(RemoveQuery(name=each) for each in names))


def _test(reader: NodeReader, node: yaml.Node | None) -> TestCall | None:
    if node is None:
        return None
    members = reader.mapping(node, ("method", "url", "headers", "body", "ok", "says"))
    return TestCall(
        method=_text(reader, members, "method") or "GET",
        url=_text(reader, members, "url"),
        headers=tuple(_texts(reader, members.get("headers"), "headers").items()),
        body=_text(reader, members, "body"),
        ok=_text(reader, members, "ok"),
        says=_text(reader, members, "says"),
    )


def _text(reader: NodeReader, members: Mapping[str, yaml.Node], key: str) -> str:
    return (reader.text(members[key], key) or "") if key in members else ""


def _texts(reader: NodeReader, node: yaml.Node | None, key: str) -> dict[str, str]:
    return {name: reader.text(value, key) or "" for name, value in _members(reader, node, key)}


def _members(reader: NodeReader, node: yaml.Node | None, key: str) -> list[tuple[str, yaml.Node]]:
    if node is None:
        return []
    if not isinstance(node, yaml.MappingNode):
        reader.complain(node, key, "expected `name: value` lines")
        return []
    return [(str(name.value), value) for name, value in node.value]
