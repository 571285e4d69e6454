"""What the model says in the stories, the agents that it speaks for, and the skill that one of them has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SLEEP = "sleep 1000.25"
KNOWN = r"\[(?:rule|decided|open|file): [a-z0-9 ./]+\]"
"""What has to outlive a summary, as the stories write it."""
INSTRUCTIONS = "Be brief. [rule: never shout]\n"
SCHEMA = {
    "type": "object",
    "properties": {"files": {"type": "integer"}},
    "required": ["files"],
    "additionalProperties": False,
}
JUDGED = {
    "found": {"files": 3},
    "why": "counted them one by one",
    "confidence": 0.9,
    "no_alternatives": "a count is a count",
    "evidence": [{"claim": "there are three", "source": "input", "span": "all of it"}],
}
GROUPS = {
    "main": "skills: [stamp]\nprogress: full\nlimits: {rounds: 300, model_calls: 2000}\n",
    "analyst": "mode: copilot\n",
    "wary": "model: refusing/scripted\nfallbacks: [bench/scripted]\n",
}
SKILL = """\
---
name: stamp
description: Stamps a text. Use it when somebody wants something stamped.
---
Run `python3 /skills/stamp/scripts/stamp.py TEXT` and say what it prints.
"""
STAMP = """\
import sys, zlib
print(f"[{' '.join(sys.argv[1:]).upper()} / {zlib.crc32(sys.argv[1].encode()):08x}]")
"""


def call(tool: str, **arguments: Any) -> dict[str, Any]:
    return {"calls": [{"tool": tool, "arguments": arguments}]}


def wait_for(name: str) -> dict[str, Any]:
    """Return the call of a tool that runs until a file is in the workspace."""
    return call("shell", command=f"while [ ! -e {name} ]; do sleep 0.1; done; rm {name}; sleep 0.5")


SCRIPT = {
    "rules": [
        {
            "when": r"^write a poem to (\S+)",
            "turns": [
                call("write_file", path="{1}", content="Yard of night,\nsmall light — ☾\n"),
                call("send_file", path="{1}", caption="your poem"),
                {"text": "It is on its way."},
            ],
        },
        {
            "when": r"^paint the fence of (\w+)",
            "turns": [
                call("ask_user", question="Which colour for {1}?", options=["Blue", "Green"]),
                {"text": "painted {1}: {output}"},
            ],
        },
        {"when": r"^tidy up (\w+)", "turns": [wait_for("{1}"), {"text": "tidied {1}, and nothing else"}]},
        {"when": r"^and water (\w+)", "turns": [{"text": "tidied and watered {1}"}]},
        {"when": "^sleep", "turns": [call("shell", command=SLEEP), {"text": "never said"}]},
        {
            "when": r"^move house (\w+)",
            "turns": [
                wait_for("{1}.boxes"),
                call("send_message", text="half of {1} is moved"),
                wait_for("{1}.rest"),
                {"text": "{1} is moved"},
            ],
        },
        {
            "when": r"^stamp (\w+)",
            "turns": [
                call("skill", name="stamp"),
                call("shell", command="python3 /skills/stamp/scripts/stamp.py {1}"),
                {"text": "stamped: {output}"},
            ],
        },
        {"when": "count the files", "turns": [call("task_result", **JUDGED)]},
        {
            "when": r"^compare (\w+)",
            "turns": [call("sub_agent", task="look into {1}"), {"text": "compared: {output}"}],
        },
        {
            "when": r"^look into (\w+)",
            "turns": [call("shell", command="echo {1} > seen.{1}; wc -c < seen.{1}"), {"text": "{1} has {output}"}],
        },
        {
            "when": r"^read part (\d+)",
            "turns": [
                *(call("shell", command=f"seq {{1}}{n}000 {{1}}{n}600") for n in range(1, 10)),
                {"text": "read part {1}"},
            ],
        },
        {"when": "^read on", "turns": [{"text": "what was read: " + "more and more " * 180}]},
        {"when": "^Sum up the conversation", "turns": [{"text": "- {recalled}"}], "recall": KNOWN},
        {"when": "^what do you know", "turns": [{"text": "I know: {recalled}"}], "recall": KNOWN},
        {"when": "", "turns": [{"text": "noted: {said}"}]},
    ]
}


def write_stories_fork(fork: Path) -> None:
    """Write the agents' settings and the skill; they count after a reload."""
    scripts = fork / "skills/stamp/scripts"
    scripts.mkdir(parents=True)
    (fork / "skills/stamp/SKILL.md").write_text(SKILL, "utf-8")
    (scripts / "stamp.py").write_text(STAMP, "utf-8")
    for group, settings in GROUPS.items():
        (fork / "groups" / group / "group.yaml").write_text(settings, "utf-8")
        (fork / "groups" / group / "AGENTS.md").write_text(INSTRUCTIONS, "utf-8")
