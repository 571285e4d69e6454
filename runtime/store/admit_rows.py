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
from runtime.store.records import Binding, Person, Role


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
) -> Person:
    """Give somebody a role with an agent, tie their direct chats that have none to it, and tell them."""
    name = request.name if request is not None else ""
    admitted = people_rows.admit_person(transaction, key, name, role, group_id, f"approval:{by}")
    transaction.run("forget_refusal", person=key)
    chats = people_rows.direct_chats(transaction, key)
    chats += (request.chat,) if request is not None and request.chat not in chats else ()
    for chat in chats:
        if people_rows.binding_of(transaction, chat) is None:
            binding = Binding(chat=chat, chat_kind="direct", group_id=group_id, added_by=by)
            people_rows.bind(transaction, binding)
    if request is not None:
        access_rows.decide_request(transaction, request, "granted", by)
        told = OutboundMessage(chat=request.chat, text=notice(role, group_id))
        put_outbound(transaction, f"{request.message_id}/granted", told, None)
    return admitted


def connect(transaction: Transaction, binding: Binding, request: AccessRequest | None, by: str) -> Binding:
    """Bind a chat to an agent; what was asked about the chat is granted with it."""
    bound = people_rows.bind(transaction, binding)
    if request is not None:
        access_rows.decide_request(transaction, request, "granted", by)
    return bound


def deny(transaction: Transaction, request: AccessRequest, by: str) -> None:
    """Deny a request: whoever made it is not answered any more, and nobody is asked again."""
    access_rows.decide_request(transaction, request, "denied", by)
