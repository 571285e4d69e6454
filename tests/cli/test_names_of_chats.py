"""Verbs that are named as in chats: each command of a chat can be given on the machine under its own name."""

from __future__ import annotations

from cli.verbs import VERBS
from runtime.commands.table import COMMANDS
from tests.cli.conftest import Run
from tests.scripted_house import House

OTHERWISE = {
    "help": "nightyard --help",
    "start": "up",
    "sessions": "session list",
    "compact": "session compact",
    "chat": "bind, and chat talks",
    "link": "person link",
}
"""Commands whose word is taken, or that stand below another verb."""


def test_each_command_of_a_chat_is_a_verb() -> None:
    """Whoever knows a command from a chat finds it on the machine."""
    assert [spec.name for spec in COMMANDS if spec.name not in VERBS and spec.name not in OTHERWISE] == []


async def test_who_is_at_the_machine_is_an_owner(nightyard: Run, house: House) -> None:
    """`whoami` says so, and who the owners in chats are."""
    assert "none yet" in (await nightyard("whoami")).out
    await nightyard("person", "approve", "stage:1", "--role", "owner")
    ran = await nightyard("whoami")
    assert ran.code == 0
    assert ran.out.startswith("You are terminal:owner, owner everywhere")


async def test_words_of_chats_do_what_their_verbs_do(nightyard: Run, house: House) -> None:
    """`settings` shows bindings, `retry` wants a letter that there is."""
    assert (await nightyard("settings")).out == (await nightyard("bindings")).out
    ran = await nightyard("retry", "letter_none")
    assert ran.code == 1
    assert "letter_none" in ran.err
