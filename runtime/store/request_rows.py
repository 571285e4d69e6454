"""Rows of a refused message whose sender, or chat, an owner is asked about: filed with the request and its cards.

Each function is one job: it runs inside a transaction of the writer. What cards say is people/cards.py's business.
"""

from __future__ import annotations

from protocol.ids import ChatKey, GroupId, PersonKey
from protocol.message import Button, InboundMessage, OutboundMessage
from runtime.people.cards import ASK_LATER, chat_card, person_card, stranger_notice
from runtime.people.records import AccessRequest, Asking, AskOwner
from runtime.store import access_rows, people_rows
from runtime.store.database import Transaction
from runtime.store.inbound_rows import file_message
from runtime.store.outbox_rows import put_outbound
from runtime.store.records import Filed, MessageState


def file_and_ask(
    transaction: Transaction,
    raw_id: int,
    inbound: InboundMessage,
    ask: AskOwner,
    *,
    group_id: GroupId | None,
    end_reason: str,
    notice: str,
    refusal: str,
) -> Asking:
    """File a refused message, and ask every owner about it, unless they have been asked or have said no.

    Nobody who was denied hears anything any more; whoever asks while too many do is told so, and no owner is.
    """
    subject: PersonKey | ChatKey = inbound.person if ask.kind == "person" else inbound.chat
    has_room = access_rows.has_room(transaction)
    before = access_rows.request_of(transaction, ask.kind, subject)
    is_new = before is None and has_room
    if ask.kind == "person":
        notice = "" if is_new or before is not None else (notice and ASK_LATER)
    elif before is not None:
        notice = ""
    told = OutboundMessage(chat=inbound.chat, text=notice) if notice else None
    filed = file_message(
        transaction,
        raw_id,
        inbound,
        state=MessageState.REFUSED,
        group_id=group_id,
        end_reason=end_reason,
        notice=told,
        refusal=refusal,
    )
    if not filed.first or not is_new:
        return Asking(filed=filed, request=None)
    return Asking(filed=filed, request=_ask(transaction, filed, ask))


def _ask(transaction: Transaction, filed: Filed, ask: AskOwner) -> AccessRequest:
    message_id, inbound = filed.message.message_id, filed.message.inbound
    request = access_rows.add_request(
        transaction,
        ask.code,
        ask.kind,
        person=inbound.person,
        name=inbound.sender_name,
        chat=inbound.chat,
        chat_kind=inbound.chat_kind,
        message_id=message_id,
    )
    owners = people_rows.owner_chats(transaction)
    if ask.kind == "person":
        text, buttons = person_card(request, inbound, ask.groups)
        answer = stranger_notice(request, has_owner=people_rows.has_owner(transaction))
        put_outbound(transaction, f"{message_id}/notice", OutboundMessage(chat=inbound.chat, text=answer), None)
        told_at = transaction.now_text()
        transaction.run("note_refusal", person=inbound.person, chat=inbound.chat, refused_at=told_at)
    else:
        is_known = people_rows.person(transaction, inbound.person) is not None
        text, buttons = chat_card(request, inbound, ask.groups, is_known=is_known)
    for chat in owners:
        _put_card(transaction, request, chat, text, buttons)
    return request


def _put_card(
    transaction: Transaction, request: AccessRequest, chat: ChatKey, text: str, buttons: tuple[Button, ...]
) -> None:
    card = OutboundMessage(chat=chat, text=text, buttons=buttons)
    put_outbound(transaction, f"{request.message_id}/card/{chat}", card, None)
