"""What the proxy itself answers: a JSON body that teaches, for every refusal and failure. Pure."""

from __future__ import annotations

from credproxy.policy.decide import Deny
from credproxy.wire.answer import Answer

FROZEN = Answer(
    status=503,
    code="frozen",
    message="Everything is frozen by the owner; nothing may go out until it is lifted.",
    grant_with="nightyard unfreeze",
)
AUDIT_FAILED = Answer(
    status=503,
    code="audit_failed",
    message="The request could not be written to the audit, so it was not sent. Is the disk full?",
)
TOO_MANY_CALLS = Answer(
    status=429,
    code="too_many_calls",
    message="Too many model calls of this container are under way at once.",
    may_retry=True,
)


def bad_request(reason: str, *, status: int = 400, code: str = "bad_request") -> Answer:
    return Answer(status=status, code=code, message=f"Not forwarded: {reason}.", closes=True)


def denied(deny: Deny) -> Answer:
    return Answer(status=403, code=deny.code, message=deny.sentence, grant_with=deny.grant_with)


def secret_missing(name: str) -> Answer:
    return Answer(
        status=424,
        code="secret_missing",
        message=f"The secret {name} that this request needs is not in the vault.",
        grant_with=f"nightyard secret add {name}",
    )


def secret_broken(name: str) -> Answer:
    return Answer(
        status=424,
        code="secret_broken",
        message=f"The secret {name} cannot be opened: its row was changed, or sealed with another key.",
        grant_with=f"nightyard secret add {name} --replace",
    )


def limit_reached(code: str, sentence: str) -> Answer:
    return Answer(status=402, code=code, message=sentence)


def upstream_failed(code: str, sentence: str, *, may_retry: bool) -> Answer:
    status = {"address_refused": 403, "upstream_timeout": 504}.get(code, 502)
    return Answer(status=status, code=code, message=sentence, may_retry=may_retry)
