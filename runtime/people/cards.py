"""What strangers and owners read when somebody wants to be let in, or a chat wants an agent. Pure.

Names and texts of strangers are shown to owners with what steers a screen taken out and cut short; buttons carry only
what the host made: the request's code, roles, names of agents.
"""

from __future__ import annotations

import re
import unicodedata

from protocol.ids import ChatKey, GroupId, MessageId
from protocol.message import Button, InboundMessage
from protocol.plain_text import escape
from runtime.approvals.effect_text import OURS
from runtime.approvals.records import Approval, NewApproval
from runtime.people.records import AccessRequest, RequestKind

MAX_AGENTS = 8
"""Agents that a card has buttons for; others are named by typing."""
TOO_MANY_WAITED = "{count} messages before those were more than I keep while my owner decides. Please send them again."
OTHERS_THERE = "I answer here now. Whom I do not know I do not answer: write to me in a direct chat to ask for it."
ASK_LATER = "I do not know you, and too many others ask to be let in right now. Try again in an hour."

_UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn")
"""Controls, formats, surrogates, private and unassigned signs."""
_SPACES = re.compile(r"\s+")
_SHAPING = str.maketrans({"`": "'", "*": "∗", "_": "＿", "[": "(", "]": ")", "<": "‹", ">": "›"})


def stranger_notice(request: AccessRequest, *, has_owner: bool) -> str:
    """Return the one reply that an unknown person gets: their own id, a code, and who can do what with it."""
    code = shown_code(request.code)
    return (
        f"I do not know you yet, so I may not answer.\nYour id here: `{request.person}`\nYour code: `{code}` "
        "(for an hour)\n\n"
        + (
            "My owner has been asked. They can also let you in on the machine"
            if has_owner
            else "If this is your bot, let yourself in on the machine where it runs"
        )
        + f": `nightyard person approve {code}`"
    )


def door_question(
    kind: RequestKind,
    inbound: InboundMessage,
    message_id: MessageId,
    groups: tuple[GroupId, ...],
    *,
    is_known: bool,
    deadline_s: float,
    chats: tuple[ChatKey, ...],
) -> NewApproval:
    """Return what owners are asked about somebody who wants to be let in, or a chat that wants an agent."""
    name = shown(inbound.sender_name) or "Somebody"
    who = f"{name} ({inbound.person}, {'known' if is_known else 'not known'})"
    if kind == "person":
        summary = f"{name} ({inbound.person}) wants to talk to an agent of yours."
        effect = "Yes lets them speak to the agent that you choose, in as much as you choose."
    else:
        where = "a direct chat" if inbound.chat_kind == "direct" else "a chat of many people"
        summary = f"{who} spoke to me in {where} that has no agent: {inbound.chat}"
        effect = "Yes has the agent that you choose answer there" + (
            "."
            if is_known
            else f". {name} becomes a guest of it: heard in that chat, and in others that answer guests."
        )
    wrote = [f"{OURS}{escape(line)}" for line in (inbound.text or "(a file)").splitlines()]
    return NewApproval(
        kind=kind,
        group_id=None,
        payload={
            "kind": kind,
            "chat": inbound.chat,
            "chat_kind": inbound.chat_kind,
            "person": inbound.person,
            "name": inbound.sender_name,
            "is_known": is_known,
            "message": message_id,
            "wrote": inbound.text,
            "agents": list(groups),
        },
        summary=summary,
        lines=(*wrote, effect),
        deadline_s=deadline_s,
        chats=chats,
        subject=inbound.person,
    )


def door_buttons(approval: Approval) -> tuple[Button, ...]:
    """Return the choices of such a question."""
    payload = approval.payload if isinstance(approval.payload, dict) else {}
    agents = payload.get("agents")
    groups = tuple(GroupId(str(each)) for each in agents) if isinstance(agents, list) else ()
    code = approval.approval_id
    if approval.kind == "person":
        return role_buttons(code, groups)
    return (
        *(Button(label=group, value=f"/chat yes {code} {group}") for group in groups[:MAX_AGENTS]),
        Button(label="A new agent", value=f"/chat new {code}"),
        Button(label="Refuse", value=f"/chat no {code}"),
    )


def role_buttons(code: str, groups: tuple[GroupId, ...]) -> tuple[Button, ...]:
    """Return buttons for roles; where there is one agent they name it, otherwise it is asked for next."""
    to = f" {groups[0]}" if len(groups) == 1 else ""
    return (
        Button(label="Member", value=f"/person yes {code} member{to}"),
        Button(label="Admin", value=f"/person yes {code} admin{to}"),
        Button(label="Only listen", value=f"/person yes {code} guest{to}"),
        Button(label="Refuse", value=f"/person no {code}"),
    )


def agent_buttons(code: str, role: str, groups: tuple[GroupId, ...]) -> tuple[Button, ...]:
    """Return buttons for the agent that somebody is let in to."""
    return tuple(Button(label=group, value=f"/person yes {code} {role} {group}") for group in groups[:MAX_AGENTS])


def shown_code(code: str) -> str:
    """Return a code as it is read and typed: `7K3M-9QXA`."""
    return f"{code[:4]}-{code[4:]}"


def shown(text: str, limit: int = 60) -> str:
    """Return a stranger's text as one harmless line of Markdown."""
    visible = "".join(char for char in _line(text) if unicodedata.category(char) not in _UNSEEN)
    line = visible.translate(_SHAPING).strip()
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def _line(text: str) -> str:
    return _SPACES.sub(" ", text[:10_000])
