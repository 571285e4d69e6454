"""Holds requests until a person has decided or a deadline has passed.

One approval lets one request out once, and only the very one that was shown. A client waits for so long as its grant
says; then it is told that the answer is pending, and what is decided afterwards counts for the same request when it is
asked again, by the same task or a later one of the group. Everything here is in memory: after a restart the host, which
has kept what was asked and decided, says it again. Every step is in the audit before it counts.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from credproxy.approvals.held import Approved, HeldRequest, digest_of
from credproxy.audit.entry import AuditEntry
from credproxy.audit.log import Audit
from credproxy.audit.notes import approval as approval_note
from credproxy.policy.verdict import Approval, Deny
from protocol.ids import GroupId

MAX_OPEN_IN_GROUP = 8
"""What a person can still look at. A flood of requests must not wear them out."""
MAX_DECIDED_IN_GROUP = 32
"""Decisions that wait for their request to be asked again."""
MAX_BODY_BYTES = 1 << 20
"""The whole body is in memory while it is held."""
PENDING_RETRY_S = 30.0
"""When a program that was told `approval_pending` may ask again."""
OWNER = "owner"
"""Who decides at the machine itself: may decide everything."""

Tell = Callable[[HeldRequest, str], None]
"""Told (request, approval id) as soon as a person is wanted."""


class ApprovalUnknown(Exception):
    """Nothing waits under that id."""

    def __init__(self, approval_id: str) -> None:
        super().__init__(approval_id)
        self.approval_id = approval_id

    def __str__(self) -> str:
        return f"nothing waits for approval as {self.approval_id}: it was decided, has run out, or its task is over"


class NotTheirs(Exception):
    """This person may not decide it."""

    def __init__(self, approval_id: str, by: str) -> None:
        super().__init__(approval_id, by)
        self.approval_id = approval_id
        self.by = by

    def __str__(self) -> str:
        return f"{self.by} may not decide {self.approval_id}: its grant names others"


@dataclass(slots=True, eq=False)
class Hold:
    """One request, from being asked to being decided and used."""

    approval_id: str
    request: HeldRequest
    """Once it is decided without its body: whoever sends it has that."""
    digest: str
    body_sha256: str
    who: tuple[str, ...]
    deadline_s: float
    hold_s: float
    """How long each client waits for the word."""
    constraint: str
    """The constraint of the host's that asks for it; empty: its grant does."""
    asked_at: float
    """Epoch seconds, as `ends_at`."""
    ends_at: float
    has_client: bool = True
    """Somebody waits for it now."""
    is_being_decided: bool = False
    verdict: Approved | Deny | None = None
    decided: asyncio.Event = field(default_factory=asyncio.Event)


class Approvals:
    """All holds of the proxy. `now` is epoch seconds everywhere."""

    def __init__(self, audit: Audit, tell: Tell) -> None:
        self._audit = audit
        self._tell = tell
        self._holds: dict[str, Hold] = {}

    async def hold(self, request: HeldRequest, approval: Approval, now: float) -> Approved | Deny:
        """Return when it is decided or the deadline has passed; policy may have changed meanwhile. Raises AuditFailed.
        Cancelled: the hold stays, and counts for the same request when it comes again."""
        self._drop_old(now)
        if len(request.body) > MAX_BODY_BYTES:
            sentence = f"A request that needs approval may have a body of at most {MAX_BODY_BYTES >> 10} KiB."
            return Deny(code="approval_body_too_large", sentence=sentence)
        hold = self._find_abandoned(request)
        if hold is None:
            open_holds = [each for each in self._of_group(request.group_id) if each.verdict is None]
            if len(open_holds) >= MAX_OPEN_IN_GROUP:
                return _too_many(open_holds, now)
            hold = await self._ask(request, approval, now)
        return await self._wait(hold, now)

    def waiting(self, now: float) -> tuple[Hold, ...]:
        """Return what nobody has decided yet, the oldest first."""
        self._drop_old(now)
        return tuple(hold for hold in self._holds.values() if hold.verdict is None)

    def find(self, approval_id: str, now: float) -> Hold:
        """Return a hold that waits; raises ApprovalUnknown."""
        self._drop_old(now)
        hold = self._holds.get(approval_id)
        if hold is None or hold.verdict is not None:
            raise ApprovalUnknown(approval_id)
        return hold

    async def approve(self, approval_id: str, by: str, now: float) -> Hold:
        """Let it out, once; raises ApprovalUnknown, NotTheirs, AuditFailed."""
        hold = self.find(approval_id, now)
        verdict = Approved(approval_id=approval_id, by=by, digest=hold.digest)
        return await self._decide(hold, verdict, by, now)

    async def deny(self, approval_id: str, by: str, now: float, *, because: str = "") -> Hold:
        """Refuse it, and the same again until its deadline; the agent is told why. Raises as `approve`."""
        hold = self.find(approval_id, now)
        why = f": {because}" if because else "."
        verdict = Deny(code="approval_denied", sentence=f"The owner was asked and said no{why}")
        return await self._decide(hold, verdict, by, now)

    def withdraw(self, approval_id: str | None = None) -> None:
        """Forget a hold that nobody wants decided any more, or all (None): everything is frozen. Unused approvals go
        too."""
        for hold in tuple(self._holds.values()):
            if approval_id in (None, hold.approval_id):
                del self._holds[hold.approval_id]
                if hold.verdict is None:
                    self._note_end(hold, "withdrawn")
                    hold.verdict = Deny(code="approval_withdrawn", sentence="It was withdrawn before anybody decided.")
                    hold.decided.set()

    async def _ask(self, request: HeldRequest, approval: Approval, now: float) -> Hold:
        hold = Hold(
            approval_id=self._new_id(),
            request=request,
            digest=digest_of(request),
            body_sha256=hashlib.sha256(request.body).hexdigest(),
            who=approval.who,
            deadline_s=approval.deadline_s,
            hold_s=approval.hold_s,
            constraint=approval.constraint,
            asked_at=now,
            ends_at=now + approval.deadline_s,
        )
        self._holds[hold.approval_id] = hold  # before the wait: it counts for the quota
        try:
            await self._audit.note(_entry(hold, "wanted"))
        except BaseException:
            self._holds.pop(hold.approval_id, None)
            raise
        self._tell(request, hold.approval_id)
        return hold

    async def _wait(self, hold: Hold, now: float) -> Approved | Deny:
        hold.has_client = True
        try:
            async with asyncio.timeout(max(0.0, min(hold.ends_at - now, hold.hold_s))):
                await hold.decided.wait()
        except TimeoutError:
            if hold.verdict is None and hold.hold_s < hold.ends_at - now:
                return _pending(hold, hold.ends_at - now - hold.hold_s)
            if hold.verdict is None:
                self._expire(hold)
        finally:
            hold.has_client = False
        verdict = hold.verdict
        if isinstance(verdict, Approved):
            self._holds.pop(hold.approval_id, None)  # used: it lets nothing else out
        return verdict or _expired(hold)

    async def _decide(self, hold: Hold, verdict: Approved | Deny, by: str, now: float) -> Hold:
        if hold.who and by != OWNER and by not in hold.who:
            raise NotTheirs(hold.approval_id, by)
        if hold.is_being_decided:
            raise ApprovalUnknown(hold.approval_id)
        hold.is_being_decided = True
        try:
            word = "approved" if isinstance(verdict, Approved) else "denied"
            await self._audit.note(_entry(hold, word, by))
        finally:
            hold.is_being_decided = False
        if hold.verdict is not None or self._holds.get(hold.approval_id) is not hold:
            raise ApprovalUnknown(hold.approval_id)  # it ran out, or its task ended, while the row was written
        hold.verdict = verdict
        hold.request = replace(hold.request, body=b"")
        hold.ends_at = now + hold.deadline_s
        hold.decided.set()
        self._drop_surplus(hold.request.group_id)
        return hold

    def _find_abandoned(self, request: HeldRequest) -> Hold | None:
        """Return the hold of the same request whose client has gone, decided or not."""
        abandoned = [hold for hold in self._of_group(request.group_id) if not hold.has_client]
        if not abandoned:
            return None
        digest = digest_of(request)
        return next((hold for hold in abandoned if hold.digest == digest), None)

    def _of_group(self, group_id: GroupId) -> list[Hold]:
        return [hold for hold in self._holds.values() if hold.request.group_id == group_id]

    def _drop_old(self, now: float) -> None:
        for hold in tuple(self._holds.values()):
            if hold.ends_at <= now and not hold.has_client:
                if hold.verdict is None:
                    self._expire(hold)
                self._holds.pop(hold.approval_id, None)

    def _drop_surplus(self, group_id: GroupId) -> None:
        decided = [hold for hold in self._of_group(group_id) if hold.verdict is not None and not hold.has_client]
        for hold in decided[:-MAX_DECIDED_IN_GROUP]:
            del self._holds[hold.approval_id]

    def _expire(self, hold: Hold) -> None:
        self._holds.pop(hold.approval_id, None)
        hold.verdict = _expired(hold)
        self._note_end(hold, "expired")

    def _note_end(self, hold: Hold, word: str) -> None:
        self._audit.note_done(_entry(hold, word))

    def _new_id(self) -> str:
        """Return six characters that nobody else has: short, because a person types them."""
        while True:
            approval_id = base64.b32encode(os.urandom(5)).decode("ascii").lower()[:6]
            if approval_id not in self._holds:
                return approval_id


def _entry(hold: Hold, word: str, by: str = "") -> AuditEntry:
    request = hold.request
    return AuditEntry(
        kind="approval",
        door_id=request.door_id,
        group_id=request.group_id,
        task_id=request.task_id,
        attempt_id=request.attempt_id,
        call_id=request.call_id,
        target=request.shown_target,
        rule=request.rule,
        secret=request.secret,
        detail=word,
        note=approval_note(hold.approval_id, by),
        request_sha256=hold.body_sha256,
    )


def _expired(hold: Hold) -> Deny:
    sentence = f"This request needs a person's approval, and nobody gave it within {hold.deadline_s:g} seconds."
    return Deny(code="approval_expired", sentence=sentence)


def _pending(hold: Hold, left_s: float) -> Deny:
    """Said after a client has waited: a person takes longer than most programs wait."""
    sentence = (
        f"A person has been asked to approve this request ({hold.approval_id}) and has not answered yet; they have "
        f"{max(left_s, 1):.0f} s left. Nothing was sent. Tell who you work for that it waits, and go on with something "
        "else; the very same request asked again later gets their answer."
    )
    return Deny(code="approval_pending", sentence=sentence, retry_after_s=min(PENDING_RETRY_S, max(left_s, 1.0)))


def _too_many(open_holds: list[Hold], now: float) -> Deny:
    wait_s = max(1.0, min(hold.ends_at for hold in open_holds) - now)
    return Deny(
        code="approval_quota",
        sentence=f"{len(open_holds)} requests of this group wait for approval already; wait until they are decided.",
        retry_after_s=wait_s,
    )
