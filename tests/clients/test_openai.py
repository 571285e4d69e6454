"""OpenAI's own Python client, and curl, at the endpoint for programs: unmodified, told only the address and a token."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from pathlib import Path

import pytest

from tests.clients.tools import openai_client
from tests.runtime.programs.test_openai_door import Door, open_door

pytestmark = pytest.mark.long

SCRIPT = """
import json, sys
import openai

client = openai.OpenAI(base_url=sys.argv[1], api_key=sys.argv[2], max_retries=0, timeout=20)
told = {"models": [model.id for model in client.models.list()]}
ask = client.chat.completions.create
hello = [{"role": "user", "content": "say all is well"}]
whole = ask(model="main", messages=hello)
told["whole"] = whole.choices[0].message.content
told["tokens"] = whole.usage.total_tokens
stream = ask(model="main", messages=hello, stream=True, stream_options={"include_usage": True})
pieces = list(stream)
told["streamed"] = "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
told["stream_tokens"] = pieces[-1].usage.total_tokens
schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
wanted = {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": schema}}
made = ask(model="main", messages=[{"role": "user", "content": 'json {"n": 4}'}], response_format=wanted)
told["structure"] = json.loads(made.choices[0].message.content)
keyed = [ask(model="main", messages=hello, extra_headers={"Idempotency-Key": "k"}).id for _ in range(2)]
told["same"] = keyed[0] == keyed[1]
errors = {}
for name, call in {
    "model": lambda: ask(model="side", messages=hello),
    "tools": lambda: ask(model="main", messages=hello, tools=[{"type": "function", "function": {"name": "f"}}]),
    "failed": lambda: ask(model="main", messages=[{"role": "user", "content": "fail"}]),
    "streamed": lambda: list(ask(model="main", messages=[{"role": "user", "content": "fail"}], stream=True)),
    "token": lambda: openai.OpenAI(base_url=sys.argv[1], api_key="nyp_no", max_retries=0).models.list(),
}.items():
    try:
        call()
    except openai.APIError as error:
        errors[name] = [type(error).__name__, error.code]
told["errors"] = errors
print(json.dumps(told))
"""


async def run(*command: str, path: Path | None = None) -> str:
    environment = {} if path is None else {"PYTHONPATH": str(path)}
    made = await asyncio.create_subprocess_exec(
        *command,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": "/usr/bin:/bin", **environment},
    )
    async with asyncio.timeout(60):
        out, err = await made.communicate()
    assert made.returncode == 0, err.decode()
    return out.decode()


async def test_the_official_client_needs_nothing_but_address_and_token(tmp_path: Path) -> None:
    """Models, answers whole and streamed, structures, idempotency, and its own exceptions for our refusals."""
    folder = await asyncio.to_thread(openai_client)
    async with open_door(tmp_path) as door:
        said = await run(sys.executable, "-c", SCRIPT, _url(door), door.token, path=folder)
    told = json.loads(said)
    assert told.pop("errors") == {
        "model": ["NotFoundError", "model_not_found"],
        "tools": ["BadRequestError", "unsupported_parameter"],
        "failed": ["InternalServerError", "agent_crashed"],
        "streamed": ["APIError", "agent_crashed"],
        "token": ["AuthenticationError", "invalid_api_key"],
    }
    assert told == {
        "models": ["main"],
        "whole": "all is well",
        "tokens": 12,
        "streamed": "all is well ",
        "stream_tokens": 12,
        "structure": {"n": 4},
        "same": True,
    }


@pytest.mark.skipif(shutil.which("curl") is None, reason="this machine has no curl")
async def test_curl_gets_answers_whole_and_streamed(tmp_path: Path) -> None:
    """What docs/programs.md shows works as it stands there."""
    async with open_door(tmp_path) as door:
        place = f"{_url(door)}/chat/completions"
        asked = {"model": "main", "messages": [{"role": "user", "content": "say all is well"}]}
        usual = ("curl", "-sS", "--fail", place, "-H", f"Authorization: Bearer {door.token}", "-d")
        whole = json.loads(await run(*usual, json.dumps(asked)))
        assert whole["choices"][0]["message"]["content"] == "all is well"
        streamed = await run(*usual, json.dumps({**asked, "stream": True}), "-N")
        assert streamed.rstrip().endswith("data: [DONE]")


def _url(door: Door) -> str:
    return f"http://127.0.0.1:{door.port}/v1"
