"""Codex's adapter, on what the real program said."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from agents.harness.codex import Codex
from agents.harness.codex_items import command_of
from agents.harness.frame import Began, Broke, Ended, Noted, Opened, Prompt, Ran, Said, Took, Turned, Write
from agents.places import Places
from protocol.link import SteerMessage
from tests.agents.harness.recorded import OURS, Played, brief, lines


def played(what: str, session: str = "") -> Played:
    return Played(Codex(), f"codex_{what}", brief(session=session))


def test_an_answer_is_said_stored_with_its_usage_and_ends_the_task() -> None:
    """A session is opened, the words come as they grow, and the tokens thought are told apart."""
    answer = played("answer")
    assert answer.kinds == ["Ready", "Opened", "Noted", "Said", "Turned", "Ended"]
    assert "".join(event.text for event in answer.events if isinstance(event, Said)) == "thought of it"
    assert answer.end == Ended(text="thought of it")
    (usage,) = answer.usage
    assert (usage.model_calls, usage.reasoning_tokens) == (1, 13) and usage.output_tokens > 13 and usage.input_tokens


def test_two_calls_of_a_turn_wait_for_a_yes_each() -> None:
    """Each call is in a turn before it begins, begins under our tool's name, and its output has its id."""
    tools = played("tools")
    assert {call.name for call in tools.calls} == {"shell"}
    commands = [call.arguments for call in tools.calls]
    assert {"command": "echo one"} in commands and {"command": "echo two"} in commands
    began = [event for event in tools.events if isinstance(event, Began)]
    assert [event.call for event in began] == tools.calls and all(event.gate for event in began)
    ran = {event.output.call_id: event.output.text for event in tools.events if isinstance(event, Ran)}
    assert {call.call_id for call in tools.calls} == set(ran) and set(ran.values()) == {"one\n", "two\n"}
    (usage,) = tools.usage
    assert usage.model_calls == 2
    turned = [event.entry.text for event in tools.events if isinstance(event, Turned)]
    assert turned[0] == "Let me look." and turned[1] == ""


def test_a_changed_file_is_a_patch() -> None:
    """What it changes by its own patch tool is a call of ours of that kind."""
    (call,) = played("files").calls
    assert call.name == "apply_patch"
    assert call.arguments == {"input": "*** Add File: /workspace/a.txt\nhello\n"}


def test_a_command_that_fails_is_an_error_with_its_code() -> None:
    """The output ends with the exit code."""
    (ran,) = (event.output for event in played("failing").events if isinstance(event, Ran))
    assert ran.is_error and ran.text == "bad\n\n[exit code 3]"


def test_another_servers_tool_waits_too_and_ours_is_announced_elsewhere() -> None:
    """Calls over MCP are named by their server; ours are in the turn, and neither begin nor end here."""
    other, ours = played("mcp"), played("ours")
    (call,) = other.calls
    assert call.name == "mcp__other__send_message"
    assert [event.gate.partition(" ")[0] for event in other.events if isinstance(event, Began)] == ["mcp"]
    assert [call.name for call in ours.calls] == ["mcp__nightyard__send_message"]
    assert not [event for event in ours.events if isinstance(event, Began | Ran)]


def test_a_message_is_taken_when_the_model_gets_it() -> None:
    """Between the tool's end and the next turn, and not when it is written."""
    steered = played("steered")
    kinds = [kind for kind in steered.kinds if kind in ("Began", "Ran", "Took", "Said")]
    assert kinds == ["Began", "Ran", "Took", "Said"]
    assert Took(message_id="m1") in steered.events and steered.end == Ended(text="With that too.")


def test_an_answer_before_a_message_is_part_of_the_end() -> None:
    """The person reads both: what was answered already, and what the message was answered with."""
    codex = Codex()
    codex.launch(brief(), Places(), OURS, "")
    codex.take(b'{"id":4,"result":{"thread":{"id":"t"}}}')
    codex.begin(Prompt(text="go", message_id="prompt"))
    codex.take(b'{"id":5,"result":{"turn":{"id":"u"}}}')

    def tell(method: str, **params: object) -> list[object]:
        params = {"threadId": "t", "turnId": "u", **params}
        return list(codex.take(json.dumps({"method": method, "params": params}).encode()))

    tell("item/completed", item={"type": "agentMessage", "id": "a", "text": "first"})
    tell("item/completed", item={"type": "userMessage", "id": "b", "clientId": "m1"})
    tell("item/completed", item={"type": "agentMessage", "id": "c", "text": "second"})
    assert tell("turn/completed", turn={"id": "u", "status": "completed"})[-1] == Ended(text="first\n\nsecond")


def test_a_message_before_the_turn_has_its_name_is_written_then() -> None:
    """Nothing is lost between the prompt and the program's word that it has begun."""
    codex = Codex()
    codex.launch(brief(), Places(), OURS, "")
    codex.take(b'{"id":4,"result":{"thread":{"id":"t"}}}')
    codex.begin(Prompt(text="go", message_id="prompt"))
    assert codex.tell(SteerMessage(message_id="m1", text="and")) == b""
    opened, write = codex.take(b'{"id":5,"result":{"turn":{"id":"u"}}}')
    assert opened == Opened(session="t") and isinstance(write, Write)
    (steer,) = lines(write.data)
    assert steer["method"] == "turn/steer"
    assert steer["params"] == {
        "threadId": "t",
        "expectedTurnId": "u",
        "input": [{"type": "text", "text": "and"}],
        "clientUserMessageId": "m1",
    }
    (interrupt,) = lines(codex.stop())
    assert interrupt["method"] == "turn/interrupt"


def test_a_stopped_turn_leaves_its_call_open() -> None:
    """Nobody knows how far it came."""
    stopped = played("stopped")
    assert stopped.kinds[-2:] == ["Began", "Ended"]


def test_a_command_that_goes_on_behind_the_answer_is_told_so() -> None:
    """The turn ends without its output."""
    (ran,) = (event.output for event in played("background").events if isinstance(event, Ran))
    assert "background" in ran.text and not ran.is_error


def test_a_refused_call_is_an_error_and_its_reason_a_message() -> None:
    """Codex has no words of its own for why."""
    refused = played("refused")
    assert {event.output.text for event in refused.events if isinstance(event, Ran)} == {"refused"}
    no, why = lines(Codex().answer("item 3", "not today"))
    assert no == {"id": 3, "result": {"decision": "decline"}}
    assert "not today" in json.dumps(why) and why["method"] == "turn/steer"
    assert lines(Codex().answer("mcp 4", "")) == [{"id": 4, "result": {"action": "accept", "content": {}}}]


def test_a_session_goes_on_without_what_it_tells_of_its_past() -> None:
    """The usage of the turn before is not counted again."""
    resumed = played("resumed", session="id_1")
    assert resumed.kinds == ["Ready", "Opened", "Noted", "Said", "Turned", "Ended"]
    assert [usage.model_calls for usage in resumed.usage] == [1]
    asked = lines(resumed.written[0])[-1]
    assert asked["method"] == "thread/resume"


def test_a_session_that_is_gone_is_told() -> None:
    """The frame begins another one then, with what was said before."""
    end = played("gone", session="id_9").end
    assert isinstance(end, Broke) and "no rollout found" in end.failure.reason


@pytest.mark.parametrize(
    ("what", "text", "stop"),
    [("length", "half of", "length"), ("filtered", "", "refused"), ("retried", "echo hi", "end")],
)
def test_each_end_is_told_apart(what: str, text: str, stop: str) -> None:
    """What Codex calls an error may be the model's limit, or its refusal."""
    assert played(what).end == Ended(text=text, stop=stop)  # type: ignore[arg-type]  # one of the three


def test_a_refused_key_is_told_in_the_words_of_every_agent() -> None:
    """The service's own words are kept, its address is not."""
    key = played("key")
    assert isinstance(key.end, Broke)
    assert key.end.failure.code == "model_refused_key"
    assert key.end.failure.reason.endswith("refused its key (HTTP 401): the twin was told to fail")
    assert [event for event in key.events if isinstance(event, Noted) and event.kind == "retry"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ({"message": "m", "codexErrorInfo": "contextWindowExceeded"}, "conversation_too_long"),
        (
            {"message": "m", "codexErrorInfo": {"responseTooManyFailedAttempts": {"httpStatusCode": 429}}},
            "model_rate_limited",
        ),
        ({"message": '{"error": {"message": "no"}}', "codexErrorInfo": "other"}, "model_rejected_request"),
        ({"message": "stream disconnected before completion: error sending request"}, "proxy_gone"),
        ({"message": "stream disconnected before completion: reset"}, "model_stream_broken"),
        ({"message": "who knows", "codexErrorInfo": 7}, "model_misbehaved"),
    ],
)
def test_each_failure_has_the_code_that_native_agents_have(error: dict[str, object], code: str) -> None:
    """A failed turn tells what went wrong, whatever Codex calls it."""
    codex = Codex()
    codex.launch(brief(), Places(), OURS, "")
    codex.take(b'{"id":4,"result":{"thread":{"id":"t"}}}')
    codex.begin(Prompt(text="go", message_id="prompt"))
    codex.take(b'{"id":5,"result":{"turn":{"id":"u"}}}')
    turn = {"id": "u", "status": "failed", "error": error}
    notice = {"method": "turn/completed", "params": {"threadId": "t", "turn": turn}}
    (end,) = codex.take(json.dumps(notice).encode())
    assert isinstance(end, Broke) and end.failure.code == code


def test_questions_that_nobody_here_answers_are_turned_down() -> None:
    """The program never waits for ever; what is written to a running command is a command that waits."""
    codex = Codex()
    codex.launch(brief(), Places(), OURS, "")
    (no,) = codex.take(b'{"id":1,"method":"item/tool/requestUserInput","params":{}}')
    assert isinstance(no, Write) and b'"error"' in no.data
    params = {"itemId": "x", "kind": "stdin", "approvalId": "a1", "command": "rm -rf x"}
    question = {"id": 7, "method": "item/commandExecution/requestApproval", "params": params}
    turned, began = codex.take(json.dumps(question).encode())
    assert isinstance(turned, Turned) and isinstance(began, Began)
    assert (began.call.name, began.call.arguments, began.gate) == ("shell", {"command": "rm -rf x"}, "item 7")


def test_what_it_is_started_with_is_whole_and_quiet() -> None:
    """Its settings can be read, name the proxy's route and no key, and lie where nothing of an earlier task does."""
    launch = Codex().launch(brief(without=("shell",)), Places(), OURS, "")
    folder = launch.environment["CODEX_HOME"]
    config = tomllib.loads(launch.files[f"{folder}/config.toml"])
    assert launch.files[f"{folder}/AGENTS.md"] == "Be good." and folder in launch.gone
    provider = config["model_providers"][config["model_provider"]]
    assert provider["base_url"] == "http://127.0.0.1:3128/m/main/v1" and not {"env_key", "http_headers"} & set(provider)
    assert config["mcp_servers"]["other"]["env"] == {"A": 'quo"te\n'}
    assert config["mcp_servers"]["other"]["default_tools_approval_mode"] == "prompt"
    assert config["features"]["shell_tool"] is False and config["analytics"]["enabled"] is False
    assert launch.links == {f"{folder}/sessions": "/home/agent/.codex/sessions"}


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("/bin/bash -lc 'echo one'", "echo one"),
        ("/bin/bash -lc ls", "ls"),
        ("bash -c \"echo 'a b'\"", "echo 'a b'"),
        ("/bin/bash -lc 'rm x", "/bin/bash -lc 'rm x"),
        ("ls -l", "ls -l"),
    ],
)
def test_a_constraint_sees_the_command_itself(line: str, command: str) -> None:
    """Not the shell that Codex runs it in."""
    assert command_of(line) == command


@pytest.mark.parametrize(
    "sample", sorted(Path(__file__).parent.glob("samples/codex_*.jsonl")), ids=lambda path: path.stem
)
def test_no_line_in_any_order_breaks_it(sample: Path) -> None:
    """What comes twice, backwards or before its time is survived."""
    codex = Codex()
    codex.launch(brief(), Places(), OURS, "")
    said = sample.read_bytes().splitlines()
    for line in (*reversed(said), *said):
        codex.take(line)
    with pytest.raises(ValueError, match="object"):
        codex.take(b"[]")
