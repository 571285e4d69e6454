"""What Telegram's menus offer whom, from the roles in the store to the bot's lists at the twin."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from runtime.commands.help import build_menu
from runtime.store.records import Role
from runtime.store.session_rows import uncommon_chats
from tests.runtime.people.conftest import ADA, BEN, TelegramHouse, code_in
from tests.runtime.people.conftest import there as there

CAY = 1003


def offered(there: TelegramHouse, scope: str) -> list[str]:
    return [entry["command"] for entry in there.twin.world.commands.get(scope, [])]


def menu(role: Role, *, is_direct: bool = True) -> list[str]:
    return [entry.name for entry in build_menu(role, is_direct=is_direct)]


async def until(there: TelegramHouse, holds: Callable[[], bool]) -> None:
    """Have the menus looked at again, and wait for what is to be offered then."""
    await there.ask("reload")
    async with asyncio.timeout(10):
        while not holds():
            await there.phone.get("log", after=await there.phone.last_event(), wait_s=0.1)


async def test_everybody_is_offered_what_they_may_use(there: TelegramHouse) -> None:
    """Members by default, owners and guests in their own chats; in chats of many nothing that is for direct ones."""
    there.twin.world.add_person(CAY, "Cay")
    await there.pair()
    await there.let_ben_in()
    await there.phone.type("let me in too", person=CAY)
    code = code_in(await there.reads(CAY, "I do not know you yet"))
    await there.ask("person_approve", who=code, role="guest")
    await until(there, lambda: f"chat:{ADA}" in there.twin.world.commands and bool(offered(there, f"chat:{CAY}")))
    assert offered(there, "all_private_chats") == menu("member")
    assert offered(there, "all_group_chats") == menu("member", is_direct=False)
    assert offered(there, f"chat:{ADA}") == menu("owner")
    assert offered(there, f"chat:{CAY}") == menu("guest") == ["whoami", "help"]
    assert f"chat:{BEN}" not in there.twin.world.commands
    assert "freeze" in menu("owner")
    assert "freeze" not in menu("member")
    assert "link" not in menu("member", is_direct=False)


async def test_menus_follow_roles(there: TelegramHouse) -> None:
    """Who becomes an admin of the agent of their chat is offered an admin's words, and those of a member after."""
    await there.pair()
    await there.let_ben_in()
    scope = f"chat:{BEN}"
    await there.ask("person_role", person=f"telegram:{BEN}", role="admin", group="main")
    await until(there, lambda: offered(there, scope) == menu("admin"))
    await there.ask("person_role", person=f"telegram:{BEN}", role="member", group="main")
    await until(there, lambda: scope not in there.twin.world.commands)
    await there.ask("person_role", person=f"telegram:{BEN}", role="admin", group="side")
    uncommon = dict(await there.house.store.read(uncommon_chats))
    assert f"telegram:{BEN}" not in uncommon, "of another agent than the one that answers there"
