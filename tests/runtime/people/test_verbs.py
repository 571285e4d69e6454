"""The verbs of people, chats and destinations, as the command asks them; and the command's own words for them."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cli.verb_group import run
from client.control import ControlClient
from client.errors import Refused
from protocol.ids import ChatKey, GroupId, PersonKey
from runtime.people.destinations import Destinations
from runtime.people.owners import Owners
from runtime.people.records import Destination
from runtime.refusal import OperationRefused
from tests.scripted_house import House, scripted_house

SETTINGS = "channels:\n  wire: {platform: wire, secret: wire, group: side}\n"
BEN, EVE = PersonKey("wire:2"), PersonKey("wire:3")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with asyncio.timeout(30), scripted_house(tmp_path, SETTINGS) as opened:
        await opened.store.save_person(PersonKey("wire:1"), "Ada", "owner", "cli")
        await opened.store.save_person(BEN, "Ben", "member", "cli")
        yield opened


async def ask(house: House, verb: str, **arguments: Any) -> Any:
    return await ControlClient(house.home.control_socket).request(verb, arguments)


@pytest.mark.parametrize(
    ("verb", "arguments", "code"),
    [
        ("person_show", {"person": "wire:9"}, "unknown_person"),
        ("person_approve", {"who": "0000-0000"}, "unknown_request"),
        ("person_approve", {"who": "ada"}, "unknown_request"),
        ("person_approve", {"who": "nowhere:1"}, "wrong_person"),
        ("person_approve", {"who": "wire:9", "group": "none"}, "unknown_group"),
        ("person_approve", {"who": "wire:9", "role": "king"}, "wrong_arguments"),
        ("person_role", {"person": "wire:9", "role": "member"}, "unknown_person"),
        ("person_role", {"person": "wire:1", "role": "member"}, "last_owner"),
        ("person_role", {"person": BEN}, "wrong_role"),
        ("person_role", {"person": BEN, "role": "owner", "group": "main"}, "wrong_role"),
        ("person_role", {"person": BEN, "role": "admin", "group": "none"}, "unknown_group"),
        ("person_link", {"person": "wire:9", "identity": "wire:8"}, "unknown_person"),
        ("person_link", {"person": BEN, "identity": "me"}, "wrong_person"),
        ("person_link", {"person": BEN, "identity": BEN}, "linked_already"),
        ("person_link", {"person": BEN, "identity": "wire:1"}, "last_owner"),
        ("person_unlink", {"person": BEN}, "not_linked"),
        ("person_remove", {"person": "wire:9"}, "unknown_person"),
        ("person_remove", {"person": "wire:1"}, "last_owner"),
        ("person_limit", {"person": "wire:9", "per_hour": 1}, "unknown_person"),
        ("access_deny", {"who": "wire:9"}, "unknown_request"),
        ("bind", {"chat": "wire:-1", "group": "main"}, "unknown_chat"),
        ("bind", {"chat": "nowhere:1", "group": "main", "kind": "many"}, "unknown_chat"),
        ("bind", {"chat": "wire:-1", "group": "none", "kind": "many"}, "unknown_group"),
        ("bind", {"chat": "0000-0000", "group": "main"}, "unknown_request"),
        ("bind", {"chat": "wire:-1", "group": "main", "kind": "many", "when": "pattern"}, "wrong_pattern"),
        ("bind", {"chat": "wire:-1", "group": "main", "kind": "many", "pattern": "a**"}, "wrong_pattern"),
        ("bind", {"chat": "wire:-1", "group": "main", "kind": "many", "sticky_minutes": 0}, "wrong_minutes"),
        ("bind", {"chat": "wire:-1", "group": "main", "kind": "many", "whom": "roles"}, "wrong_whom"),
        (
            "bind",
            {"chat": "wire:-1", "group": "main", "kind": "many", "whom": "roles", "whom_names": ["king"]},
            "wrong_role",
        ),
        (
            "bind",
            {"chat": "wire:-1", "group": "main", "kind": "many", "whom": "persons", "whom_names": ["wire:9"]},
            "unknown_person",
        ),
        ("unbind", {"chat": "wire:-1"}, "unknown_chat"),
        ("destination_add", {"group": "main", "name": "Team!", "chat": "wire:-1"}, "wrong_name"),
        ("destination_add", {"group": "main", "name": "team", "chat": "team"}, "unknown_chat"),
        ("destination_add", {"group": "none", "name": "team", "chat": "wire:-1"}, "unknown_group"),
        ("destination_remove", {"group": "main", "name": "team"}, "unknown_destination"),
    ],
)
async def test_what_cannot_be_done_says_why(house: House, verb: str, arguments: dict[str, Any], code: str) -> None:
    """Each wrong question has its stable code, and changes nothing."""
    before = await ask(house, "person_list"), await ask(house, "bindings")
    with pytest.raises(Refused) as refused:
        await ask(house, verb, **arguments)
    assert refused.value.code == code
    assert (await ask(house, "person_list"), await ask(house, "bindings")) == before


@pytest.mark.parametrize(
    "verb", ["bindings", "destination_list", "history", "schedule_list", "constraint_list", "usage"]
)
async def test_an_unknown_agent_is_an_error_and_one_without_any_is_none(house: House, verb: str) -> None:
    """A misspelt name is told with those that there are; an agent that has nothing of it has an empty list."""
    with pytest.raises(Refused) as refused:
        await ask(house, verb, group="mian")
    assert refused.value.code == "unknown_group"
    assert "'mian' (known: " in refused.value.message and "main" in refused.value.message
    found = await ask(house, verb, group="side")
    assert found["rows" if verb == "usage" else next(iter(found))] == []


async def test_what_an_agent_that_is_gone_left_is_listed(house: House) -> None:
    """Whoever wants to unbind the chats of a folder that was removed finds them."""
    await ask(house, "bind", chat="wire:-1", group="side", kind="many")
    shutil.rmtree(house.fork / "groups" / "side")
    await house.state.reload()
    assert [each["chat"] for each in (await ask(house, "bindings", group="side"))["bindings"]] == ["wire:-1"]


async def test_a_person_is_set_up_by_verbs(house: House) -> None:
    """Role, link, limits: what was set is what is shown."""
    approved = await ask(house, "person_approve", who=EVE)
    assert approved == {"person": EVE, "role": "member", "group": "side"}
    await ask(house, "person_role", person=EVE, role="admin", group="main")
    await ask(house, "person_link", person=EVE, identity="wire:33")
    await ask(house, "person_limit", person="wire:33", per_hour=5, cost_usd_per_day=0.5)
    shown = await ask(house, "person_limit", person=EVE, per_day=50)
    assert shown["roles"] == {"main": "admin", "side": "member"}
    assert shown["identities"] == ["wire:33"]
    assert (shown["limits"]["per_hour"], shown["limits"]["per_day"]) == (5, 50)
    assert shown["used"]["per_hour"] == 0
    assert (await ask(house, "person_limit", person=EVE, clear=True))["limits"] is None
    await ask(house, "person_role", person=EVE, group="main")
    assert (await ask(house, "person_show", person=EVE))["roles"] == {"side": "member"}
    await ask(house, "person_remove", person="wire:33")
    assert [each["person"] for each in (await ask(house, "person_list"))["people"]] == ["wire:1", BEN]


async def test_a_chat_is_bound_step_by_step(house: House) -> None:
    """A first agent is the default one, a second is not unless it is said; what is not given stays."""
    first = await ask(house, "bind", chat="wire:-1", group="main", kind="many")
    assert (first["when"], first["session"], first["default"]) == ("mention", "thread", True)
    second = await ask(house, "bind", chat="wire:-1", group="side", pattern=r"\bbooks\b", kind="many")
    assert (second["when"], second["default"]) == ("pattern", False)
    changed = await ask(house, "bind", chat="wire:-1", group="side", whom="persons", whom_names=[BEN], default=True)
    assert (changed["when"], changed["whom_names"], changed["default"]) == ("pattern", [BEN], True)
    listed = (await ask(house, "bindings", chat="wire:-1:7"))["bindings"]
    assert [(each["group"], each["default"]) for each in listed] == [("side", True), ("main", False)]
    of_main = (await ask(house, "bindings", group="main"))["bindings"]
    assert {each["chat"] for each in of_main} - {"terminal:main"} == {"wire:-1"}
    known = await ask(house, "bind", chat="wire:-1", group="side", whom="known")
    assert known["whom_names"] == []
    await ask(house, "unbind", chat="wire:-1", group="side")
    assert (await ask(house, "bindings", chat="wire:-1"))["bindings"][0]["default"] is True


async def test_destinations_are_the_list_of_where_an_agent_may_send(house: House) -> None:
    """A name leads to its chat, for its own agent only; whatever else is asked for is refused."""
    await ask(house, "destination_add", group="main", name="team", chat="wire:-1")
    await ask(house, "destination_add", group="main", name="team", chat="wire:-2")
    found = house.destinations
    assert await found.resolve(GroupId("main"), " Team ") == "wire:-2"
    assert found.may_send(GroupId("main"), ChatKey("wire:-2"))
    assert not found.may_send(GroupId("main"), ChatKey("wire:-1"))
    assert not found.may_send(GroupId("side"), ChatKey("wire:-2"))
    for group, name in (("side", "team"), ("main", "wire:-2"), ("main", "")):
        with pytest.raises(OperationRefused) as refused:
            await found.resolve(GroupId(group), name)
        assert refused.value.code == "unknown_destination"
    after_a_start = Destinations(house.store)
    await after_a_start.load()
    assert after_a_start.names(GroupId("main")) == ("team",)
    assert [each["name"] for each in (await ask(house, "destination_list"))["destinations"]] == ["team"]
    await ask(house, "destination_remove", group="main", name="team")
    assert found.names(GroupId("main")) == ()


async def test_a_group_has_a_bounded_address_book(house: House) -> None:
    """Past the cap a further name is refused; one that is there can still be changed."""
    for number in range(50):
        await house.destinations.add(Destination(group_id=GroupId("main"), name=f"n{number}", chat=ChatKey("wire:-1")))
    with pytest.raises(OperationRefused):
        await house.destinations.add(Destination(group_id=GroupId("main"), name="more", chat=ChatKey("wire:-1")))
    await house.destinations.add(Destination(group_id=GroupId("main"), name="n7", chat=ChatKey("wire:-2")))


async def test_owners_are_told_somewhere(house: House) -> None:
    """While no owner has a direct chat, the terminal of the usual agent is where they are."""
    await house.operations.open_terminal("main", "")
    assert await Owners(house.store).owner_chats() == ("terminal:main",)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("person list", "wire:2  Ben  member"),
        ("person show wire:2", "messages an hour"),
        ("person approve wire:3", "wire:3 is in, as member of side. They have been told."),
        ("person approve wire:3 --role owner", "wire:3 is in, as owner. They have been told."),
        ("person role wire:2 admin", "wire:2 is admin now."),
        ("person role wire:2 admin --group main", "wire:2 is admin with main now."),
        ("person link wire:2 wire:22", "wire:22 is wire:2 from now on."),
        ("person limit wire:2 --per-hour 5", "wire:2: per_hour 5"),
        ("person limit wire:2 --usual", "wire:2: the usual limits"),
        ("person remove wire:2", "wire:2 may not speak to agents any more."),
        ("person unlink wire:2", "is linked to nobody"),
        ("person limit wire:2", "limit wants a limit"),
        ("pair 0000-0000", "nothing waits under"),
        ("pair --role member", "becomes member"),
        ("access log", "Nobody was refused."),
        ("access deny wire:2", "nothing waits under"),
        ("bindings side", "No chat has an agent there."),
        ("bind wire:-1 main --many --when sticky --sticky-minutes 5", "sticky 5 min"),
        ("bind wire:-1 main --many --whom roles:admin,guest", "whom: roles admin,guest"),
        ("bind wire:-1 main --whom everybody", "says nobody"),
        ("bind wire:-1 main", "say whether many people are in it"),
        ("unbind wire:-1", "no agent is bound"),
        ("destination list", "No destinations"),
        ("destination add main team wire:-1", "main may send to team: wire:-1"),
        ("destination remove main team", "has no destination"),
    ],
)
async def test_the_command_says_what_was_done(
    house: House, line: str, shown: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each verb of the command line asks the host and tells the outcome, or why not, in words."""
    monkeypatch.setenv("NIGHTYARD_HOME", str(house.home.path))
    monkeypatch.setenv("NO_COLOR", "1")
    await asyncio.to_thread(run, line.split())
    told = capsys.readouterr()
    assert shown in told.out + told.err
