"""OpenCode's adapter, on what the real program said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agents.harness.frame import Began, Broke, Ended, Prompt, Ran, Ready, Said, Took, Turned, Write
from agents.harness.opencode import OpenCode
from agents.harness.opencode_config import build_config
from agents.places import Places
from protocol.link import SteerMessage
from tests.agents.harness.recorded import OURS, Played, brief, lines


def played(what: str, session: str = "") -> Played:
    return Played(OpenCode(), f"opencode_{what}", brief("openai", session))


def begun(session: str = "s") -> OpenCode:
    """Return a server whose session is open and whose task has begun."""
    opencode = OpenCode()
    opencode.launch(brief("openai"), Places(), OURS, "")
    opencode.take(json.dumps({"answer": "new", "status": 200, "body": {"id": session}}).encode())
    opencode.begin(Prompt(text="go", message_id="prompt"))
    return opencode


def event(kind: str, **properties: object) -> bytes:
    return json.dumps({"type": kind, "properties": {"sessionID": "s", **properties}}).encode()


def test_an_answer_is_said_stored_with_its_usage_and_ends_the_task() -> None:
    """What is thought is counted with the output, and apart."""
    answer = played("answer")
    assert answer.kinds == ["Write", "Write", "Ready", "Opened", "Noted", "Said", "Turned", "Ended"]
    assert "".join(each.text for each in answer.events if isinstance(each, Said)) == "thought of it"
    assert answer.end == Ended(text="thought of it")
    (usage,) = answer.usage
    assert (usage.model_calls, usage.reasoning_tokens, usage.output_tokens) == (1, 13, 16) and usage.input_tokens


def test_what_the_cache_gave_is_part_of_the_input() -> None:
    """The server tells it apart, and what was thought too; ours are sums with their parts beside them."""
    opencode = begun()
    tokens = {"input": 5, "output": 2, "reasoning": 3, "cache": {"read": 7, "write": 1}}
    opencode.take(event("message.part.updated", part={"id": "t", "type": "text", "text": "x", "time": {"end": 1}}))
    opencode.take(event("message.part.updated", part={"id": "f", "type": "step-finish", "tokens": tokens}))
    turned, _ = opencode.take(event("session.idle"))
    assert isinstance(turned, Turned) and turned.usage is not None
    used = turned.usage
    assert (used.input_tokens, used.cache_read_tokens, used.cache_write_tokens) == (13, 7, 1)
    assert (used.output_tokens, used.reasoning_tokens) == (5, 3)


def test_two_calls_of_a_turn_wait_for_a_yes_each() -> None:
    """Each call is in a turn before it begins, with what was said before it, and its output has its id."""
    tools = played("tools")
    assert [(call.name, call.arguments) for call in tools.calls] == [
        ("shell", {"command": "echo one", "description": "d"}),
        ("shell", {"command": "echo two", "description": "d"}),
    ]
    began = [each for each in tools.events if isinstance(each, Began)]
    assert [each.call for each in began] == tools.calls and all(each.gate for each in began)
    ran = {each.output.call_id: each.output.text for each in tools.events if isinstance(each, Ran)}
    assert [ran[call.call_id] for call in tools.calls] == ["one\n", "two\n"]
    assert [each.entry.text for each in tools.events if isinstance(each, Turned)] == ["Let me look.", "", "It said two"]
    assert [usage.model_calls for usage in tools.usage] == [2] and tools.end == Ended(text="It said two")


def test_files_are_opened_under_our_tools_names() -> None:
    """Names and arguments are those that constraints and people know."""
    write, read = played("files").calls
    assert (write.name, write.arguments) == ("write_file", {"path": "/workspace/x.txt", "content": "hello"})
    assert (read.name, read.arguments) == ("read_file", {"path": "/etc/hostname"})


def test_what_fails_is_an_error() -> None:
    """A command's exit code is told, as is a file that is not there."""
    outputs = {each.output.text: each.output.is_error for each in played("failing").events if isinstance(each, Ran)}
    assert outputs == {"bad\n\n[exit code 3]": True, "File not found: /nonexistent": True}


def test_another_servers_tool_waits_too_and_ours_is_announced_elsewhere() -> None:
    """Calls over MCP are named by their server; ours are in the turn, and neither begin nor end here."""
    several = played("mcp")
    names = ["mcp__other__send_message", "mcp__nightyard__send_message", "grep"]
    assert [call.name for call in several.calls] == names
    began = [each for each in several.events if isinstance(each, Began)]
    assert [each.call.name for each in began] == ["mcp__other__send_message", "grep"] and all(e.gate for e in began)
    assert not [each for each in played("ours").events if isinstance(each, Began | Ran)]


def test_a_message_is_taken_when_the_model_gets_it() -> None:
    """The model's next message names it as what it answers."""
    steered = played("steered")
    kinds = [kind for kind in steered.kinds if kind in ("Began", "Ran", "Took", "Said")]
    assert kinds == ["Began", "Ran", "Took", "Said"]
    assert Took(message_id="m1") in steered.events and steered.end == Ended(text="With that too.")


def test_an_answer_before_a_message_is_part_of_the_end() -> None:
    """The person reads both: what was answered already, and what the message was answered with."""
    opencode = begun()
    opencode.take(event("message.updated", info={"id": "p1", "role": "user"}))
    for number, (text, parent) in enumerate((("first", "p1"), ("second", "p2"))):
        info = {"id": f"a{number}", "role": "assistant", "parentID": parent}
        opencode.take(event("message.updated", info=info))
        opencode.take(event("message.part.updated", part={"id": f"s{number}", "type": "step-start"}))
        part = {"id": f"t{number}", "type": "text", "text": text, "time": {"end": 1}}
        opencode.take(event("message.part.updated", part=part))
        opencode.take(event("message.updated", info={**info, "finish": "stop"}))
    assert opencode.take(event("session.idle"))[-1] == Ended(text="first\n\nsecond")


def test_a_message_in_the_last_moment_is_waited_for() -> None:
    """The server takes it in a turn of its own, and one that it refuses does not hold the task up."""
    opencode = begun()
    opencode.take(event("message.updated", info={"id": "p1", "role": "user"}))
    assert opencode.tell(SteerMessage(message_id="m1", text="and")) is not None
    assert opencode.take(event("session.idle")) == ()
    (end,) = opencode.take(b'{"answer":"tell m1","status":500,"body":{}}')
    assert isinstance(end, Ended)


def test_a_stopped_turn_leaves_its_call_open() -> None:
    """Nobody knows how far it came."""
    assert played("stopped").kinds[-2:] == ["Began", "Ended"]


def test_a_refused_call_is_an_error_with_its_reason() -> None:
    """The model reads why, and goes on."""
    texts = [each.output.text for each in played("refused").events if isinstance(each, Ran) and each.output.is_error]
    assert len(texts) == 2 and "the owner says no to echo" in texts[0]
    (refusal,) = lines(OpenCode().answer("per_1", "not today"))
    assert refusal["path"] == "/permission/per_1/reply"
    assert refusal["body"] == {"reply": "reject", "message": "not today"}


def test_a_second_question_about_a_call_is_answered_at_once() -> None:
    """A call is asked about once; a question about nothing that is known is not left open either."""
    opencode = begun()
    part = {"id": "a", "type": "tool", "tool": "bash", "callID": "c", "state": {"status": "running", "input": {}}}
    opencode.take(event("message.part.updated", part=part))
    (began,) = opencode.take(event("permission.asked", id="q1", tool={"callID": "c"}))
    assert isinstance(began, Began) and began.gate == "q1"
    (again,) = opencode.take(event("permission.asked", id="q2", tool={"callID": "c"}))
    (nothing,) = opencode.take(event("permission.asked", id="q3"))
    assert isinstance(again, Write) and b"q2" in again.data and isinstance(nothing, Write) and b"once" in nothing.data


def test_a_session_goes_on_or_is_told_to_be_gone() -> None:
    """The frame begins another one then, with what was said before."""
    resumed, gone = played("resumed", "ses_1"), played("gone", "ses_9")
    first = resumed.events[0]
    assert isinstance(first, Write) and b"/session/ses_1" in first.data and resumed.end == Ended(text="echo hi again")
    assert isinstance(gone.end, Broke) and "Session not found" in gone.end.failure.reason


def test_warming_up_is_over_when_all_is_answered() -> None:
    """Ready comes again, once."""
    opencode = begun()
    asked = lines(opencode.warm_up())
    answers = [opencode.take(b'{"answer":"warm","status":200,"body":{}}') for _ in asked]
    assert answers[-1] == (Ready(),) and not any(answers[:-1])


@pytest.mark.parametrize(
    ("what", "text", "stop"),
    [("length", "half of", "length"), ("filtered", "", "refused"), ("retried", "echo hi", "end")],
)
def test_each_end_is_told_apart(what: str, text: str, stop: str) -> None:
    """A full stop, a length stop and a refusal."""
    assert played(what).end == Ended(text=text, stop=stop)  # type: ignore[arg-type]  # one of the three


@pytest.mark.parametrize(("what", "code"), [("key", "model_refused_key"), ("garbage", "model_misbehaved")])
def test_a_failure_is_told_in_the_words_of_every_agent(what: str, code: str) -> None:
    """With the service's own words, where it had any."""
    end = played(what).end
    assert isinstance(end, Broke) and end.failure.code == code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (
            {
                "name": "APIError",
                "data": {
                    "statusCode": 403,
                    "message": "m",
                    "responseHeaders": {"x-nightyard": "limit_cost"},
                    "responseBody": '{"error": {"message": "The budget is used up"}}',
                },
            },
            "limit_cost",
        ),
        ({"name": "ContextOverflowError", "data": {"message": "too long"}}, "conversation_too_long"),
        ({"name": "UnknownError", "data": {"message": "Connection reset by server"}}, "model_stream_broken"),
        ({"name": "UnknownError", "data": {}}, "model_misbehaved"),
    ],
)
def test_each_failure_has_the_code_that_native_agents_have(error: dict[str, object], code: str) -> None:
    """What the proxy refuses is told as the proxy's."""
    opencode = begun()
    opencode.take(event("session.error", error=error))
    (end,) = opencode.take(event("session.idle"))
    assert isinstance(end, Broke) and end.failure.code == code


def test_what_it_is_started_with_is_quiet_and_asks_about_every_call() -> None:
    """Its settings name the proxy's route and no key; what the group does not have it does not have."""
    config = json.loads(json.dumps(build_config(brief("anthropic", without=("shell", "edit_file")), Places(), OURS)))
    provider = config["provider"]["nightyard"]
    assert provider["npm"] == "@ai-sdk/anthropic"
    assert provider["options"] == {"baseURL": "http://127.0.0.1:3128/m/main/v1", "apiKey": "added-by-the-proxy"}
    permissions = config["permission"]
    assert permissions["*"] == "ask" and {permissions[name] for name in ("bash", "edit", "task", "question")} == {
        "deny"
    }
    assert config["mcp"]["other"]["environment"] == {"A": 'quo"te\n'} and config["autoupdate"] is False
    launch = OpenCode().launch(brief("openai"), Places(), OURS, "")
    assert launch.environment["OPENCODE_DISABLE_PROJECT_CONFIG"] == "1"
    assert set(launch.gone) == {"/home/agent/.config/opencode", "/home/agent/.opencode"}


@pytest.mark.parametrize(
    "sample", sorted(Path(__file__).parent.glob("samples/opencode_*.jsonl")), ids=lambda path: path.stem
)
def test_no_line_in_any_order_breaks_it(sample: Path) -> None:
    """What comes twice, backwards or before its time is survived."""
    opencode = OpenCode()
    opencode.launch(brief("openai"), Places(), OURS, "")
    said = sample.read_bytes().splitlines()
    for line in (*reversed(said), *said):
        opencode.take(line)
    with pytest.raises(ValueError, match="object"):
        opencode.take(b"[]")
