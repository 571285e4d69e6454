"""One request, from its head to its last byte: admit, prepare, record, send, answer, record. Every entry form goes
through here and nothing else reaches an upstream.

`admission.py` and `preparation.py` say whether, `sending.py` carries it out and `answering.py` back; `call.py` keeps
the record.
"""

from __future__ import annotations

import asyncio
import time
from typing import NoReturn

from credproxy.audit.jobs import AuditFailed
from credproxy.pipeline import answers
from credproxy.pipeline.admission import admit, admit_model_call, check_limits
from credproxy.pipeline.body import RequestBody
from credproxy.pipeline.call import Call
from credproxy.pipeline.preparation import Prepared, prepare
from credproxy.pipeline.refusal import Refused
from credproxy.pipeline.sending import Sending
from credproxy.policy.denials import address_refused
from credproxy.wire.answer import Answer
from credproxy.wire.inbound import Inbound
from credproxy.wire.plain import Request
from credproxy.wire.upstream import AddressRefused, UpstreamFailed


class ResponseCut(Exception):
    """The response broke off after its beginning had been sent: the connection must end, visibly unfinished."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


async def exchange(call: Call, inbound: Inbound, request: Request) -> None:
    """Answer a request. Raises Refused (nothing was sent back yet), ResponseCut, StreamBroken, TimeoutError."""
    body = RequestBody(inbound, request, call)
    try:
        with inbound.limit as limit:
            await admit(call, request, body)
            if call.is_websocket or call.allow.expires_at is not None or call.allow.approval is not None:
                limit.move(_ends_at(call))
            is_held, secret = call.door.hold.is_on, call.allow.secret
            if is_held and secret is not None and call.proxy.credentials.may_renew(secret):
                await _wait_for_release(call)  # getting a token is a request of its own
            prepared = await prepare(call, request, body)
            if call.allow.is_model_call:
                await admit_model_call(call, body)
            elif call.may_be_model_call:
                await check_limits(call)
            await _forward(call, inbound, request, body, prepared)
    except AddressRefused as failure:
        _fail(
            call, answers.denied(address_refused(call.ask, call.allow, failure.address, call.lease.group_id)), failure
        )
    except UpstreamFailed as failure:
        answer = answers.upstream_failed(failure.code, failure.sentence, may_retry=failure.may_retry)
        _fail(call, answer, failure)
    except AuditFailed as failure:
        _fail(call, answers.AUDIT_FAILED, failure)


async def _forward(call: Call, inbound: Inbound, request: Request, body: RequestBody, prepared: Prepared) -> None:
    """From the row before to the row after: whatever happens in between, cancellation too, the call is closed."""
    try:
        recorded = call.begin()
    except AuditFailed:
        call.proxy.release(call.call_id)
        raise
    try:
        if call.door.hold.is_on:
            await _wait_for_release(call)
        await Sending(call, inbound, request, body, prepared).run(recorded)
        call.is_whole = True
    except UpstreamFailed as failure:
        call.code = failure.code
        if failure.code == "address_refused":
            call.tell("denied", detail=failure.code)
        raise
    except Refused as refusal:
        call.code = refusal.answer.code
        raise
    finally:
        call.end()


async def _wait_for_release(call: Call) -> None:
    """Nothing goes out while the call's lease is held."""
    if not await call.door.hold.wait():
        raise Refused(answers.START_NOT_STORED)


def _ends_at(call: Call) -> float:
    """Return when the call must be over, by the loop's clock: a grant that runs out takes what runs under it along."""
    deadlines, until = call.proxy.deadlines, call.allow.expires_at
    left_s = deadlines.spliced_s if call.is_websocket else deadlines.whole_s
    if call.allow.approval is not None:
        left_s += min(call.allow.approval.hold_s, call.allow.approval.deadline_s)
    if until is not None:
        left_s = min(left_s, max(until - time.time(), 0.0))
    return asyncio.get_running_loop().time() + left_s


def _fail(call: Call, answer: Answer, cause: Exception) -> NoReturn:
    if call.has_response_begun:
        raise ResponseCut(answer.code) from cause
    raise Refused(answer) from cause
