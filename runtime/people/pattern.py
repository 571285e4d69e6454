"""The patterns of bindings: a small language of regular expressions that any text is searched for in linear time. Pure.

Python's own engine goes back and tries again, so that a pattern and a text that fit badly can keep a host busy for
hours. This one walks all possibilities at once (Thompson's construction): a step for each character and state. Case is
not looked at. There are: `.` `[a-z]` `[^…]`; `\\d` `\\w` `\\s` (in capitals: all others); `\\b` for a word's edge,
`^` `$` for the text's; `( )` `|` `*` `+` `?`. No counted repeats, no back references, no looking around.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

MAX_PATTERN_CHARS = 200
SEARCHED_CHARS = 2_000
"""Only so much of a text is looked at: who wants an agent names it early."""
MAX_DEPTH = 20

Test = Callable[[str], bool]
"""Whether a character fits."""


class WrongPattern(ValueError):
    """The text is no pattern; `str` says why."""


@dataclass(slots=True)
class _State:
    """A place in the machine: it goes on over a character that fits, or at once to others where `edge` holds."""

    test: Test | None = None
    edge: str = ""
    """Empty, or one of `^ $ b`."""
    to: list[int] = field(default_factory=list)


def check_pattern(text: str) -> str | None:
    """Return why a text is no pattern, None if it is one."""
    try:
        _compiled(text)
    except WrongPattern as error:
        return str(error)
    return None


def matches(pattern: str, text: str) -> bool:
    """Return whether the pattern is found anywhere in a text's beginning; a wrong pattern is found nowhere."""
    try:
        machine = _compiled(pattern)
    except WrongPattern:
        return False
    return machine.finds(text[:SEARCHED_CHARS].lower())


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> _Machine:
    if not pattern:
        raise WrongPattern("an empty pattern matches everything: bind with `always` instead")
    if len(pattern) > MAX_PATTERN_CHARS:
        raise WrongPattern(f"it is longer than {MAX_PATTERN_CHARS} characters")
    return _Machine(_Parser(pattern))


class _Machine:
    """A pattern's states; 1 is the one that has matched."""

    def __init__(self, parser: _Parser) -> None:
        self._states = parser.states
        self._start = parser.parse()

    def finds(self, text: str) -> bool:
        live: set[int] = set()
        for position in range(len(text) + 1):
            live.add(self._start)  # a match may begin anywhere
            reached = self._reached(live, text, position)
            if 1 in reached:
                return True
            if position == len(text):
                return False
            char = text[position]
            live = {to for number in reached if self._fits(number, char) for to in self._states[number].to}
        return False

    def _fits(self, number: int, char: str) -> bool:
        test = self._states[number].test
        return test is not None and test(char)

    def _reached(self, live: set[int], text: str, position: int) -> set[int]:
        """Return the states that these lead to without a character."""
        reached: set[int] = set()
        waiting = list(live)
        while waiting:
            number = waiting.pop()
            state = self._states[number]
            if number in reached or (state.edge and not _holds(state.edge, text, position)):
                continue
            reached.add(number)
            if state.test is None:
                waiting += state.to
        return reached


def _holds(edge: str, text: str, position: int) -> bool:
    if edge == "^":
        return position == 0
    if edge == "$":
        return position == len(text)
    before = position > 0 and _is_word(text[position - 1])
    after = position < len(text) and _is_word(text[position])
    return before != after


def _is_word(char: str) -> bool:
    return char.isalnum() or char == "_"


_CLASSES: dict[str, Test] = {
    "d": str.isdecimal,
    "w": _is_word,
    "s": str.isspace,
    "D": lambda char: not char.isdecimal(),
    "W": lambda char: not _is_word(char),
    "S": lambda char: not char.isspace(),
}


Part = Callable[[int], int]
"""Of a pattern: given the state that comes after it, adds its own states and returns its first one."""


class _Parser:
    """Reads a pattern from left to right; `parse` returns the machine's first state."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._depth = 0
        self.states = [_State(), _State()]

    def parse(self) -> int:
        part = self._either()
        if self._at < len(self._pattern):
            raise WrongPattern("a `)` has no `(`")
        return part(1)

    def _add(self, state: _State) -> int:
        self.states.append(state)
        return len(self.states) - 1

    def _peek(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _take(self) -> str:
        char = self._peek()
        self._at += 1
        return char

    def _either(self) -> Part:
        branches = [self._row()]
        while self._peek() == "|":
            self._take()
            branches.append(self._row())
        if len(branches) == 1:
            return branches[0]
        return lambda after: self._add(_State(to=[branch(after) for branch in branches]))

    def _row(self) -> Part:
        parts: list[Part] = []
        while self._peek() not in ("", "|", ")"):
            parts.append(self._repeated())

        def build(after: int) -> int:
            for part in reversed(parts):
                after = part(after)
            return after

        return build

    def _repeated(self) -> Part:
        part = self._one()
        sign = self._peek()
        if sign not in ("*", "+", "?"):
            return part
        self._take()
        if self._peek() in ("*", "+", "?", "{"):
            raise WrongPattern(f"`{sign}{self._peek()}` repeats a repeat")
        if sign == "?":
            return lambda after: self._add(_State(to=[part(after), after]))

        def build(after: int) -> int:
            again = self._add(_State(to=[after]))
            first = part(again)
            self.states[again].to.append(first)
            return first if sign == "+" else again

        return build

    def _one(self) -> Part:
        char = self._take()
        if char == "(":
            return self._group()
        if char in ("^", "$"):
            return self._edge(char)
        if char in ("*", "+", "?", "{", "}"):
            raise WrongPattern(f"`{char}` repeats nothing; a sign that means itself is written `\\{char}`")
        if char == ".":
            return self._char(lambda _: True)
        if char == "[":
            return self._char(self._set())
        if char != "\\":
            return self._char(_sign(char))
        escaped = self._escaped()
        return self._edge(escaped) if escaped == "b" else self._char(_CLASSES.get(escaped) or _sign(escaped))

    def _group(self) -> Part:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise WrongPattern(f"it is nested deeper than {MAX_DEPTH}")
        if self._peek() == "?":
            raise WrongPattern("`(?` is not known here")
        part = self._either()
        if self._take() != ")":
            raise WrongPattern("a `(` is not closed")
        self._depth -= 1
        return part

    def _escaped(self) -> str:
        char = self._take()
        if not char:
            raise WrongPattern("a backslash at its end means nothing")
        if char.isalnum() and char not in "dwsDWSb":
            raise WrongPattern(f"`\\{char}` is not known here")
        return char

    def _set(self) -> Test:
        """Read what stands in square brackets."""
        negated = self._peek() == "^"
        if negated:
            self._take()
        tests: list[Test] = []
        while self._peek() != "]" or not tests:
            first = self._member()
            if isinstance(first, str) and self._peek() == "-" and self._pattern[self._at + 1 : self._at + 2] != "]":
                self._take()
                last = self._member()
                if not isinstance(last, str) or last < first:
                    raise WrongPattern("a range in `[ ]` goes backwards or to a class")
                tests.append(_range(first, last))
            else:
                tests.append(_sign(first) if isinstance(first, str) else first)
        self._take()
        return lambda char: any(test(char) for test in tests) != negated

    def _member(self) -> str | Test:
        char = self._take()
        if not char:
            raise WrongPattern("a `[` is not closed")
        if char != "\\":
            return char
        escaped = self._escaped()
        if escaped == "b":
            raise WrongPattern("`\\b` is no character: it cannot stand in `[ ]`")
        return _CLASSES.get(escaped, escaped)

    def _char(self, test: Test) -> Part:
        return lambda after: self._add(_State(test=test, to=[after]))

    def _edge(self, edge: str) -> Part:
        return lambda after: self._add(_State(edge=edge, to=[after]))


def _sign(char: str) -> Test:
    wanted = char.lower()
    return lambda each: each == wanted


def _range(first: str, last: str) -> Test:
    least, most = first.lower(), last.lower()
    return lambda char: least <= char <= most
