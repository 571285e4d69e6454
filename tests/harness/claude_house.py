"""An installation whose agents are Claude Code, the real program in its own image, against the model twin."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from bench.installation import Installation, installation
from tests.faults.house import LOOK_EVERY_S, WAIT_S, engine, talk, write_group

HARNESS = "harness: claude-code\n"
BUILD_S = 600.0
"""The image is fetched and built where it is missing."""
TOOL = "tail -f /etc/hostname"
CHILD = "tail -f /etc/passwd"
"""Of a tool that hangs, and what it leaves behind. Claude Code does not let its model sleep for long."""
UNTIL = "until test -e FILE; do timeout 0.1 tail -f /dev/null; done"
PART = "<message>make</message>"
RECALL = "marker[a-z]+"


def call(tool: str, **arguments: object) -> dict[str, object]:
    return {"tool": tool, "arguments": arguments}


SCRIPT = {
    "rules": [
        {"when": "^hello", "turns": [{"think": "who is it", "text": "hi from the script"}]},
        {"when": "^recall", "recall": RECALL, "turns": [{"text": "I know {recalled}"}]},
        {
            "when": "^make",
            "turns": [
                {"text": "Let me see.", "calls": [call("Bash", command="echo made > made.txt; cat made.txt; id -u")]},
                {"text": "it says {output}"},
            ],
        },
        {
            "when": "^look for keys",
            "turns": [
                {"calls": [call("Bash", command="env; cat /home/agent/.claude.json /tmp/claude-code/* 2>/dev/null")]},
                {"text": "done"},
            ],
        },
        {
            "when": "^go out",
            "recall": "The owner would allow it with: [^.]+",
            "turns": [
                {"calls": [call("Bash", command="curl -sS -m 5 https://example.com/ -o /dev/null")]},
                {"text": "{output} {recalled}"},
            ],
        },
        {
            "when": "^work (\\S+)",
            "collect": "marker[a-z]+",
            "turns": [
                {"calls": [call("Bash", command=UNTIL.replace("FILE", "{1}"))]},
                {"text": "said meanwhile: {unanswered}"},
            ],
        },
        {
            "when": "^hang",
            "turns": [
                {"calls": [call("Bash", command=f"mkdir began || exit 0; setsid nohup {CHILD} >/dev/null & {TOOL}")]},
                {"text": "after {output}"},
            ],
        },
        {
            "when": "^send it",
            "turns": [
                {"calls": [call("Bash", command="echo content > sent.txt")]},
                {"calls": [call("mcp__nightyard__send_file", paths=["/workspace/sent.txt"])]},
                {"text": "sent: {output}"},
            ],
        },
        {
            "when": "^ask me",
            "turns": [
                {"calls": [call("mcp__nightyard__ask_user", question="Which colour?", options=["red", "blue"])]},
                {"text": "you said {output}"},
            ],
        },
        {
            "when": "^two things",
            "turns": [
                {"calls": [call("Bash", command="echo one"), call("Bash", command="echo two")]},
                {"text": "got {outputs}"},
            ],
        },
        {
            "when": "^delegate inside",
            "turns": [
                {"calls": [call("Agent", description="d", prompt=PART, subagent_type="general-purpose")]},
                {"text": "it said {output}"},
            ],
        },
        {
            "when": "^remove it",
            "turns": [{"calls": [call("Bash", command="rm precious")]}, {"text": "done: {output}"}],
        },
        {
            "when": "^three steps",
            "turns": [
                {"calls": [call("Bash", command="echo one >> steps.txt")]},
                {"calls": [call("Bash", command="echo two >> steps.txt")]},
                {"text": "all three"},
            ],
        },
        {"when": "^tell a story", "turns": [{"text": "word " * 100, "pace_s": 0.1}]},
        {"when": "^look at this", "recall": '"image/png"', "turns": [{"text": "I see {recalled}"}]},
        {"when": "^never ends", "turns": [{"calls": [call("Bash", command="echo again")]}] * 9},
        {
            "when": "^decide",
            "turns": [
                {
                    "calls": [
                        call(
                            "mcp__nightyard__task_result",
                            found={"colour": "blue"},
                            why="it is",
                            confidence=0.9,
                            alternatives=[],
                            no_alternatives="none fits",
                            evidence=[{"claim": "blue", "source": "input", "span": "blue"}],
                        )
                    ]
                },
                {"text": "never said"},
            ],
        },
        {"when": "", "turns": [{"text": "ok {said}"}]},
    ]
}


@asynccontextmanager
async def claude_house(groups: Mapping[str, str], settings: str = "", grants: str = "") -> AsyncIterator[Installation]:
    """Run an installation with these groups (name → group.yaml beside the harness); each has its image on entry."""
    async with installation(groups=tuple(groups), script=SCRIPT, settings=settings, grants=grants) as running:
        for name, more in groups.items():
            write_group(running, name, HARNESS + more)
        assert await running.control.request("reload") == {"problems": []}
        async with talk(running, next(iter(groups)), "first") as chat:
            await chat.say("hello")
            await chat.until("message", "hi from the script", BUILD_S)
        yield running


def rows(home: Installation, query: str, *values: object) -> list[tuple[Any, ...]]:
    """Ask the store, as its documented views show it."""
    with contextlib.closing(sqlite3.connect(f"file:{home.home}/store.db?mode=ro", uri=True)) as store:
        return list(store.execute(query, values))


async def spare_waits(home: Installation) -> None:
    """Return when a container waits, and no other is about."""
    async with asyncio.timeout(WAIT_S):
        while True:
            status: Any = await home.control.request("status")
            agents = status["agents"]
            if agents["waiting"] and not agents["working"] and not agents["starting"]:
                return
            await asyncio.sleep(LOOK_EVERY_S)


def doors(home: Installation) -> list[str]:
    """Return the doors of the containers that run."""
    home_id = (home.home / "home_id").read_text("ascii").strip()
    with engine() as api:
        found = api.containers(filters={"label": f"nightyard.home={home_id}"})
    return [str(each["Labels"]["nightyard.door"]) for each in found]


def steps(home: Installation, said: str) -> list[str]:
    """Return the kinds of the steps of the task that answered a message."""
    query = "SELECT task_id FROM v_messages WHERE text LIKE ?"
    task = rows(home, query, f"%{said}%")[-1][0]
    found = rows(home, "SELECT kind FROM steps WHERE task_id = ? ORDER BY step_index", task)
    return [row[0] for row in found]
