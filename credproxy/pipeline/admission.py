"""May a call begin? Every reason why not, in order; whoever passes has a lease and a rule that allows it.

The deciding itself is `policy/decide.py`'s; here is what needs the proxy's state: freeze, vault, quotas, limits. What
must be looked at in the request itself comes next, in `preparation.py`.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import NoReturn

from credproxy.audit import notes
from credproxy.pipeline import answers
from credproxy.pipeline.body import RequestBody
from credproxy.pipeline.call import Call, utc_day
from credproxy.pipeline.estimate import most_of
from credproxy.pipeline.proxy import CredentialProxy, DoorState
from credproxy.pipeline.refusal import refuse
from credproxy.policy.decide import decide
from credproxy.policy.denials import NO_LEASE
from credproxy.policy.verdict import Allow, Deny
from credproxy.wire.answer import Answer
from credproxy.wire.plain import Request
from credproxy.wire.websocket import find_fault
from protocol.task import Lease

MAX_MODEL_CALLS_AT_ONCE = 8
_TASK_ENDED = Deny(code="no_lease", sentence="The task of this container has ended.")


async def wait_for_start(proxy: CredentialProxy, door: DoorState, shown: str, *, is_route: bool) -> None:
    """Return when a door on hold has a lease that is not held any more; for a model route, when it has one: what the
    request needs is made ready meanwhile, and `exchange.py` holds it. Raises Refused after the longest wait."""
    if not await door.hold.wait(lambda: is_route and door.lease is not None):
        await refuse(proxy, door, answers.START_NOT_STORED, shown)


async def admit(call: Call, request: Request, body: RequestBody) -> None:
    """Set the call's lease and what allows it; raises Refused, and then it is on record and told."""
    proxy, lease, now = call.proxy, call.door.lease, time.time()
    if proxy.is_frozen:
        await _refuse(call, answers.FROZEN)
    known = call.familiar.find_allow(call.ask, lease, proxy.policy)
    verdict = known or decide(call.ask, lease, proxy.policy, now)
    if call.is_websocket and isinstance(verdict, Allow):
        fault = find_fault(request.headers)
        if fault:
            await _refuse(call, answers.bad_request(fault))
        verdict = _decide_websocket(call, lease, now)
    if isinstance(verdict, Deny):
        await _refuse(call, answers.denied(verdict), sha256=await _would_have_sent(verdict, body))
    if lease is None:
        await _refuse(call, answers.denied(NO_LEASE))
    if known is None:
        call.familiar.take_verdict(call.ask, lease, proxy.policy, verdict)
    if verdict.secret is not None and proxy.vault.find(verdict.secret) is None:
        await _refuse(call, answers.secret_missing(verdict.secret))
    call.lease, call.allow, call.policy = lease, verdict, proxy.policy
    if verdict.would_deny is not None:
        call.note(notes.would_deny(verdict.would_deny.code))
    if verdict.quota is not None:
        target = call.ask.target
        over = proxy.take_quota(verdict.quota, now, url_chars=len(target.host) + len(target.wire))
        if over is not None:
            await _refuse(call, answers.denied(over))


async def admit_model_call(call: Call, body: RequestBody) -> None:
    """Count a model call against its task's limits and its purses, at the last moment before it begins, and reserve
    what it may use. Near a limit it waits for the calls under way, whose real use is not known yet. Raises Refused."""
    if call.door.model_calls_under_way >= MAX_MODEL_CALLS_AT_ONCE:
        await _refuse(call, answers.TOO_MANY_CALLS)
    proxy = call.proxy
    most = most_of(
        model=call.asked_model,
        asked_output=call.asked_output,
        request_bytes=call.request_bytes or body.said_bytes(),
        prices=proxy.prices,
    )
    await check_limits(call)
    while proxy.ledger.must_wait(call.lease, utc_day()):
        with call.waiting():
            await proxy.next_settled()
        await check_limits(call)
    proxy.ledger.reserve(call.lease, utc_day(), call.call_id, most)


async def check_limits(call: Call) -> None:
    """Raise Refused where the call's task, or a purse that it pays from, has used all that it may."""
    ledger = call.proxy.ledger
    if ledger.find(call.lease.task_id) is None:
        await _refuse(call, answers.denied(_TASK_ENDED))
    limit = ledger.find_limit(call.lease, utc_day())
    if limit is not None:
        await _refuse(call, answers.limit_reached(*limit))


def _decide_websocket(call: Call, lease: Lease | None, now: float) -> Allow | Deny:
    """A WebSocket carries data both ways: what may only be read must not be written to by it. So POST is asked for
    too, and what allows that holds."""
    verdict = decide(call.judged, lease, call.proxy.policy, now)
    if isinstance(verdict, Allow) or verdict.code == "shadow":
        return verdict
    sentence = f"A WebSocket carries data both ways and needs GET and POST granted. {verdict.sentence}"
    return replace(verdict, code="websocket_not_granted", sentence=sentence)


async def _would_have_sent(deny: Deny, body: RequestBody) -> str:
    """Return the digest of the body that a task in shadow would have sent; empty for all other denials."""
    return await body.digest() if deny.code == "shadow" else ""


async def _refuse(call: Call, answer: Answer, *, sha256: str = "") -> NoReturn:
    await refuse(call.proxy, call.door, answer, call.target, sha256=sha256)
