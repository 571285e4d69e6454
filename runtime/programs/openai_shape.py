"""The shapes of OpenAI's chat completions: requests become a Submit, results become answers, chunks, errors. Pure.

A group is a model. What would be silently ignored and mean something else is refused: tools, several choices, pictures.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from protocol.codec import Json, ShapeError, check_json
from protocol.ids import GroupId, is_group_id
from protocol.task import Limits, TaskResult, TaskStatus, Usage
from protocol.tasks import ResultEnvelope, Submit

ROLES = ("system", "developer", "user", "assistant", "tool")
UNSUPPORTED = ("tools", "functions", "tool_choice", "function_call", "audio", "modalities", "logprobs", "prediction")
"""Keys that change what an answer is, and that an agent with tools of its own cannot follow."""
OWNER = "nightyard"


class BadRequest(Exception):
    """A request that cannot be served, in OpenAI's terms."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        code: str = "invalid_request",
        kind: str = "invalid_request_error",
        param: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.kind = kind
        self.param = param


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """One request for a completion."""

    submit: Submit
    is_stream: bool
    has_usage: bool
    """Whether a stream ends with a chunk that tells the use."""


def read_chat(body: bytes, idempotency_key: str) -> ChatRequest:
    """Return what is asked; raise BadRequest."""
    try:
        value = check_json(json.loads(body), "the body")
    except ShapeError as error:
        raise BadRequest(f"The body is not JSON: {error}.") from None
    except (ValueError, RecursionError):
        raise BadRequest("The body is not JSON.") from None
    if not isinstance(value, dict):
        raise BadRequest("The body is not a JSON object.")
    for key in UNSUPPORTED:
        if value.get(key) not in (None, False, [], "none", ["text"]):
            message = f"`{key}` is not supported: the agent has tools of its own."
            raise BadRequest(message, code="unsupported_parameter", param=key)
    if value.get("stop") not in (None, [], ""):
        raise BadRequest("`stop` is not supported: an answer is whole.", code="unsupported_parameter", param="stop")
    if value.get("n") not in (None, 1):
        raise BadRequest("`n` must be 1.", code="unsupported_parameter", param="n")
    model = value.get("model")
    if not isinstance(model, str) or not is_group_id(model):
        raise model_not_found(str(model))
    options = value.get("stream_options")
    submit = Submit(
        group=GroupId(model),
        input=_prompt(value.get("messages")),
        idempotency_key=idempotency_key,
        result_schema=_schema(value.get("response_format")),
        limits=_limits(value),
    )
    return ChatRequest(
        submit=submit,
        is_stream=value.get("stream") is True,
        has_usage=isinstance(options, dict) and options.get("include_usage") is True,
    )


def _prompt(messages: object) -> str:
    """Return the messages as one prompt: a single one of the user's as it is, more of them each under its role."""
    if not isinstance(messages, list) or not messages:
        raise BadRequest("`messages` should be a list of at least one message.", param="messages")
    read = [_message(message, f"messages[{index}]") for index, message in enumerate(messages)]
    if len(read) == 1 and read[0][0] == "user":
        return read[0][1]
    return "\n\n".join(f"[{role}]\n{text}" for role, text in read)


def _message(message: object, path: str) -> tuple[str, str]:
    if not isinstance(message, dict) or message.get("role") not in ROLES:
        raise BadRequest(f"`{path}.role` should be one of {', '.join(ROLES)}.", param=path)
    content = message.get("content")
    if isinstance(content, str):
        return message["role"], content
    if content is None and message["role"] == "assistant":
        return "assistant", ""
    if not isinstance(content, list):
        raise BadRequest(f"`{path}.content` should be text, or a list of text parts.", param=path)
    return message["role"], "\n".join(_part(part, path) for part in content)


def _part(part: object, path: str) -> str:
    if isinstance(part, dict) and part.get("type") in ("text", "refusal"):
        text = part.get(part["type"])
        if isinstance(text, str):
            return text
    shown = part.get("type") if isinstance(part, dict) else type(part).__name__
    raise BadRequest(
        f"A part of the type {str(shown)[:40]!r} is not supported, only text.",
        code="unsupported_content",
        param=f"{path}.content",
    )


def _schema(wanted: object) -> Json:
    if wanted is None or (isinstance(wanted, dict) and wanted.get("type") == "text"):
        return None
    if isinstance(wanted, dict) and wanted.get("type") == "json_object":
        return {"type": "object"}
    if isinstance(wanted, dict) and wanted.get("type") == "json_schema":
        described = wanted.get("json_schema")
        if isinstance(described, dict) and isinstance(described.get("schema"), dict):
            return described["schema"]  # checked by whoever takes the submission
    raise BadRequest("`response_format` should be text, json_object or json_schema.", param="response_format")


def _limits(value: Mapping[str, Any]) -> Limits | None:
    """Return the limits that a request sets: the most tokens of its answers, all of them together."""
    most = value.get("max_completion_tokens") or value.get("max_tokens")
    if most is None:
        return None
    if type(most) is not int or most < 1:
        raise BadRequest("`max_tokens` should be a whole number above 0.", param="max_tokens")
    return Limits(model_calls=1 << 40, input_tokens=1 << 40, rounds=1 << 40, wall_s=1e9, output_tokens=most)


def model_not_found(model: str) -> BadRequest:
    message = f"The model {model[:60]!r} does not exist, or this token may not use it."
    return BadRequest(message, status=404, code="model_not_found", param="model")


def answer_text(result: TaskResult) -> str:
    """Return what the answer says; a structured one as JSON."""
    if refusal_of(result):
        return ""
    if result.status is TaskStatus.STRUCTURED:
        return json.dumps(result.structured, ensure_ascii=False)
    return result.text


def refusal_of(result: TaskResult) -> str:
    """Return why the agent abstained from a structured result; empty where it did not."""
    return result.judgement.abstained if result.judgement is not None else ""


def failure_of(result: TaskResult) -> BadRequest | None:
    """Return why there is no answer, None if there is one."""
    if result.status in (TaskStatus.REPLY, TaskStatus.STRUCTURED, TaskStatus.NOTHING_TO_SAY):
        return None
    message = result.reason or "The task ended without an answer."
    if result.status is TaskStatus.STOPPED:
        return BadRequest(message, status=499, code="stopped", kind="api_error")
    if result.code.startswith("limit_"):
        return BadRequest(message, status=429, code=result.code, kind="insufficient_quota")
    return BadRequest(message, status=502, code=result.code or "failed", kind="api_error")


def completion(envelope: ResultEnvelope, result: TaskResult) -> Json:
    """Return the answer to a request that wants it whole."""
    refusal = refusal_of(result) or None
    content = None if refusal else answer_text(result)
    return {
        "id": _completion_id(envelope.submission),
        "object": "chat.completion",
        "created": _unix_time(envelope.submitted_at),
        "model": envelope.group,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content, "refusal": refusal},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": usage_of(envelope.usage),
    }


def chunk(submission: str, group: str, created: int, delta: Json, *, is_last: bool = False) -> Json:
    """Return one piece of an answer that is streamed."""
    return {
        "id": _completion_id(submission),
        "object": "chat.completion.chunk",
        "created": created,
        "model": group,
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": "stop" if is_last else None}],
    }


def usage_chunk(envelope: ResultEnvelope) -> Json:
    """Return the last piece of a stream that wants to be told the use."""
    return {
        "id": _completion_id(envelope.submission),
        "object": "chat.completion.chunk",
        "created": _unix_time(envelope.submitted_at),
        "model": envelope.group,
        "choices": [],
        "usage": usage_of(envelope.usage),
    }


def usage_of(usage: Usage) -> Json:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


def model_list(groups: Sequence[GroupId], created: int) -> Json:
    return {"object": "list", "data": [model_of(group, created) for group in groups]}


def model_of(group: GroupId, created: int) -> Json:
    return {"id": group, "object": "model", "created": created, "owned_by": OWNER}


def error_body(problem: BadRequest) -> Json:
    return {
        "error": {
            "message": problem.message,
            "type": problem.kind,
            "param": problem.param,
            "code": problem.code,
        }
    }


def rest_of(streamed: str, whole: str) -> str:
    """Return what must still be sent, so that the stream ends with the whole answer: nothing if it does."""
    if streamed.rstrip().endswith(whole.rstrip()):
        return ""
    if whole.startswith(streamed):
        return whole[len(streamed) :]
    return f"\n\n{whole}" if streamed else whole


def _completion_id(submission: str) -> str:
    return f"chatcmpl-{submission}"


def _unix_time(at: str) -> int:
    return int(datetime.fromisoformat(at).timestamp())
