"""The small parts of an `inject:`: names of headers, templates, flags, variables. Pure. `parse.py` uses them."""

from __future__ import annotations

import re

import yaml

from credproxy.policy.yaml_nodes import NodeReader

ENV = "env"
_HEADER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
FRAMING_HEADERS = frozenset(
    ("host", "content-length", "transfer-encoding", "connection", "te", "trailer", "upgrade", "expect", "keep-alive")
)
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{1,63}")
_NOT_VARIABLES = re.compile(r"(?:LD_|PYTHON|NODE_|GIT_|DYLD_|BASH|NIGHTYARD).*|.*_PROXY|PATH|HOME|SHELL|IFS|ENV|USER")
"""What would change how programs run, or is the container's own."""


def parse_variables(reader: NodeReader, node: yaml.Node) -> tuple[str, ...]:
    variables = reader.texts(node, ENV)
    for variable in variables:
        if _VARIABLE.fullmatch(variable) is None or _NOT_VARIABLES.fullmatch(variable) is not None:
            reader.complain(node, ENV, f"`{variable}` cannot name a placeholder; take a name such as SEARCH_API_KEY")
    return variables


def header_name(reader: NodeReader, node: yaml.Node, key: str) -> str:
    name = reader.text(node, key) or ""
    if _HEADER.fullmatch(name) is None or name.lower() in FRAMING_HEADERS or name.lower().startswith("x-nightyard"):
        reader.complain(node, key, f"`{name}` cannot carry a secret")
    return name.lower()


def value_template(reader: NodeReader, node: yaml.Node) -> str:
    template = reader.text(node, "as") or ""
    if template.count("{}") != 1 or not (template.isascii() and template.isprintable()):
        reader.complain(node, "as", "is the header's value with one {} for the secret, as in `Token {}`")
    return template


def matching(reader: NodeReader, node: yaml.Node, key: str, pattern: re.Pattern[str], what: str) -> str:
    text = reader.text(node, key) or ""
    if pattern.fullmatch(text) is None:
        reader.complain(node, key, f"`{text}` is not the name of {what}")
    return text


def flag(reader: NodeReader, members: dict[str, yaml.Node], key: str) -> bool:
    node = members.get(key)
    if node is None:
        return False
    word = str(node.value) if isinstance(node, yaml.ScalarNode) else ""
    if word not in ("true", "false"):
        reader.complain(node, key, "must be true or false")
    return word == "true"
