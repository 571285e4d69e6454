"""YAML read item by item: the same as read as a whole, in little memory."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from credproxy.policy.yaml_nodes import NodeReader

PIECES = st.sampled_from(
    [
        "- ",
        "host",
        ": ",
        "a.org",
        "\n",
        "\n  ",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "#x",
        "'",
        '"',
        "&a ",
        "*a",
        "|",
        "---",
        "...",
    ]
)


def plain(node: yaml.Node) -> object:
    """Return a node's texts and places, without the object itself."""
    inner = [(plain(a), plain(b)) for a, b in node.value] if isinstance(node, yaml.MappingNode) else node.value
    if isinstance(node, yaml.SequenceNode):
        inner = [plain(each) for each in node.value]
    return node.tag, node.start_mark.line, inner


@given(st.lists(PIECES, max_size=14).map("".join))
def test_items_one_by_one_are_those_of_the_whole(text: str) -> None:
    """What is a list as a whole gives its items; what is broken or no list is a problem, however it came. Whole and in
    parts by the same parser: libyaml takes an empty text in places where PyYAML's own does not (`|#x`)."""
    try:
        top = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError:
        top = yaml.ScalarNode("broken", "broken")
    reader = NodeReader("g.yaml")
    try:
        items = [plain(item) for item in reader.entries(text)]
        expected = [plain(item) for item in top.value] if isinstance(top, yaml.SequenceNode) else []
    except RecursionError:
        return  # an item that holds itself has no plain form
    if isinstance(top, yaml.SequenceNode) or top is None or top.value in ("", "null", "~"):
        assert (items, reader.problems) == (expected, [])
    else:
        assert reader.problems


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- host: a.org\n- host: [b.org\n- c\n", "g.yaml:"),
        ("- host: a.org\n---\n- host: b.org\n", "g.yaml:2: not YAML: but found another document"),
        ("- host: a.org\nmore: b\n", "g.yaml:2: not YAML"),
        ("host: a.org\n", "g.yaml:1: expected a list"),
        ("- *nobody\n", "g.yaml:1: not YAML: found undefined alias"),
        ("- a\x07b\n", "g.yaml:1: not YAML"),
        ("- a\ud800b\n", "g.yaml:1: not YAML"),
    ],
)
def test_what_is_broken_is_a_problem_with_its_line(text: str, said: str) -> None:
    """Items before the break may come, and the problem comes for sure."""
    reader = NodeReader("g.yaml")
    list(reader.entries(text))
    assert any(str(problem).startswith(said) for problem in reader.problems), reader.problems
