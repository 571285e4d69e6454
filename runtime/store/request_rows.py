"""Rows of a refused message whose sender, or chat, an owner is asked about: filed with the request and its cards.

Each function is one job: it runs inside a transaction of the writer. What cards say is people/cards.py's business.
"""

from __future__ import annotations

from dataclasses import replace

from protocol.ids import ChatKey, GroupId, PersonKey
from protocol.message import InboundMessage, OutboundMessage
from runtime.inbound_text import shorten
from runtime.people.cards import ASK_LATER, door_question, stranger_notice
from runtime.people.records import AskOwner
from runtime.store import access_rows, approval_rows, people_rows
from runtime.store.database import Transaction
from runtime.store.inbound_rows import file_message, parent_chat
from runtime.store.outbox_rows import put_outbound
from runtime.store.records import Filed, MessageState

MAX_REFUSED_CHARS = 1_000
"""What is kept of a refused text: enough to see what it was, too little for a stranger to fill the disk with."""


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
) -> Filed | None:
    """File a refused message, and ask every owner about it, unless they have been asked or have said no. It waits for
    their yes. None: they have just said it, and it must be decided anew.

    Nobody who was denied hears anything any more; whoever asks while too many do is told so, and no owner is.
    """
    if _was_let_in(transaction, inbound, ask):
        return None
    subject: PersonKey | ChatKey = inbound.person if ask.kind == "person" else parent_chat(inbound.chat)
    has_room = access_rows.has_room(transaction, ask.kind)
    before = access_rows.request_of(transaction, ask.kind, subject)
    is_new = before is None and has_room
    if ask.kind == "person":
        notice = "" if is_new or before is not None else (notice and ASK_LATER)
    elif before is not None:
        notice = ""
    waits = is_new or (before is not None and before.state == "pending")
    filed = file_message(
        transaction,
        raw_id,
        shorten(inbound, access_rows.MAX_KEPT_CHARS if waits else MAX_REFUSED_CHARS),
        state=MessageState.REFUSED,
        group_id=group_id,
        end_reason=end_reason,
        notice=OutboundMessage(chat=inbound.chat, text=notice) if notice else None,
        refusal=refusal,
    )
    if not filed.first or not waits:
        return filed
    code = before.code if before is not None else _ask(transaction, filed, ask)
    for left_out in access_rows.wait_for(transaction, code, filed.message.message_id):
        short = shorten(left_out.inbound, MAX_REFUSED_CHARS)
        if short != left_out.inbound:
            access_rows.rewrite(transaction, left_out, short)
    return filed


def _was_let_in(transaction: Transaction, inbound: InboundMessage, ask: AskOwner) -> bool:
    if ask.kind == "person":
        return people_rows.person(transaction, inbound.person) is not None
    return people_rows.binding_of(transaction, inbound.chat) is not None


def _ask(transaction: Transaction, filed: Filed, ask: AskOwner) -> str:
    """Ask the owners, and tell a stranger how to be let in; return the request's code."""
    message_id, inbound = filed.message.message_id, filed.message.inbound
    question = door_question(
        ask.kind,
        replace(inbound, chat=parent_chat(inbound.chat)) if ask.kind == "chat" else inbound,
        message_id,
        ask.groups,
        is_known=people_rows.person(transaction, inbound.person) is not None,
        deadline_s=access_rows.REQUEST_LIFE[ask.kind].total_seconds(),
        chats=people_rows.owner_chats(transaction),
    )
    asked = approval_rows.ask(transaction, question, ask.zone_name)
    request = access_rows.add_request(transaction, asked, inbound, message_id)
    if ask.kind == "person":
        answer = stranger_notice(request, has_owner=people_rows.has_owner(transaction))
        put_outbound(transaction, f"{message_id}/notice", OutboundMessage(chat=inbound.chat, text=answer), None)
        told_at = transaction.now_text()
        transaction.run("note_refusal", person=inbound.person, chat=inbound.chat, refused_at=told_at)
    return request.code
