"""What /help says and what platforms' menus show: only what the asker may do where they ask. Pure."""

from __future__ import annotations

from channels.channel import MenuEntry
from runtime.commands.table import BY_NAME, COMMANDS, CommandSpec
from runtime.people.roles import reaches
from runtime.store.records import Role

ELSE = "Anything else you write goes to the agent."
WORDS_OF_PLATFORMS = ("start",)
"""Commands that platforms give by themselves: nobody needs to be told of them."""


def allowed(role: Role, *, is_direct: bool) -> tuple[CommandSpec, ...]:
    """Return the commands that somebody may give in a chat, in the order of the table."""
    return tuple(spec for spec in COMMANDS if reaches(role, spec.least) and (is_direct or not spec.direct_only))


def build_help(role: Role, *, is_direct: bool, about: str = "") -> str:
    """Return the list that /help shows; `about`: `all`, or one command's word."""
    known = [spec for spec in allowed(role, is_direct=is_direct) if spec.name not in WORDS_OF_PLATFORMS]
    if about == "all":
        return "\n".join([*(_usage(spec) for spec in known), "", ELSE])
    word = about.removeprefix("/").lower()
    if word and any(spec.name == word for spec in known):
        return _usage(BY_NAME[word])
    lines = [_usage(spec) for spec in known if not spec.is_rare]
    rare = ", ".join(f"/{spec.name}" for spec in known if spec.is_rare)
    more = [f"More: {rare} – /help all says what they do."] if rare else []
    return "\n".join([*lines, "", *more, ELSE])


def build_menu(role: Role, *, is_direct: bool) -> tuple[MenuEntry, ...]:
    """Return what a platform's menu offers."""
    return tuple(
        MenuEntry(name=spec.name, what=_plain(spec.what))
        for spec in allowed(role, is_direct=is_direct)
        if spec.name not in WORDS_OF_PLATFORMS
    )


def _usage(spec: CommandSpec) -> str:
    asks = f" {spec.asks}" if spec.asks else ""
    return f"/{spec.name}{asks} – {spec.what}"


def _plain(what: str) -> str:
    """Return the words without Markdown, which menus do not know."""
    return what.replace("`", "")
