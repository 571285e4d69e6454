"""What holds for each tool: its card is one that every service takes, and whatever it is called with it answers."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.host_link import HostLink
from agents.interrupt import Interrupt
from agents.places import Places
from agents.providers.provider import ToolCard
from agents.refusals import Refusals
from agents.structured import RESULT_TOOL, result_card
from agents.tools.browser import browser_tools
from agents.tools.memory import MAX_NOTE_BYTES
from agents.tools.tool import MAX_OUTPUT_CHARS
from agents.tools.toolbox import Toolbox
from protocol.link import AgentCard
from protocol.task import ModelRoute
from protocol.tools import TOOLS
from protocol.transcript import ToolCall
from runtime.json_schema import check_schema
from tests.agents.conftest import REPOSITORY, root_folder

LOCAL = (
    *("shell", "read_file", "write_file", "edit_file", "glob", "grep", "apply_patch", "view_image"),
    *("web_fetch", "web_search", "skill", "sub_agent"),
)
"""Those that need no host to answer; of the others what goes out is tried in `test_host_tools.py`."""
ODD: tuple[object, ...] = (
    None,
    True,
    -1,
    0,
    3.5,
    10**400,
    [],
    ["x"],
    {},
    {"x": []},
    "",
    "\0",
    "x" * 5_000,
    "/no/where",
    "..",
    "-x",
    "a\n/b",
    "*",
)


@contextmanager
def a_toolbox(*, shell: bool = True) -> Iterator[Toolbox]:
    """All tools that one agent can have, those of an image with a browser apart."""
    interrupt = Interrupt()
    here, there = socket.socketpair()
    with root_folder() as root:
        places = Places(root=str(root), forwarder_port=0)
        link = HostLink(
            socket_path=places.host_socket, descriptor=here.detach(), interrupt=interrupt, on_stop=interrupt.trip
        )
        toolbox = Toolbox(
            places=places,
            link=link,
            interrupt=interrupt,
            refusals=Refusals(),
            skill_names=frozenset({"tour"}),
            delegates=(AgentCard(name="b", description=""),),
            destinations=("team",),
            model=ModelRoute(route="r", api="openai", model="m", sees=("image",), patches=True),
            search="http://127.0.0.1:1",
            without=() if shell else ("shell",),
        )
        toolbox.offer_packages()
        yield toolbox
        there.close()
        link.close()
        link.run()


def all_cards() -> Mapping[str, ToolCard]:
    with a_toolbox(shell=False) as some, a_toolbox() as others:
        browser = [tool.card for tool in browser_tools(Places(), "", sees=True)]
        cards = (*some.cards(), *others.cards(), *browser, result_card({"type": "integer"}))
    return {card.name: card for card in cards}


def test_every_card_is_one_that_services_take() -> None:
    """A name, a few words, and a schema of an object in which each argument has a type and what is needed is there."""
    cards = all_cards()
    assert set(cards) == {*TOOLS, RESULT_TOOL}
    for name, card in cards.items():
        assert re.fullmatch(r"[a-z_]{1,64}", name) and 10 < len(card.description) < 400, name
        schema = card.schema
        assert isinstance(schema, dict) and schema["type"] == "object", name
        check_schema(schema)
        properties, required = schema["properties"], schema["required"]
        assert isinstance(properties, dict) and set(required) <= set(properties), name
        for argument, part in properties.items():
            assert part["type"] in ("string", "integer", "number", "boolean", "array", "object"), (name, argument)
            assert part["type"] != "array" or "items" in part, (name, argument)


def test_every_tool_stands_in_the_handbook() -> None:
    """In the list of names that a group's settings choose from."""
    text = (REPOSITORY / "docs/tools.md").read_text()
    names = text.partition("\nNames: ")[2]
    assert [name for name in TOOLS if f"`{name}`" not in names] == []
    assert f"`{RESULT_TOOL}`" in text


@pytest.fixture(scope="module")
def toolbox() -> Iterator[Toolbox]:
    with a_toolbox(shell=False) as made:
        yield made


@settings(deadline=None, max_examples=120)
@given(data=st.data())
def test_whatever_a_tool_is_called_with_it_answers(toolbox: Toolbox, data: st.DataObject) -> None:
    """In words, within the size of an output, and nothing is left where it must not write; never in another way."""
    name = data.draw(st.sampled_from([name for name in LOCAL if name != "shell"]))
    schema = all_schemas()[name]
    arguments = {argument: data.draw(st.sampled_from(ODD)) for argument in schema if data.draw(st.booleans())}
    output = toolbox.run(ToolCall(call_id="c", name=name, arguments=arguments))
    assert output.text and len(output.text) < MAX_OUTPUT_CHARS + 1_000


@pytest.mark.parametrize(
    "odd", [None, True, 7, 10**400, [], {"x": 1}, "\0", "x" * 200_000], ids=lambda odd: str(odd)[:9]
)
@pytest.mark.parametrize("argument", ["command", "timeout_s", "background", "job"])
def test_whatever_the_shell_is_called_with_it_answers(argument: str, odd: object) -> None:
    """A command longer than the system takes, a number beyond all numbers: an error or what was meant."""
    with a_toolbox() as toolbox:
        output = toolbox.run(ToolCall(call_id="c", name="shell", arguments={"command": "true", argument: odd}))
        assert output.text and len(output.text) < MAX_OUTPUT_CHARS + 1_000


def test_a_note_has_a_size() -> None:
    """What could not be searched is not written; a harness may send more at once than a model."""
    with a_toolbox() as toolbox:
        for size, is_error in ((MAX_NOTE_BYTES, False), (MAX_NOTE_BYTES + 1, True)):
            arguments = {"action": "write", "file": "a.md", "text": "x" * size}
            output = toolbox.run(ToolCall(call_id="c", name="memory", arguments=arguments))
            assert output.is_error is is_error
        assert "make several" in output.text


_SCHEMAS: dict[str, tuple[str, ...]] = {}


def all_schemas() -> Mapping[str, tuple[str, ...]]:
    if not _SCHEMAS:
        for name, card in all_cards().items():
            properties = card.schema["properties"] if isinstance(card.schema, dict) else {}
            assert isinstance(properties, dict)
            _SCHEMAS[name] = tuple(properties)
    return _SCHEMAS
