"""A model's provider that is granted as a host: what its answers tell of tokens and money counts as on a route."""

from __future__ import annotations

import pytest

from protocol.ids import TaskId
from protocol.task import Limits
from tests.credproxy.street import Street, say_json

USE = b'{"model":"priced-model","usage":{"prompt_tokens":3,"completion_tokens":2}}'
STREAM = b'data: {"model":"priced-model","usage":{"input_tokens":3,"output_tokens":2}}\n\n'


async def ask(street: Street, port: int, method: str, path: str) -> int:
    async with street.client() as client:
        inside = await client.tunnel("models.test", port, street.ca)
        return (await inside.ask(method, path, host=f"models.test:{port}", body=b"{}")).status


def grant(street: Street, port: int, *, secret: bool = True) -> None:
    street.addresses["models.test"] = ["127.0.0.1"]
    key = ", secret: key, inject: bearer" if secret else ""
    street.grants = f"- {{host: models.test, port: {port}, addresses: [127.0.0.1]{key}}}"


@pytest.mark.parametrize(
    ("path", "answer", "media_type"),
    [("/api/v1/chat/completions", USE, b"application/json"), ("/v1/responses", STREAM, b"text/event-stream")],
)
async def test_use_of_a_granted_provider_is_counted(
    street: Street, path: str, answer: bytes, media_type: bytes
) -> None:
    """Tokens, money and the call go into the task's sums, the day's and the events; its limits then hold."""
    async with street.upstream("models.test") as upstream:
        upstream.respond = say_json(answer, media_type)
        grant(street, upstream.port)
        await street.lease(limits=Limits(output_tokens=4))
        assert await ask(street, upstream.port, "POST", path) == 200
        use = await street.admin.usage(task_id=TaskId("task_1"))
        assert [(one.model, one.usage.model_calls, one.usage.input_tokens) for one in use] == [("priced-model", 1, 3)]
        assert use[0].usage.cost_usd == 7.0
        assert (await street.event("usage")).usage == use[0].usage
        assert await ask(street, upstream.port, "POST", path) == 200
        assert await ask(street, upstream.port, "POST", path) == 402
        assert await ask(street, upstream.port, "POST", "/v1/other") == 200
    assert len(upstream.inbox) == 3


@pytest.mark.parametrize(
    ("method", "path", "answer", "secret"),
    [
        ("POST", "/survey/responses", b'{"id": 7}', True),
        ("POST", "/survey/responses", b'{"usage": {"disk": 3}}', True),
        ("POST", "/v1/other", USE, True),
        ("PUT", "/v1/chat/completions", USE, True),
        ("POST", "/v1/chat/completions", USE, False),
    ],
)
async def test_what_tells_no_use_is_no_model_call(
    street: Street, method: str, path: str, answer: bytes, secret: bool
) -> None:
    """Another service whose path looks like a model's, another path, an answer that nobody's key paid for."""
    async with street.upstream("models.test") as upstream:
        upstream.respond = say_json(answer)
        grant(street, upstream.port, secret=secret)
        await street.lease()
        assert await ask(street, upstream.port, method, path) == 200
        assert await street.admin.usage(task_id=TaskId("task_1")) == ()
