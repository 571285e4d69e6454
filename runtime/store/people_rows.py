"""Rows of who may speak where: persons with their identities, roles and limits; and the agents of chats.

Each function is one job: it runs inside a transaction of the writer (or, where it only reads, the reader). What a
person may do is access.py's business.
"""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from collections.abc import Collection, Mapping
from datetime import timedelta

from protocol.ids import ChatKey, GroupId, PersonKey
from runtime.config import TERMINAL
from runtime.journal import JournalKind
from runtime.people.records import KnownPerson
from runtime.store import inbound_rows
from runtime.store.database import Transaction, time_text
from runtime.store.journal_rows import append
from runtime.store.payload_text import to_text
from runtime.store.records import (
    ROLES,
    Asked,
    Binding,
    Followed,
    Person,
    PersonLimits,
    Role,
    SenderFacts,
    Spent,
)

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SAME_PERSON = "that is the same person already"


def sender_facts(transaction: Transaction, key: PersonKey, chat: ChatKey) -> SenderFacts:
    where = {"person": key, "chat": chat, "parent": inbound_rows.parent_chat(chat)}
    rows = transaction.all("sender_facts", **where, now=transaction.now_text())
    first = rows[0]  # the query always gives one
    bound = [row for row in rows if row["group_id"] is not None]
    return SenderFacts(
        person=_speaker(first) if first["role"] is not None else None,
        bindings=tuple(_binding(row) for row in bound),
        pairing_pending=bool(first["pairing_pending"]),
        refused_at=first["refused_at"],
        granted=first["granted"] or "",
        roles={GroupId(row["group_id"]): row["role_here"] for row in bound if row["role_here"] is not None},
        followed=tuple(
            Followed(group_id=GroupId(row["group_id"]), spoken_at=row["spoken_at"])
            for row in bound
            if row["spoken_at"] is not None
        ),
        limits=_limits(first) if first["limited"] is not None else None,
        asked=_asked(first["asked"]),
    )


def people(transaction: Transaction) -> tuple[Person, ...]:
    return tuple(_person(row) for row in transaction.all("people"))


def known_people(transaction: Transaction) -> tuple[KnownPerson, ...]:
    """Return everybody who is known, with all that is set for them."""
    identities, roles = transaction.all("identities"), transaction.all("person_roles")
    limits = {row["person"]: _limits(row) for row in transaction.all("person_limits")}
    return tuple(
        KnownPerson(
            person=each,
            identities=tuple(PersonKey(row["identity"]) for row in identities if row["person"] == each.person),
            roles=tuple((GroupId(row["group_id"]), row["role"]) for row in roles if row["person"] == each.person),
            limits=limits.get(each.person),
        )
        for each in people(transaction)
    )


def person(transaction: Transaction, key: PersonKey) -> Person | None:
    """Return the known person whom a key is an identity of; their role is the one that holds everywhere."""
    row = transaction.one("person_by_key", person=key)
    return _person(row) if row else None


def people_with(transaction: Transaction, keys: Collection[PersonKey], group_id: GroupId) -> Mapping[PersonKey, Person]:
    """Return the known ones of these, by the key that was asked for, with the role that they have to an agent."""
    found = ((key, transaction.one("person_with", person=key, group_id=group_id)) for key in keys)
    return {key: _person_with(row) for key, row in found if row is not None}


def has_owner(transaction: Transaction) -> bool:
    row = transaction.one("count_owners")
    return bool(row and row["owners"])


def save_person(transaction: Transaction, key: PersonKey, name: str, role: Role, added_by: str) -> Person:
    transaction.run("save_person", person=key, name=name, role=role, added_at=transaction.now_text(), added_by=added_by)
    saved = person(transaction, key)
    assert saved is not None  # saved above
    append(transaction, JournalKind.PERSON_SAVED, to_text(saved))
    return saved


def admit_person(
    transaction: Transaction, key: PersonKey, name: str, role: Role, group_id: GroupId | None, by: str
) -> Person:
    """Give somebody a role: with one agent, or (no group, or an owner's) everywhere. One role more takes none away, but
    where both are for the same."""
    known = person(transaction, key)
    if group_id is None or role == "owner":
        return save_person(transaction, known.person if known else key, name or _name_of(known, key), role, by)
    if known is None:
        known = save_person(transaction, key, name or key, "guest", by)
    transaction.run("save_role", person=known.person, group_id=group_id, role=role)
    append(transaction, JournalKind.PERSON_SAVED, f"{known.person} {role} {by}", group=group_id)
    return known


def drop_role(transaction: Transaction, key: PersonKey, group_id: GroupId, by: str) -> bool:
    """Have a person be to an agent what they are everywhere; False if they are."""
    dropped = transaction.run("remove_role", person=key, group_id=group_id) > 0
    if dropped:
        append(transaction, JournalKind.PERSON_SAVED, f"{key} {by}", group=group_id)
    return dropped


def remove_person(transaction: Transaction, key: PersonKey) -> bool:
    removed = transaction.run("remove_person", person=key) > 0
    if removed:
        append(transaction, JournalKind.PERSON_REMOVED, key)
    return removed


def link(transaction: Transaction, key: PersonKey, identity: PersonKey, by: str) -> Person:
    """Make a key another identity of a known person; who had been somebody under it is this person from now on.

    The person's own rights count, not those that the key had: the caller has asked whether that may be.
    """
    known = person(transaction, key)
    if known is None:
        raise ValueError(f"{key} is nobody known")
    if identity == known.person:
        raise ValueError(SAME_PERSON)
    added = {"added_at": transaction.now_text(), "added_by": by}
    transaction.run("move_identities", to_person=known.person, person=identity)
    remove_person(transaction, identity)
    transaction.run("save_identity", identity=identity, person=known.person, **added)
    append(transaction, JournalKind.PERSON_LINKED, f"{known.person} {identity} {by}")
    return known


def unlink(transaction: Transaction, identity: PersonKey, by: str) -> bool:
    """Make an identity a stranger's again; False if it was linked to nobody."""
    removed = transaction.run("remove_identity", identity=identity) > 0
    if removed:
        append(transaction, JournalKind.PERSON_UNLINKED, f"{identity} {by}")
    return removed


def set_limits(transaction: Transaction, key: PersonKey, limits: PersonLimits | None, by: str) -> None:
    """Give a known person limits of their own; None: those that everybody has."""
    if limits is None or limits == PersonLimits():
        transaction.run("remove_limits", person=key)
    else:
        transaction.run("save_limits", person=key, **dataclasses.asdict(limits))
    append(transaction, JournalKind.PERSON_LIMITED, f"{key} {to_text(limits)} {by}")


def asked_by(transaction: Transaction, keys: Collection[PersonKey]) -> Asked:
    """Return how many messages went to agents of late under these identities."""
    now = transaction.now()
    row = transaction.one(
        "asked_by",
        persons=json.dumps(list(keys)),
        minute_ago=time_text(now - MINUTE),
        hour_ago=time_text(now - HOUR),
        day_ago=time_text(now - DAY),
    )
    return Asked(minute=row["minute"], hour=row["hour"], day=row["day"]) if row else Asked()


def spent_by(transaction: Transaction, person: PersonKey) -> Spent:
    """Return what a known person's tasks have used today (UTC), under all their identities."""
    day = transaction.now_text()[:10]
    row = transaction.one("spent_by", day=day, persons=json.dumps(keys_of(transaction, person)))
    return Spent(model_calls=row["model_calls"], cost_usd=row["cost_usd"]) if row else Spent()


def keys_of(transaction: Transaction, person: PersonKey) -> tuple[PersonKey, ...]:
    """Return all keys of a known person, the one that they are known by first."""
    return (person, *(PersonKey(row["identity"]) for row in transaction.all("identities_of", person=person)))


def direct_chats(transaction: Transaction, key: PersonKey) -> tuple[ChatKey, ...]:
    """Return the direct chats in which somebody was heard."""
    return tuple(ChatKey(row["chat"]) for row in transaction.all("direct_chats", person=key))


def owner_chats(transaction: Transaction) -> tuple[ChatKey, ...]:
    """Return one direct chat for each owner, the one where they were first heard most lately; without any owner who has
    one, the terminals': who can open a terminal owns the home."""
    newest = {row["person"]: ChatKey(row["chat"]) for row in reversed(transaction.all("owner_chats"))}
    return tuple(newest.values()) or tuple(ChatKey(row["chat"]) for row in transaction.all("terminal_chats"))[:1]


def open_terminal(transaction: Transaction, group_id: GroupId) -> None:
    """Have the owner's terminal chat with an agent be there, whether or not somebody ever opened it."""
    chat = ChatKey(f"{TERMINAL}:{group_id}")
    if not bindings_of(transaction, chat):
        bind(transaction, Binding(chat=chat, chat_kind="direct", group_id=group_id, added_by="host"))
    transaction.run(
        "see_chat",
        chat=chat,
        channel_id=TERMINAL,
        chat_kind="direct",
        person=f"{TERMINAL}:owner",
        seen_at=transaction.now_text(),
    )


def bind(transaction: Transaction, binding: Binding) -> Binding:
    """Bind a chat to an agent, or change how it is bound. As its default agent it takes the place of the one so far."""
    bound = dataclasses.replace(binding, added_at=transaction.now_text())
    if bound.is_default:
        transaction.run("clear_default", chat=bound.chat)
    transaction.run(
        "bind",
        chat=bound.chat,
        chat_kind=bound.chat_kind,
        group_id=bound.group_id,
        answers=bound.when,
        pattern=bound.pattern,
        sticky_minutes=bound.sticky_minutes,
        whom=bound.whom,
        whom_names=json.dumps(bound.whom_names),
        rest=bound.rest,
        session=bound.session,
        mode=bound.mode,
        is_default=int(bound.is_default),
        added_at=bound.added_at,
        added_by=bound.added_by,
    )
    transaction.run("make_default", chat=bound.chat)
    append(transaction, JournalKind.CHAT_BOUND, to_text(bound), group=bound.group_id)
    return next(each for each in bindings_of(transaction, bound.chat) if each.group_id == bound.group_id)


def bind_alone(transaction: Transaction, binding: Binding) -> Binding:
    """Bind a chat to an agent in place of all that it was bound to."""
    for other in bindings_of(transaction, binding.chat):
        if other.group_id != binding.group_id:
            unbind(transaction, binding.chat, other.group_id)
    return bind(transaction, binding)


def unbind(transaction: Transaction, chat: ChatKey, group_id: GroupId | None = None) -> bool:
    """Take an agent (None: every agent) from a chat; False if it had none."""
    removed = [each for each in bindings_of(transaction, chat) if group_id in (None, each.group_id)]
    for each in removed:
        transaction.run("unbind", chat=chat, group_id=each.group_id)
        transaction.run("unfollow", chat=chat, group_id=each.group_id)
        append(transaction, JournalKind.CHAT_UNBOUND, chat, group=each.group_id)
    transaction.run("make_default", chat=chat)
    return bool(removed)


def bindings(transaction: Transaction, group_id: GroupId | None) -> tuple[Binding, ...]:
    if group_id is None:
        return tuple(_binding(row) for row in transaction.all("all_bindings"))
    return tuple(_binding(row) for row in transaction.all("bindings_of_group", group_id=group_id))


def bindings_of(transaction: Transaction, chat: ChatKey) -> tuple[Binding, ...]:
    """Return the agents that a chat itself is bound to, the default one first."""
    return tuple(_binding(row) for row in transaction.all("bindings_of_chat", chat=chat))


def binding_of(transaction: Transaction, chat: ChatKey, group_id: GroupId | None = None) -> Binding | None:
    """Return the binding that holds in a chat or thread for an agent (None: for its default one)."""
    found = bindings_of(transaction, chat) or bindings_of(transaction, inbound_rows.parent_chat(chat))
    return next((each for each in found if group_id in (None, each.group_id)), None)


def _name_of(known: Person | None, key: PersonKey) -> str:
    return known.name if known else key


def _person(row: sqlite3.Row) -> Person:
    return Person(
        person=PersonKey(row["person"]),
        name=row["name"],
        role=row["role"],
        added_at=row["added_at"],
        added_by=row["added_by"],
    )


def _person_with(row: sqlite3.Row) -> Person:
    here = row["role_here"]
    return dataclasses.replace(_person(row), role=max(row["role"], here or row["role"], key=ROLES.index))


def _speaker(row: sqlite3.Row) -> Person:
    """Return who speaks, of a row in which `added_at` is the binding's."""
    return Person(
        person=PersonKey(row["person"]),
        name=row["name"],
        role=row["role"],
        added_at=row["person_at"],
        added_by=row["person_by"],
    )


def _limits(row: sqlite3.Row) -> PersonLimits:
    return PersonLimits(
        per_minute=row["per_minute"],
        per_hour=row["per_hour"],
        per_day=row["per_day"],
        model_calls_per_day=row["model_calls_per_day"],
        cost_usd_per_day=row["cost_usd_per_day"],
    )


def _asked(counts: str | None) -> Asked:
    """Return three counts of one column."""
    if counts is None:
        return Asked()
    minute, hour, day = map(int, counts.split())
    return Asked(minute=minute, hour=hour, day=day)


def _binding(row: sqlite3.Row) -> Binding:
    return Binding(
        chat=ChatKey(row["chat"]),
        chat_kind=row["chat_kind"],
        group_id=GroupId(row["group_id"]),
        when=row["answers"],
        pattern=row["pattern"],
        sticky_minutes=row["sticky_minutes"],
        whom=row["whom"],
        whom_names=tuple(json.loads(row["whom_names"])) if row["whom"] != "known" else (),
        rest=row["rest"],
        session=row["session"],
        mode=row["mode"],
        is_default=bool(row["is_default"]),
        added_at=row["added_at"],
        added_by=row["added_by"],
    )
