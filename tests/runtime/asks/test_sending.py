"""What agents send of their own accord: where to, how often, and once over any number of attempts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from credproxy.admin_client.link import ProxyUnavailable
from protocol.codec import Json
from protocol.ids import ChatKey, GroupId, PlatformMessageId, TaskId
from protocol.link import Ask, FileRefused, FileStored, approval_id
from protocol.message import OutboundMessage
from protocol.record import replace
from protocol.task import Effects
from protocol.transcript import Step, ToolCall, ToolOutput
from runtime.approvals.approvals import Approvals
from runtime.approvals.effect_text import effect_lines
from runtime.approvals.policy_book import PolicyBook
from runtime.approvals.records import CLI, Approval, Scope
from runtime.approvals.reviews import output_of
from runtime.approvals.taint import Taints
from runtime.approvals.tools import call_of
from runtime.asks.send_rules import MAX_PER_MINUTE, MAX_TEXT_CHARS
from runtime.asks.sending import Sending
from runtime.asks.tool_sets import checked
from runtime.delivery import is_same_file
from runtime.outbound_files import files_of
from runtime.people.records import Destination
from runtime.store import delegation_rows, session_rows
from runtime.submission import NewSubmission
from runtime.waiting_tasks import Asked
from tests.runtime.host_bench import CHANNEL, MAIN, HostBench, ScriptedAgent, StageChannel, open_bench

TEAM = ChatKey("stage:team")
TOOLS = {"send": "send_message", "edit": "edit_message", "react": "react"}


class ChangingStage(StageChannel):
    """A platform where messages can be changed and reacted to."""

    def __init__(self) -> None:
        super().__init__()
        self.changes: list[tuple[str, ChatKey, PlatformMessageId, str]] = []

    async def edit(self, chat: ChatKey, message: PlatformMessageId, text: str) -> None:
        await self._note("edit", chat, message, text)

    def why_no_reaction(self, emoji: str) -> str:
        return "" if emoji in ("👍", "") else "only 👍"

    async def delete(self, chat: ChatKey, message: PlatformMessageId) -> None:
        await self._note("delete", chat, message, "")

    async def react(self, chat: ChatKey, message: PlatformMessageId, emoji: str) -> None:
        await self._note("react", chat, message, emoji)

    async def _note(self, what: str, chat: ChatKey, message: PlatformMessageId, text: str) -> None:
        self.changes.append((what, chat, message, text))
        async with self.changed:
            self.changed.notify_all()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[HostBench]:
    async with open_bench(tmp_path, groups={"main": "", "side": ""}) as opened:
        opened.channel = opened.around.channels[CHANNEL] = ChangingStage()
        add_rooms(opened)
        yield opened


def add_rooms(bench: HostBench) -> None:
    """Have the rooms of sending answer, as services/asks_room.py wires them."""

    def room(kind: str) -> Callable[[Asked], Awaitable[str | None]]:
        async def asked(asked: Asked) -> str | None:
            files = bench.desk.files
            assert isinstance(files, Sending)
            return await checked(TOOLS[kind], getattr(files, kind), lambda: bench.around.groups)(asked)

        return asked

    bench.rooms |= {kind: room(kind) for kind in TOOLS}


async def add_team(bench: HostBench, group: GroupId = MAIN) -> None:
    await bench.destinations.add(Destination(group_id=group, name="team", chat=TEAM, added_by=CLI))


def calling(*payloads: tuple[str, Json]) -> Callable[[ScriptedAgent], Awaitable[None]]:
    """Return an agent that makes these calls one after the other, and replies with what it was told."""

    async def script(agent: ScriptedAgent) -> None:
        told: list[str] = []
        for number, (kind, payload) in enumerate(payloads):
            call = ToolCall(call_id=f"call_{number}", name=TOOLS[kind], arguments=payload)
            await agent.turn(3 * number, "", call)
            await agent.tool_started(3 * number + 1, call)
            answered = await agent.ask(kind, call=call, payload=payload)
            output = ToolOutput(call_id=call.call_id, text=answered.answer, is_error=answered.is_error)
            await agent.step(Step(index=3 * number + 2, kind="tool_finished", output=output))
            told.append(f"{'error: ' if answered.is_error else ''}{answered.answer}")
        await agent.reply("\n".join(told))

    return script


async def replies(bench: HostBench, *payloads: tuple[str, Json], said: str = "do it") -> list[str]:
    """Have an agent make these calls; return what it was told."""
    bench.room.scripts = [calling(*payloads)]
    before = len(bench.channel.sent)
    await bench.say(said)
    await bench.channel.until(lambda: any(each.chat == "stage:1" for each in bench.channel.sent[before:]))
    await bench.idle()
    return [each for each in bench.channel.sent if each.chat == "stage:1"][-1].text.split("\n")


async def test_a_message_goes_to_a_destination_and_here(bench: HostBench) -> None:
    """The name is the group's, the chat the host's; the answer still goes where somebody asked."""
    async with bench.host():
        await add_team(bench)
        told = await replies(bench, ("send", {"text": "hello *team*", "to": "team"}), ("send", {"text": "wait"}))
        assert told == ["Sent to team, as s1.", "Sent, as s2."]
        assert {(each.chat, each.text) for each in bench.channel.sent[:2]} == {
            (TEAM, "hello *team*"),
            (ChatKey("stage:1"), "wait"),
        }


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ({"text": "x", "to": "customers"}, "no destination 'customers' (known: team)"),
        ({"text": "x", "to": "stage:team"}, "no destination 'stage:team' (known: team)"),
        ({"text": "   "}, "the text is empty"),
        ({"text": "x" * (MAX_TEXT_CHARS + 1)}, f"the most is {MAX_TEXT_CHARS}: send a file"),
        ({"to": "team"}, "arguments.text: is missing"),
        ({"text": ["x"]}, "arguments.text: expected text"),
        ("words", "arguments: expected an object"),
    ],
)
async def test_what_cannot_be_sent_is_told_in_plain_words(bench: HostBench, payload: Json, words: str) -> None:
    """Nothing goes out, and the error says what is wrong, with the names that there are."""
    async with bench.host():
        await add_team(bench)
        await add_team(bench, GroupId("side"))
        (told,) = await replies(bench, ("send", payload))
        assert told.startswith("error: ")
        assert words in told
        assert len(bench.channel.sent) == 1


async def test_another_groups_destination_is_none(bench: HostBench) -> None:
    """What side may reach, main does not know of."""
    async with bench.host():
        await add_team(bench, GroupId("side"))
        (told,) = await replies(bench, ("send", {"text": "x", "to": "team"}))
        assert "no destination 'team' (known: none)" in told


async def test_a_call_sends_once_over_any_number_of_attempts(bench: HostBench) -> None:
    """The agent asks, dies with the answer, and the next attempt finds what it was told."""
    call = ToolCall(call_id="call_0", name="send_message", arguments={})

    async def die(agent: ScriptedAgent) -> None:
        await agent.turn(0, "", call)
        await agent.tool_started(1, call)
        await agent.ask("send", call=call, payload={"text": "once"})

    async def go_on(agent: ScriptedAgent) -> None:
        (output,) = [step.output for step in agent.assignment.steps if step.output is not None]
        await agent.reply(output.text)

    async with bench.host():
        bench.room.scripts = [die, go_on]
        await bench.say("do it")
        assert sorted(await bench.channel.texts(2)) == ["Sent, as s1.", "once"]
        await bench.idle()
        assert len(bench.channel.sent) == 2


async def test_too_much_within_a_minute_is_not_sent(bench: HostBench) -> None:
    """The group's agents are held to a number, and told it."""
    async with bench.host():
        told = await replies(bench, *[("send", {"text": str(n)}) for n in range(MAX_PER_MINUTE + 1)])
        assert told[-2] == f"Sent, as s{MAX_PER_MINUTE}."
        assert told[-1].startswith(f"error: {MAX_PER_MINUTE} messages within a minute are the most")


async def test_what_was_said_can_be_changed(bench: HostBench) -> None:
    """By its ref, also before the platform has it; nobody else's message, and no group's but its own."""
    stage = bench.channel
    assert isinstance(stage, ChangingStage)
    async with bench.host():
        await add_team(bench)
        told = await replies(
            bench,
            ("send", {"text": "one", "to": "team"}),
            ("edit", {"message": "s1", "text": "two"}),
            ("edit", {"message": "m1", "text": "mine now"}),
            ("edit", {"message": "s9", "text": "x"}),
            ("edit", {"message": "hello", "text": "x"}),
        )
        assert told[1] == "Done."
        assert "somebody else's message" in told[2]
        assert all("there is no message" in each for each in told[3:])
        await stage.until(lambda: bool(stage.changes))
        sent = next(n for n, each in enumerate(stage.sent, 1) if each.chat == TEAM)
        assert stage.changes == [("edit", TEAM, PlatformMessageId(f"out{sent}"), "two")]


async def test_what_was_said_can_be_taken_back(bench: HostBench) -> None:
    """By an edit without words; nobody else's message, and nothing that this group has not said."""
    stage = bench.channel
    assert isinstance(stage, ChangingStage)
    async with bench.host():
        await add_team(bench)
        told = await replies(
            bench,
            ("send", {"text": "one", "to": "team"}),
            ("edit", {"message": "s1", "text": " "}),
            ("edit", {"message": "m1", "text": ""}),
            ("edit", {"message": "s9", "text": ""}),
        )
        assert told[1] == "Done."
        assert "somebody else's message" in told[2]
        assert "there is no message" in told[3]
        await stage.until(lambda: bool(stage.changes))
        sent = next(n for n, each in enumerate(stage.sent, 1) if each.chat == TEAM)
        assert stage.changes == [("delete", TEAM, PlatformMessageId(f"out{sent}"), "")]


async def test_several_files_go_in_one_message(bench: HostBench) -> None:
    """In the order of the call; each with the digest that the host found, and nothing before all are there."""

    async def script(agent: ScriptedAgent) -> None:
        for place, name in ((1, "a.txt"), (2, "b.txt")):
            stored = await agent.send_file(f"call_f.{place}", name, name.encode(), "team", place=place, of=3)
            assert isinstance(stored, FileStored)
        assert bench.channel.sent == []
        assert isinstance(await agent.send_file("call_f", "c.txt", b"c.txt", "team", place=3, of=3), FileStored)
        await agent.reply("done")

    async with bench.host():
        await add_team(bench)
        bench.room.scripts = [script]
        await bench.say("do it")
        await bench.channel.texts(2)
        (album,) = [each for each in bench.channel.sent if each.file_path]
        assert (album.chat, album.text) == (TEAM, "here")
        assert [file.name for file in files_of(album)] == ["a.txt", "b.txt", "c.txt"]
        assert [Path(file.path).read_bytes() for file in files_of(album)] == [b"a.txt", b"b.txt", b"c.txt"]
        assert is_same_file(album)
        digests = [hashlib.sha256(name.encode()).hexdigest() for name in ("a.txt", "b.txt", "c.txt")]
        reviewed = json.dumps(output_of(album))
        assert [digest in reviewed for digest in digests] == [True] * 3


async def test_files_that_came_only_in_part_are_sent_again(bench: HostBench) -> None:
    """The host was restarted between them, or the agent makes up what it sends: nothing goes out in part."""

    async def script(agent: ScriptedAgent) -> None:
        refused = await agent.send_file("call_f", "c.txt", b"c", place=3, of=3)
        assert isinstance(refused, FileRefused) and "2 of the 3 files were lost" in refused.reason
        for place, of in ((0, 2), (3, 2), (1, 11)):
            refused = await agent.send_file(f"call_{place}.{of}", "c.txt", b"c", place=place, of=of)
            assert isinstance(refused, FileRefused) and "at most 10 files" in refused.reason
        await agent.reply("done")

    async with bench.host():
        bench.room.scripts = [script]
        await bench.say("do it")
        assert await bench.channel.texts(1) == ["done"]
        assert not any(each.file_path for each in bench.channel.sent)


async def test_a_reaction_goes_to_what_reached_the_agent(bench: HostBench) -> None:
    """The message that began the task has the ref m1; a platform's own list of emoji is told."""
    stage = bench.channel
    assert isinstance(stage, ChangingStage)
    async with bench.host():
        told = await replies(
            bench,
            ("react", {"message": "m1", "emoji": "👍"}),
            ("react", {"message": "m1", "emoji": "🦆"}),
            ("react", {"message": "m1", "emoji": "good work"}),
            ("react", {"message": "m7", "emoji": "👍"}),
        )
        assert told[0] == "Done."
        assert "only 👍" in told[1]
        assert "is no single emoji" in told[2]
        assert "there is no message 'm7'" in told[3]
        await stage.until(lambda: bool(stage.changes))
        ((what, chat, _, emoji),) = stage.changes
        assert (what, chat, emoji) == ("react", "stage:1", "👍")


async def test_a_message_of_another_group_is_not_reacted_to(bench: HostBench) -> None:
    """Numbers can be guessed; what is behind them is looked at."""
    async with bench.host():
        await bench.file("for side", group=GroupId("side"))
        (told,) = await replies(bench, ("react", {"message": "m1", "emoji": "👍"}))
        assert "there is no message 'm1'" in told


async def test_a_platform_without_changes_says_so(bench: HostBench) -> None:
    """The agent does not have the tools there; for one that asks all the same it is an error in plain words."""
    bench.channel = bench.around.channels[CHANNEL] = StageChannel()
    async with bench.host():
        told = await replies(
            bench,
            ("send", {"text": "one"}),
            ("edit", {"message": "s1", "text": "two"}),
            ("react", {"message": "m1", "emoji": "👍"}),
        )
        assert told[1:] == [
            "error: the platform of the channel stage changes nothing that was said: send another message.",
            "error: the platform of the channel stage has no reactions: say it.",
        ]
        assert {"edit_message", "react"} <= set(bench.room.assignments[0].without)


async def test_a_task_that_rehearses_sends_nothing(bench: HostBench) -> None:
    """What it would have said is on record, as its question."""
    async with bench.host():
        bench.room.scripts = [calling(("send", {"text": "for real"}))]
        new = NewSubmission(
            submitter="cli", group_id=MAIN, prompt="try", chat=ChatKey("stage:1"), effects=Effects.SHADOW
        )
        await bench.submissions.submit(new)
        (text,) = await bench.channel.texts(1)
        assert text == "error: this task only rehearses (effects: shadow), so that was noted and not done; go on."


async def test_a_task_without_a_chat_must_say_where(bench: HostBench) -> None:
    """Its agent does not have the tool while there is no destination; with one it is told the names."""
    async with bench.host():
        await add_team(bench)
        bench.room.scripts = [calling(("send", {"text": "x"}), ("send", {"text": "y", "to": "team"}))]
        submission = await bench.submissions.submit(NewSubmission(submitter="cli", group_id=MAIN, prompt="go"))
        task = await bench.submissions.wait_ended(submission.submission_id)
        assert task.result is not None
        assert task.result.text.split("\n") == [
            "error: this task has no chat: name a destination (known: team).",
            "Sent to team, as s1.",
        ]


async def file_to(agent: ScriptedAgent, to: str) -> object:
    """Send a small file; return the host's last word on it."""
    return await agent.send_file("call_f", "a.txt", b"hello", to=to)


async def test_a_file_goes_to_a_destination_or_nowhere(bench: HostBench) -> None:
    """A wrong name is refused when the file is there, and nothing of it is kept."""

    async def script(agent: ScriptedAgent) -> None:
        first, second = await file_to(agent, "nobody"), await file_to(agent, "team")
        assert isinstance(first, FileRefused) and "no destination 'nobody' (known: team)" in first.reason
        assert isinstance(second, FileStored)
        await agent.reply("done")

    async with bench.host():
        await add_team(bench)
        bench.room.scripts = [script]
        await bench.say("do it")
        await bench.channel.texts(2)
        assert {(each.chat, each.file_name) for each in bench.channel.sent} == {(TEAM, "a.txt"), ("stage:1", "")}
        assert len(list((bench.home.group(MAIN) / "outbox").iterdir())) == 1


async def test_a_tool_that_is_left_out_does_nothing_whatever_an_agent_asks(tmp_path: Path) -> None:
    """One that was tampered with and asks all the same is refused by name; a file of its reaches nobody."""

    async def script(agent: ScriptedAgent) -> None:
        refused = await file_to(agent, "")
        assert isinstance(refused, FileRefused) and "does not have the tool send_file" in refused.reason
        await agent.reply("done")

    left_out = ", ".join(f"-{tool}" for tool in (*TOOLS.values(), "send_file"))
    async with open_bench(tmp_path, groups={"main": f"tools: [{left_out}]\n"}) as bench:
        add_rooms(bench)
        async with bench.host():
            for kind, tool in TOOLS.items():
                told = await replies(bench, (kind, {"text": "x"}))
                assert told == [f"error: the agent main does not have the tool {tool}."]
            bench.room.scripts = [script]
            await bench.say("and a file")
            await bench.channel.until(lambda: len(bench.channel.sent) == len(TOOLS) + 1)
            assert bench.channel.sent[-1].text == "done"
            assert not any(each.file_name for each in bench.channel.sent)


async def test_what_a_copilot_says_elsewhere_waits_for_a_review(tmp_path: Path) -> None:
    """It is told so, and the message goes when a reviewer says yes; changing what waits is an error."""
    async with open_bench(tmp_path, groups={"main": "mode: copilot\n"}) as bench:
        bench.channel = bench.around.channels[CHANNEL] = ChangingStage()
        add_rooms(bench)
        await load_policy(bench)
        async with bench.host():
            await add_team(bench)
            told = await replies(
                bench, ("send", {"text": "hello", "to": "team"}), ("edit", {"message": "s1", "text": "bye"})
            )
            assert told[0].startswith("A person looks at it before it goes to team (s1).")
            assert "waits for a person's review" in told[1]
            assert [each.chat for each in bench.channel.sent] == ["stage:1"]
            (approval,) = await waiting(bench)
            assert approval.kind == "review"
            await decide(bench, approval)
            await bench.channel.until(lambda: len(bench.channel.sent) == 2)
            assert (bench.channel.sent[1].chat, bench.channel.sent[1].text) == (TEAM, "hello")


@pytest.mark.parametrize("is_away", [False, True])
async def test_an_autonomous_agents_late_taint_holds_its_message(bench: HostBench, *, is_away: bool) -> None:
    """The proxy is asked before a message goes elsewhere, though the store has not heard of the page yet; while it
    does not answer, the message waits too. What is said in the task's own chat goes."""

    async def told_by_proxy(task_id: TaskId) -> tuple[tuple[str, str], ...]:
        if is_away:
            raise ProxyUnavailable(Path("proxy.sock"), "gone")
        return (("web", "evil.test"),)

    await load_policy(bench)
    bench.taint_of = Taints(bench.store, approvals_of(bench), told_by_proxy).taint_of
    async with bench.host():
        await add_team(bench)
        told = await replies(bench, ("send", {"text": "one", "to": "team"}), ("send", {"text": "wait"}))
        assert told == [
            "A person looks at it before it goes to team (s1). You will not hear of it: go on.",
            "Sent, as s2.",
        ]
        assert [each.text for each in bench.channel.sent if each.chat == TEAM] == []
        (approval,) = await waiting(bench)
        assert approval.kind == "send"
        await decide(bench, approval)
        await bench.channel.until(lambda: any(each.chat == TEAM for each in bench.channel.sent))


@pytest.mark.parametrize("is_changed", [False, True])
async def test_a_reviewed_file_goes_as_it_was_shown_or_not_at_all(tmp_path: Path, *, is_changed: bool) -> None:
    """The card has its size and its digest; with other bytes in its place it is given up, and that is told."""

    async def script(agent: ScriptedAgent) -> None:
        assert isinstance(await file_to(agent, "team"), FileStored)
        await agent.reply("done")

    async with open_bench(tmp_path, groups={"main": "mode: copilot\n"}) as bench:
        await load_policy(bench)
        async with bench.host():
            await add_team(bench)
            bench.room.scripts = [script]
            await bench.say("do it")
            await bench.channel.texts(1)
            (approval,) = await waiting(bench)
            assert approval.payload == {
                "chat": TEAM,
                "text": "here",
                "file": "a.txt",
                "file_bytes": "5",
                "file_sha256": hashlib.sha256(b"hello").hexdigest(),
            }
            (stored,) = (bench.home.group(MAIN) / "outbox").iterdir()
            if is_changed:
                stored.write_bytes(b"other")
            await decide(bench, approval)
            await bench.channel.until(lambda: len(bench.channel.sent) == 2)
            last = bench.channel.sent[1]
            assert last.chat == TEAM and (last.file_name == "a.txt") is not is_changed
            assert not is_changed or "its file is not the one that was to go any more" in last.text


async def has_replies(bench: HostBench, count: int) -> None:
    """Wait until so many answers have come, beside what went to the team."""
    await bench.channel.until(lambda: sum(each.chat != TEAM for each in bench.channel.sent) >= count)


async def test_a_file_that_changed_since_a_person_was_asked_is_refused(bench: HostBench) -> None:
    """What a constraint let through are the bytes that were asked about; an agent that named none sends none."""
    asked: dict[str, Json] = {}

    async def answer(_: Asked) -> str:
        return "approved: make this very call now"

    async def script(agent: ScriptedAgent) -> None:
        call = ToolCall(call_id="call_f", name="send_file", arguments={"path": "a.txt"})
        await agent.turn(0, "", call)
        await agent.tool_started(1, call)
        payload: Json = {"tool": call.name, "arguments": call.arguments, **asked}
        await agent.ask("approval", call=replace(call, call_id=approval_id(call.call_id)), payload=payload)
        said = await file_to(agent, "team")
        await agent.tool_finished(2, call)
        await agent.answer(3, said.reason if isinstance(said, FileRefused) else "sent")

    bench.rooms["approval"] = answer
    async with bench.host():
        await add_team(bench)
        replies: list[str] = []
        for file in (None, b"other", b"hello"):
            asked["file"] = None if file is None else {"bytes": 5, "sha256": hashlib.sha256(file).hexdigest()}
            bench.room.scripts = [script]
            await bench.say("do it")
            await has_replies(bench, len(replies) + 1)
            replies = [each.text for each in bench.channel.sent if each.chat != TEAM]
        assert [text.startswith("the file is not what it was") for text in replies] == [True, True, False]
        assert [each.file_name for each in bench.channel.sent if each.chat == TEAM] == ["a.txt"]


async def test_files_for_another_agent_are_those_that_a_person_was_asked_about(bench: HostBench) -> None:
    """Each at its place in the call: another byte, another order or one that was not named is not handed over."""
    books, other = b"1,2", b"6,6,6"
    shown: Json = [{"bytes": len(each), "sha256": hashlib.sha256(each).hexdigest()} for each in (books, other)]

    async def answer(_: Asked) -> str:
        return "approved: make this very call now"

    async def script(agent: ScriptedAgent) -> None:
        arguments: Json = {"agent": "side", "prompt": "Add up", "files": ["books.csv", "other.csv", "late.csv"]}
        call = ToolCall(call_id="call_d", name="delegate", arguments=arguments)
        await agent.turn(0, "", call)
        await agent.tool_started(1, call)
        payload: Json = {"tool": call.name, "arguments": arguments, "files": shown}
        await agent.ask("approval", call=replace(call, call_id=approval_id(call.call_id)), payload=payload)
        offers = (("call_d.0", books), ("call_d.1", books), ("call_d.1", other), ("call_d.2", b"late"))
        said = [await agent.send_file(call_id, "a.csv", data, is_for_agent=True) for call_id, data in offers]
        await agent.tool_finished(2, call)
        await agent.answer(3, " ".join("sent" if isinstance(each, FileStored) else "refused" for each in said))

    bench.rooms["approval"] = answer
    async with bench.host():
        bench.room.scripts = [script]
        await bench.say("do it")
        await bench.channel.texts(1)
        assert bench.channel.sent[0].text == "sent refused sent refused"
        (task,) = await bench.store.read(session_rows.tasks_of_group, MAIN, 10)
        handed = await bench.store.read(delegation_rows.handed_files_of, task.task_id)
        assert [file.call_id for file in handed] == ["call_d.0", "call_d.1"]
        assert len(list((bench.home.group(MAIN) / "outbox").iterdir())) == 2


def test_the_card_of_a_delegation_shows_each_file_by_its_bytes() -> None:
    """Size and digest, and that one cannot be read; nothing else that the agent puts beside."""
    payload: Json = {
        "tool": "delegate",
        "arguments": {"agent": "side", "files": ["a", "b"]},
        "files": [{"bytes": 3, "sha256": "a" * 64, "note": "harmless"}, {}],
        "note": "harmless",
    }
    shown = "\n".join(effect_lines(call_of(Ask(call_id="c", kind="approval", payload=payload))))
    assert "bytes: 3" in shown and "a" * 64 in shown and "cannot be read now" in shown and "harmless" not in shown


async def test_a_constraint_on_a_destination_asks_for_the_send(tmp_path: Path) -> None:
    """The question is of the kind `send`; a yes for the chat until tonight lets the next one go at once."""
    async with open_bench(tmp_path, groups={"main": "constraints:\n  - destination: team\n"}) as bench:
        add_rooms(bench)
        await load_policy(bench)
        async with bench.host():
            await add_team(bench)
            (told,) = await replies(bench, ("send", {"text": "one", "to": "team"}))
            assert told.startswith("A person looks at it")
            (approval,) = await waiting(bench)
            assert (approval.kind, approval.scope_offers) == ("send", ("chat",))
            await decide(bench, approval, word="chat")
            await bench.channel.until(lambda: len(bench.channel.sent) == 2)
            assert await replies(bench, ("send", {"text": "two", "to": "team"})) == ["Sent to team, as s2."]
            assert await waiting(bench) == ()


async def test_a_destination_that_is_ruled_out_is_an_error(tmp_path: Path) -> None:
    """Nobody is asked, and nothing goes."""
    policy = "constraints:\n  - {destination: team, then: deny}\n"
    async with open_bench(tmp_path, groups={"main": policy}) as bench:
        add_rooms(bench)
        await load_policy(bench)
        async with bench.host():
            await add_team(bench)
            (told,) = await replies(bench, ("send", {"text": "one", "to": "team"}))
            assert "a constraint of your owner's rules this out" in told


async def load_policy(bench: HostBench) -> None:
    book = PolicyBook(bench.store, lambda: bench.around.groups, lambda: "UTC")
    await book.load()


def approvals_of(bench: HostBench) -> Approvals:
    return Approvals(
        bench.store,
        wake_delivery=lambda: bench.delivery.wake(),
        zone_name=lambda: "UTC",
        files=lambda group: bench.home.path,
    )


async def waiting(bench: HostBench) -> tuple[Approval, ...]:
    return await approvals_of(bench).waiting()


async def decide(bench: HostBench, approval: Approval, word: str = "exact") -> None:
    scope = Scope(word="chat", until="day") if word == "chat" else None
    await approvals_of(bench).decide(approval.approval_id, CLI, is_yes=True, remember=scope)


def test_an_output_that_waits_says_what_it_does() -> None:
    """A reviewer sees that it is an edit, or a reaction, and of what."""
    message = OutboundMessage(chat=TEAM, text="two", act="edit", about=PlatformMessageId("17"))
    shown = output_of(message)
    assert shown == {"chat": TEAM, "text": "two", "act": "edit", "message": "17"}
