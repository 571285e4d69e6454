"""An installation whose agents are Codex or OpenCode, the real programs in their own images, against the model twin."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from bench.installation import Installation, installation
from tests.faults.house import talk, write_group
from tests.harness.claude_house import BUILD_S, CHILD, TOOL, UNTIL, call

APIS = {"codex": ("responses",), "opencode": ("openai", "anthropic", "responses")}
RECALL = r"marker(?!s\b)[a-z]+"
"""Codex has a word of its own that begins so."""
KEY = "sk-canary-000111222"
patient_talk = functools.partial(talk, wait_s=120.0)
"""OpenCode takes six seconds to start, and half a minute on a machine that is busy with others."""
LONG_MS = 600_000
"""Codex lets a command go on behind its model's back after ten seconds, unless it is told how long to wait."""


def shell(harness: str, command: str) -> dict[str, object]:
    """Return a call of the program's own tool for commands."""
    if harness == "codex":
        return call("exec_command", cmd=command, yield_time_ms=LONG_MS)
    return call("bash", command=command, description="a command", timeout=LONG_MS)


def ours(harness: str, tool: str, **arguments: object) -> dict[str, object]:
    """Return a call of one of our tools, as the program names it."""
    return call(f"mcp__nightyard.{tool}" if harness == "codex" else f"nightyard_{tool}", **arguments)


def script(harness: str) -> dict[str, object]:
    """Return what the model says."""

    def turns(*calls: dict[str, object], text: str) -> list[dict[str, object]]:
        return [{"calls": list(calls)}, {"text": text}]

    hang = f"mkdir began || exit 0; setsid nohup {CHILD} >/dev/null & {TOOL}"
    result = ours(
        harness,
        "task_result",
        found={"colour": "blue"},
        why="it is",
        confidence=0.9,
        alternatives=[],
        no_alternatives="none fits",
        evidence=[{"claim": "blue", "source": "input", "span": "blue"}],
    )
    asked = ours(harness, "ask_user", question="Which colour?", options=["red", "blue"])
    keys = "env; cat /proc/[0-9]*/environ; grep -rs 'sk-c[a]nary' /home/agent /tmp /workspace"
    rules: list[dict[str, object]] = [
        {"when": "^hello", "turns": [{"think": "who is it", "text": "hi from the script"}]},
        {"when": "^recall", "recall": RECALL, "turns": [{"text": "I know {recalled}"}]},
        {
            "when": "^make",
            "turns": [
                {
                    "text": "Let me see.",
                    **turns(shell(harness, "echo made > made.txt; cat made.txt; id -u"), text="")[0],
                },
                {"text": "it says {output}"},
            ],
        },
        {"when": "^look for keys", "turns": turns(shell(harness, keys), text="done")},
        {
            "when": "^work (\\S+)",
            "collect": RECALL,
            "turns": turns(shell(harness, UNTIL.replace("FILE", "{1}")), text="unused"),
        },
        # The last words are those of the message that came in between: it is answered as the conversation's end.
        {"when": "^and marker", "collect": RECALL, "turns": [{"text": "said meanwhile: {unanswered}"}]},
        {"when": "^hang", "turns": turns(shell(harness, hang), text="after {output}")},
        {
            "when": "^send it",
            "turns": [
                {"calls": [shell(harness, "echo content > sent.txt")]},
                {"calls": [ours(harness, "send_file", paths=["/workspace/sent.txt"])]},
                {"text": "sent: {output}"},
            ],
        },
        {"when": "^ask me", "turns": turns(asked, text="you said {output}")},
        {
            "when": "^two things",
            "turns": turns(shell(harness, "echo one"), shell(harness, "echo two"), text="got {outputs}"),
        },
        {"when": "^remove it", "turns": turns(shell(harness, "rm precious"), text="done: {output}")},
        {"when": "^never ends", "turns": [{"calls": [shell(harness, "echo again")]}] * 9},
        {"when": "^decide", "turns": turns(result, text="never said")},
        {
            "when": "^open the skill",
            "recall": "a skill of the yard",
            "turns": [{"text": "it is there: {recalled}"}],
        },
        {"when": "", "turns": [{"text": "ok {said}"}]},
    ]
    return {"rules": rules}


@asynccontextmanager
async def programs_house(harness: str, groups: Mapping[str, str]) -> AsyncIterator[Installation]:
    """Run an installation with these groups (name → group.yaml beside the harness); each has its image on entry."""
    async with installation(groups=tuple(groups), script=script(harness), secrets={"model-key": KEY}) as running:
        settings = running.fork / "nightyard.yaml"
        routes = [
            f"  r-{api}:\n    api: {api}\n    url: {running.twin_url}\n    secret: model-key\n" for api in APIS[harness]
        ]
        settings.write_text(settings.read_text("utf-8") + "".join(routes), "utf-8")
        skill = running.fork / "skills" / "yard-lore"
        skill.mkdir(parents=True)
        (skill / "SKILL.md").write_text(
            "---\nname: yard-lore\ndescription: a skill of the yard\n---\nTell it.\n", "utf-8"
        )
        for name, more in groups.items():
            model = "" if "model:" in more else f"model: r-{APIS[harness][0]}/scripted\n"
            write_group(running, name, f"harness: {harness}\nskills: [yard-lore]\n{model}{more}")
        assert await running.control.request("reload") == {"problems": []}
        async with talk(running, next(iter(groups)), "first") as chat:
            await chat.say("hello")
            await chat.until("message", "hi from the script", BUILD_S)
        yield running
