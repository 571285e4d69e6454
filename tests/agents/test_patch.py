"""Patches as models write them, and the files that they change."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.patch import BadPatch, apply_hunks, parse_patch

FILE = "one\ntwo\nthree\nfour\nfive\n"


def patched(text: str, *lines: str) -> str:
    (change,) = parse_patch("\n".join(["*** Begin Patch", "*** Update File: a", *lines, "*** End Patch"]))
    return apply_hunks(text, change)


@pytest.mark.parametrize(
    ("lines", "after"),
    [
        (("@@", " two", "-three", "+3"), "one\ntwo\n3\nfour\nfive\n"),
        (("-one",), "two\nthree\nfour\nfive\n"),
        (("@@ three", "-four", "+4"), "one\ntwo\nthree\n4\nfive\n"),
        (("@@", "-one", "+1", "@@", "-five", "+5"), "1\ntwo\nthree\nfour\n5\n"),
        (("@@", "+six",), "one\ntwo\nthree\nfour\nfive\nsix\n"),
        (("@@ two", "+between",), "one\ntwo\nbetween\nthree\nfour\nfive\n"),
        (("@@", "-two  ", "+2"), "one\n2\nthree\nfour\nfive\n"),
        (("@@", " five", "+six", "*** End of File"), "one\ntwo\nthree\nfour\nfive\nsix\n"),
    ],
)  # fmt: skip
def test_a_hunk_goes_where_its_lines_stand(lines: tuple[str, ...], after: str) -> None:
    """By its own lines, below the named one, at the end; white space at a line's end may differ."""
    assert patched(FILE, *lines) == after


@pytest.mark.parametrize(
    ("patch", "says"),
    [
        ("", "begins with a line"),
        ("*** Begin Patch\n*** Update File: a\n-one", "ends with a line"),
        ("*** Begin Patch\n*** End Patch", "changes nothing"),
        ("*** Begin Patch\n-one\n*** End Patch", "expected '*** Update File"),
        ("*** Begin Patch\n*** Update File: \n-one\n*** End Patch", "names no file"),
        ("*** Begin Patch\n*** Update File: a\n*** End Patch", "has no hunk"),
        ("*** Begin Patch\n*** Update File: a\n one\n*** End Patch", "changes nothing"),
        ("*** Begin Patch\n*** Update File: a\nxone\n*** End Patch", "begins with a space"),
        ("*** Begin Patch\n*** Add File: a\none\n*** End Patch", "begins with +"),
        ("*** Begin Patch\n*** Delete File: a\n*** Delete File: a\n*** End Patch", "changed twice"),
    ],
)
def test_a_patch_that_cannot_be_read_says_why(patch: str, says: str) -> None:
    """The model reads which line is wrong and what it should be."""
    with pytest.raises(BadPatch, match=says.replace("*", r"\*").replace("+", r"\+")):
        parse_patch(patch)


def test_only_a_line_feed_ends_a_line() -> None:
    """A form feed or a Unicode break is part of the text around it; a carriage return before the feed is none."""
    lines = ("*** Begin Patch", "*** Add File: a", "+one\x0ctwo\u2028three", "*** End Patch")
    for feed in ("\n", "\r\n"):
        (change,) = parse_patch(feed.join(lines))
        assert change.lines == ("one\x0ctwo\u2028three",)


@pytest.mark.parametrize("lines", [("@@", "-six"), ("@@ nowhere", "-one"), ("@@", "-five", "@@", "-one")])
def test_a_hunk_that_does_not_fit_is_named(lines: tuple[str, ...]) -> None:
    """Lines that are not there, or not below the last change, are an error that says to read the file again."""
    with pytest.raises(BadPatch, match="read the file again"):
        patched(FILE, *lines)


@given(st.text(max_size=300))
def test_any_text_is_a_patch_or_a_plain_error(text: str) -> None:
    """Hostile input never fails in another way."""
    try:
        for change in parse_patch(f"*** Begin Patch\n{text}\n*** End Patch"):
            apply_hunks(FILE, change)
    except BadPatch as error:
        assert str(error)


@given(st.lists(st.sampled_from(["a", "b", "c", ""]), min_size=1, max_size=12), st.data())
def test_a_whole_replacement_gives_the_new_lines(lines: list[str], data: st.DataObject) -> None:
    """A hunk made from a file's own lines puts exactly the new ones in their place."""
    new = data.draw(st.lists(st.sampled_from(["x", "y"]), max_size=4))
    hunk = [f"-{line}" for line in lines] + [f"+{line}" for line in new]
    assert patched("\n".join(lines), "@@", *hunk) == "\n".join(new)
