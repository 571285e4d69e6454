"""/schedule, as people on two platforms type and press it: what it answers, and who may see and change what."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from protocol.ids import ChannelId, ChatKey, PersonKey
from runtime.commands.desk import Answer, Given, Handler
from runtime.commands.schedules import schedule_handlers
from runtime.commands.table import parse_command
from runtime.refusal import OperationRefused
from runtime.store.records import Binding, MessageState, StoredMessage
from tests.runtime.schedules.bench import ANNA, CHAT, MAIN, OWNER_CHAT, Bench, open_bench
from tests.runtime.store.support import filed, said

BEN = PersonKey("telegram:8")
TERMINAL_CHAT = ChatKey("terminal:main")


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with open_bench(tmp_path) as opened:
        await opened.store.save_person(BEN, "Ben", "member", "cli")
        await opened.store.bind(Binding(chat=TERMINAL_CHAT, chat_kind="direct", group_id=MAIN))
        yield opened


class Chat:
    """Somebody in a chat."""

    def __init__(self, bench: Bench, chat: ChatKey, person: PersonKey) -> None:
        self._bench = bench
        self._chat = chat
        self._person = person
        self._handler: Handler = schedule_handlers(bench.desk, bench.store)["schedule"]
        self.last: StoredMessage | None = None

    async def says(self, text: str) -> Answer:
        """Give a command; raise what the desk turns into an answer."""
        kind = "direct" if self._chat in (OWNER_CHAT, TERMINAL_CHAT) else "many"
        channel = ChannelId(self._chat.partition(":")[0])
        inbound = said(text, chat=self._chat, person=self._person, chat_kind=kind, channel_id=channel)
        self.last = await filed(self._bench.store, inbound, MessageState.COMMAND)
        return await self.says_again()

    async def says_again(self) -> Answer:
        """Carry the last command out once more, as after a crash in the middle."""
        assert self.last is not None
        command = parse_command(self.last.inbound.text)
        assert command is not None
        return await self._handler(Given(command=command, message=self.last))


async def refused(chat: Chat, text: str) -> str:
    with pytest.raises(OperationRefused) as caught:
        await chat.says(text)
    return caught.value.code


PLATFORMS = pytest.mark.parametrize(
    ("chat", "person"),
    [(OWNER_CHAT, ANNA), (TERMINAL_CHAT, PersonKey("terminal:operator"))],
    ids=["telegram", "terminal"],
)


@PLATFORMS
async def test_a_schedule_from_its_making_to_its_end(bench: Bench, chat: ChatKey, person: PersonKey) -> None:
    """Made, listed, shown, paused, resumed, run, looked back on and removed, with buttons that are commands."""
    here = Chat(bench, chat, person)
    assert "no schedules here" in (await here.says("/schedule")).text
    made = await here.says("/schedule every day 08:00 Say good morning")
    assert made.text.startswith("Schedule 1: cron 0 8 * * * (Europe/Berlin), first 2026-01-06 08:00.")
    assert [button.value for button in made.buttons] == ["/schedule pause 1", "/schedule run 1", "/schedule remove 1"]
    listed = (await here.says("/schedule list")).text
    assert listed == "1: Say good morning – cron 0 8 * * * (Europe/Berlin), next 2026-01-06 08:00"
    shown = (await here.says("/schedule show 1")).text
    assert "Missed times are made up for by one run" in shown
    assert shown.endswith("Say good morning")
    assert (await here.says("/schedule pause #1")).text == "Schedule 1 is paused."
    assert (await here.says("/schedule list")).text.endswith(", paused")
    assert (await here.says("/schedule resume 1")).text.startswith("It goes on: Schedule 1")
    assert (await here.says("/schedule run 1")).text == "Schedule 1 runs now."
    await bench.keeper.look()
    await bench.work()
    await bench.keeper.look()
    assert "done, asked for, on its way" in (await here.says("/schedule history 1")).text
    assert (await here.says("/schedule remove 1")).text == "Schedule 1 is removed."
    assert "no schedules here" in (await here.says("/schedule")).text


@PLATFORMS
async def test_what_is_not_understood_is_refused_with_its_reason(
    bench: Bench, chat: ChatKey, person: PersonKey
) -> None:
    """Wrong times, unknown numbers and agents that are not here are refused, and nothing is made."""
    here = Chat(bench, chat, person)
    assert await refused(here, "/schedule someday Look") == "wrong_when"
    assert await refused(here, "/schedule show 7") == "unknown_schedule"
    assert await refused(here, "/schedule pause") == "unknown_schedule"
    assert await refused(here, "/schedule every day 08:00 --agent side Look") == "unknown_chat"
    assert (await here.says("/schedule help")).text.startswith("`/schedule every day 08:00 TEXT`")
    assert await bench.desk.schedules() == ()


async def test_carried_out_twice_it_is_one_schedule(bench: Bench) -> None:
    """A command that a crash has carried out again makes no second schedule, and asks for no second run."""
    anna = Chat(bench, OWNER_CHAT, ANNA)
    await anna.says("/schedule every day 08:00 Look")
    await anna.says_again()
    assert len(await bench.desk.schedules()) == 1
    await anna.says("/schedule run 1")
    await anna.says_again()
    assert len(await bench.runs(await bench.desk.find(1))) == 1
    await anna.says("/schedule remove 1")
    assert (await anna.says_again()).text == "Schedule 1 is removed."


async def test_in_a_chat_of_many_only_its_own_schedules_are_seen(bench: Bench) -> None:
    """An owner sees all in a direct chat; in one of many people even they see only what answers there."""
    private = Chat(bench, OWNER_CHAT, ANNA)
    group = Chat(bench, CHAT, ANNA)
    await private.says("/schedule every day 08:00 A private matter")
    await group.says("/schedule every day 09:00 For all")
    assert (await private.says("/schedule list")).text.count("\n") == 1
    assert "private" not in (await group.says("/schedule list")).text
    assert await refused(group, "/schedule show 1") == "unknown_schedule"
    assert await refused(group, "/schedule remove 1") == "unknown_schedule"


async def test_others_may_change_only_what_they_made(bench: Bench) -> None:
    """A member may pause their own schedule and look at others'; an owner may change every one."""
    anna, ben = Chat(bench, CHAT, ANNA), Chat(bench, CHAT, BEN)
    await anna.says("/schedule every day 08:00 Anna's")
    await ben.says("/schedule every day 09:00 Ben's")
    assert "Anna's" in (await ben.says("/schedule show 1")).text
    assert await refused(ben, "/schedule remove 1") == "not_yours"
    assert (await ben.says("/schedule pause 2")).text == "Schedule 2 is paused."
    assert (await anna.says("/schedule remove 2")).text == "Schedule 2 is removed."


async def test_a_person_is_not_named_to_others(bench: Bench) -> None:
    """What everybody in a chat may see holds no id of who made it."""
    ben = Chat(bench, CHAT, BEN)
    await ben.says("/schedule every day 09:00 Look")
    assert BEN not in (await ben.says("/schedule show 1")).text


async def test_everybody_writes_times_of_their_own_clocks(bench: Bench) -> None:
    """Who has said where they live means that zone, under each of their identities; others mean the settings' one."""
    anna, ben = Chat(bench, CHAT, ANNA), Chat(bench, CHAT, BEN)
    assert (
        await anna.says("/schedule zone America/New_York")
    ).text == "Times that you write are those of America/New_York."
    assert await refused(anna, "/schedule zone Nowhere/Land") == "unknown_zone"
    assert "(America/New_York), first 2026-01-05 08:00" in (await anna.says("/schedule every day 08:00 Look")).text
    assert "(Europe/Berlin), first 2026-01-06 08:00" in (await ben.says("/schedule every day 08:00 Look")).text
    assert (await ben.says("/schedule zone")).text == "Times that you write are those of Europe/Berlin."
    assert "(UTC)" in (await anna.says("/schedule every day 08:00 --zone UTC Look")).text
