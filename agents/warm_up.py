"""A first run of what every task does, while nobody waits: Python's first pass through code takes several times as
long as its second.

Nothing leaves the process and nothing is kept: for each API an assignment is encoded and decoded, a request built, an
answer read, a step and a last word encoded.
"""

from __future__ import annotations

from collections.abc import Sequence

from agents.conversation import resume, with_new_ids
from agents.providers import provider_for
from agents.providers.provider import Question, ToolCard
from agents.skillbook import system_prompt
from agents.sse import EventDecoder
from protocol.frames import HEADER_BYTES, encode_frame
from protocol.ids import AttemptId, GroupId, TaskId
from protocol.link import HOST_FRAMES, Assignment, Finished, StepTaken
from protocol.task import ModelRoute, Task, TaskResult, TaskStatus
from protocol.transcript import Entry, Step

_ANTHROPIC = b"""\
event: message_start
data: {"type":"message_start","message":{"usage":{"input_tokens":1,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"warm"}}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":1}}

event: message_stop
data: {"type":"message_stop"}

"""
_OPENAI = b"""\
data: {"choices":[{"index":0,"delta":{"content":"warm"},"finish_reason":"stop"}]}

data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}

data: [DONE]

"""


def warm_up(tools: Sequence[ToolCard]) -> None:
    """Go through it once for each API; `tools` are those that a task has."""
    _go_through(ModelRoute(route="none", api="anthropic", model="none"), _ANTHROPIC, tools)
    _go_through(ModelRoute(route="none", api="openai", model="none"), _OPENAI, tools)


def _go_through(route: ModelRoute, answer: bytes, tools: Sequence[ToolCard]) -> None:
    frame = HOST_FRAMES.decode(encode_frame(_assignment(route))[HEADER_BYTES:])
    assert isinstance(frame, Assignment)
    state = resume(frame)
    instructions = system_prompt(frame)
    provider = provider_for(frame.model)
    provider.request(Question(instructions=instructions, entries=state.entries, tools=tools))
    reader = provider.reader()
    for event in EventDecoder().feed(answer):
        reader.take(event)
    turn = with_new_ids(reader.turn(), state.entries, state.next_index)
    encode_frame(StepTaken(seq=1, step=Step(index=0, kind="model_turn", entry=turn.entry, usage=turn.usage)))
    encode_frame(Finished(seq=2, result=TaskResult(status=TaskStatus.REPLY, text=turn.entry.text)))


def _assignment(route: ModelRoute) -> Assignment:
    task = Task(task_id=TaskId("none"), group_id=GroupId("none"), submitter="none", session_id=None, prompt="warm up")
    transcript = (Entry(role="user", text="warm"), Entry(role="assistant", text="up"))
    return Assignment(
        attempt_id=AttemptId("none"),
        attempt_number=1,
        task=task,
        instructions="none",
        model=route,
        transcript=transcript,
        skills=(),
        steps=(),
    )
