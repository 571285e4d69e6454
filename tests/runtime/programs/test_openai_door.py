"""The OpenAI-compatible endpoint over real sockets: answers whole and streamed, refusals in OpenAI's shape."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from runtime.approvals.records import CLI
from runtime.programs.openai_door import OpenAiDoor
from tests.runtime.programs.support import MAIN, Yard, yard

USER = [{"role": "user", "content": "say all is well"}]


class Answer:
    """What came back."""

    def __init__(self, raw: bytes) -> None:
        head, _, rest = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split()[1])
        self.headers = {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in lines[1:]}
        self.body = _unchunked(rest) if self.headers.get("transfer-encoding") == "chunked" else rest

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[Any]:
        lines = [line[6:] for line in self.body.decode().split("\n\n") if line.startswith("data: ")]
        return [line if line == "[DONE]" else json.loads(line) for line in lines]


def _unchunked(data: bytes) -> bytes:
    body = b""
    while data:
        size, _, rest = data.partition(b"\r\n")
        length = int(size, 16)
        body, data = body + rest[:length], rest[length + 2 :]
        if not length:
            break
    return body


class Door:
    """An open door, and a token for it."""

    def __init__(self, one: Yard, port: int, token: str) -> None:
        self.yard, self.port, self.token = one, port, token

    async def open(self, method: str, path: str, value: object = None, **headers: str) -> asyncio.StreamReader:
        reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        body = b"" if value is None else (value if isinstance(value, bytes) else json.dumps(value).encode())
        usual = {"host": f"127.0.0.1:{self.port}", "authorization": f"Bearer {self.token}", "connection": "close"}
        named = {**usual, "content-length": str(len(body)), **{k.replace("_", "-"): v for k, v in headers.items()}}
        lines = "".join(f"{name}: {text}\r\n" for name, text in named.items() if text)
        self.writer.write(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body)
        return reader

    async def ask(self, method: str, path: str, value: object = None, **headers: str) -> Answer:
        reader = await self.open(method, path, value, **headers)
        async with asyncio.timeout(10):
            raw = await reader.read()
        self.writer.close()
        return Answer(raw)

    async def chat(self, **more: object) -> Answer:
        return await self.ask("POST", "/v1/chat/completions", {"model": "main", "messages": USER, **more})


@asynccontextmanager
async def open_door(folder: Path) -> AsyncIterator[Door]:
    async with yard(folder) as one:
        door = OpenAiDoor(0, one.desk, one.listeners)
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(door.run())
            await door.listening.wait()
            _, token = await one.programs.add("desk", [MAIN], "cli", is_attended=True)
            try:
                yield Door(one, door.port, token)
            finally:
                serving.cancel()


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    async with open_door(tmp_path) as opened:
        yield opened


async def test_a_group_is_a_model(door: Door) -> None:
    """The program's groups are listed, and no others are there."""
    listed = (await door.ask("GET", "/v1/models")).json
    assert [model["id"] for model in listed["data"]] == ["main"] and listed["object"] == "list"
    assert (await door.ask("GET", "/v1/models/main")).json["owned_by"] == "nightyard"
    missing = await door.ask("GET", "/v1/models/side")
    assert (missing.status, missing.json["error"]["code"]) == (404, "model_not_found")


async def test_an_answer_comes_whole(door: Door) -> None:
    """One message of the user's is the prompt as it is; the answer has its use."""
    answer = await door.chat()
    choice = answer.json["choices"][0]
    assert choice["message"] == {"role": "assistant", "content": "all is well", "refusal": None}
    assert choice["finish_reason"] == "stop"
    assert answer.json["usage"] == {"prompt_tokens": 12, "completion_tokens": 0, "total_tokens": 12}
    assert answer.headers["x-request-id"].startswith("sub_")


async def test_several_messages_stand_under_their_roles(door: Door) -> None:
    """A conversation reaches the agent in order, text parts joined."""
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "assistant", "content": None},
        {"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]},
    ]
    answer = await door.ask("POST", "/v1/chat/completions", {"model": "main", "messages": messages})
    said = answer.json["choices"][0]["message"]["content"]
    assert said == "echo: [system]\nBe brief.\n\n[assistant]\n\n\n[user]\none\ntwo"


async def test_an_answer_is_streamed_as_it_grows(door: Door) -> None:
    """Pieces add up to the answer, then the end, the use where it is asked for, and the last word."""
    events = (await door.chat(stream=True, stream_options={"include_usage": True})).events
    assert events[-1] == "[DONE]" and events[-2]["usage"]["total_tokens"] == 12
    deltas = [event["choices"][0]["delta"] for event in events[:-2]]
    assert deltas[0]["role"] == "assistant" and len(deltas) > 3
    assert "".join(delta.get("content", "") for delta in deltas).strip() == "all is well"
    assert events[-3]["choices"][0]["finish_reason"] == "stop"


async def test_nothing_of_a_copilots_answer_is_streamed_before_its_review(door: Door) -> None:
    """A program at which nobody sits gets the answer when an owner has let it go, in the words that they let go; one
    that goes before takes the question along."""
    approvals = await door.yard.begin_reviews()
    _, door.token = await door.yard.programs.add("robot", [MAIN], "cli")

    async def is_asked() -> bool:
        return bool(await approvals.waiting())

    async def is_withdrawn() -> bool:
        return not await approvals.waiting()

    async with asyncio.TaskGroup() as group:
        answering = group.create_task(door.chat(stream=True))
        await door.yard.until(is_asked)
        (asked,) = await approvals.waiting()
        await approvals.decide(asked.approval_id, CLI, is_yes=True, edited="nothing of it")
        answer = await answering
    deltas = [event["choices"][0]["delta"] for event in answer.events[:-1]]
    assert "".join(delta.get("content", "") for delta in deltas) == "nothing of it"
    await door.open("POST", "/v1/chat/completions", {"model": "main", "messages": USER})
    await door.yard.until(is_asked)
    door.writer.close()
    await door.yard.until(is_withdrawn)


async def test_a_structure_is_asked_for_and_checked(door: Door) -> None:
    """`json_schema` is a result schema; what does not fit is an error with its code."""
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    good = [{"role": "user", "content": 'json {"n": 1}'}]
    assert json.loads(
        (await door.chat(messages=good, response_format=wanted)).json["choices"][0]["message"]["content"]
    ) == {"n": 1}
    abstains = [{"role": "user", "content": "abstain nobody knows"}]
    whole = (await door.chat(messages=abstains, response_format=wanted)).json["choices"][0]["message"]
    assert (whole["content"], whole["refusal"]) == (None, "nobody knows")
    events = (await door.chat(messages=abstains, response_format=wanted, stream=True)).events
    assert [each["choices"][0]["delta"].get("refusal") for each in events[:-1]].count("nobody knows") == 1
    bad = await door.chat(messages=[{"role": "user", "content": 'json {"n": "x"}'}], response_format=wanted)
    assert (bad.status, bad.json["error"]["code"]) == (502, "result_invalid")
    odd = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "what"}}}
    assert (await door.chat(response_format=odd)).json["error"]["code"] == "wrong_schema"


async def test_a_failure_is_told(door: Door) -> None:
    """Whole: a status and the task's code; streamed: an error in the stream, which ends as every stream does."""
    fail = [{"role": "user", "content": "fail"}]
    whole = await door.chat(messages=fail)
    assert (whole.status, whole.json["error"]["code"]) == (502, "agent_crashed")
    streamed = (await door.chat(messages=fail, stream=True)).events
    assert (streamed[-2]["error"]["code"], streamed[-1]) == ("agent_crashed", "[DONE]")


async def test_a_client_that_goes_ends_its_task(door: Door) -> None:
    """Nobody is left to read the answer: the task is cancelled, whole or streamed."""
    for stream in (False, True):
        door.yard.work.working.clear()
        asked = {"model": "main", "messages": [{"role": "user", "content": "slow"}], "stream": stream}
        await door.open("POST", "/v1/chat/completions", asked)
        async with asyncio.timeout(10):
            await door.yard.work.working.wait()
            door.writer.close()
            await door.yard.work.was_cancelled.wait()
        door.yard.work.was_cancelled.clear()
        assert door.yard.work.cancelled.pop() == "cancelled by the program desk: its client went away"


async def test_a_repeated_request_is_the_same_task(door: Door) -> None:
    """Under one idempotency key the task is done once; other words under it are refused."""
    path, value = "/v1/chat/completions", {"model": "main", "messages": USER}
    first = await door.ask("POST", path, value, idempotency_key="k")
    again = await door.ask("POST", path, value, idempotency_key="k")
    assert first.json["id"] == again.json["id"]
    other = {"model": "main", "messages": [{"role": "user", "content": "say no"}]}
    refused = await door.ask("POST", path, other, idempotency_key="k")
    assert (refused.status, refused.json["error"]["code"]) == (409, "idempotency_key_reused")


async def test_web_pages_and_strangers_are_refused(door: Door) -> None:
    """Another Host, an Origin, no token, a wrong one: refused before anything is done, each with its code."""
    for headers, status, code in (
        ({"host": "evil.example"}, 421, "wrong_host"),
        ({"host": f"evil.example:{door.port}"}, 421, "wrong_host"),
        ({"host": "127.0.0.1:1"}, 421, "wrong_host"),
        ({"origin": "https://evil.example"}, 403, "wrong_origin"),
        ({"authorization": ""}, 401, "invalid_api_key"),
        ({"authorization": "Bearer nyp_" + "a" * 52}, 401, "invalid_api_key"),
        ({"authorization": "Basic abc"}, 401, "invalid_api_key"),
    ):
        answer = await door.ask("GET", "/v1/models", None, **headers)
        assert (answer.status, answer.json["error"]["code"]) == (status, code), headers
        assert "access-control-allow-origin" not in answer.headers
    assert (await door.ask("OPTIONS", "/v1/models")).status == 405
    assert (await door.ask("GET", "/v1/models", None, host=f"localhost:{door.port}")).status == 200


async def test_a_connection_whose_request_was_not_read_says_that_it_ends(door: Door) -> None:
    """A body for another path is not read: the answer says so, or a client that pools would ask into a closed one."""
    answer = await door.ask("POST", "/v1/embeddings", {"model": "main", "input": "x"}, connection="keep-alive")
    assert (answer.status, answer.headers["connection"]) == (404, "close")


@pytest.mark.parametrize(
    ("value", "status", "code"),
    [
        (b"{", 400, "invalid_request"),
        (b'{"model": "main", "messages": [{"role": "user", "content": "half \\ud800"}]}', 400, "invalid_request"),
        ([], 400, "invalid_request"),
        ({"model": "main"}, 400, "invalid_request"),
        ({"model": "side", "messages": USER}, 404, "model_not_found"),
        ({"model": 7, "messages": USER}, 404, "model_not_found"),
        ({"model": "main", "messages": [{"role": "robot", "content": "x"}]}, 400, "invalid_request"),
        ({"model": "main", "messages": USER, "tools": [{}]}, 400, "unsupported_parameter"),
        ({"model": "main", "messages": USER, "n": 2}, 400, "unsupported_parameter"),
        ({"model": "main", "messages": USER, "stop": ["\n"]}, 400, "unsupported_parameter"),
        ({"model": "main", "messages": USER, "max_tokens": "many"}, 400, "invalid_request"),
        (
            {"model": "main", "messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            400,
            "unsupported_content",
        ),
    ],
)
async def test_what_is_not_supported_is_refused_and_never_ignored(
    door: Door, value: object, status: int, code: str
) -> None:
    """Each with a sentence and a code, in OpenAI's shape."""
    answer = await door.ask("POST", "/v1/chat/completions", value)
    error = answer.json["error"]
    assert (answer.status, error["code"]) == (status, code) and error["message"]
    assert set(error) == {"message", "type", "param", "code"}


async def test_rubbish_and_floods_end_one_connection(door: Door) -> None:
    """Bytes that are no HTTP, a body without end, other paths: answered, and others are served."""
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(b"\x00\x01 rubbish\r\n\r\n")
    async with asyncio.timeout(5):
        assert Answer(await reader.read()).status == 400
    writer.close()
    long = await door.ask("POST", "/v1/chat/completions", b" " * ((4 << 20) + 1))
    assert (long.status, long.json["error"]["code"]) == (413, "body_too_large")
    assert (await door.ask("GET", "/etc/passwd")).json["error"]["code"] == "unknown_url"
    assert (await door.chat()).status == 200


async def test_a_connection_is_kept(door: Door) -> None:
    """One connection serves request after request, as clients that pool connections expect."""
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    body = json.dumps({"model": "main", "messages": USER}).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{door.port}\r\n"
        f"Authorization: Bearer {door.token}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    async with asyncio.timeout(10):
        for _ in range(3):
            writer.write(head + body)
            got = await reader.readuntil(b"\r\n\r\n")
            size = int(next(line for line in got.split(b"\r\n") if line.startswith(b"content-length")).split(b":")[1])
            assert json.loads(await reader.readexactly(size))["object"] == "chat.completion"
    writer.close()
