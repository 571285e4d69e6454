"""What the proxy itself answers: a JSON body that teaches, for every refusal and failure. Pure."""

from __future__ import annotations

from credproxy.injection.failure import InjectionFailed
from credproxy.issuers.credentials import CredentialFailed
from credproxy.policy.verdict import Deny
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
START_NOT_STORED = Answer(
    status=503,
    code="start_not_stored",
    message="The host has not said yet that this task's start is stored; nothing goes out before.",
    may_retry=True,
)


def bad_request(reason: str, *, status: int = 400, code: str = "bad_request") -> Answer:
    return Answer(status=status, code=code, message=f"Not forwarded: {reason}.", closes=True)


WEB_READ_BODY = Answer(
    status=403,
    code="web_read_body",
    message="The open web is read without a body: that would carry data out.",
)
APPROVAL_OUTDATED = Answer(
    status=409,
    code="approval_outdated",
    message="What was approved is not what would be sent now. Ask again.",
    may_retry=True,
)
POLICY_CHANGED = Answer(
    status=409,
    code="policy_changed",
    message="The grants changed while this request waited. Ask again.",
    may_retry=True,
)


def denied(deny: Deny) -> Answer:
    """A limit that time lifts is a 429; all else is a 403."""
    status = 403 if deny.retry_after_s is None else 429
    return Answer(
        status=status,
        code=deny.code,
        message=deny.sentence,
        grant_with=deny.grant_with,
        may_retry=deny.retry_after_s is not None,
        retry_after_s=deny.retry_after_s,
    )


def secret_missing(name: str) -> Answer:
    return Answer(
        status=424,
        code="secret_missing",
        message=f"The secret {name} that this request needs is not in the vault.",
        grant_with=f"nightyard secret add {name}",
    )


def credential_failed(failure: CredentialFailed) -> Answer:
    return Answer(
        status=503 if failure.may_retry else 424,
        code=failure.code,
        message=failure.sentence,
        grant_with=failure.mend,
        may_retry=failure.may_retry,
    )


def injection_failed(failure: InjectionFailed) -> Answer:
    """The secret does not fit its grant (424), or the agent's request does not fit what must be put in (422)."""
    return Answer(
        status=424 if failure.code == "credential_unfit" else 422, code=failure.code, message=failure.sentence
    )


def capture_failed(code: str, sentence: str, mend: str) -> Answer:
    return Answer(status=403, code=code, message=sentence, grant_with=mend)


def placeholder_missing(secret: str) -> Answer:
    return Answer(
        status=403,
        code="placeholder_missing",
        message=f"This grant is for requests that carry this group's placeholder of the secret {secret}; it was not "
        "in this one. The container's environment has it.",
    )


def tripped(secret: str) -> Answer:
    return Answer(
        status=403,
        code="tripwire",
        message=f"The placeholder of the secret {secret} stands in a request where it does not belong. Nothing was "
        "sent, and the owner has been told.",
    )


def limit_reached(code: str, sentence: str) -> Answer:
    return Answer(status=402, code=code, message=sentence)


def upstream_failed(code: str, sentence: str, *, may_retry: bool) -> Answer:
    status = 504 if code == "upstream_timeout" else 502
    return Answer(status=status, code=code, message=sentence, may_retry=may_retry)
