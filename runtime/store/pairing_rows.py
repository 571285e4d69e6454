"""Rows of pairing codes: made on the machine or by a person, tried by whoever sends one, guesses counted.

Each function is one job: it runs inside a transaction of the writer. What a code is, how often one may guess and what
is said then is people/pairing.py's.
"""

from __future__ import annotations

import hmac
import sqlite3
from collections.abc import Collection
from datetime import datetime
from typing import Literal

from protocol.ids import GroupId, PersonKey
from protocol.message import InboundMessage, OutboundMessage
from runtime import access
from runtime.journal import JournalKind
from runtime.people import pairing
from runtime.people.codes import normalize_code
from runtime.store import inbound_rows
from runtime.store.database import Transaction, time_text
from runtime.store.journal_rows import append
from runtime.store.people_rows import admit_person, bind, bind_alone, binding_of, link, person
from runtime.store.records import ROLES, Binding, MessageState, PairingOutcome, Role


def add_pairing_code(
    transaction: Transaction,
    code: str,
    group_id: GroupId,
    added_by: str,
    *,
    person: PersonKey | None = None,
    role: Role = "owner",
) -> datetime:
    normal = normalize_code(code)
    if normal is None:
        raise ValueError("not a pairing code: pairing.make_pairing_code makes one")
    now = transaction.now()
    transaction.run("drop_expired_codes", now=time_text(now))
    transaction.run("drop_codes_of", person=person or "")
    transaction.run(
        "insert_code",
        code_hash=_code_hash(transaction, normal),
        group_id=group_id,
        added_by=added_by,
        created_at=time_text(now),
        expires_at=time_text(now + pairing.CODE_LIFE),
        person=person or "",
        role=role,
    )
    transaction.run("drop_oldest_codes", keep=pairing.MAX_PENDING_CODES)
    append(transaction, JournalKind.PAIRING_CODE_ADDED, added_by, group=group_id or None)
    return now + pairing.CODE_LIFE


def redeem_pairing_code(
    transaction: Transaction, code: str, raw_id: int, inbound: InboundMessage, rehearsing: Collection[GroupId]
) -> PairingOutcome:
    now = transaction.now()
    transaction.run("drop_old_guesses", before=time_text(now - pairing.LOCK_OUT))
    wrong = transaction.one("count_guesses", person=inbound.person)
    if wrong and (wrong["by_person"] >= pairing.MAX_WRONG_PER_PERSON or wrong["in_all"] >= pairing.MAX_WRONG_IN_ALL):
        if wrong["words"]:
            return PairingOutcome(kind="silent")
        transaction.insert("insert_guess", person=inbound.person, guessed_at=time_text(now), is_word=1)
        return PairingOutcome(kind="locked")
    code_hash = _code_hash(transaction, code)
    row = transaction.one("code_by_hash", code_hash=code_hash, now=time_text(now))
    if row is None or inbound.chat_kind != "direct":
        _count_wrong(transaction, inbound.person, now)
        return PairingOutcome(kind="wrong")
    if row["person"]:
        return _redeem_link(transaction, row, raw_id, inbound)
    group_id = GroupId(row["group_id"])
    transaction.run("drop_code", code_hash=code_hash)
    append(transaction, JournalKind.PAIRING_CODE_USED, inbound.person, group=group_id)
    by = f"pairing:{row['added_by']}"
    admit_person(transaction, inbound.person, inbound.sender_name, row["role"], group_id, by)
    binding = Binding(chat=inbound.chat, chat_kind="direct", group_id=group_id, added_by=inbound.person)
    bind_alone(transaction, binding)
    text = pairing.paired_notice(group_id, row["role"], is_rehearsal=group_id in rehearsing)
    return _redeemed(transaction, "paired", raw_id, inbound, group_id, text)


def _redeem_link(transaction: Transaction, row: sqlite3.Row, raw_id: int, inbound: InboundMessage) -> PairingOutcome:
    """Link who sent the code to who made it, unless that would take rights away from somebody who was tricked."""
    maker, sender = person(transaction, PersonKey(row["person"])), person(transaction, inbound.person)
    group_id = GroupId(row["group_id"]) if row["group_id"] else None
    is_known = sender is not None or inbound.channel_id == access.TERMINAL
    if maker is None or (sender is not None and sender.person == maker.person):
        return PairingOutcome(kind="wrong")
    if is_known and _rank(access.role_of(inbound, sender)) > _rank(maker.role):
        return _redeemed(transaction, "linked", raw_id, inbound, group_id, pairing.LINK_OTHER_WAY)
    transaction.run("drop_code", code_hash=row["code_hash"])
    link(transaction, maker.person, inbound.person, f"code:{maker.person}")
    if group_id is not None and binding_of(transaction, inbound.chat) is None:
        bind(transaction, Binding(chat=inbound.chat, chat_kind="direct", group_id=group_id, added_by=maker.person))
    return _redeemed(transaction, "linked", raw_id, inbound, group_id, pairing.linked_notice(maker.person))


def _redeemed(
    transaction: Transaction,
    kind: Literal["paired", "linked"],
    raw_id: int,
    inbound: InboundMessage,
    group_id: GroupId | None,
    text: str,
) -> PairingOutcome:
    filed = inbound_rows.file_message(
        transaction,
        raw_id,
        inbound,
        state=MessageState.COMMAND,
        group_id=group_id,
        end_reason=kind,
        notice=OutboundMessage(chat=inbound.chat, text=text),
    )
    return PairingOutcome(kind=kind, filed=filed)


def _rank(role: Role | None) -> int:
    return ROLES.index(role) if role else -1


def _count_wrong(transaction: Transaction, key: PersonKey, now: datetime) -> None:
    """Count a wrong guess; a known person's are ordinary words that happen to look like a code."""
    if person(transaction, key) is None:
        transaction.insert("insert_guess", person=key, guessed_at=time_text(now), is_word=0)
        append(transaction, JournalKind.PAIRING_REFUSED, key)


def _code_hash(transaction: Transaction, code: str) -> str:
    return hmac.digest(transaction.key, b"pairing\0" + code.encode("ascii"), "sha256").hex()
