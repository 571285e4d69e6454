"""A group's grants.yaml changed as text, so that comments, order and style stay as their author left them. Pure.

What a file means is the proxy's own parser's business: nothing is returned that it would not take, and whether a grant
is there already is asked of it too. Who reads, shows and writes the file is `grants_file.py`.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import yaml

from cli.settings_edit import CannotEdit, end_of_node
from credproxy.policy.grants import parse_grants
from credproxy.policy.rules import GroupRules, Rule
from protocol.ids import GroupId

_PLAIN = re.compile(r"[A-Za-z0-9/._~][A-Za-z0-9/._~*+=@-]*")
_WORDS = ("true", "false", "yes", "no", "on", "off", "null", "y", "n", "~")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A grant as a person asks for it: a host's, a bundle's, or the open web's."""

    host: str = ""
    scheme: str = "https"
    port: int | None = None
    methods: tuple[str, ...] = ()
    """Empty: all."""
    paths: tuple[str, ...] = ()
    """Empty: all."""
    secret: str = ""
    inject: str = ""
    """As YAML: `bearer`, `{header: X-Key}`."""
    addresses: tuple[str, ...] = ()
    bundle: str = ""
    is_web_read: bool = False
    terms: Mapping[str, str] = field(default_factory=dict)
    """Other keys of the grant, with their values as YAML, in order."""


def add_grant(text: str, wish: Wish, group_id: GroupId, file: str) -> str:
    """Return the text with the grant in it: as it is if all of it is there, with one grant widened if that grants
    nothing besides, else with one more: at the end, or before the one that would decide in its place. Raises
    CannotEdit."""
    rules = _parse(text, group_id, file)
    wished = _parse(_written(wish, ""), group_id, file)
    if wish.bundle or wish.is_web_read:
        _refuse_double(text, wish)
        return _checked(_append(text, wish), group_id, file)
    new = wished.rules[0]
    if any(_is_within(new, rule) for rule in rules.rules):
        return text
    for rule in rules.rules:
        key = _what_widens(new, rule)
        if key:
            return _checked(_widen(text, rule, key, wish), group_id, file)
    hiding = next((rule for rule in rules.rules if _hides(rule, new)), None)
    added = _append(text, wish) if hiding is None else _insert_before(text, hiding, wish)
    return _checked(added, group_id, file)


def remove_grants(text: str, is_meant: Callable[[Mapping[str, str]], bool], group_id: GroupId, file: str) -> str:
    """Return the text without the grants that are meant, told by their values; raises CannotEdit."""
    sequence = _sequence(text)
    items = sequence.value if sequence is not None else []
    meant = [item for item in items if is_meant(_values(item, text))]
    if not meant or sequence is None:
        return text
    lines = text.splitlines(keepends=True)
    spans = [_span(lines, item) for item in items]
    for before, after in itertools.pairwise(spans):
        if after[0] < before[1]:
            raise CannotEdit(f"line {after[0] + 1} holds more than one grant")
    if sequence.flow_style:
        raise CannotEdit(f"the list in line {sequence.start_mark.line + 1} is written in brackets")
    for item, (first, end) in reversed(list(zip(items, spans, strict=True))):
        if item in meant:
            del lines[first:end]
    return _checked("".join(lines), group_id, file)


def grants_in(text: str) -> list[Mapping[str, str]]:
    """Return each grant's values, in order; raises CannotEdit."""
    sequence = _sequence(text)
    return [] if sequence is None else [_values(item, text) for item in sequence.value]


def _parse(text: str, group_id: GroupId, file: str) -> GroupRules:
    rules = parse_grants(text, group_id, file)
    if isinstance(rules, list):
        raise CannotEdit("; ".join(map(str, rules[:3])))
    return rules


def _checked(text: str, group_id: GroupId, file: str) -> str:
    _parse(text, group_id, file)
    return text


def _refuse_double(text: str, wish: Wish) -> None:
    for values in grants_in(text):
        if wish.bundle and values.get("bundle") == wish.bundle:
            raise CannotEdit(f"the bundle {wish.bundle} is granted already")
        if wish.is_web_read and "web_read" in values:
            raise CannotEdit("the open web is granted already")


def _same_terms(one: Rule, other: Rule) -> bool:
    """Whether two grants differ in methods and paths at most."""
    return _terms(one) == _terms(other)


def _terms(rule: Rule) -> tuple[object, ...]:
    allow = rule.allow
    quota = None if allow.quota is None else replace(allow.quota, key="")
    dial = None if rule.twin is None else rule.twin.dial
    return rule.scheme, rule.host, rule.is_wildcard, rule.port, replace(allow, rule="", quota=quota), dial


def _globs(rule: Rule) -> frozenset[str] | None:
    return None if rule.paths is None else frozenset(glob.text for glob in rule.paths)


def _is_within(new: Rule, rule: Rule) -> bool:
    ours, theirs = _globs(new), _globs(rule)
    has_paths = theirs is None or (ours is not None and ours <= theirs)
    return _same_terms(new, rule) and new.methods <= rule.methods and has_paths


def _what_widens(new: Rule, rule: Rule) -> str:
    """Return the key that takes the new grant in, without granting any pair of method and path besides."""
    if not _same_terms(new, rule) or "/" in rule.name:  # a bundle's own lines are not the file's
        return ""
    ours, theirs = _globs(new), _globs(rule)
    if ours == theirs:
        return "methods"
    return "paths" if new.methods == rule.methods and ours is not None and theirs is not None else ""


def _hides(rule: Rule, new: Rule) -> bool:
    """Whether a grant that stands before the new one would decide all that the new one is for."""
    if (rule.scheme, rule.host, rule.is_wildcard, rule.port) != (new.scheme, new.host, new.is_wildcard, new.port):
        return False
    if not new.methods <= rule.methods:
        return False
    return rule.paths is None or all(
        any(glob.fits(text.replace("**", "any").replace("*", "any")) for glob in rule.paths)
        for text in _globs(new) or ("",)
    )


def _line_of(rule: Rule) -> int:
    """Return the line of the file, from 0, in which a grant begins; of a bundle's, the bundle."""
    return int(rule.name.rpartition(":")[2].partition("/")[0]) - 1


def _insert_before(text: str, rule: Rule, wish: Wish) -> str:
    """Return the text with the grant before another, and before the comment that belongs to that."""
    sequence = _sequence(text)
    if sequence is None or sequence.flow_style:
        return _append(text, wish)
    lines = text.splitlines(keepends=True)
    line = next(item.start_mark.line for item in sequence.value if item.start_mark.line == _line_of(rule))
    at = line
    while at > 0 and lines[at - 1].lstrip().startswith("#"):
        at -= 1
    lines.insert(line if at == 0 else at, _written(wish, " " * sequence.start_mark.column))
    return "".join(lines)


def _widen(text: str, rule: Rule, key: str, wish: Wish) -> str:
    sequence = _sequence(text)
    line = _line_of(rule)
    items = [] if sequence is None else [item for item in sequence.value if item.start_mark.line == line]
    if len(items) != 1 or not isinstance(items[0], yaml.MappingNode):
        return _append(text, wish)
    value = next((value for name, value in items[0].value if name.value == key), None)
    if value is None:
        return _append(text, wish)
    present = [item.value for item in value.value] if isinstance(value, yaml.SequenceNode) else [value.value]
    wanted = wish.methods if key == "methods" else wish.paths
    more = [each for each in wanted if each not in present]
    if not more:  # all methods are wished for, and a list of some cannot say so
        return _append(text, wish)
    if isinstance(value, yaml.SequenceNode) and not value.flow_style:
        lines = text.splitlines(keepends=True)
        at = end_of_node(lines, value)
        indent = " " * value.start_mark.column
        if not lines[at - 1].endswith("\n"):
            lines[at - 1] += "\n"
        return "".join([*lines[:at], *(f"{indent}- {_scalar(each)}\n" for each in more), *lines[at:]])
    if value.start_mark.line != value.end_mark.line:
        return _append(text, wish)
    return text[: value.start_mark.index] + _flow([*present, *more]) + text[value.end_mark.index :]


def _append(text: str, wish: Wish) -> str:
    sequence = _sequence(text)
    if sequence is None or not sequence.value:
        head = text if sequence is None else text[: sequence.start_mark.index] + text[sequence.end_mark.index :]
        head = re.sub(r"(?m)^(?:null|~)[ \t]*$\n?", "", head)
        gap = "" if not head or head.endswith("\n") else "\n"
        return f"{head}{gap}{_written(wish, '')}"
    if sequence.flow_style:
        raise CannotEdit(f"the list in line {sequence.start_mark.line + 1} is written in brackets")
    lines = text.splitlines(keepends=True)
    at = end_of_node(lines, sequence)
    if not lines[at - 1].endswith("\n"):
        lines[at - 1] += "\n"
    lines.insert(at, _written(wish, " " * sequence.start_mark.column))
    return "".join(lines)


def _written(wish: Wish, indent: str) -> str:
    """Return the grant as an item of the list, a key on each line."""
    entries: list[tuple[str, str]] = []
    if wish.bundle:
        entries.append(("bundle", _scalar(wish.bundle)))
    elif wish.is_web_read:
        terms = ", ".join(f"{key}: {value}" for key, value in wish.terms.items() if key != "expires")
        entries.append(("web_read", f"{{{terms}}}" if terms else "true"))
    else:
        entries += _host_entries(wish)
    if not wish.is_web_read:
        entries += wish.terms.items()
    elif "expires" in wish.terms:
        entries.append(("expires", wish.terms["expires"]))
    first, *others = [f"{key}: {value}" for key, value in entries]
    return "".join([f"{indent}- {first}\n", *(f"{indent}  {entry}\n" for entry in others)])


def _host_entries(wish: Wish) -> list[tuple[str, str]]:
    given = (
        ("scheme", _scalar(wish.scheme) if wish.scheme != "https" else ""),
        ("port", "" if wish.port is None else str(wish.port)),
        ("methods", _flow(wish.methods) if wish.methods else ""),
        ("paths", _flow(wish.paths) if wish.paths else ""),
        ("addresses", _flow(wish.addresses) if wish.addresses else ""),
        ("secret", _scalar(wish.secret) if wish.secret else ""),
        ("inject", wish.inject),
    )
    return [("host", _scalar(wish.host)), *((key, value) for key, value in given if value)]


def _sequence(text: str) -> yaml.SequenceNode | None:
    """Return the list of grants, None where the file says nothing."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        raise CannotEdit(f"it is not YAML: {' '.join(str(error).split())[:200]}") from error
    if root is None or (isinstance(root, yaml.ScalarNode) and root.value in ("", "null", "~")):
        return None
    if not isinstance(root, yaml.SequenceNode):
        raise CannotEdit("it is not a list of grants")
    return root


def _span(lines: list[str], item: yaml.Node) -> tuple[int, int]:
    return item.start_mark.line, max(item.start_mark.line + 1, end_of_node(lines, item))


def _values(item: yaml.Node, text: str) -> Mapping[str, str]:
    """Return a grant's keys with their values: texts as they are meant, all else as it is written."""
    if not isinstance(item, yaml.MappingNode):
        return {}
    return {
        key.value: value.value
        if isinstance(value, yaml.ScalarNode)
        else text[value.start_mark.index : value.end_mark.index].strip()
        for key, value in item.value
    }


def _flow(values: Sequence[str]) -> str:
    return f"[{', '.join(map(_scalar, values))}]"


def _scalar(value: str) -> str:
    """Return the value as YAML: plain where it cannot be taken for anything else, else quoted."""
    is_plain = _PLAIN.fullmatch(value) is not None and value.lower() not in _WORDS
    is_text = is_plain and any(char.isalpha() or char == "/" for char in value)
    return value if is_text else json.dumps(value)
