"""YAML with line numbers: a walk over a document's nodes that collects every problem instead of raising. Pure.

Values are taken from their own text, never from YAML's guesses: `port: 0x50` and `host: no` are problems, not values.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.composer import Composer

MAX_FILE_CHARS = 4 << 20
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's parser where PyYAML was built with it: ten times as fast, which counts with thousands of grants."""


class _ItemLoader(Composer, _LOADER):  # type: ignore[misc, valid-type]  # chosen at import
    """Makes nodes one by one, of the events of either parser."""

    def __init__(self, text: str) -> None:
        _LOADER.__init__(self, text)
        Composer.__init__(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileProblem:
    """What is wrong in a file of settings, and where."""

    file: str
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}"
        return f"{where}: {self.key}: {self.message}" if self.key else f"{where}: {self.message}"


def did_you_mean(word: str, known: Collection[str]) -> str:
    """Return the known word nearest to an unknown one, as the end of a sentence; empty if none is near."""
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


@dataclass(slots=True)
class NodeReader:
    """Reads one document; `problems` grows with each thing that is wrong."""

    file: str
    problems: list[FileProblem] = field(default_factory=list)

    def document(self, text: str) -> yaml.Node | None:
        """Return the top node, None for an empty file or a broken one (then with a problem)."""
        if len(text) > MAX_FILE_CHARS:
            self._add(1, "", f"the file is longer than {MAX_FILE_CHARS} characters")
            return None
        try:
            return _compose(text)
        except (UnicodeError, RecursionError, yaml.YAMLError) as error:
            self._complain_of(error)
        return None

    def entries(self, text: str) -> Iterator[yaml.Node]:
        """Yield the items of the list that a document is, one at a time: the nodes of ten thousand would take fifty
        megabytes. None for an empty file; what is broken becomes a problem, after the items before it."""
        if len(text) > MAX_FILE_CHARS:
            self._add(1, "", f"the file is longer than {MAX_FILE_CHARS} characters")
            return
        try:
            yield from self._entries(_ItemLoader(text))
        except (UnicodeError, RecursionError) as error:
            self._complain_of(error)
        except yaml.YAMLError as error:
            self._complain_of(_told_better(text) or error)

    def _entries(self, loader: Any) -> Iterator[yaml.Node]:
        """Any: what PyYAML's loaders have in common has no type."""
        loader.get_event()
        if loader.check_event(yaml.StreamEndEvent):
            return
        loader.get_event()
        if loader.check_event(yaml.SequenceStartEvent):
            loader.get_event()
            while not loader.check_event(yaml.SequenceEndEvent):
                yield loader.compose_node(None, None)
            loader.get_event()
        else:
            top = loader.compose_node(None, None)
            if not (isinstance(top, yaml.ScalarNode) and top.value in ("", "null", "~")):
                yield from self.items(top, "")
        loader.get_event()
        if not loader.check_event(yaml.StreamEndEvent):
            self._add(loader.peek_event().start_mark.line + 1, "", "not YAML: but found another document")

    def _complain_of(self, error: Exception) -> None:
        if not isinstance(error, yaml.YAMLError):
            self._add(1, "", "not YAML: it holds what is no text, or is nested without end")
            return
        mark = getattr(error, "problem_mark", None)
        self._add(mark.line + 1 if mark else 1, "", f"not YAML: {getattr(error, 'problem', None) or 'unreadable'}")

    def mapping(self, node: yaml.Node, known: Collection[str]) -> dict[str, yaml.Node]:
        """Return a mapping's members by key; unknown and repeated keys become problems."""
        if not isinstance(node, yaml.MappingNode):
            self.complain(node, "", "expected `key: value` lines")
            return {}
        members: dict[str, yaml.Node] = {}
        for key_node, value_node in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else "?"
            if key not in known:
                near = did_you_mean(key, known)
                self.complain(key_node, key, f"is not a known key (known: {', '.join(known)}){near}")
            elif key in members:
                self.complain(key_node, key, "is given twice")
            else:
                members[key] = value_node
        return members

    def items(self, node: yaml.Node, key: str) -> Iterator[yaml.Node]:
        """Yield a list's items."""
        if not isinstance(node, yaml.SequenceNode):
            self.complain(node, key, "expected a list (lines that begin with `- `)")
            return
        yield from node.value

    def text(self, node: yaml.Node, key: str) -> str | None:
        if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:str" and node.value:
            return str(node.value)
        self.complain(node, key, "expected a text (put it in quotes)")
        return None

    def texts(self, node: yaml.Node, key: str) -> tuple[str, ...]:
        """Return a list of texts; one text alone counts as a list of one."""
        nodes = [node] if isinstance(node, yaml.ScalarNode) else list(self.items(node, key))
        return tuple(text for item in nodes if (text := self.text(item, key)) is not None)

    def word(self, node: yaml.Node) -> str:
        """Return a scalar as it is written, whatever YAML takes it for; empty for anything else."""
        return str(node.value) if isinstance(node, yaml.ScalarNode) else ""

    def number(self, node: yaml.Node, key: str, least: int, most: int) -> int | None:
        if isinstance(node, yaml.ScalarNode) and node.value.isascii() and node.value.isdecimal():
            number = int(node.value)
            if least <= number <= most:
                return number
        self.complain(node, key, f"expected a whole number from {least} to {most}")
        return None

    def complain(self, node: yaml.Node, key: str, message: str) -> None:
        self._add(node.start_mark.line + 1, key, message)

    def _add(self, line: int, key: str, message: str) -> None:
        self.problems.append(FileProblem(file=self.file, line=line, key=key, message=message))


def _told_better(text: str) -> yaml.YAMLError | None:
    """Return what the slow parser says of a broken text: it says better where it broke."""
    try:
        yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        return error
    return None


def _compose(text: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=_LOADER)
    except yaml.YAMLError:
        yaml.compose(text, Loader=yaml.SafeLoader)  # says better where it broke
        raise
