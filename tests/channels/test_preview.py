"""What is shown of a text that grows."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.markdown.telegram import render_telegram
from channels.preview import preview

ANSWER = """# Plan for *today*

We do **three things**, `first_thing()` and ~~nothing~~ more: see [the page](https://example.org/a_(b)) now.

- one **bold** item
- two `code`
  1. nested _here_

| a | b |
|---|---|
| 1 | **x** |
| 2 | y |

```python
def f(x):
    return x + 2
```

> a quote with **bold** inside

---

The ***end*** is snake_case_name and 2 * 3 * 4, ``with ` in it``, done.
"""
MEANT = re.compile(r"snake_\w*|first_\w*|2 \*[ 0-9*]*|with `[a-z ]*")
MARKS = ("*", "_", "`", "~", "[", "](", "#", "| -", "|--")


def shown(markdown: str) -> str:
    return "\n".join(message.text for message in render_telegram(preview(markdown)))


def test_no_marks_come_and_go() -> None:
    """Wherever a text stands just now, no mark of it is seen that is not meant."""
    for length in range(1, len(ANSWER) + 1):
        text = MEANT.sub("", shown(ANSWER[:length]))
        lines = [line for line in text.splitlines() if set(line) - set("-+|")]  # but the rule under a table's head
        assert not [mark for mark in MARKS if mark in "\n".join(lines)], ANSWER[:length]


def test_little_is_held_back() -> None:
    """All words but the last few are seen."""
    for length in range(1, len(ANSWER) + 1):
        words = [word.strip("*_`~|.,:[]()>#-") for word in ANSWER[:length].split()]
        text = shown(ANSWER[:length])
        assert not [word for word in words[:-8] if word.isalpha() and word != "python" and word not in text]


@pytest.mark.parametrize(
    ("so_far", "seen"),
    [
        ("```", ""),
        ("```py", ""),
        ("```py\n", ""),
        ("```py\nx", "```py\nx\n```"),
        ("```py\nx\n``", "```py\nx\n```"),
        ("```py\nx\n```", "```py\nx\n```"),
        ("- ```\n  x", "- ```\n  x\n  ```"),
        ("~~~~\n~~~\nx", "~~~~\n~~~\nx\n~~~~"),
        ("a **b", "a **b**"),
        ("a **b*", "a **b**"),
        ("a **b ", "a **b**"),
        ("a **", "a"),
        ("a `b", "a `b`"),
        ("a ``b`", "a ``b``"),
        ("**a `b", "**a `b`**"),
        ("see [the pa", "see the pa"),
        ("see [the page](https://x", "see the page"),
        ("see [the page](https://x/a_(b", "see the page"),
        ("see ![a picture](https://x/a.pn", "see a picture"),
        ("text\n-", "text"),
        ("text\n--", "text"),
        ("| a | b", ""),
        ("| a | b |\n|--", ""),
        ("| a | b |\n|---|---|\n| 1 | 2", "| a | b |\n|---|---|"),
        (r"a \*", r"a \*"),
        ("2 * 3", "2 * 3"),
        ("snake_case", "snake_case"),
        ("", ""),
    ],
)
def test_what_is_open_is_closed_or_held_back(so_far: str, seen: str) -> None:
    """What has begun is closed; what may yet become a mark waits."""
    assert preview(so_far) == seen


@given(st.text(alphabet="ab *_`~[]()|-#>\n\\1.!", max_size=200))
def test_any_text_has_a_preview(text: str) -> None:
    """No text is too odd, and a preview adds nothing but ends of what is open."""
    letters = [sign for sign in preview(text) if sign in "ab"]
    assert len(letters) <= sum(sign in "ab" for sign in text)


def test_a_hostile_text_takes_no_time() -> None:
    """As much as may be shown, made of nothing but marks, is read in a moment."""
    for unit in ("[", "](", "(", "*a ", "`", "``a", "|", "_a", "[a](b(", "> ", "```\n"):
        preview(unit * (8000 // len(unit)))
