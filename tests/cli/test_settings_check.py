"""All that is wrong with a fork, told by one command with nothing running."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.settings_check import check_settings, read_prices, unpriced_warning
from cli.up_model import load_checked
from cli.up_progress import SetupFailed
from tests.cli.conftest import Run
from tests.scripted_house import House

WRONG = """\
time_zone: Europe/Berlinn
containers:
  engine: tcp://10.0.0.1:2375
routes:
  local:
    api: openai
    url: http://a..b:1
channels:
  telegram:
    group: main
  matrix:
    secret: x
    group: mian
"""


@pytest.fixture
def fork(tmp_path: Path) -> Path:
    """A fork with the group `main` and nothing wrong."""
    folder = tmp_path / "fork" / "groups" / "main"
    folder.mkdir(parents=True)
    (tmp_path / "fork" / "skills" / "notes").mkdir(parents=True)
    (tmp_path / "fork" / "skills" / "notes" / "SKILL.md").write_text("---\ndescription: x\n---\n", "utf-8")
    return tmp_path / "fork"


def spoil(fork: Path) -> None:
    (fork / "nightyard.yaml").write_text(WRONG, "utf-8")
    (fork / "groups" / "main" / "group.yaml").write_text("skills: [nots]\n", "utf-8")
    (fork / "groups" / "main" / "grants.yaml").write_text("- hots: a.org\n- host: b.org\n  methods: [GTE]\n", "utf-8")


EXPECTED = (
    "nightyard.yaml:1: time_zone: is 'Europe/Berlinn', which is no time zone that this machine knows; "
    "did you mean Europe/Berlin?",
    "nightyard.yaml:3: containers.engine: tcp://10.0.0.1:2375 is not a socket of this machine",
    "nightyard.yaml:7: routes.local.url: ",
    "nightyard.yaml:9: channels.telegram: names no secret; `nightyard channel add` stores a token and names it",
    "nightyard.yaml:11: channels.matrix.platform: there is no platform 'matrix' (known: terminal, telegram, discord, "
    "slack, webhook)",
    "nightyard.yaml:13: channels.matrix.group: there is no group 'mian' (known: main); "
    "`nightyard group new mian` makes it; did you mean main?",
    "groups/main/group.yaml:1: skills[0]: there is no skill 'nots' (known: notes); did you mean notes?",
    "groups/main/grants.yaml:1: hots: is not a known key (known: host, scheme, port, methods, paths, secret, inject, "
    "addresses, must_carry, untrusted, rate, burst, daily, approval, expires, body_cap, idempotency, twin, bundle, "
    "web_read); did you mean host?",
    "groups/main/grants.yaml:1: host: is missing: a grant names its host",
    "groups/main/grants.yaml:3: methods: `GTE` is not one of DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT; "
    "did you mean GET?",
)


async def test_config_check_finds_every_fault_with_nothing_running(nightyard: Run, fork: Path) -> None:
    """Settings, skills, channels, routes and grants, each with file, line, key and the nearest known one."""
    fine = await nightyard("config", "check")
    assert (fine.code, fine.err) == (0, "")
    spoil(fork)
    ran = await nightyard("config", "check")
    assert ran.code == 1
    for expected in EXPECTED:
        assert any(line.startswith(expected) for line in ran.out.splitlines()), expected
    assert len(ran.out.splitlines()) == len(EXPECTED)
    assert f"{len(EXPECTED)} problems" in ran.err


async def test_config_check_knows_every_platform(nightyard: Run, fork: Path) -> None:
    """A channel of each kind, webhooks too, is no fault."""
    channels = "".join(f"  {name}: {{secret: x}}\n" for name in ("telegram", "discord", "slack"))
    hooks = "  hooks: {platform: webhook, url: 'http://127.0.0.1:8742'}\n"
    (fork / "nightyard.yaml").write_text(f"channels:\n{channels}{hooks}", "utf-8")
    ran = await nightyard("config", "check")
    assert (ran.code, ran.err) == (0, ""), ran.out


def test_up_refuses_what_config_check_finds(fork: Path) -> None:
    """Before anything is started, with the same words and the file to edit."""
    assert load_checked(fork).problems == ()
    spoil(fork)
    with pytest.raises(SetupFailed) as failed:
        load_checked(fork)
    assert failed.value.why.splitlines() == list(check_settings(fork).faults)
    assert failed.value.mend == f"$EDITOR {fork}/nightyard.yaml"


def test_grants_that_cannot_be_read_are_a_fault(fork: Path) -> None:
    """Bytes that are no text are told as what they are."""
    (fork / "groups" / "main" / "grants.yaml").write_bytes(b"- host: \xff\n")
    (fault,) = check_settings(fork).faults
    assert fault.startswith("groups/main/grants.yaml:1: cannot be read: ")


async def test_a_limit_on_money_that_does_nothing_is_said(nightyard: Run, fork: Path) -> None:
    """It is a warning: the settings are right, and the other limits hold."""
    settings = "model: local/llama3\nroutes: {local: {api: openai, url: 'http://127.0.0.1:1'}}\nlimits: {cost_usd: 1}\n"
    (fork / "nightyard.yaml").write_text(settings, "utf-8")
    ran = await nightyard("config", "check")
    assert ran.code == 0
    assert "warning: groups/main: limits.cost_usd does nothing, because no price of the model 'llama3'" in ran.out


def test_a_price_that_is_known_needs_no_warning(fork: Path) -> None:
    """Nor does a group without a limit on money, or with the rehearsal, which costs none."""
    prices, faults = read_prices(fork)
    assert faults == []
    assert unpriced_warning("anthropic", "claude-sonnet-4-5", 1.0, prices) == ""
    assert unpriced_warning("anthropic", "no-such-model", None, prices) == ""
    assert unpriced_warning("rehearsal", "guide", 1.0, prices) == ""
    assert "no-such-model" in unpriced_warning("anthropic", "no-such-model", 1.0, prices)


async def test_prices_of_the_fork_count_over_ours(nightyard: Run, fork: Path) -> None:
    """A model that the user's file prices needs no warning; a mistake in the file is a fault with its line."""
    settings = "model: local/llama3\nroutes: {local: {api: openai, url: 'http://127.0.0.1:1'}}\nlimits: {cost_usd: 1}\n"
    (fork / "nightyard.yaml").write_text(settings, "utf-8")
    (fork / "prices.yaml").write_text("llama3: {input: 0.1, output: 0.2}\n", "utf-8")
    assert "warning" not in (await nightyard("config", "check")).out
    (fork / "prices.yaml").write_text("llama3:\n  input: 0.1\n  output: cheap\n", "utf-8")
    ran = await nightyard("config", "check")
    assert ran.code == 1
    assert "prices.yaml:3: output: expected dollars per million tokens" in ran.out + ran.err


async def test_group_show_says_so_too(house: House, nightyard: Run) -> None:
    """Where the limits are read, the one that does nothing is named."""
    settings = "model: local/llama3\nroutes: {local: {api: openai, url: 'http://127.0.0.1:1'}}\nlimits: {cost_usd: 1}\n"
    (house.fork / "nightyard.yaml").write_text(settings, "utf-8")
    await nightyard("config", "reload")
    shown = await nightyard("group", "show", "main")
    assert "limits.cost_usd does nothing" in shown.out


def test_a_space_that_is_wrong_is_a_fault_also_where_nobody_has_it(fork: Path) -> None:
    """Once, with file, line and key; where a group has it the same fault is not told twice."""
    (fork / "spaces" / "notes").mkdir(parents=True)
    (fork / "spaces" / "notes" / "space.yaml").write_text("quota_mb: much\n", "utf-8")
    expected = "spaces/notes/space.yaml:1: quota_mb: should be a whole number, but it is 'much'"
    assert check_settings(fork).faults == (expected,)
    (fork / "groups" / "main" / "group.yaml").write_text("spaces: {notes: ro}\n", "utf-8")
    assert check_settings(fork).faults == (expected,)
