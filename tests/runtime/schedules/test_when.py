"""The words that say when, and the options after them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.ids import ChatKey, GroupId
from runtime.refusal import OperationRefused
from runtime.schedules.asking import Wish, build_schedule
from runtime.schedules.calendar import Once
from runtime.schedules.cron import WrongCron
from runtime.schedules.records import NewSchedule
from runtime.schedules.timing_text import describe_timing, timing_of, timing_row
from runtime.schedules.when import WrongWhen, parse_when
from runtime.schedules.zones import find_zone

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 1, 5, 7, 30, tzinfo=UTC)
"""Monday, 08:30 in Berlin."""


@pytest.mark.parametrize(
    ("words", "meaning"),
    [
        ("in 20 min", "on 2026-01-05 08:50"),
        ("in 1h30m", "on 2026-01-05 10:00"),
        ("in 2 hours and 5 minutes", "on 2026-01-05 10:35"),
        ("in 2 days", "on 2026-01-07 08:30"),
        ("at 18:00", "on 2026-01-05 18:00"),
        ("at 8:00", "on 2026-01-06 08:00"),
        ("at 8pm", "on 2026-01-05 20:00"),
        ("today 12am", None),
        ("today 12:30pm", "on 2026-01-05 12:30"),
        ("tomorrow at 9:00", "on 2026-01-06 09:00"),
        ("on 2026-12-01 09:00", "on 2026-12-01 09:00"),
        ("on 2026-12-01T09:00", "on 2026-12-01 09:00"),
        ("on 2026-03-29 02:30", "on 2026-03-29 03:00"),
        ("on monday 9:00", "on 2026-01-05 09:00"),
        ("on Monday 8:00", "on 2026-01-12 08:00"),
        ("on fri 5pm", "on 2026-01-09 17:00"),
        ("every 15 min", "every 15 minutes"),
        ("every hour", "every hour"),
        ("every 2 hours", "every 2 hours"),
        ("every 3 days", "every 3 days"),
        ("every day 08:00", "cron 0 8 * * *"),
        ("every day at 8:05pm", "cron 5 20 * * *"),
        ("Every Weekday 8:30am", "cron 30 8 * * 1-5"),
        ("every weekend 10:00", "cron 0 10 * * 0,6"),
        ("every mon,thu 08:00", "cron 0 8 * * 1,4"),
        ("every sunday 08:00", "cron 0 8 * * 0"),
        ("every fridays 17:00", "cron 0 17 * * 5"),
        ("every month 1 08:00", "cron 0 8 1 * *"),
        ("every month last 08:00", "cron 0 8 L * *"),
        ('cron "0 8 * * 1-5"', "cron 0 8 * * 1-5"),
        ("cron “0 8 * * 1-5”", "cron 0 8 * * 1-5"),
        ("cron 0 8 * * 1-5", "cron 0 8 * * 1-5"),
        ("cron @daily", "cron @daily"),
    ],
)
def test_words_mean_this(words: str, meaning: str | None) -> None:
    """Each form gives its time in the zone, and leaves the text alone; what is over is refused."""
    if meaning is None:
        with pytest.raises(WrongWhen, match="that is over"):
            parse_when(f"{words} Water 3 plants", NOW, BERLIN)
        return
    when = parse_when(f"{words} Water 3 plants", NOW, BERLIN)
    assert when.rest == "Water 3 plants"
    assert describe_timing(when.timing, "Europe/Berlin", BERLIN).removesuffix(" (Europe/Berlin)") == meaning
    assert timing_of(*timing_row(when.timing)) == when.timing


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("", "it should begin with one of every, in, at"),
        ("daily at 8", "it should begin with one of"),
        ("in a while Eat", "it is no span of time"),
        ("in 5000 days Eat", "more than three years ahead"),
        ("at noon Eat", "here stands a time of the day"),
        ("at 25:00 Eat", "there is no such time"),
        ("at 13pm Eat", "there is no such time"),
        ("at 8:75 Eat", "there is no such time"),
        ("on 2026-02-30 08:00 Eat", "there is no such day"),
        ("on 2025-12-01 08:00 Eat", "that is over: it is 2026-01-05 08:30 now"),
        ("on 2036-12-01 08:00 Eat", "more than three years ahead"),
        ("on someday 08:00 Eat", "neither a date"),
        ("every day Eat", "at what time?"),
        ("every 10 sec Eat", "60 seconds at least"),
        ("every 900 days Eat", "a year at most"),
        ("every blue moon", "it is no span of time"),
        ("every month 32 08:00 Eat", "a day from 1 to 31"),
        ("every monday Eat", "here stands a time of the day"),
    ],
)
def test_wrong_words_say_what_is_wrong(words: str, reason: str) -> None:
    """The error names the words, the reason and an example that works."""
    with pytest.raises(WrongWhen) as caught:
        parse_when(words, NOW, BERLIN)
    assert reason in str(caught.value)
    assert parse_when(caught.value.example, NOW, BERLIN).rest


@given(st.text(alphabet='0123456789:hm insdayevrotcmp,-"“TZ*/', max_size=40))
def test_any_words_are_understood_or_refused(text: str) -> None:
    """No words break the reader."""
    for words in (text, f"every {text}", f"on {text}", f"in {text}", f"cron {text}"):
        try:
            parse_when(words, NOW, BERLIN)
        except (WrongWhen, WrongCron) as error:
            assert str(error)


def wished(words: str, **more: object) -> NewSchedule:
    wish = Wish(
        words=words,
        group_id=GroupId("main"),
        chat=ChatKey("telegram:1"),
        made_by="cli",
        subject=GroupId("main"),
        **more,  # type: ignore[arg-type]  # the test's words
    )
    return build_schedule(wish, NOW, "Europe/Berlin", find_zone)


def test_options_stand_between_time_and_text() -> None:
    """Each option is read, in any order, also behind a phone's dash; the text begins after the last."""
    words = (
        "on 2026-01-05 06:00 --zone America/New_York —missed skip --overlap=queue --jitter 5min --retries 2 "
        '--session own --limit cost_usd=0.50 --limit rounds=9 --name "Night watch" Look -- well --zone x'
    )
    new = wished(words)
    shown = {
        name: getattr(new, name) for name in ("zone", "missed", "overlap", "jitter_s", "retries", "session", "limits")
    }
    assert shown == {
        "zone": "America/New_York",
        "missed": "skip",
        "overlap": "queue",
        "jitter_s": 300,
        "retries": 2,
        "session": "own",
        "limits": {"cost_usd": 0.5, "rounds": 9.0},
    }
    assert new.timing == Once(at=datetime(2026, 1, 5, 11, 0, tzinfo=UTC))
    assert (new.text.name, new.text.prompt) == ("Night watch", "Look -- well --zone x")


def test_a_pre_check_comes_in_a_code_block() -> None:
    """A block that begins with pre-check is the script; the rest is the text."""
    new = wished("every 5 min Tell me what is new\n```pre-check\ntest -s news || exit 78\ncat news\n```")
    assert new.text.pre_check == "test -s news || exit 78\ncat news"
    assert new.text.prompt == "Tell me what is new"


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ("every day 08:00", "empty_text", "needs a text"),
        ("sometime Look", "wrong_when", "when is not clear"),
        ('cron "99 8 * * *" Look', "wrong_when", "minute '99'"),
        ("every day 08:00 --zone Europe/Berln Look", "unknown_zone", "did you mean Europe/Berlin?"),
        ("every day 08:00 --mised skip Look", "unknown_option", "did you mean --missed?"),
        ("every day 08:00 --missed never Look", "wrong_option", "--missed is one of once, run_once, skip, all"),
        ("every day 08:00 --retries 9 Look", "wrong_option", "--retries is one of 0, 1, 2, 3, 4"),
        ("every day 08:00 --jitter soon Look", "wrong_option", "--jitter"),
        ("every day 08:00 --jitter 9h Look", "wrong_option", "at most 6 hours"),
        ("every 5 min --jitter 5min Look", "wrong_option", "shorter than the interval"),
        ("every day 08:00 --limit speed=3 Look", "wrong_option", "there is no limit 'speed'"),
        ("every day 08:00 --limit rounds=nan Look", "wrong_option", "a number above 0"),
        ("every day 08:00 --limit rounds=0.5 Look", "wrong_option", "a number above 0"),
        (f"every day 08:00 {'x' * 20_001}", "too_long", "the text has 20001 characters"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_its_reason(words: str, code: str, text: str) -> None:
    """Each fault has a code for programs, and words with a mend for people."""
    with pytest.raises(OperationRefused) as caught:
        wished(words)
    assert caught.value.code == code
    assert text in caught.value.message
    assert caught.value.mend


def test_words_left_over_beside_a_text_of_its_own_are_not_lost() -> None:
    """Where the text is given apart, whatever stands after the time is an error and not ignored."""
    with pytest.raises(OperationRefused, match="is left over"):
        wished("every day 08:00 in the morning", text="Look")
