"""nightyard.yaml: what it may say, and how each fault is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.config import (
    RouteSettings,
    Settings,
    parse_settings,
    problem_section,
    resolve_model,
    task_limits,
)
from runtime.group_settings import GroupSettings
from runtime.yaml_record import known_keys

ROOT = Path(__file__).resolve().parents[2]


def test_an_empty_file_works() -> None:
    """Nothing has to be said: the rehearsal model answers in the terminal."""
    parsed = parse_settings("")
    assert parsed.problems == ()
    assert parsed.settings.routes["rehearsal"] == RouteSettings(api="anthropic", url="rehearsal")
    assert set(parsed.settings.channels) == {"terminal"}
    assert resolve_model(parsed.settings.model, parsed.settings.routes) is not None


def test_the_shipped_example_is_right() -> None:
    """The example that new homes begin with has no fault, nor have the lines that it shows commented out."""
    text = (ROOT / "nightyard.example.yaml").read_text("utf-8")
    assert parse_settings(text).problems == ()
    uncommented = re.sub(r"(?m)^# (?=\s*\w+:( |$))(?!After|Which|Where|Accounts|What)", "", text)
    parsed = parse_settings(uncommented)
    assert parsed.problems == ()
    assert parsed.settings.routes["anthropic"].secret == "anthropic"
    assert parsed.settings.channels["telegram"].group == "main"


def test_values_are_read() -> None:
    """Every kind of value arrives as its own type."""
    parsed = parse_settings(
        "model: local/llama3\nroutes:\n  local: {api: openai, url: 'http://127.0.0.1:11434'}\n"
        "limits: {cost_usd: 2, rounds: 7}\ncontainers: {cpus: 0.5, memory_mb: 2_048}\ntime_zone: Europe/Berlin\n"
    )
    assert parsed.problems == ()
    settings = parsed.settings
    assert (settings.limits.cost_usd, settings.limits.rounds, settings.limits.model_calls) == (2.0, 7, 100)
    assert (settings.containers.cpus, settings.containers.memory_mb) == (0.5, 2048)
    model = resolve_model(settings.model, settings.routes)
    assert model is not None and (model.route, model.api, model.model) == ("local", "openai", "llama3")
    assert task_limits(settings.limits).cost_usd == 2.0


@pytest.mark.parametrize(
    ("text", "line", "key", "words", "nearest"),
    [
        ("limits:\n  model_cals: 3\n", 2, "limits.model_cals", "not a known key", "model_calls"),
        ("modle: rehearsal/guide\n", 1, "modle", "not a known key", "model"),
        ("qqq: 1\n", 1, "qqq", "not a known key", ""),
        ("model: rehearsal/b\nmodel: c/d\n", 2, "model", "given twice (first in line 1)", ""),
        ("limits:\n  rounds: 3\nlimits: {}\n", 3, "limits", "given twice", ""),
        ("\n\nlimits: 7\n", 3, "limits", "should have keys under it", ""),
        ("limits: {rounds: many}\n", 1, "limits.rounds", "should be a whole number, but it is 'many'", ""),
        ("limits: {rounds: 1.5}\n", 1, "limits.rounds", "should be a whole number", ""),
        ("limits: {rounds: 0}\n", 1, "limits.rounds", "should be at least 1", ""),
        ("limits: {rounds: }\n", 1, "limits.rounds", "it is empty", ""),
        ("limits: {wall_s: .inf}\n", 1, "limits.wall_s", "should be a number", ""),
        ("limits: {wall_s: [1]}\n", 1, "limits.wall_s", "it is a list", ""),
        ("routes:\n  x: {api: grpc, url: 'http://x'}\n", 2, "routes.x.api", "one of anthropic, openai", ""),
        ("routes:\n  x: {url: 'ftp://x'}\n", 2, "routes.x.url", "http or https address", ""),
        ("routes:\n  x: {url: 'http://me:pw@x'}\n", 2, "routes.x.url", "nightyard secret add", ""),
        ("routes:\n  BAD: {url: 'http://x'}\n", 2, "routes.BAD", "1-32 of a-z", ""),
        ("routes:\n  x:\n    api: openai\n", 2, "routes.x", "has no url", ""),
        ("model: gpt\n", 1, "model", "ROUTE/MODEL-NAME", ""),
        ("model: nowhere/gpt\n", 1, "model", "names the route 'nowhere'", ""),
        ("channels:\n  telegram: {secret: Not A Name}\n", 2, "channels.telegram.secret", "1-32 of a-z", ""),
        ("model: rehearsal/x\nchannels:\n  telegram: {}\n", 3, "channels.telegram", "nightyard channel add", ""),
        ("channels:\n  tty: {platform: terminal}\n", 2, "channels.tty", "one terminal channel", ""),
        ("containers: {engine: 'tcp://10.0.0.1:2375'}\n", 1, "containers.engine", "unix:///path", ""),
        ("a: [1\n", 2, "", "is not YAML", ""),
        ("- a\n- b\n", 1, "", "should have keys under it", ""),
        ("? [a]\n: 1\n", 1, "", "has a key that is not a word", ""),
        ("a: !!python/object:os.system {}\n", 1, "a", "not a known key", ""),
    ],
)
def test_each_fault_is_named(text: str, line: int, key: str, words: str, nearest: str) -> None:
    """A fault says file, line, key, what is wrong, and the nearest known key."""
    problems = parse_settings(text, "nightyard.yaml").problems
    assert [(each.file, each.line, each.key) for each in problems] == [("nightyard.yaml", line, key)]
    assert words in problems[0].message
    assert problems[0].nearest == nearest
    assert str(problems[0]).startswith(f"nightyard.yaml:{line}:")


def test_a_faulty_key_keeps_its_default_and_hides_no_other_fault() -> None:
    """All faults of a file are told at once, and what is right in it holds."""
    parsed = parse_settings("limits: {rounds: x, model_calls: 5}\nattachments_mb: -1\ntime_zone: UTC\n")
    assert [problem.key for problem in parsed.problems] == ["limits.rounds", "attachments_mb"]
    assert (parsed.settings.limits.rounds, parsed.settings.limits.model_calls) == (50, 5)


def test_a_fault_names_the_part_that_it_concerns() -> None:
    """One of a channel or route concerns that one, any other concerns everything."""
    text = "channels: {telegram: {secrt: x, secret: y}}\nroutes: {a: {}}\nlimits: {x: 1}\n"
    assert [problem_section(problem) for problem in parse_settings(text).problems] == [
        ("channels", "telegram"),
        None,
        ("routes", "a"),
    ]


@given(st.text(max_size=300))
def test_no_text_breaks_the_reader(text: str) -> None:
    """Whatever the file says, there are settings and a list of problems."""
    parsed = parse_settings(text)
    assert "terminal" in parsed.settings.channels


def test_every_key_is_documented_and_no_other() -> None:
    """docs/configuration.md names exactly the keys that there are, and there are fewer than forty."""
    keys = set(known_keys(Settings))
    assert len(keys) < 40
    document = (ROOT / "docs" / "configuration.md").read_text("utf-8")
    settings_part, _, group_part = document.partition("## nightyard.yaml")[2].partition("## groups/NAME/")
    assert _first_cells(settings_part) == keys
    assert _first_cells(group_part) - {"AGENTS.md", "group.yaml", "grants.yaml"} == set(known_keys(GroupSettings))


def test_documented_defaults_are_the_defaults() -> None:
    """The numbers in the tables are those of the code."""
    document = (ROOT / "docs" / "configuration.md").read_text("utf-8").partition("## groups/NAME/")[0]
    settings = parse_settings("").settings
    shown = dict(re.findall(r"^\| `([a-z_.]+)` \| (\d+) \|", document, re.MULTILINE))
    assert len(shown) > 20
    for dotted, number in shown.items():
        value: object = settings
        for part in dotted.split("."):
            value = getattr(value, part)
        assert value == int(number), dotted


def _first_cells(text: str) -> set[str]:
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}
