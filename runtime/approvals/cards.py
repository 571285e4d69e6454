"""What people see of a question: the card with its buttons, the reminder, the word that it is decided. Pure.

A button's value is a command, so that pressing is typing it, with the presser's own rights.
"""

from __future__ import annotations

from datetime import datetime

from protocol.ids import ChatKey
from protocol.message import Button, OutboundMessage
from protocol.plain_text import escape
from runtime.approvals.effect_text import cut_lines, effect_lines
from runtime.approvals.records import DOOR_KINDS, Approval, Kind, Scope, ScopeWord, Until
from runtime.approvals.reviews import takes_words
from runtime.approvals.rules import decided_text
from runtime.approvals.scopes import zone_of
from runtime.people.cards import door_buttons

MAX_OFFERS = 2
_TITLES: dict[Kind, str] = {
    "tool": "A tool wants to run",
    "egress": "A request wants to go out",
    "send": "A message wants to go out",
    "package": "A package is wanted",
    "mcp": "An MCP server is wanted",
    "agent": "Another agent is wanted",
    "chat": "A chat wants an agent",
    "person": "Somebody wants to be let in",
    "spending": "More money is wanted",
    "review": "An output waits for review",
    "memory": "Untrusted text wants to be remembered",
    "skill": "Untrusted text wants to become a skill",
    "schedule": "Untrusted text wants to make a schedule",
}
_OFFERS: dict[ScopeWord, str] = {
    "exact": "exactly this",
    "command": "this command",
    "folder": "this folder",
    "host": "this host",
    "tool": "this tool",
    "chat": "this chat",
}


_TIMES: dict[Until, str] = {
    "once": "this once",
    "hour": "for an hour",
    "day": "for a day",
    "tonight": "until tonight",
    "week": "for a week",
    "always": "from now on",
}


def build_card(
    approval: Approval, chat: ChatKey, zone_name: str, file_path: str | None = None
) -> tuple[OutboundMessage, ...]:
    """Return what is put into a chat: the whole effect as a file where it is long, then the card with its buttons."""
    shown = cut_lines(effect_lines(approval.payload, approval.lines))
    lines = [
        f"**{'A sample to look at' if is_sent(approval) else _TITLES[approval.kind]}: {approval.approval_id}**",
        escape(approval.summary),
        _facts(approval, zone_name),
    ]
    if shown.lines:
        lines += ["```", *shown.lines, "```"]
    if takes_words(approval):
        lines.append(f"`/approve {approval.approval_id} = other words` sends those instead.")
    if shown.left_out:
        where = "The file above has it whole" if file_path else "Not all of it is shown"
        lines.append(f"{where}; so has `nightyard approvals show {approval.approval_id}`.")
    card = OutboundMessage(chat=chat, text="\n".join(lines), buttons=build_buttons(approval))
    if file_path is None:
        return (card,)
    whole = OutboundMessage(
        chat=chat,
        text=f"{approval.approval_id}, all of it",
        file_path=file_path,
        file_name=f"approval-{approval.approval_id}.txt",
    )
    return whole, card


def build_buttons(approval: Approval) -> tuple[Button, ...]:
    """Return yes, yes for longer, and no."""
    name = approval.approval_id
    if approval.kind == "spending":
        return _money_buttons(approval)
    if approval.kind in DOOR_KINDS:
        return door_buttons(approval)
    offers = tuple(
        Button(label=f"Yes, {_OFFERS[word]} until tonight", value=f"/approve {name} {word} tonight")
        for word in approval.scope_offers[:MAX_OFFERS]
        if approval.quorum == 1
    )
    yes, no = ("It was right", "It was not") if is_sent(approval) else ("Yes", "No")
    return (
        Button(label=yes, value=f"/approve {name}"),
        *offers,
        Button(label=no, value=f"/deny {name}"),
    )


def is_sent(approval: Approval) -> bool:
    """Return whether it is a sample: an output that has gone out, and is looked at afterwards."""
    return isinstance(approval.payload, dict) and approval.kind == "review" and approval.payload.get("is_sent") is True


def _money_buttons(approval: Approval) -> tuple[Button, ...]:
    """Return what may be done about money that is used up: a task's own, or a day's budget."""
    name, payload = approval.approval_id, approval.payload
    purse = payload.get("purse") if isinstance(payload, dict) else None
    if not isinstance(purse, str):
        return (
            Button(label="As much once more", value=f"/approve {name}"),
            Button(label="End it", value=f"/deny {name}"),
        )
    return (
        Button(label="Raise for today", value=f"/approve {name}"),
        Button(label="Wait until tomorrow", value=f"/deny {name}"),
        Button(label="Stop", value=f"/budget stop {purse}"),
    )


def reach_text(scope: Scope) -> str:
    """Say how far a decision is remembered, and how long."""
    return f"{_OFFERS[scope.word]} {_TIMES[scope.until]}"


def build_reminder(approval: Approval, chat: ChatKey, zone_name: str) -> OutboundMessage:
    """Return the word that a question still waits."""
    text = (
        f"Still waiting: {approval.approval_id}, {escape(approval.summary)}\n{_facts(approval, zone_name)}\n"
        f"`nightyard approvals show {approval.approval_id}` shows it again."
    )
    return OutboundMessage(chat=chat, text=text, buttons=build_buttons(approval))


def build_decided(approval: Approval, chat: ChatKey) -> OutboundMessage:
    """Return the word that nobody need decide any more, for the chats where the card was."""
    return OutboundMessage(chat=chat, text=f"{decided_text(approval)}.")


def _facts(approval: Approval, zone_name: str) -> str:
    group = f"Agent {approval.group_id} · " if approval.group_id else ""
    at = datetime.fromisoformat(approval.deadline_at).astimezone(zone_of(zone_name))
    votes = f" · {approval.quorum} persons must agree" if approval.quorum > 1 else ""
    return f"{group}decide before {at:%Y-%m-%d %H:%M %Z}{votes}"
