"""`schedule` and `delegations`, as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.scripted_house import House


async def test_a_schedule_from_its_making_to_its_end(nightyard: Run, house: House, tmp_path: Path) -> None:
    """Made with its options and a pre-check from a file, listed, shown, held, run, looked back on, removed."""
    (tmp_path / "check.sh").write_text("exit 78\n")
    ran = await nightyard(
        *("schedule", "add", "Say good morning", "--every", "day 08:00", "--zone", "Europe/Berlin", "--missed", "skip"),
        *("--limit", "cost_usd=0.50", "--pre-check", "check.sh", "--name", "Morning", "--jitter", "5min"),
    )
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("Schedule 1: cron 0 8 * * * (Europe/Berlin), first ")
    assert "Its answers go nowhere" in ran.out
    assert "Morning" in (await nightyard("schedule", "list")).out
    shown = (await nightyard("schedule", "show", "1")).out
    assert "cost_usd 0.5" in shown
    assert "exit 78" in shown
    assert (await nightyard("schedule", "pause", "1")).out.startswith("Schedule 1 is paused")
    assert "paused" in (await nightyard("schedule", "list", "--group", "main")).out
    assert (await nightyard("schedule", "resume", "1")).out.startswith("Schedule 1 goes on, next ")
    assert (await nightyard("schedule", "run", "1")).out.startswith("Schedule 1 runs now")
    history = json.loads((await nightyard("schedule", "history", "1", "--json")).out)
    assert [(run["state"], run["origin"]) for run in history["runs"]] == [("waiting", "manual")]
    assert "waiting, asked for" in (await nightyard("schedule", "history", "1")).out
    assert (await nightyard("schedule", "remove", "1")).out == "Schedule 1 is removed.\n"
    assert "There are no schedules" in (await nightyard("schedule", "list")).out


@pytest.mark.parametrize(
    ("when", "shown"),
    [
        (("--cron", "0 8 * * 1-5"), "cron 0 8 * * 1-5 (UTC)"),
        (("--every", "15 min"), "every 15 minutes"),
        (("--in", "20 min"), "on 20"),
        (("--at", "tomorrow 9:00"), "on 20"),
        (("--at", "9:00"), "on 20"),
        (("--at", "friday 17:00"), "on 20"),
    ],
)
async def test_each_way_to_say_when(nightyard: Run, house: House, when: tuple[str, str], shown: str) -> None:
    """Each option says a time, as the words in a chat do."""
    made = json.loads((await nightyard("schedule", "add", "Look", *when, "--json")).out)
    assert made["when"].startswith(shown)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("add", "Look"), 2, "none of --every, --cron, --at, --in was given"),
        (("add", "Look", "--in", "1h", "--at", "9:00"), 2, "more than one of --every"),
        (("add", "Look", "--cron", "0 25 * * *"), 1, "cron, hour '25': 25 is not between 0 and 23"),
        (("add", "Look", "--every", "day 08:00", "--zone", "Berlin"), 1, "there is no time zone 'Berlin'"),
        (("add", "Look", "--every", "day 08:00", "--group", "nobody"), 1, "there is no group 'nobody'"),
        (("add", "Look", "--every", "day 08:00", "--chat", "telegram:1"), 1, "is not in the chat 'telegram:1'"),
        (("add", "Look", "--every", "day 08:00", "--chat", "news"), 1, "has no destination 'news'"),
        (("add", "Look", "--every", "day 08:00", "--limit", "x"), 2, "a limit is KEY=N"),
        (("add", "Look", "--every", "day 08:00", "--pre-check", "nowhere.sh"), 1, "nowhere.sh cannot be read"),
        (("show", "9"), 1, "there is no schedule '9'"),
    ],
)
async def test_what_cannot_be_done_is_told_with_its_mend(
    nightyard: Run, house: House, arguments: tuple[str, ...], code: int, words: str
) -> None:
    """Each fault is one sentence about the named thing, with what mends it."""
    ran = await nightyard("schedule", *arguments)
    assert ran.code == code
    assert words in ran.err
    assert "mend: " in ran.err


async def test_delegations_are_listed(nightyard: Run, house: House) -> None:
    """Where no agent has asked another, the list says how one may."""
    assert "No agent has asked another yet" in (await nightyard("delegations")).out
    assert json.loads((await nightyard("delegations", "--json")).out) == {"delegations": []}


async def test_a_persons_clocks_are_set_on_the_machine(nightyard: Run, house: House) -> None:
    """The zone of a person is shown, set, and refused where there is none of that name."""
    assert "are those of UTC" in (await nightyard("schedule", "zone", "telegram:7")).out
    assert "are those of Europe/Berlin" in (await nightyard("schedule", "zone", "telegram:7", "Europe/Berlin")).out
    assert "did you mean Europe/Berlin?" in (await nightyard("schedule", "zone", "telegram:7", "Europe/Berln")).err


async def test_who_waits_in_vain_is_told(nightyard: Run, house: House) -> None:
    """`send` that was not answered in time says so, why, and what helps; programs get the envelope."""
    ran = await nightyard("send", "main", "hello", "--timeout", "0.1")
    assert (ran.code, ran.out) == (4, "")
    assert "not answered in time: sub_" in ran.err and "waits for its turn" in ran.err and "--wait" in ran.err
    ran = await nightyard("send", "main", "hello", "--timeout", "0.1", "--json")
    assert (ran.code, json.loads(ran.out)["state"], ran.err) == (4, "queued", "")
