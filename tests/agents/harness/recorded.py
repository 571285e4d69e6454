"""Plays what a harness's program once said to its adapter: `samples/<harness>_<what>.jsonl`, recorded from the real
programs (the versions that `agents/image/derived/pins.json` names) before the model twin."""

from __future__ import annotations

import json
from pathlib import Path

from agents.harness.frame import Adapter, Began, Brief, Broke, Ended, Event, Prompt, Ready, Turned
from agents.places import Places
from protocol.link import McpServer, SteerMessage
from protocol.task import ModelRoute, Usage
from protocol.transcript import ToolCall

SAMPLES = Path(__file__).parent / "samples"
OURS = McpServer(name="nightyard", command="/usr/bin/python3", args=("-I",), env={"NIGHTYARD_MCP": "/tmp/x/mcp.sock w"})
OTHER = McpServer(name="other", command="other-server", args=("--a b",), env={"A": 'quo"te\n'})


def brief(api: str = "responses", session: str = "", **more: object) -> Brief:
    """Return what a program is started for."""
    model = ModelRoute(route="main", api=api, model="scripted")  # type: ignore[arg-type]  # one of the three
    return Brief(session=session, instructions="Be good.", model=model, servers=(OTHER,), **more)  # type: ignore[arg-type]


class Played:
    """What an adapter made of a sample."""

    def __init__(self, adapter: Adapter, name: str, given: Brief) -> None:
        self.written: list[bytes] = []
        self.events: list[Event] = []
        adapter.launch(given, Places(), OURS, "")
        self.written.append(adapter.opening())
        has_begun = False
        for line in (SAMPLES / f"{name}.jsonl").read_bytes().splitlines():
            for event in adapter.take(line):
                self.events.append(event)
                if isinstance(event, Ready) and not has_begun:
                    has_begun = True
                    self.written.append(adapter.begin(Prompt(text="go", message_id="prompt")))
                if isinstance(event, Began) and event.gate:
                    self.written.append(adapter.answer(event.gate, ""))
                    if name.endswith("_steered"):
                        self.written.append(adapter.tell(SteerMessage(message_id="m1", text="and this")) or b"")

    @property
    def kinds(self) -> list[str]:
        """The events' kinds in order, pieces of an answer as one."""
        names = [type(event).__name__ for event in self.events]
        return [name for index, name in enumerate(names) if name != "Said" or names[index - 1 : index] != ["Said"]]

    @property
    def calls(self) -> list[ToolCall]:
        """The calls of the model's turns."""
        return [call for event in self.events if isinstance(event, Turned) for call in event.entry.calls]

    @property
    def usage(self) -> list[Usage]:
        return [event.usage for event in self.events if isinstance(event, Turned) and event.usage is not None]

    @property
    def end(self) -> Ended | Broke:
        """The last event, which is the end."""
        last = self.events[-1]
        assert isinstance(last, Ended | Broke)
        return last


def lines(data: bytes) -> list[dict[str, object]]:
    """Return the JSON lines that were written."""
    return [json.loads(line) for line in data.splitlines()]
