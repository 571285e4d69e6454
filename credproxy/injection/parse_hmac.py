"""What `inject: {hmac: …}` says. Pure."""

from __future__ import annotations

from typing import TypeVar, get_args

import yaml

from credproxy.injection.kinds import HmacAlgorithm, HmacSigning, KeyEncoding, SignatureEncoding, TimestampForm
from credproxy.injection.parse_parts import header_name
from credproxy.injection.templates import fields_of
from credproxy.policy.yaml_nodes import NodeReader

T = TypeVar("T", bound=str)

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
    algorithms: tuple[HmacAlgorithm, ...] = get_args(HmacAlgorithm)
    encodings: tuple[SignatureEncoding, ...] = get_args(SignatureEncoding)
    key_encodings: tuple[KeyEncoding, ...] = get_args(KeyEncoding)
    timestamps: tuple[TimestampForm, ...] = get_args(TimestampForm)
    algorithm = _choice(reader, members, "algorithm", algorithms, _DEFAULTS.algorithm)
    encoding = _choice(reader, members, "encoding", encodings, _DEFAULTS.encoding)
    key_encoding = _choice(reader, members, "key_encoding", key_encodings, _DEFAULTS.key_encoding)
    timestamp = _choice(reader, members, "timestamp", timestamps, _DEFAULTS.timestamp_form)
    return HmacSigning(
        header=names["header"],
        message=message,
        template=template,
        algorithm=algorithm,
        encoding=encoding,
        key_encoding=key_encoding,
        timestamp_header=names["timestamp_header"],
        timestamp_form=timestamp,
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


def _choice(reader: NodeReader, members: dict[str, yaml.Node], key: str, choices: tuple[T, ...], default: T) -> T:
    node = members.get(key)
    if node is None:
        return default
    chosen = reader.text(node, key) or ""
    for choice in choices:
        if choice == chosen:
            return choice
    reader.complain(node, key, f"`{chosen}` is not one of {', '.join(choices)}")
    return default
