"""The words that are commands in a chat. Pure.

A command costs no model call. Who may give one is access.py's business, carrying it out desk.py's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from runtime.store.records import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSpec:
    """One command, as menus and /help show it."""

    name: str
    what: str
    """What it does, for a line of a menu."""
    asks: str = ""
    """What may stand after the word, as usage lines show it: `[TASK]`."""
    least: Role = "member"
    """Who may give it: this role and those above it."""
    direct_only: bool = False
    """Given in a direct chat only: what it shows, or lets in, is nobody else's business."""
    is_rare: bool = False
    """/help only names it; `/help all` says what it does."""
    in_turn: bool = False
    """Waits behind the messages before it, and those after it wait for it; others go past what waits to be filed."""
    asks_model: bool = False
    """Costs model calls: refused where a person has asked or used as much as they may."""


COMMANDS: tuple[CommandSpec, ...] = (
    CommandSpec(name="stop", what="stop what I am doing; `all`: what waits too", asks="[all|TASK]"),
    CommandSpec(name="new", what="start afresh: I forget this conversation, not my files and memory", in_turn=True),
    CommandSpec(
        name="resume",
        what="lift a pause; if there is none, go on with an earlier conversation",
        asks="[NUMBER]",
        in_turn=True,
    ),
    CommandSpec(name="sessions", what="the earlier conversations here", is_rare=True),
    CommandSpec(
        name="compact",
        what="sum this conversation up, so that it takes less room (one model call)",
        is_rare=True,
        in_turn=True,
        asks_model=True,
    ),
    CommandSpec(name="export", what="send this conversation as a file", is_rare=True),
    CommandSpec(name="status", what="what runs, what waits, what was used today"),
    CommandSpec(name="tasks", what="what works, waits and has ended here", asks="[all]"),
    CommandSpec(name="model", what="which model answers here; admins choose another", asks="[ROUTE/NAME|default]"),
    CommandSpec(name="skills", what="what I have been taught to do"),
    CommandSpec(
        name="memory",
        what="what I have noted for myself (admins only)",
        asks="[show FILE|forget FILE]",
        least="admin",
        direct_only=True,
    ),
    CommandSpec(
        name="pause", what="hold me back in all chats until /resume (admins only)", asks="[WHY]", least="admin"
    ),
    CommandSpec(name="usage", what="what models were used, and what that cost", asks="[DAYS]"),
    CommandSpec(
        name="budget",
        what="today's budgets; raise, wait or stop (owners only)",
        asks="[WORD BUDGET]",
        least="owner",
        is_rare=True,
    ),
    CommandSpec(name="approvals", what="what waits for a yes or no", asks="[CODE]", is_rare=True),
    CommandSpec(name="approve", what="let something go that waits for a yes", asks="CODE [REACH] [TIME]"),
    CommandSpec(name="deny", what="say no to it; the same is not asked again for a day", asks="CODE [WHY]"),
    CommandSpec(
        name="answer", what="answer what I have asked; you may as well just say it", asks="CODE WORDS", is_rare=True
    ),
    CommandSpec(
        name="constraint",
        what="what this agent must always ask about first (admins only)",
        asks="[add …|remove CODE]",
        least="admin",
        is_rare=True,
    ),
    CommandSpec(name="retry", what="try again what failed here; `list` shows it", asks="[LETTER]", is_rare=True),
    CommandSpec(
        name="undo",
        what="take my files back to before a task; the last one, if you name none",
        asks="[TASK]",
        is_rare=True,
    ),
    CommandSpec(
        name="schedule",
        what="do something at a time, or over and over; list, show, pause, run and remove that",
        asks="[every day 08:00 TEXT]",
    ),
    CommandSpec(
        name="freeze",
        what="stop all agents and all they may reach, in every chat (owners only)",
        least="owner",
    ),
    CommandSpec(name="unfreeze", what="lift that (owners only)", least="owner", in_turn=True, is_rare=True),
    CommandSpec(name="whoami", what="who you are to me, your rights here, what you have used", least="guest"),
    CommandSpec(name="settings", what="how I answer in this chat", asks="[AGENT] [SETTING VALUE]", is_rare=True),
    CommandSpec(name="link", what="make another account of yours known as you", direct_only=True, is_rare=True),
    CommandSpec(
        name="person",
        what="who may speak to me (owners only)",
        asks="[…]",
        least="owner",
        direct_only=True,
        is_rare=True,
    ),
    CommandSpec(
        name="chat",
        what="which chats I answer in (owners only)",
        asks="[…]",
        least="owner",
        direct_only=True,
        is_rare=True,
    ),
    CommandSpec(name="access", what="whom I refused (owners only)", least="owner", direct_only=True, is_rare=True),
    CommandSpec(
        name="help", what="what I understand; `all`: everything, a word: that one", asks="[all|WORD]", least="guest"
    ),
    CommandSpec(name="start", what="who I am, and what I understand", is_rare=True),
)
"""In the order in which /help shows them."""

BY_NAME: Mapping[str, CommandSpec] = {spec.name: spec for spec in COMMANDS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    name: str
    """One of COMMANDS."""
    rest: str = ""
    """What stood after the word."""

    @property
    def spec(self) -> CommandSpec:
        return BY_NAME[self.name]


def parse_command(text: str, bot_name: str = "") -> Command | None:
    """Return the command that a message is, None for any other text.

    `/stop@name` is one only for the bot of that name (or for any, if ours is not known): how Telegram addresses one
    bot of many.
    """
    word, *rest = text.split(maxsplit=1) or [""]
    name, at, addressed = word.partition("@")
    found = BY_NAME.get(name[1:].lower()) if name.startswith("/") else None
    if found is None or (at and bot_name and addressed.lower() != bot_name.lower()):
        return None
    return Command(name=found.name, rest=rest[0].strip() if rest else "")
