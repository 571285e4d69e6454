"""Wildcards: which names are too wide to be granted by one."""

from __future__ import annotations

from pathlib import Path

import pytest

from credproxy.policy.public_suffix import refuse_wildcard


@pytest.mark.parametrize(
    "base",
    [
        "com", "co.uk", "com.au", "or.jp", "gob.mx", "github.io", "pages.dev", "s3.amazonaws.com", "amazonaws.com",
        "s3.eu-west-1.amazonaws.com", "core.windows.net", "herokuapp.com", "ngrok-free.app", "duckdns.org",
        "vercel.app",
    ],
)  # fmt: skip
def test_names_below_which_strangers_live_are_refused(base: str) -> None:
    """A country's levels, hosting services' names, and what lies above those."""
    assert refuse_wildcard(base)


@pytest.mark.parametrize(
    "base", ["example.org", "wikipedia.org", "me.github.io", "example.co.uk", "web.de", "corp.example.com", "id.me"]
)
def test_names_of_one_owner_may_be_granted(base: str) -> None:
    """One owner's names, below a hosting service too."""
    assert refuse_wildcard(base) == ""


def test_system_list_is_asked(tmp_path: Path) -> None:
    """Where the system has the whole list, its rules, wildcards and exceptions count; comments do not."""
    path = tmp_path / "list.dat"
    path.write_text("// comment.example\n\nstrange.example\n*.wide.example\n!own.wide.example\n", "utf-8")
    assert refuse_wildcard("strange.example", path)
    assert refuse_wildcard("any.wide.example", path)
    assert refuse_wildcard("own.wide.example", path) == ""
    assert refuse_wildcard("below.strange.example", path) == ""
    assert refuse_wildcard("comment.example", path) == ""
    assert refuse_wildcard("strange.example", tmp_path / "absent.dat") == ""
