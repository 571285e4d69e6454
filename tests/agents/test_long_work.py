"""Long work: windows that fill up, outputs without end, circles, branches."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agents.conversation import resume
from agents.long_output import MAX_KEPT_FILES, LongOutput
from agents.places import Places
from agents.repetition import STOPPED_AT, TOLD_AT, GoingInCircles, Repetition
from agents.window import after_compaction, first_kept, is_full, tokens_of
from protocol.link import Delta, Progress
from protocol.record import replace
from protocol.summary import is_summary
from protocol.task import ModelRoute, TaskStatus
from protocol.transcript import Entry, Step, ToolCall, ToolOutput
from tests.agents.conftest import Agent
from tests.agents.scripted_host import ScriptedHost, assignment
from tests.agents.scripted_model import ScriptedModel, calls, error, says

SMALL = ModelRoute(route="main", api="anthropic", model="small", context_tokens=6_000, max_output_tokens=1_000)
"""4,000 tokens are full, 1,000 stay."""


def talk(turns: int, chars: int = 3_000) -> tuple[Entry, ...]:
    pairs = (
        (Entry(role="user", text=f"q{n}"), Entry(role="assistant", text=f"a{n} " * (chars // 3))) for n in range(turns)
    )
    return tuple(entry for pair in pairs for entry in pair)


def test_a_full_window_is_summed_up_first(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """The older part becomes a summary, stored as a step; prompt and instructions stay; nothing of it is shown."""
    model.will(says("- open: the report"), says("Go on."))
    agent.start(replace(assignment("and now?", transcript=talk(6)), model=SMALL))
    assert host.result().text == "Go on."
    step = host.steps()[0]
    assert step.kind == "compacted" and step.entry is not None and is_summary(step.entry)
    assert "the report" in step.entry.text and step.usage is not None
    asked = model.requests[1].json()
    assert asked["system"][0]["text"].startswith("You are a helpful agent.")
    text = json.dumps(asked["messages"])
    assert "the report" in text and "and now?" in text and "a0 a0" not in text
    assert "".join(frame.text for frame in host.all(Delta)) == "Go on."
    assert any("Summing up" in frame.text for frame in host.all(Progress))


def test_a_service_that_says_too_long_gets_a_summary(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """Where our guess was too low, the service's refusal has the same effect, once."""
    model.will(error(400, "prompt is too long: 9 > 8"), says("short"), says("Go on."))
    roomy = replace(SMALL, context_tokens=20_000)
    agent.start(replace(assignment("and now?", transcript=talk(9)), model=roomy))
    assert host.result().text == "Go on."
    assert [step.kind for step in host.steps()] == ["compacted", "model_turn"]


def test_a_second_attempt_begins_from_the_summary() -> None:
    """Steps before the summary are in it; what it kept and what came after is as it was."""
    kept = Entry(role="assistant", text="a1")
    summary = Entry(role="user", text="summary")
    steps = (
        Step(index=0, kind="compacted", entry=summary, kept=1),
        Step(index=1, kind="model_turn", entry=Entry(role="assistant", text="", calls=(call("c1"),))),
        Step(index=2, kind="tool_started", call=call("c1")),
        Step(index=3, kind="tool_finished", output=ToolOutput(call_id="c1", text="out")),
    )
    given = assignment("now", transcript=(Entry(role="user", text="q"), kept), steps=steps)
    entries = resume(given).entries
    assert [entry.text for entry in entries] == ["summary", "now", "", ""]
    newest = after_compaction([Entry(role="user", text="q"), kept], summary, 1, Entry(role="user", text="now"))
    assert [entry.text for entry in newest] == ["summary", "now", "a1"]


def test_what_is_kept_never_begins_with_outputs() -> None:
    """An output without its call would be refused by every service."""
    entries = [
        Entry(role="user", text="x" * 9_000),
        Entry(role="assistant", calls=(call("c1"),), text="y" * 3_000),
        Entry(role="tool", outputs=(ToolOutput(call_id="c1", text="z" * 2_000),)),
    ]
    assert first_kept(entries, SMALL) == 3
    assert first_kept([entries[0], replace(entries[1], text="y"), entries[2]], SMALL) == 1
    assert is_full(SMALL, tokens_of(entries)) and not is_full(SMALL, tokens_of(entries[1:]))


def call(call_id: str, **arguments: object) -> ToolCall:
    return ToolCall(call_id=call_id, name="shell", arguments=arguments)


def test_the_same_call_again_is_told_and_then_stopped() -> None:
    """The fifth same output says so, the tenth ends the work; another output in between is another thing."""
    repetition = Repetition()
    output = ToolOutput(call_id="c", text="same")
    told = [repetition.checked(call("c", command="ls"), output).text for _ in range(STOPPED_AT - 1)]
    assert [("very call" in text) for text in told] == [number >= TOLD_AT for number in range(1, STOPPED_AT)]
    repetition.checked(call("c", command="ls"), replace(output, text="other"))
    with pytest.raises(GoingInCircles, match="10 times"):
        repetition.checked(call("c", command="ls"), output)


def test_a_model_in_a_circle_ends_with_a_plain_word(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """The task fails with a code of its own instead of using up its rounds."""
    model.will(*[calls("shell", {"command": "echo same"}, call_id=f"toolu_{n}") for n in range(20)])
    agent.start(assignment())
    result = host.result()
    assert (result.status, result.code) == (TaskStatus.FAILED, "repeating_call")
    assert len(model.requests) == STOPPED_AT
    assert "very call" in json.dumps(model.requests[-1].json())


def test_a_long_output_is_kept_whole_in_a_file(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """The model sees both ends and where the rest is, and can read it from there."""
    made = "seq 1 20000"
    model.will(
        calls("shell", {"command": made}),
        calls("shell", {"command": "sed -n 10000p ~/outputs/toolu_1.txt"}, "t2"),
        says("ok"),
    )
    agent.start(assignment())
    assert host.result().text == "ok"
    shown, read = (step.output for step in host.steps() if step.output is not None)
    assert "outputs/toolu_1.txt" in shown.text and len(shown.text) < 31_000
    assert shown.text.startswith("1\n2\n") and shown.text.endswith("20000\n")
    assert read.text == "10000\n"


def test_only_the_newest_long_outputs_are_kept(tmp_path: Path) -> None:
    """The folder does not grow without end, and a planted link is not written through."""
    places = Places(root=str(tmp_path))
    (tmp_path / "home/agent").mkdir(parents=True)
    for number in range(MAX_KEPT_FILES + 3):
        output = LongOutput(places, f"c{number}", 10)
        output.add(b"a" * 30)
        output.close()
    folder = tmp_path / "home/agent/outputs"
    assert len(list(folder.iterdir())) == MAX_KEPT_FILES
    assert (folder / f"c{MAX_KEPT_FILES + 2}.txt").read_bytes() == b"a" * 30
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (folder / "planted.txt").symlink_to(victim)
    output = LongOutput(places, "planted", 10)
    output.add(b"b" * 30)
    output.close()
    assert victim.read_text() == "mine"


def test_a_short_output_makes_no_file(tmp_path: Path) -> None:
    """What fits is shown whole, in however many pieces it came."""
    output = LongOutput(Places(root=str(tmp_path)), "c", 10)
    for piece in (b"12345", b"678", b"90"):
        output.add(piece)
    assert output.text() == "1234567890"
    assert not (tmp_path / "home").exists()


def test_a_sub_agent_works_in_a_conversation_of_its_own(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """It knows its task alone, its steps carry its call, and only its last message comes back."""
    model.will(
        calls("sub_agent", {"task": "count the files"}, "s1"),
        calls("shell", {"command": "ls | wc -l"}, "i1"),
        says("there are none"),
        says("None."),
    )
    agent.start(assignment("secret words of mine"))
    assert host.result().text == "None."
    inner = model.requests[1].json()
    assert "secret words" not in json.dumps(inner["messages"]) and "count the files" in json.dumps(inner["messages"])
    assert "sub_agent" not in [tool["name"] for tool in inner["tools"]]
    branches = [(step.kind, step.branch) for step in host.steps() if step.branch]
    assert branches == [("model_turn", "s1"), ("tool_started", "s1"), ("tool_finished", "s1"), ("model_turn", "s1")]
    last = json.dumps(model.requests[3].json()["messages"])
    assert "there are none" in last and "wc -l" not in last
    assert "".join(frame.text for frame in host.all(Delta)) == "None."


def test_a_sub_agent_has_no_sub_agents(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """A branch that would branch again reads a plain error."""
    model.will(
        calls("sub_agent", {"task": "a"}, "s1"), calls("sub_agent", {"task": "b"}, "s2"), says("inner"), says("outer")
    )
    agent.start(assignment())
    assert host.result().text == "outer"
    (refused,) = [step.output for step in host.steps() if step.output is not None and step.branch]
    assert refused.is_error and "no sub-agents" in refused.text


@pytest.mark.parametrize("arguments", [{}, {"task": ""}, {"task": 3}])
def test_a_sub_agent_without_a_task_is_refused(
    agent: Agent, host: ScriptedHost, model: ScriptedModel, arguments: dict[str, object]
) -> None:
    """The model reads what is missing, and nothing is asked."""
    model.will(calls("sub_agent", arguments), says("ok"))
    agent.start(assignment())
    assert host.result().text == "ok"
    assert len(model.requests) == 2
