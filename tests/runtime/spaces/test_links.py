"""Links in a space: none that stays can lead out, by itself or with others."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.spaces.links import leads_out


@pytest.mark.parametrize(
    ("path", "target", "out"),
    [
        ("a", "b", False),
        ("a", "./b/c", False),
        ("d/a", "../b", False),
        ("d/e/a", "../../b/c", False),
        ("a", "../b", True),
        ("d/a", "../../b", True),
        ("a", "/etc/passwd", True),
        ("a", "b/../../c", True),
        ("d/a", "b/..", True),
        ("a", "", True),
    ],
)
def test_a_link_is_judged_by_where_it_could_lead(path: str, target: str, out: bool) -> None:
    """What another link on its way may do is counted in."""
    assert leads_out(path, target) is out


NAMES = st.sampled_from(["a", "b", "c"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
TARGETS = st.lists(st.sampled_from(["a", "b", "c", "..", "."]), min_size=1, max_size=5).map("/".join)


@settings(max_examples=300, deadline=None)
@given(links=st.lists(st.tuples(PATHS, TARGETS), max_size=6))
def test_no_chain_of_links_that_stay_leads_out(links: list[tuple[str, str]]) -> None:
    """Whatever links are made, in whatever order: the kernel itself is asked where each ends."""
    with TemporaryDirectory() as folder:
        space = Path(os.path.realpath(folder)) / "space"
        for parts in ("a/b", "b/c", "c/a"):
            (space / parts).mkdir(parents=True)
        made = []
        for path, target in links:
            if leads_out(path, target):
                continue
            place = space / path
            if place.parent.is_dir() and not os.path.lexists(place) and space in (place.parent.resolve() / "x").parents:
                place.symlink_to(target)
                made.append(place)
        for place in made:
            ends = os.path.realpath(place)
            assert ends == str(space) or ends.startswith(f"{space}/")
