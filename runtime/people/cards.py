"""What strangers and owners read when somebody wants to be let in, or a chat wants an agent. Pure.

Names and texts of strangers are shown to owners with what steers a screen taken out and cut short; buttons carry only
what the host made: the request's code, roles, names of agents.
"""

from __future__ import annotations

import re
import unicodedata

from protocol.ids import GroupId
from protocol.message import Button, InboundMessage
from runtime.people.records import AccessRequest

MAX_AGENTS = 8
"""Agents that a card has buttons for; others are named by typing."""
SHOWN_CHARS = 200
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


def person_card(
    request: AccessRequest, inbound: InboundMessage, groups: tuple[GroupId, ...]
) -> tuple[str, tuple[Button, ...]]:
    """Return the card that asks an owner whether to let somebody in."""
    text = (
        f"{shown(request.name) or 'Somebody'} (`{request.person}`) wants to talk to an agent of yours.\n"
        f"Wrote: {shown(inbound.text, SHOWN_CHARS) or '(a file)'}\n\n"
        f"In as what? Code `{shown_code(request.code)}`, for an hour."
    )
    return text, role_buttons(request.code, groups)


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


def chat_card(
    request: AccessRequest, inbound: InboundMessage, groups: tuple[GroupId, ...], *, is_known: bool
) -> tuple[str, tuple[Button, ...]]:
    """Return the card that asks an owner which agent a chat gets."""
    who = f"{shown(request.name) or 'Somebody'} (`{request.person}`, {'known' if is_known else 'not known'})"
    where = "a direct chat" if request.chat_kind == "direct" else "a chat of many people"
    text = (
        f"{who} spoke to me in {where} that has no agent: `{request.chat}`\n"
        f"Wrote: {shown(inbound.text, SHOWN_CHARS) or '(a file)'}\n\n"
        f"Which agent answers there? Code `{shown_code(request.code)}`, for an hour."
    )
    return text, (
        *(Button(label=group, value=f"/chat yes {request.code} {group}") for group in groups[:MAX_AGENTS]),
        Button(label="A new agent", value=f"/chat new {request.code}"),
        Button(label="Refuse", value=f"/chat no {request.code}"),
    )


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
