"""Runs inside a container: makes calls of the browser's tools, one after the other, and says what came of each.

Started with the calls as JSON, `[[tool, arguments], …]`; writes `[[is an error, text, media types], …]`.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import cast

from agents.browser import PROGRAMS
from agents.descendants import kill_descendants
from agents.forwarder import ForwarderThread
from agents.host_link import HostLink
from agents.interrupt import Interrupt
from agents.places import Places
from agents.refusals import Refusals
from agents.tools.browser import browser_tools
from agents.tools.tool import ToolContext, ToolError

KILLED = "browser_killed"
"""No tool: everything that was started is killed, as by a machine without memory."""


def main(calls: list[tuple[str, dict[str, object]]]) -> list[tuple[bool, str, list[str]]]:
    """Make the calls and return what came of them."""
    refusals = Refusals()
    forwarder = ForwarderThread(0, "/run/yard/proxy.sock", refusals)
    forwarder.start()
    places = Places(forwarder_port=forwarder.port)
    tools = {
        tool.card.name: tool
        for tool in browser_tools(places, next(program for program in PROGRAMS if Path(program).exists()), sees=True)
    }
    answers: list[tuple[bool, str, list[str]]] = []
    for number, (name, arguments) in enumerate(calls):
        if name == KILLED:
            kill_descendants()
            continue
        context = ToolContext(
            places=places,
            interrupt=Interrupt(),
            link=cast(HostLink, None),  # no tool of the browser's asks the host
            refusals=refusals,
            skill_names=frozenset(),
            call_id=f"call_{number}",
        )
        try:
            taken = tools[name].run(arguments, context)
        except ToolError as error:
            answers.append((True, str(error), []))
            continue
        text, files = (taken, []) if isinstance(taken, str) else (taken.text, [file.media_type for file in taken.files])
        answers.append((False, text, files))
    return answers


if __name__ == "__main__":
    print(json.dumps(main(json.load(sys.stdin))), flush=True)
    os._exit(0)
