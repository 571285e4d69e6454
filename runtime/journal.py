"""The journal's chain: how an entry is sealed, and how a chain is checked. Pure.

An entry says that something happened to which ids, and holds a keyed digest of the payload instead of its text. Each
entry's hash covers the one before it. Both are HMAC-SHA256 with the home's journal key, so that whoever can only write
the file can neither change, drop or insert an entry unseen, nor guess a short text from its digest.
Rows and files are `store/journal_rows.py`'s business.
"""

from __future__ import annotations

import enum
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii


class JournalKind(enum.StrEnum):
    """What can happen. Each kind stands in docs/store.md."""

    RAW_DEAD = "raw_dead"
    MESSAGE_QUEUED = "message_queued"
    MESSAGE_CONTEXT = "message_context"
    MESSAGE_REFUSED = "message_refused"
    MESSAGE_COMMAND = "message_command"
    MESSAGE_CLAIMED = "message_claimed"
    MESSAGE_ANSWERED = "message_answered"
    MESSAGE_DEAD = "message_dead"
    COMMAND_DONE = "command_done"
    SESSION_STARTED = "session_started"
    SESSION_RESUMED = "session_resumed"
    SESSION_ENDED = "session_ended"
    SESSION_ARCHIVED = "session_archived"
    SESSION_COMPACTED = "session_compacted"
    MODEL_CHOSEN = "model_chosen"
    MEMORY_FORGOTTEN = "memory_forgotten"
    SUBMISSION_QUEUED = "submission_queued"
    TASK_STARTED = "task_started"
    TASK_SUSPENDED = "task_suspended"
    TASK_RESUMED = "task_resumed"
    TASK_RETRIED = "task_retried"
    TASK_ENDED = "task_ended"
    QUESTION_ASKED = "question_asked"
    QUESTION_ANSWERED = "question_answered"
    GROUP_PAUSED = "group_paused"
    GROUP_RESUMED = "group_resumed"
    ATTEMPT_STARTED = "attempt_started"
    ATTEMPT_RUNNING = "attempt_running"
    ATTEMPT_ENDED = "attempt_ended"
    STEP_STORED = "step_stored"
    OUTBOX_PENDING = "outbox_pending"
    OUTBOX_SENDING = "outbox_sending"
    OUTBOX_SENT = "outbox_sent"
    OUTBOX_FAILED = "outbox_failed"
    OUTBOX_DEAD = "outbox_dead"
    OUTBOX_RECOVERED = "outbox_recovered"
    PERSON_SAVED = "person_saved"
    PERSON_REMOVED = "person_removed"
    CHAT_BOUND = "chat_bound"
    CHAT_UNBOUND = "chat_unbound"
    CHAT_MOVED = "chat_moved"
    PAIRING_CODE_ADDED = "pairing_code_added"
    PAIRING_CODE_USED = "pairing_code_used"
    PAIRING_REFUSED = "pairing_refused"
    APPROVAL_ASKED = "approval_asked"
    APPROVAL_VOTED = "approval_voted"
    APPROVAL_APPROVED = "approval_approved"
    APPROVAL_DENIED = "approval_denied"
    APPROVAL_EXPIRED = "approval_expired"
    APPROVAL_WITHDRAWN = "approval_withdrawn"
    APPROVAL_USED = "approval_used"
    DECISION_REMEMBERED = "decision_remembered"
    DECISION_FORGOTTEN = "decision_forgotten"
    OUTPUT_HELD = "output_held"
    OUTPUT_RELEASED = "output_released"
    OUTPUT_REFUSED = "output_refused"
    TASK_TAINTED = "task_tainted"
    CONSTRAINT_ADDED = "constraint_added"
    CONSTRAINT_REMOVED = "constraint_removed"
    SKILL_MOUNTED = "skill_mounted"
    SKILL_UNMOUNTED = "skill_unmounted"
    PERSON_LINKED = "person_linked"
    PERSON_UNLINKED = "person_unlinked"
    PERSON_LIMITED = "person_limited"
    ACCESS_ASKED = "access_asked"
    ACCESS_GRANTED = "access_granted"
    ACCESS_DENIED = "access_denied"
    MESSAGE_REPLACED = "message_replaced"
    DESTINATION_ADDED = "destination_added"
    DESTINATION_REMOVED = "destination_removed"
    PERSON_FORGOTTEN = "person_forgotten"
    LETTER_RETRIED = "letter_retried"
    LETTER_CLOSED = "letter_closed"
    FOLDERS_KEPT = "folders_kept"
    FOLDERS_UNDONE = "folders_undone"
    SPACE_CHANGED = "space_changed"
    SPACE_REMOVED = "space_removed"
    SCHEDULE_MADE = "schedule_made"
    SCHEDULE_PAUSED = "schedule_paused"
    SCHEDULE_RESUMED = "schedule_resumed"
    SCHEDULE_REMOVED = "schedule_removed"
    SCHEDULE_DONE = "schedule_done"
    SCHEDULE_REALIGNED = "schedule_realigned"
    ZONE_SET = "zone_set"
    RUN_DUE = "run_due"
    RUN_SUBMITTED = "run_submitted"
    RUN_ENDED = "run_ended"
    DELEGATION_ASKED = "delegation_asked"
    DELEGATION_SUBMITTED = "delegation_submitted"
    DELEGATION_ENDED = "delegation_ended"
    DELEGATION_ANSWERED = "delegation_answered"
    FILE_HANDED = "file_handed"
    PURSE_CHANGED = "purse_changed"
    PROGRAM_ADDED = "program_added"
    PROGRAM_REVOKED = "program_revoked"
    FROZEN = "frozen"
    UNFROZEN = "unfrozen"


_quoted = encode_basestring_ascii
"""A text as JSON writes it. Lists and objects of texts are put together here: an encoder costs more than the hash."""

FIRST_PREVIOUS = ""
"""What stands for the hash before the first entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedEntry:
    """An entry as it stands in the chain."""

    seq: int
    at: str
    kind: str
    refs: str
    """A JSON object, as `refs_text` writes it: the hash covers these very characters."""
    digest: str
    previous: str
    hash: str


def refs_text(refs: Mapping[str, str]) -> str:
    """Return the one spelling of an entry's ids."""
    return "{" + ",".join(f"{_quoted(name)}:{_quoted(refs[name])}" for name in sorted(refs)) + "}"


def payload_digest(key: bytes, payload: str) -> str:
    """Return the keyed digest that stands in the journal for a text."""
    return hmac.digest(key, b"payload\0" + payload.encode("utf-8"), "sha256").hex()


def seal(key: bytes, *, seq: int, at: str, kind: str, refs: str, digest: str, previous: str) -> SealedEntry:
    """Return the entry with its hash."""
    fields = f"[{seq},{','.join(map(_quoted, (at, kind, refs, digest, previous)))}]"
    sealed = hmac.digest(key, b"entry\0" + fields.encode("ascii"), "sha256").hex()
    return SealedEntry(seq=seq, at=at, kind=kind, refs=refs, digest=digest, previous=previous, hash=sealed)


def why_broken(key: bytes, entry: SealedEntry, *, expected_seq: int, expected_previous: str) -> str | None:
    """Return why an entry does not follow from the one before it, or None if it does."""
    if entry.seq != expected_seq:
        return f"entry {expected_seq} is missing"
    if not hmac.compare_digest(entry.previous, expected_previous):
        return f"entry {entry.seq} does not follow the one before it"
    resealed = seal(
        key,
        seq=entry.seq,
        at=entry.at,
        kind=entry.kind,
        refs=entry.refs,
        digest=entry.digest,
        previous=entry.previous,
    )
    if not hmac.compare_digest(resealed.hash, entry.hash):
        return f"entry {entry.seq} was changed after it was written"
    return None
