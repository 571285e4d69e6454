"""Our tools for a harness: through the process that it starts, with a real link to a scripted host."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.activity import Activity
from agents.greeting import greet
from agents.host_link import HostLink
from agents.interrupt import Interrupt
from agents.mcp import rpc
from agents.mcp.harness_tools import THEIR_OWN, HarnessTools
from agents.mcp.server import MAX_WAITING_CALLS, ToolServer
from agents.mcp.session import Reply, Session, Wanted
from agents.places import Places
from agents.providers.provider import ToolCard
from agents.refusals import Refusals
from agents.tools.toolbox import Toolbox
from protocol.link import AgentCard, Answered, Ask, Assignment, McpServer, StepTaken
from protocol.record import replace
from protocol.task import TaskStatus
from protocol.tool_rules import ToolRule
from protocol.transcript import Entry, Step, ToolCall, ToolOutput
from tests.agents.conftest import REPOSITORY
from tests.agents.mcp_line import McpLine, line_to
from tests.agents.scripted_host import ScriptedHost, assignment

OURS = ["send_file", "send_message", "edit_message", "react", "ask_user", "schedule", "memory", "web_fetch"]
RULE = ToolRule(rule_id="group.yaml:1", then="ask", tool="send_message")


class Place:
    """The part of an agent's process that stands behind the tools."""

    def __init__(self, places: Places, host: ScriptedHost) -> None:
        self.places = places
        self.host = host
        self.interrupt = Interrupt()
        descriptor = greet(places.host_socket)
        self.link = HostLink(
            socket_path=places.host_socket,
            descriptor=descriptor,
            interrupt=self.interrupt,
            on_stop=self.stop,
        )
        threading.Thread(target=self.link.run, daemon=True).start()
        host.wait_welcomed()
        self.server = ToolServer(
            places, [ToolCard(name="send_message", description="", schema={})], progress_every_s=0.05
        )
        self.server.start()
        self.index = 0
        self.tools: HarnessTools | None = None

    def stop(self, reason: str) -> None:
        self.interrupt.trip(reason)
        self.link.wake()

    def begin(self, task: Assignment) -> HarnessTools:
        """Have a task, as the harness's frame has one."""
        toolbox = Toolbox(
            places=self.places,
            link=self.link,
            interrupt=self.interrupt,
            refusals=Refusals(),
            skill_names=frozenset(("tour",)),
            delegates=task.delegates,
            destinations=task.destinations,
            without=task.without,
            search=task.search,
        )
        self.tools = HarnessTools(
            task, toolbox=toolbox, link=self.link, places=self.places, activity=Activity(), store=self.store
        )
        self.server.offer(self.tools.cards(), self.tools.run)
        return self.tools

    def store(self, step: Step) -> None:
        self.link.store_step(replace(step, index=self.index))
        self.index += 1

    @property
    def entry(self) -> McpServer:
        """What a harness would start, where the agent's code lies in a test."""
        script = f"import sys; sys.path.insert(0, {str(REPOSITORY)!r}); from agents.mcp.relay import main; main()"
        return replace(self.server.entry, command=sys.executable, args=("-I", "-S", "-c", script))


@pytest.fixture
def place(places: Places, host: ScriptedHost) -> Iterator[Place]:
    made = Place(places, host)
    yield made
    made.stop("the test is over")
    made.link.close()


@pytest.fixture
def line(place: Place) -> Iterator[McpLine]:
    with line_to(place.entry) as line:
        yield line


def test_a_harness_is_given_what_it_lacks(place: Place, line: McpLine) -> None:
    """With our schemas; files, shell and skills it has itself. The version is the client's if we speak it."""
    place.begin(
        replace(
            assignment("go"), destinations=("team",), search="brave", delegates=(AgentCard(name="b", description="x"),)
        )
    )
    welcome = line.begin()
    assert welcome["protocolVersion"] == "2025-06-18" and welcome["capabilities"] == {"tools": {"listChanged": True}}
    tools = line.tools()
    assert set(tools) >= {*OURS, "web_search", "delegate"} and THEIR_OWN.isdisjoint(tools)
    (schema,) = [
        tool["inputSchema"] for tool in line.ask("tools/list")["result"]["tools"] if tool["name"] == "send_message"
    ]
    assert schema["properties"]["to"]["description"] == "team; default: this chat"


def test_a_tool_that_the_group_has_not_is_not_there(place: Place, line: McpLine) -> None:
    """Neither in the list nor for who calls it by name, and the host hears nothing."""
    place.begin(replace(assignment("go"), without=("react", "web_fetch")))
    line.begin()
    assert "react" not in line.tools()
    for tool in ("react", "shell", "nothing\x1b[2J"):
        answer = line.call(tool, {})
        assert answer["isError"] and "there is no tool" in answer["content"][0]["text"]
        assert "\x1b" not in answer["content"][0]["text"]
    assert place.host.all(Ask) == [] and place.host.steps() == []


def test_a_call_is_announced_made_and_stored(place: Place, line: McpLine) -> None:
    """As a native agent's: first the step, then the question, then the output; under the id that the harness gave."""
    place.begin(assignment("go"))
    line.begin()
    number = line.post(
        "tools/call",
        {"name": "send_message", "arguments": {"text": "hi"}, "_meta": {"claudecode/toolUseId": "toolu_1"}},
    )
    asked = place.host.next(Ask)
    assert (asked.kind, asked.call_id, asked.payload) == ("send", "toolu_1", {"text": "hi"})
    place.host.send(Answered(call_id="toolu_1", answer="sent as s1"))
    answer = line.receive()
    assert (answer["id"], answer["result"]) == (
        number,
        {"content": [{"type": "text", "text": "sent as s1"}], "isError": False},
    )
    started, finished = place.host.steps()
    assert started.call == ToolCall(call_id="toolu_1", name="send_message", arguments={"text": "hi"})
    assert finished.output == ToolOutput(call_id="toolu_1", text="sent as s1")


def test_a_refusal_is_an_error_that_the_model_reads(place: Place, line: McpLine) -> None:
    """Of the host's and of ours; a call without an id of its own gets one."""
    place.begin(assignment("go"))
    line.begin()
    line.post("tools/call", {"name": "schedule", "arguments": {"action": "list"}})
    place.host.send(Answered(call_id=place.host.next(Ask).call_id, answer="not today", is_error=True))
    assert line.receive()["result"] == {"content": [{"type": "text", "text": "not today"}], "isError": True}
    assert "1 to 4000 characters" in line.call("ask_user", {"question": ""})["content"][0]["text"]
    ids = [step.call.call_id for step in place.host.steps() if step.call is not None]
    assert ids == ["mcp_1_0", "mcp_1_1"]


def test_each_call_has_an_id_of_its_own(place: Place) -> None:
    """Also where the harness gives the same twice, none, one that is no id, or the one that we would take next."""
    tools = place.begin(assignment("go"))
    for call_id in ("mcp_1_1", "", "mcp_1_1", "../x", "a"):
        tools.run(ToolCall(call_id=call_id, name="ask_user", arguments={"question": ""}))
    ids = [step.call.call_id for step in place.host.steps() if step.call is not None]
    assert ids == ["mcp_1_1", "mcp_1_2", "mcp_1_3", "mcp_1_4", "a"]


def test_a_constraint_holds(place: Place, line: McpLine) -> None:
    """A person is asked first; a no is the call's output, and nothing is sent."""
    place.begin(replace(assignment("go"), constraints=(RULE,)))
    line.begin()
    line.post("tools/call", {"name": "send_message", "arguments": {"text": "hi"}})
    asked = place.host.next(Ask)
    assert (asked.kind, asked.payload) == ("approval", {"tool": "send_message", "arguments": {"text": "hi"}})
    place.host.send(Answered(call_id=asked.call_id, answer="A person said no.", is_error=True))
    assert line.receive()["result"]["isError"]
    assert [each.kind for each in place.host.all(Ask)] == ["approval"]


def test_calls_run_one_after_another(place: Place, line: McpLine) -> None:
    """The host has one question open at a time; one that is taken back before its turn is not made."""
    place.begin(assignment("go"))
    line.begin()
    first, second, third = (line.post("tools/call", {"name": "send_message", "arguments": {"text": t}}) for t in "abc")
    asked = place.host.next(Ask)
    line.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": second}})
    assert line.ask("ping")["result"] == {}  # who pings is answered meanwhile
    place.host.send(Answered(call_id=asked.call_id, answer="one"))
    assert line.receive()["id"] == first
    asked = place.host.next(Ask)
    assert asked.payload == {"text": "c"}
    place.host.send(Answered(call_id=asked.call_id, answer="three"))
    assert line.receive()["id"] == third


def test_what_is_taken_back_is_not_answered(place: Place, line: McpLine) -> None:
    """It happens nevertheless, since it had begun; its output is stored."""
    place.begin(assignment("go"))
    line.begin()
    number = line.post("tools/call", {"name": "send_message", "arguments": {"text": "a"}})
    asked = place.host.next(Ask)
    line.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": number}})
    assert line.ask("ping")["result"] == {}
    place.host.send(Answered(call_id=asked.call_id, answer="sent"))
    while (step := place.host.next(StepTaken).step).output is None:
        pass
    assert step.output.text == "sent"
    number = line.post("ping")
    assert line.receive()["id"] == number


def test_a_long_call_shows_that_it_goes_on(place: Place, line: McpLine) -> None:
    """To a client that asked for it."""
    place.begin(assignment("go"))
    line.begin()
    number = line.post(
        "tools/call", {"name": "send_message", "arguments": {"text": "a"}, "_meta": {"progressToken": 7}}
    )
    beat = line.receive()
    assert beat["method"] == "notifications/progress" and beat["params"]["progressToken"] == 7
    place.host.send(Answered(call_id=place.host.next(Ask).call_id, answer="sent"))
    while (message := line.receive()).get("id") != number:
        assert message["method"] == "notifications/progress"


def test_the_result_of_a_structured_task(place: Place, line: McpLine) -> None:
    """Is taken from its tool, which is there where the task has a schema."""
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    task = assignment("go")
    tools = place.begin(replace(task, task=replace(task.task, result_schema=schema)))
    line.begin()
    assert line.tools()[-1] == "task_result"
    assert line.call("task_result", {})["isError"]
    assert not line.call("task_result", {"found": {"n": 1}, "why": "x"})["isError"]
    assert tools.result is not None and tools.result.status is TaskStatus.STRUCTURED
    assert tools.result.structured == {"found": {"n": 1}, "why": "x"}


def test_who_came_before_the_task_hears_of_its_tools(place: Place, line: McpLine) -> None:
    """A started program that waits knows what may come; calls it makes too early are errors."""
    line.begin()
    assert line.tools() == ["send_message"]
    assert "no task yet" in line.call("send_message", {"text": "x"})["content"][0]["text"]
    assert not place.server.wait_listed(0) or place.tools is None
    place.begin(assignment("go"))
    assert line.receive() == {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}
    assert not place.server.wait_listed(0)
    assert set(line.tools()) >= set(OURS)
    assert place.server.wait_listed(5)


def test_answers_that_came_while_nothing_ran(place: Place, line: McpLine) -> None:
    """A later attempt tells the model what it has not seen: the answer, what may have happened; and makes what a person
    has said yes to since."""
    turn = Step(index=0, kind="model_turn", entry=Entry(role="assistant"))
    names = {"old": "schedule", "asked": "ask_user", "open": "react", "yes": "send_message", "own": "Bash"}
    started = [
        Step(index=number, kind="tool_started", call=ToolCall(call_id=call_id, name=name, arguments={"text": "x"}))
        for number, (call_id, name) in enumerate(names.items(), 1)
    ]
    ended = [Step(index=9, kind="tool_finished", output=ToolOutput(call_id="asked", text="Blue"))]
    seen = [
        Step(index=6, kind="tool_finished", output=ToolOutput(call_id="old", text="seen")),
        replace(turn, index=7),
    ]
    tools = place.begin(replace(assignment("go", steps=(turn, *started, *seen, *ended)), approved=("yes",)))
    told: list[str] = []
    thread = threading.Thread(target=lambda: told.append(tools.catch_up()))
    thread.start()
    asked = place.host.next(Ask)
    assert (asked.call_id, asked.kind) == ("yes", "send")
    place.host.send(Answered(call_id="yes", answer="sent"))
    thread.join(20)
    lines = told[0].splitlines()
    assert lines[0] == "Your call of ask_user has ended: Blue"
    assert lines[1].startswith("Your call of react has ended: This call was under way")
    assert lines[2:] == ["Your call of send_message has ended: sent"]
    assert [step.output.call_id for step in place.host.steps() if step.output is not None] == ["open", "yes"]


def test_a_stop_ends_the_line(place: Place, line: McpLine) -> None:
    """Whoever waits for an answer of a stopped agent is let go at once."""
    place.begin(assignment("go"))
    line.begin()
    line.post("tools/call", {"name": "send_message", "arguments": {"text": "a"}})
    place.host.next(Ask)
    place.stop("you said /stop")
    assert line.receive() is None


def test_only_who_knows_the_word_is_heard(place: Place) -> None:
    """Whoever else connects is hung up on."""
    path = place.server.entry.env["NIGHTYARD_MCP"].split()[0]
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.settimeout(20)
        stranger.connect(path)
        stranger.sendall(b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}\n')
        assert stranger.recv(1) == b""
    assert Path(path).parent.stat().st_mode & 0o777 == 0o700


def test_a_relay_without_an_agent_says_so(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    """And ends with an error."""
    with line_to(replace(place.entry, env={})) as line:
        assert line.receive() is None
        assert line.process.wait(20) == 1
    assert "the agent's process is not there" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"{", -32700),
        (b"[" * 10_000, -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"\\ud800"}}', -32700),
        (b"[]", -32600),
        (b'{"id":1,"method":"ping"}', -32600),
        (b'{"jsonrpc":"2.0","id":{},"method":"ping"}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"resources/list"}', -32601),
        (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":1}}', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":[]}}', -32602),
    ],
)
def test_what_is_no_request_of_ours_is_told_so(place: Place, line: McpLine, sent: bytes, code: int) -> None:
    """With the protocol's number, and the line goes on."""
    line.send(sent)
    assert line.receive()["error"]["code"] == code
    assert line.ask("ping")["result"] == {}


def test_a_flood_of_calls_is_refused(place: Place, line: McpLine) -> None:
    """More than may wait at once are errors."""
    place.begin(assignment("go"))
    for _ in range(MAX_WAITING_CALLS + 1):
        last = line.post("tools/call", {"name": "send_message", "arguments": {"text": "a"}})
    refused = line.receive()
    assert refused["id"] == last and "wait at once" in refused["error"]["message"]


@given(st.binary(), st.lists(st.integers(0, 60)))
def test_lines_come_whole_however_they_are_split(data: bytes, cuts: list[int]) -> None:
    """Cut anywhere, the same lines come out."""
    decoder, pieces, start = rpc.LineDecoder(), [], 0
    for cut in sorted({min(cut, len(data)) for cut in cuts}):
        pieces.append(data[start:cut])
        start = cut
    found = [line for piece in [*pieces, data[start:], b"\n"] for line in decoder.feed(piece)]
    assert found == [line.strip() for line in data.split(b"\n") if line.strip()]


def test_a_line_without_an_end_is_not_kept() -> None:
    """Memory stays bounded."""
    with pytest.raises(rpc.MessageTooLarge):
        for _ in range(3):
            list(rpc.LineDecoder(100).feed(b"x" * 101))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda below: st.lists(below) | st.dictionaries(st.text(), below),
    )
)
def test_any_params_are_judged(params: object) -> None:
    """Whatever a client sends for a call leads to one reply or one call, never to an exception."""
    line = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
    (event,) = Session(lambda: ()).take(line)
    assert isinstance(event, Wanted | Reply)
    assert event.request_id == 1 if isinstance(event, Wanted) else event.message["id"] == 1
