"""What `inject: {hmac: …}` says. Pure."""

from __future__ import annotations

from typing import get_args

import yaml

from credproxy.injection.kinds import HmacAlgorithm, HmacSigning, TimestampForm
from credproxy.injection.parse_parts import header_name
from credproxy.injection.templates import fields_of
from credproxy.policy.yaml_nodes import NodeReader

KEYS = (
    "header", "message", "as", "algorithm", "encoding", "key_encoding", "timestamp_header", "timestamp",
    "key_id_header",
)  # fmt: skip
MESSAGE_FIELDS = frozenset(("timestamp", "method", "path", "query", "target", "host", "key_id", "body", "body_sha256"))
TEMPLATE_FIELDS = frozenset(("", "timestamp", "key_id"))
_DEFAULTS = HmacSigning(header="")


def parse_hmac(reader: NodeReader, node: yaml.Node) -> HmacSigning | None:
    """Return the signing; None with problems told to the reader."""
    members = reader.mapping(node, KEYS)
    if "header" not in members:
        reader.complain(node, "header", "is missing: where the signature goes")
        return None
    names = {
        key: header_name(reader, members[key], key) if key in members else ""
        for key in ("header", "timestamp_header", "key_id_header")
    }
    message = _template(reader, members, "message", _DEFAULTS.message, MESSAGE_FIELDS)
    template = _template(reader, members, "as", _DEFAULTS.template, TEMPLATE_FIELDS)
    if "" not in fields_of(template):
        reader.complain(members["as"], "as", "has no {} for the signature")
    algorithm = _choice(reader, members, "algorithm", get_args(HmacAlgorithm), _DEFAULTS.algorithm)
    encoding = _choice(reader, members, "encoding", ("hex", "base64"), _DEFAULTS.encoding)
    key_encoding = _choice(reader, members, "key_encoding", ("text", "base64", "hex"), _DEFAULTS.key_encoding)
    timestamp = _choice(reader, members, "timestamp", get_args(TimestampForm), _DEFAULTS.timestamp_form)
    return HmacSigning(
        header=names["header"],
        message=message,
        template=template,
        algorithm=algorithm,  # type: ignore[arg-type]  # one of the choices, checked above; so the next three
        encoding=encoding,  # type: ignore[arg-type]
        key_encoding=key_encoding,  # type: ignore[arg-type]
        timestamp_header=names["timestamp_header"],
        timestamp_form=timestamp,  # type: ignore[arg-type]
        key_id_header=names["key_id_header"],
    )


def _template(reader: NodeReader, members: dict[str, yaml.Node], key: str, default: str, known: frozenset[str]) -> str:
    node = members.get(key)
    if node is None:
        return default
    template = reader.text(node, key) or ""
    if not template.isascii():
        reader.complain(node, key, "must be ASCII")
        return default
    unknown = sorted(fields_of(template) - known)
    if unknown:
        fields = ", ".join(f"{{{name}}}" for name in sorted(known))
        reader.complain(node, key, f"`{{{unknown[0]}}}` is not one of {fields}")
    return template


def _choice(reader: NodeReader, members: dict[str, yaml.Node], key: str, choices: tuple[str, ...], default: str) -> str:
    node = members.get(key)
    if node is None:
        return default
    chosen = reader.text(node, key) or ""
    if chosen not in choices:
        reader.complain(node, key, f"`{chosen}` is not one of {', '.join(choices)}")
        return default
    return chosen
