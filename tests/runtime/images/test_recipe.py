"""What a group's image is made of, and its reference."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.ids import GroupId
from runtime.config import Settings
from runtime.group_reading import build_group
from runtime.images.inputs import load_inputs
from runtime.images.recipe import BROWSER_PACKAGES, REPOSITORY, ImageInputs, ImageRecipe, recipe_of
from runtime.images.settings import PackageSettings

ROOT = Path(__file__).resolve().parents[3]
BASE = "nightyard-agent:1"
INPUTS = load_inputs(ROOT)
NAMES = st.lists(st.sampled_from(["a1", "b2", "c3", "d4"]), max_size=4)


def recipe(**packages: tuple[str, ...]) -> ImageRecipe:
    return ImageRecipe(base=BASE, packages=PackageSettings(**packages))


def test_who_wants_nothing_more_has_the_agent_image() -> None:
    """No image of its own, and no look at any file."""
    assert recipe().is_plain
    assert recipe().reference(ImageInputs(pins={}, script=b"")) == BASE


@given(NAMES, NAMES)
def test_equal_recipes_are_one_image(names: list[str], others: list[str]) -> None:
    """The order in which packages are named, and naming one twice, changes nothing; another set is another image."""
    one, other = recipe(pip=tuple(names)), recipe(pip=tuple(others))
    is_same = one.reference(INPUTS) == other.reference(INPUTS)
    assert is_same == (set(names) == set(others))
    assert one.reference(INPUTS) == recipe(pip=tuple(reversed([*names, *names]))).reference(INPUTS)


@pytest.mark.parametrize(
    "other",
    [
        replace(recipe(pip=("x1",)), base="nightyard-agent:2"),
        replace(recipe(pip=("x1",)), harness="codex"),
        replace(recipe(pip=("x1",)), browser=True),
        recipe(npm=("x1",)),
        recipe(apt=("x1",)),
    ],
)
def test_all_that_goes_in_counts(other: ImageRecipe) -> None:
    """Base, harness, browser, and whose package it is."""
    assert other.reference(INPUTS) != recipe(pip=("x1",)).reference(INPUTS)
    assert other.reference(INPUTS).startswith(f"{REPOSITORY}:")


def test_a_new_pin_is_a_new_image_only_of_those_who_have_it() -> None:
    """Another version of one harness leaves all other images as they are; another script changes all."""
    harnesses = INPUTS.pins["harnesses"]
    assert isinstance(harnesses, dict)
    newer = replace(INPUTS, pins={**INPUTS.pins, "harnesses": {**harnesses, "codex": {"version": "99"}}})
    claude, codex = ImageRecipe(base=BASE, harness="claude-code"), ImageRecipe(base=BASE, harness="codex")
    assert claude.reference(newer) == claude.reference(INPUTS)
    assert codex.reference(newer) != codex.reference(INPUTS)
    assert claude.reference(replace(INPUTS, script=b"#")) != claude.reference(INPUTS)


def test_a_browser_is_some_debian_packages() -> None:
    """It shares them with a group that names them beside."""
    wanted = replace(recipe(apt=("ffmpeg",)), browser=True)
    assert set(wanted.apt) == {"ffmpeg", *BROWSER_PACKAGES}
    assert wanted.summary == "browser, apt: ffmpeg"


def test_a_group_says_what_it_wants() -> None:
    """From its own file."""
    text = "harness: opencode\nbrowser: true\npackages:\n  apt: [ffmpeg]\n  npm: ['@scope/x@1.2.3']\n"
    group, problems = build_group(GroupId("main"), text, "", Settings())
    made = recipe_of(group, BASE)
    assert not [each for each in problems if each.key.startswith(("harness", "browser", "packages"))]
    assert made.summary == "opencode, browser, apt: ffmpeg, npm: @scope/x@1.2.3"


def test_every_harness_and_node_are_pinned_for_both_architectures() -> None:
    """By version and hash; no address of any registry stands there."""
    text = (ROOT / "agents/image/derived/pins.json").read_text("utf-8")
    assert "://" not in text
    node, harnesses = INPUTS.pins["node"], INPUTS.pins["harnesses"]
    assert isinstance(node, dict) and isinstance(harnesses, dict)
    assert {len(each) for each in node["sha256"].values()} == {64} and set(node["sha256"]) == {"amd64", "arm64"}
    assert set(harnesses) == {"claude-code", "codex", "opencode"}
    for pin in harnesses.values():
        assert set(pin["packages"]) == {"amd64", "arm64"}
        for package in pin["packages"].values():
            assert pin["version"] in package["spec"].rpartition("@")[2]
            assert package["integrity"].startswith("sha512-")
