"""What an agent is handed."""

from __future__ import annotations

import dataclasses
import json

from hypothesis import given
from hypothesis import strategies as st

from protocol.ids import AttemptId, GroupId, SessionId, TaskId
from protocol.link import SkillCard
from protocol.record import replace
from protocol.task import Effects, Limits, ModelRoute, Task
from protocol.transcript import Entry, Step, ToolCall, ToolOutput
from runtime.config import parse_settings
from runtime.envelope import Envelope
from runtime.group_reading import build_group
from runtime.instructions import build_instructions
from runtime.store.records import AttemptRow, TaskRow
from runtime.task_builder import (
    build_assignment,
    build_entries,
    build_lease,
    build_task,
    fallbacks_of,
    own_summary,
    recent_cards,
    recent_entries,
)

GROUP = build_group(GroupId("main"), "", "Be kind.\n", parse_settings("").settings)[0]
ROW = TaskRow(
    task_id=TaskId("task_1"),
    group_id=GroupId("main"),
    session_id=SessionId("ses_1"),
    submitter="person:telegram:7",
    chat=None,
    reply_to=None,
    state="running",
    created_at="",
)
ATTEMPT = AttemptRow(attempt_id=AttemptId("att_1"), task_id=TaskId("task_1"), number=2, state="starting", started_at="")
CALL = ToolCall(call_id="c1", name="shell", arguments={"command": "ls"})


def task() -> Task:
    return build_task(ROW, Envelope(text="<message>hi</message>"), Limits(model_calls=7))


def test_the_instructions_are_short_and_end_with_the_owners() -> None:
    """The product's own words stay under 2 kB: they are paid with every message."""
    text = build_instructions(GROUP)
    assert text.startswith("You are main, ")
    assert text.endswith("# Your owner's instructions\n\nBe kind.")
    assert len(text.encode()) < 2_000


def test_the_lease_is_for_this_task_and_its_one_route() -> None:
    """What the sockets may do is what the task says, no more."""
    lease = build_lease(task(), ATTEMPT, [GROUP.model])
    assert (lease.task_id, lease.attempt_id, lease.routes) == ("task_1", "att_1", ("rehearsal",))
    assert lease.limits.model_calls == 7
    assert lease.effects is Effects.LIVE


def test_fallbacks_are_leased_for_chats_and_never_for_structured_work() -> None:
    """Another service may answer a person; a structured result is made by the model that was asked for, or not."""
    second = ModelRoute(route="second", api="openai", model="m")
    group = dataclasses.replace(GROUP, fallbacks=(GROUP.model, second), effort="high")
    structured = replace(task(), result_schema={"type": "object"})
    assert fallbacks_of(task(), group, GROUP.model) == (second,)
    assert fallbacks_of(structured, group, GROUP.model) == ()
    lease = build_lease(task(), ATTEMPT, [GROUP.model, second])
    assert lease.routes == ("rehearsal", "second")
    assignment = build_assignment(task(), ATTEMPT, group, GROUP.model, transcript=(), cards=(), steps=())
    assert assignment.fallbacks == (replace(second, effort="high"),)
    assert assignment.model.effort == "high"


def test_an_assignment_for_hi_is_small() -> None:
    """A new group's first message costs little before skills and history."""
    assignment = build_assignment(task(), ATTEMPT, GROUP, GROUP.model, transcript=(), cards=(), steps=())
    assert assignment.attempt_number == 2
    assert len(json.dumps([assignment.instructions, assignment.task.prompt])) < 2_200


def test_an_own_summary_is_placed_where_what_it_kept_begins() -> None:
    """The newest one counts; a sub-agent's turns are not the conversation's; what it kept may be of earlier tasks."""
    said, summary = Entry(role="assistant", text="a"), Entry(role="user", text="s")
    turn = Step(index=0, kind="model_turn", entry=Entry(role="assistant", calls=(CALL,)))
    steps = [turn, replace(turn, branch="c9"), Step(index=2, kind="compacted", entry=summary, kept=2)]
    assert own_summary([]) is None
    found = own_summary(steps)
    assert found is not None and (found.entry, found.from_offset) == (summary, 1)
    earlier = own_summary([Step(index=0, kind="compacted", entry=summary, kept=4), replace(turn, entry=said)])
    assert earlier is not None and earlier.from_offset == -3
    assert [entry.text for entry in build_entries(task(), steps, "done")] == [task().prompt, "", "", "done"]


def test_old_turns_are_left_out_from_the_beginning_of_a_persons_turn() -> None:
    """What is handed over begins with what a person said, so that no output stands without its call."""
    entries = [
        Entry(role="user", text="u" * 100),
        Entry(role="assistant", text="", calls=(CALL,)),
        Entry(role="tool", outputs=(ToolOutput(call_id="c1", text="t" * 100),)),
        Entry(role="assistant", text="a" * 100),
        Entry(role="user", text="second"),
        Entry(role="assistant", text="answer"),
    ]
    assert recent_entries(entries, 10_000) == entries
    assert recent_entries(entries, 150) == entries[4:]
    assert recent_entries(entries, 5) == []


@given(st.lists(st.sampled_from(["user", "assistant", "tool"]), max_size=30), st.integers(0, 300))
def test_recent_entries_fit_and_are_the_newest(roles: list[str], max_chars: int) -> None:
    """Never more than the cap, always an end of the list, always beginning with a person."""
    entries = [Entry(role=role, text="x" * 10) for role in roles]  # type: ignore[arg-type]  # the strategy's words
    kept = list(recent_entries(entries, max_chars))
    assert sum(len(entry.text) for entry in kept) <= max_chars
    assert kept == entries[len(entries) - len(kept) :]
    assert not kept or kept[0].role == "user"


def test_a_finished_task_becomes_turns_of_its_session() -> None:
    """Prompt, each model turn with its outputs, and the reply, once."""
    steps = [
        Step(index=0, kind="model_turn", entry=Entry(role="assistant", text="let me see", calls=(CALL,))),
        Step(index=1, kind="tool_started", call=CALL),
        Step(index=2, kind="tool_finished", output=ToolOutput(call_id="c1", text="a.txt")),
        Step(index=3, kind="model_turn", entry=Entry(role="assistant", text="one file")),
    ]
    entries = build_entries(task(), steps, "one file")
    assert [entry.role for entry in entries] == ["user", "assistant", "tool", "assistant"]
    assert entries[2].outputs[0].text == "a.txt"


def test_a_failed_task_leaves_a_whole_conversation() -> None:
    """A call without an output gets one that says so, and what the chat read is there too."""
    steps = [Step(index=0, kind="model_turn", entry=Entry(role="assistant", calls=(CALL,)))]
    entries = build_entries(task(), steps, "⚠ It broke.")
    assert "may have happened" in entries[2].outputs[0].text
    assert entries[-1] == Entry(role="assistant", text="⚠ It broke.")
    assert build_entries(task(), (), "")[-1].role == "assistant"


def test_skill_cards_have_a_share_of_the_prompt() -> None:
    """A hundred skills do not fill the model's window."""
    cards = [SkillCard(name=f"s{n}", description="d" * 1000) for n in range(100)]
    assert 10 < len(recent_cards(cards)) < 25
