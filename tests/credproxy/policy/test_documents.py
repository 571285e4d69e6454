"""docs/credentials.md: its examples are grants, and it names every key and every bundle."""

from __future__ import annotations

import re

import pytest

from credproxy.injection.preset import Preset
from credproxy.injection.preset_file import parse_preset
from credproxy.policy.bundles import bundle_names
from credproxy.policy.grant_terms import WEB_READ_KEYS
from credproxy.policy.grants import KEYS, parse_grants
from credproxy.policy.rules import GroupRules
from tests.credproxy.policy.judging import MAIN
from tests.credproxy.process import ROOT

TEXT = (ROOT / "docs" / "credentials.md").read_text("utf-8")
EXAMPLES = [block for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL) if block.startswith("- ")]


@pytest.mark.parametrize("example", EXAMPLES)
def test_each_example_is_taken(example: str) -> None:
    """What a reader copies into a file of grants works."""
    rules = parse_grants(example, MAIN, "example")
    assert isinstance(rules, GroupRules), [str(problem) for problem in rules]


def test_there_are_five_worked_examples() -> None:
    """The section of worked examples has five, each with its grants."""
    section = TEXT.partition("## Five examples")[2].partition("\n## ")[0]
    assert section.count("```yaml") == 5


def test_the_example_of_a_provider_is_taken() -> None:
    """What a reader copies into `presets/` of a fork works."""
    (example,) = re.findall(r"```yaml\n(title: .*?)```", TEXT, re.DOTALL)
    preset = parse_preset(example, "forge", "presets/forge.yaml")
    assert isinstance(preset, Preset), [str(problem) for problem in preset]


def test_every_key_and_bundle_is_described() -> None:
    """No key of grants.yaml, of web_read, and no bundle is unknown to the document."""
    named = set(re.findall(r"`([a-z_-]+)`", TEXT)) | set(re.findall(r"`([a-z_]+): ?", TEXT))
    assert [name for name in (*KEYS, *WEB_READ_KEYS, *bundle_names()) if name not in named] == []
