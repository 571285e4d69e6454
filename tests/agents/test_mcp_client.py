"""MCP servers in the agent's real program: the twin over stdio, and servers that mean harm or know no better."""

from __future__ import annotations

import json
import socket
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from agents.host_link import HostLink
from agents.interrupt import Interrupt
from agents.mcp.servers import McpServers
from agents.places import Places
from protocol.link import Answered, Ask, Assignment, McpServer, McpTool, Progress
from protocol.record import replace
from protocol.task import TaskStatus
from protocol.tool_rules import ToolRule
from tests.agents.conftest import REPOSITORY, Agent
from tests.agents.scripted_host import STOP, ScriptedHost, assignment
from tests.agents.scripted_model import ScriptedModel, calls, says

TWIN = (sys.executable, str(REPOSITORY / "twins/mcp/stdio.py"))
KNOWN = (McpTool(name="echo", description="Says it back.", schema={"type": "object", "properties": {}}),)


def twin(*words: str, **more: Any) -> McpServer:
    return McpServer(**{"name": "twin", "command": TWIN[0], "args": (TWIN[1], *words), "timeout_s": 10.0, **more})


def script(body: str, **more: Any) -> McpServer:
    """A server in a few lines: `lines` are what it reads, `say` writes a message, `answer` a result."""
    begin = """
        import json, os, sys, time
        def write(text): sys.stdout.write(text); sys.stdout.flush()
        def say(message): write(json.dumps({"jsonrpc": "2.0", **message}) + "\\n")
        def answer(asked, result): say({"id": asked["id"], "result": result})
        def tools(asked, *tools): answer(asked, {"tools": [
            {"name": "t", "description": "d", "inputSchema": {"type": "object"}, **tool} for tool in tools]})
        def welcome(asked): answer(asked, {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}})
        for line in sys.stdin:
            asked = json.loads(line)
            method = asked.get("method")
            if method == "initialize": welcome(asked); continue
            if "id" not in asked: continue
    """
    text = textwrap.dedent(begin) + textwrap.indent(textwrap.dedent(body), "    ")
    return McpServer(**{"name": "odd", "command": sys.executable, "args": ("-c", text), "timeout_s": 10.0, **more})


def task(*servers: McpServer, **more: Any) -> Assignment:
    return replace(assignment("go"), mcp=servers, **more)


def shown(model: ScriptedModel, request: int = 0) -> dict[str, Any]:
    """The tools of MCP servers in a question."""
    tools = model.requests[request].json()["tools"]
    return {tool["name"]: tool for tool in tools if tool["name"].startswith("mcp__")}


def system(model: ScriptedModel, request: int = 0) -> str:
    text: str = model.requests[request].json()["system"][0]["text"]
    return text


def answer_lists(host: ScriptedHost, count: int = 1) -> list[Ask]:
    """Be told so many lists of tools."""
    told = []
    for _ in range(count):
        told.append(host.next(Ask))
        assert told[-1].kind == "mcp_tools"
        host.send(Answered(call_id=told[-1].call_id, answer="noted"))
    return told


def test_an_unknown_server_is_asked_and_its_tool_called(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """Its tools are in the first question, all pages of them; the host is told of them once; the call's text is the
    output."""
    model.will(calls("mcp__twin__echo", {"text": "hello"}), says("ok"))
    agent.start(task(twin("--page-size", "2")))
    (told,) = answer_lists(host)
    assert host.result().text == "ok"
    payload: Any = told.payload
    assert payload["server"] == "twin" and [each["name"] for each in payload["tools"]][:2] == ["echo", "add"]
    assert "mcp__twin__echo" in shown(model) and "mcp__twin__ask_back" in shown(model)
    assert shown(model)["mcp__twin__add"]["input_schema"]["properties"]["a"] == {"type": "number"}
    assert host.outputs() == ["hello"]


def test_a_known_server_is_not_started_before_it_is_called(
    agent: Agent, host: ScriptedHost, model: ScriptedModel
) -> None:
    """Who says hi waits for no server; the cards are those of the last time. Once called it is asked anew."""
    marks = agent.root / "workspace/marks"
    server = twin("--marks", str(marks), tools=KNOWN)
    model.will(calls("shell", {"command": "cat marks"}), calls("mcp__twin__echo", {"text": "a"}), says("ok"))
    agent.start(task(server))
    answer_lists(host)
    assert host.result().text == "ok"
    assert list(shown(model)) == ["mcp__twin__echo"]
    assert "No such file" in host.outputs()[0] and host.outputs()[1] == "a"
    assert "mcp__twin__add" in shown(model, 2)
    assert marks.read_text().split() == [
        "started", "initialize", "notifications/initialized", "tools/call", "tools/list",
    ]  # fmt: skip


def test_what_stayed_the_same_is_not_told_again(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """The host hears of a list only where it is another."""
    model.will(calls("mcp__odd__t", {}), says("ok"))
    known = (McpTool(name="t", description="d", schema={"type": "object", "properties": {}}),)
    body = """
        if method == "tools/list": tools(asked, {})
        else: answer(asked, {"content": [{"type": "text", "text": "x"}]})
    """
    agent.start(task(script(body, tools=known)))
    assert host.result().text == "ok"
    assert host.outputs() == ["x"] and host.all(Ask) == []


@pytest.mark.parametrize(
    ("tool", "arguments", "words", "is_error"),
    [
        ("add", {"a": 1, "b": 2}, "3", False),
        ("fail", {}, "it did not work", True),
        ("links", {}, "[note: twin://note] a note\n[twin://other]\nwhat the other says", False),
        ("refuse", {}, "the MCP server twin refused the call: there is no tool refuse", True),
        ("variable", {"name": "FLAVOUR"}, "sour", False),
        ("ask_back", {}, '{"ours-1": -32601, "ours-2": {}}', False),
        ("resources", {}, "[note: twin://note (text/plain)]", False),
        ("resources", {"uri": "twin://note"}, "[twin://note]\nwhat the note says", False),
        (
            "resources",
            {"uri": "twin://no"},
            "the MCP server twin refused the call: there is no resources/read here",
            True,
        ),
        ("die", {"code": 3}, "the MCP server twin ended (exit code 3); it said: the twin dies as it was told", True),
    ],
)
def test_what_a_server_answers(
    agent: Agent, host: ScriptedHost, model: ScriptedModel, tool: str, arguments: object, words: str, is_error: bool
) -> None:
    """Texts, links and resources are read as text; errors are the call's. It never gets at our model."""
    model.will(calls(f"mcp__twin__{tool}", arguments), says("ok"))
    agent.start(task(twin(env={"FLAVOUR": "sour"})))
    answer_lists(host)
    assert host.result().text == "ok"
    (output,) = [step.output for step in host.steps() if step.output is not None]
    assert (output.text, output.is_error) == (words, is_error)


def test_a_picture_is_looked_at(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """By a model that sees; it is a file of the agent's as well."""
    model.will(calls("mcp__twin__picture", {}), says("ok"))
    seeing = task(twin())
    agent.start(replace(seeing, model=replace(seeing.model, sees=("image/png",))))
    answer_lists(host)
    assert host.result().text == "ok"
    (output,) = [step.output for step in host.steps() if step.output is not None]
    assert output.text.startswith("Look:\n[image/png, ") and output.text.endswith(", shown to you]")
    assert [file.media_type for file in output.files] == ["image/png"]
    assert Path(output.files[0].path).read_bytes().startswith(b"\x89PNG")


def test_one_that_does_not_see_is_told_where_it_is(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """And nothing of it goes along."""
    model.will(calls("mcp__twin__picture", {}), says("ok"))
    agent.start(task(twin()))
    answer_lists(host)
    assert host.result().text == "ok"
    assert "shown to you" not in host.outputs()[0] and ".png]" in host.outputs()[0]


def test_a_long_output_is_kept_whole_in_a_file(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """And shown cut, as that of a command is."""
    model.will(calls("mcp__twin__big", {"chars": 3_000_000}), says("ok"))
    agent.start(task(twin()))
    answer_lists(host)
    assert host.result().text == "ok"
    assert len(host.outputs()[0]) < 31_000 and "bytes left out; all 3000000 are in" in host.outputs()[0]


def test_progress_is_shown_to_people(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """What the server says of a call, on one line and without what steers a terminal; once a second."""
    model.will(calls("mcp__twin__slow", {"steps": 3, "pause_s": 0.01}), says("ok"))
    agent.start(task(twin()))
    answer_lists(host)
    assert host.result().text == "ok"
    said = [frame.text for frame in host.all(Progress) if frame.kind == "tool"]
    assert said == ["mcp__twin__slow", "mcp__twin__slow: step 0 [2J"]


def test_a_tool_that_came_later_is_offered(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """A server that says that its list has changed is asked for it; the next question has it, and the host is told."""
    model.will(calls("mcp__twin__grow", {}), calls("mcp__twin__grown", {}), says("ok"))
    agent.start(task(twin()))
    answer_lists(host, 2)
    assert host.result().text == "ok"
    assert "mcp__twin__grown" not in shown(model) and "mcp__twin__grown" in shown(model, 1)
    assert host.outputs() == ["grown", "so it is"]


def test_a_stop_takes_a_call_back(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """The server is told, and ends with the agent."""
    marks = agent.root / "workspace/marks"
    model.will(calls("mcp__twin__hang", {}), says("never"))
    agent.start(task(twin("--marks", str(marks))))
    answer_lists(host)
    while not any(step.call for step in host.steps()):
        host.next(Progress)
    while "tools/call" not in marks.read_text():
        pass
    host.send(STOP)
    assert host.result().status is TaskStatus.STOPPED
    assert agent.exit_code() == 0
    assert marks.read_text().split().count("started") == 1


def test_a_server_that_died_is_begun_anew(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """By the next call; the task goes on."""
    model.will(calls("mcp__twin__die", {"code": 1}), calls("mcp__twin__echo", {"text": "again"}), says("ok"))
    agent.start(task(twin()))
    answer_lists(host)
    assert host.result().text == "ok"
    assert host.outputs()[1] == "again"


def test_a_command_that_is_ended_takes_no_server_along(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """A server stays the same between calls, whatever a command in between comes to, and counts as none of its."""
    marks = agent.root / "workspace/marks"
    echo = calls("mcp__twin__echo", {"text": "a"})
    too_long, short = ({"command": "sleep 30", "timeout_s": 1}, {"command": "echo b"})
    model.will(echo, calls("shell", too_long), calls("shell", short), echo, says("ok"))
    agent.start(task(twin("--marks", str(marks))))
    answer_lists(host)
    assert host.result().text == "ok"
    assert "stopped" in host.outputs()[1] and host.outputs()[2:] == ["b\n", "a"]
    assert marks.read_text().split().count("started") == 1


def test_servers_that_hang_at_the_start_are_waited_for_together(places: Places) -> None:
    """Not one after another: a person waits for the first answer. Each is told of."""
    here, there = socket.socketpair()
    interrupt = Interrupt()
    link = HostLink(socket_path="", descriptor=here.detach(), interrupt=interrupt, on_stop=interrupt.trip)
    silent = [McpServer(name=name, command="sleep", args=("600",)) for name in ("one", "two")]
    servers = McpServers(silent, places=places, link=link, interrupt=interrupt, first_lists_s=0.2)
    assert servers.tools() == {}
    first, second = servers.notes().splitlines()
    assert first == "The MCP server one is not there now: it gave no answer to initialize within 0.2 s"
    assert second.startswith("The MCP server two is not there now: it gave no answer to initialize within 0")
    assert servers.tools() == {}
    there.close()
    link.close()
    link.run()


def test_a_hanging_call_ends(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """After the time of its server, as an error; the server is ended, and the next call has a new one."""
    model.will(calls("mcp__twin__hang", {}), calls("mcp__twin__echo", {"text": "again"}), says("ok"))
    agent.start(task(twin(timeout_s=1.0)))
    answer_lists(host)
    assert host.result().text == "ok"
    assert host.outputs() == ["the MCP server twin gave no answer to tools/call within 1 s", "again"]


def test_the_groups_choice_of_tools_holds(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """What is left out is neither offered nor called."""
    model.will(calls("mcp__twin__add", {"a": 1, "b": 1}), says("ok"))
    agent.start(task(twin(), without=("mcp__*", "+mcp__twin__e*")))
    answer_lists(host)
    assert host.result().text == "ok"
    assert list(shown(model)) == ["mcp__twin__echo"]
    assert "there is no tool 'mcp__twin__add'" in host.outputs()[0]


def test_a_constraint_holds_for_them_too(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """A person is asked before the call; the server hears of it after a yes."""
    rule = ToolRule(rule_id="group.yaml:1", then="ask", tool="mcp__twin__*")
    model.will(calls("mcp__twin__echo", {"text": "a"}), says("ok"))
    agent.start(task(twin(), constraints=(rule,)))
    answer_lists(host)
    asked = host.next(Ask)
    assert (asked.kind, asked.payload) == ("approval", {"tool": "mcp__twin__echo", "arguments": {"text": "a"}})
    host.send(Answered(call_id=asked.call_id, answer="no", is_error=True))
    assert host.result().text == "ok"
    assert host.outputs() == ["no"]


# -- servers that mean harm, or know no better ------------------------------------------------------------------------

BROKEN = {
    "is not there": (McpServer(name="odd", command="/nowhere/at-all"), "could not be started: /nowhere/at-all"),
    "holds a zero byte": (McpServer(name="odd", command="a\0b"), "could not be started"),
    "ends at once": (script("os._exit(4)"), "ended (exit code 4)"),
    "says nothing of tools": (script("answer(asked, {'tools': 7})"), ""),
    "refuses the list": (script("say({'id': asked['id'], 'error': {'code': 1, 'message': 'no list'}})"), "no list"),
    "speaks another version": (
        McpServer(
            name="odd",
            command=sys.executable,
            args=("-c", 'print(\'{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"1999-01-01"}}\'); input()'),
        ),
        "speaks the protocol '1999-01-01'",
    ),
    "says no JSON": (script("write('nonsense\\n' * 300)"), "writes what is no JSON-RPC message"),
    "has no end of a line": (script("write('x' * (9 << 20))"), "sent a message of more than 8 MiB"),
    "floods with messages": (
        script("for n in range(20_000): say({'method': 'notifications/message'})\ntime.sleep(60)"),
        "messages",
    ),
    "nests deeply": (script("write('[' * 100_000 + '\\n'); os._exit(0)"), "ended (exit code 0)"),
    "gives half characters": (
        script('write(\'{"jsonrpc":"2.0","id":2,"result":{"tools":"\\\\ud800"}}\\n\'); os._exit(0)'),
        "ended",
    ),
    "answers neither": (script("say({'id': asked['id']})"), "neither a result nor an error"),
    "answers something else": (
        script("say({'id': 99, 'result': {}}); say({'id': True, 'result': {}}); os._exit(0)"),
        "ended",
    ),
    "pages without end": (script("answer(asked, {'tools': [], 'nextCursor': 'more'})"), ""),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_server_costs_its_tools_and_no_more(
    agent: Agent, host: ScriptedHost, model: ScriptedModel, name: str
) -> None:
    """The model is told in a sentence, and the task goes on."""
    server, words = BROKEN[name]
    model.will(says("ok"))
    agent.start(task(server))
    assert host.result().text == "ok"
    assert shown(model) == {}
    assert words in system(model)
    assert bool(words) == ("The MCP server odd is not there now" in system(model))


SCHEMAS: list[tuple[object, str]] = [
    ([], "its arguments are no object"),
    ({"type": "array"}, "its arguments are no object"),
    ({"type": "object", "properties": 5}, "properties in its schema is no object"),
    ({"type": "object", "properties": {"a b": {}}}, "an argument's name has other characters"),
    ({"type": "object", "properties": {"a": {"type": "thing"}}}, "names a type that there is not"),
    ({"type": "object", "properties": {"a": 5}}, "has a part that is none"),
    ({"type": "object", "required": "a"}, "`required` in its schema is no list"),
    ({"type": "object", "properties": {"a": {"$ref": "http://x.example/y"}}}, "refers to another document"),
    ({"type": "object", "properties": {"a": {"anyOf": []}}}, "anyOf in its schema is no list"),
    ({"type": "object", "properties": {"a": {"description": "x" * 20_000}}}, "more than 16000 bytes"),
    ({"type": "object", "properties": {"a": {"minimum": "5"}}}, "minimum in its schema is no number"),
]


def test_a_schema_that_no_service_takes_is_left_out(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """One such would have every question refused. The other tools are offered, and the model is told why not this."""
    listed = [{"name": f"t{number}", "inputSchema": schema} for number, (schema, _) in enumerate(SCHEMAS)]
    good = {"name": "good", "inputSchema": {"type": "object", "anyOf": [{"required": ["a"]}]}}
    model.will(says("ok"))
    body = f"tools(asked, *json.loads({json.dumps(json.dumps([*listed, good]))}))"
    agent.start(task(script(body)))
    answer_lists(host)
    assert host.result().text == "ok"
    assert list(shown(model)) == ["mcp__odd__good"]
    assert shown(model)["mcp__odd__good"]["input_schema"] == {"type": "object", "properties": {}}
    for number, (_, words) in enumerate(SCHEMAS[:5]):
        assert f"odd's tool t{number} is left out" in system(model) and words in system(model)


def test_names_are_made_fit_and_stay_apart(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """What would steer a terminal is taken out of names and words; two that become alike get numbers."""
    names = ["a b", "a\x1b[2Jb", "a.b", "x" * 150, "x" * 151, ":resources", "", "a b"]
    body = f"tools(asked, *({{'name': name, 'description': '\\x1b[2Jclear'}} for name in {names!r}))"
    model.will(calls("mcp__odd__a_b_2", {}), says("ok"))
    said = "answer(asked, {'content': [{'type': 'text', 'text': asked['params']['name']}]})"
    agent.start(task(script(f"if method == 'tools/list': {body}\nelse: {said}")))
    answer_lists(host)
    assert host.result().text == "ok"
    found = shown(model)
    assert list(found)[:3] == ["mcp__odd__a_b", "mcp__odd__a_2Jb", "mcp__odd__a_b_2"]
    assert len(found) == 5 and all(len(name) <= 64 for name in found)
    assert {each["description"] for each in found.values()} == {"[2Jclear"}
    assert host.outputs() == ["a.b"]


def test_too_many_tools_are_cut_and_told(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """So that cards do not fill the model's window."""
    model.will(says("ok"))
    agent.start(task(script("tools(asked, *({'name': f't{n}', 'description': 'x' * 5_000} for n in range(300)))")))
    answer_lists(host)
    assert host.result().text == "ok"
    assert 30 < len(shown(model)) < 64
    assert "tools of odd are left out" in system(model) and "odd has more tools than are looked at" in system(model)
    assert len(json.dumps(model.requests[0].json())) < 100_000


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("answer(asked, {'content': 7})", "(no output)"),
        ("answer(asked, {'content': [5, {'type': 'video'}]})", "unknown kind 'video'"),
        ("answer(asked, {'content': [{'type': 'image', 'data': '!!', 'mimeType': 'image/png'}]})", "left out"),
        ("answer(asked, {'content': [{'type': 'text', 'text': 5}]})", "(no output)"),
        ("answer(asked, {'structuredContent': {'a': 1}})", '{\n "a": 1\n}'),
        ("answer(asked, {'content': [{'type': 'text', 'text': 'x'}] * 1000})", "800 more parts left out"),
        ("say({'id': asked['id'], 'error': 'no'})", "neither a result nor an error"),
        ("say({'id': asked['id'], 'error': {'code': 5, 'message': '\\x1b[2J' + 'x' * 9_000}})", "refused the call"),
        ("write('y' * (9 << 20) + '\\n')", "sent a message of more than 8 MiB"),
        (
            "for n in range(20_000): say({'method': 'notifications/progress', 'params': {}})\ntime.sleep(60)",
            "messages",
        ),
        ("os.close(1); time.sleep(60)", "it has only closed its output"),
    ],
)
def test_an_odd_answer_is_an_output(
    agent: Agent, host: ScriptedHost, model: ScriptedModel, body: str, words: str
) -> None:
    """Whatever it is, the model reads it as text or as an error, cut to size."""
    known = (McpTool(name="t", description="d", schema={"type": "object", "properties": {}}),)
    model.will(calls("mcp__odd__t", {}), says("ok"))
    server = script(f"if method == 'tools/list': tools(asked, {{}}); continue\n{body}", tools=known)
    agent.start(task(server))
    assert host.result().text == "ok"
    (output,) = host.outputs()
    assert words in output and len(output) < 32_000 and "\x1b" not in output
