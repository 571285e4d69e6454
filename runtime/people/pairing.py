"""The codes that pair an account with a person, and what people are told whom they, or an owner, let in. Pure."""

from __future__ import annotations

from datetime import timedelta

from protocol.ids import GroupId, PersonKey
from runtime.config import REHEARSAL_NOTICE
from runtime.people.codes import CODE_ALPHABET, CODE_CHARS
from runtime.store.records import Role

CODE_LIFE = timedelta(hours=1)
MAX_PENDING_CODES = 3
MAX_WRONG_PER_PERSON = 5
MAX_WRONG_IN_ALL = 20
LOCK_OUT = timedelta(hours=1)
"""Wrong codes are counted for so long."""
LINK_OTHER_WAY = (
    "You have more rights here than whoever made that code, so it was not used. To link the two: /link here, and send "
    "the code that I give you from the other account."
)


def paired_notice(group_id: GroupId, role: Role = "owner", *, is_rehearsal: bool) -> str:
    """Return what a person who has just paired is told."""
    paired = (
        f"Paired: you are {article(role)} {role} now, and this chat talks to the agent `{group_id}`. "
        "/help shows what I understand."
    )
    return f"{paired}\n\n{REHEARSAL_NOTICE}" if is_rehearsal else paired


def admitted_notice(role: Role, group_id: GroupId) -> str:
    """Return what a person is told whom an owner let in."""
    if role == "guest":
        return f"You may listen in: the agent `{group_id}` answers you only where its owner says so."
    return f"You are in: {article(role)} {role}, and this chat talks to the agent `{group_id}`. /help shows more."


def linked_notice(person: PersonKey) -> str:
    """Return what a person is told whose other account has just been linked."""
    return f"Linked: this account and `{person}` are one person to me from now on, with the rights of that one. /whoami"


def article(role: Role) -> str:
    """Return the article that a role is named with."""
    return "an" if role in ("owner", "admin") else "a"


def make_pairing_code(random_bytes: bytes) -> str:
    """Return a code from at least 5 random bytes of the CSPRNG, as it is shown: `7K3M-9QXA`."""
    bits = int.from_bytes(random_bytes[:5], "big")
    code = "".join(CODE_ALPHABET[bits >> shift & 31] for shift in range(0, 5 * CODE_CHARS, 5))
    return f"{code[:4]}-{code[4:]}"
