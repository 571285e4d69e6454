"""Rows of an owner's word: somebody is let in, a chat gets an agent, a request is denied; each with all that follows.

Each function is one job: it runs inside a transaction of the writer.
"""

from __future__ import annotations

from collections.abc import Callable

from protocol.ids import ChatKey, GroupId, PersonKey
from protocol.message import OutboundMessage
from runtime.people.records import AccessRequest
from runtime.store import access_rows, people_rows
from runtime.store.database import Transaction
from runtime.store.outbox_rows import put_outbound
from runtime.store.records import Binding, Role


def find_request(transaction: Transaction, code: str, subject: str) -> AccessRequest | None:
    """Return the request of a code, or the one about a person or a chat, that nobody has granted yet."""
    request = (
        access_rows.request_by_code(transaction, code)
        or access_rows.request_of(transaction, "person", PersonKey(subject))
        or access_rows.request_of(transaction, "chat", ChatKey(subject))
    )
    return request if request is not None and request.state != "granted" else None


def let_in(
    transaction: Transaction,
    key: PersonKey,
    request: AccessRequest | None,
    role: Role,
    group_id: GroupId,
    by: str,
    notice: Callable[[Role, GroupId], str],
) -> None:
    """Give somebody a role with an agent, tie their direct chats that have none to it, and tell them."""
    name = request.name if request is not None else ""
    people_rows.admit_person(transaction, key, name, role, group_id, f"approval:{by}")
    transaction.run("forget_refusal", person=key)
    chats = people_rows.direct_chats(transaction, key)
    chats += (request.chat,) if request is not None and request.chat not in chats else ()
    for chat in chats:
        if people_rows.binding_of(transaction, chat) is None:
            binding = Binding(chat=chat, chat_kind="direct", group_id=group_id, added_by=by)
            people_rows.bind(transaction, binding)
    if request is not None:
        told = OutboundMessage(chat=request.chat, text=notice(role, group_id))
        put_outbound(transaction, f"{request.message_id}/granted", told, None)


def connect(transaction: Transaction, binding: Binding, guest: AccessRequest | None, by: str) -> None:
    """Bind a chat to an agent. `guest`: who asked for it and is nobody to the agent, is its guest from now on."""
    if guest is not None:
        people_rows.admit_person(transaction, guest.person, guest.name, "guest", binding.group_id, f"approval:{by}")
        transaction.run("forget_refusal", person=guest.person)
    people_rows.bind(transaction, binding)


def end_request(transaction: Transaction, request: AccessRequest, told: OutboundMessage | None) -> None:
    """End a request whose messages have been taken up, with a word to its chat, said once."""
    if access_rows.drop_granted(transaction, request.code) and told is not None:
        put_outbound(transaction, f"{request.message_id}/taken_up", told, None)


def grant(
    transaction: Transaction, request: AccessRequest | None, carry_out: Callable[[Transaction], object], by: str
) -> None:
    """Do what a yes does where nothing waits for it; what was denied before is granted with it."""
    carry_out(transaction)
    if request is not None:
        access_rows.decide_request(transaction, request, "granted", by)
