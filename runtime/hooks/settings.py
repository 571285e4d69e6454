"""`hooks` in group.yaml: the webhooks that bring a group work. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from runtime.skills.frontmatter import is_skill_name
from runtime.yaml_record import key

MAX_HOOKS = 32
"""Of a group."""
MAX_TEMPLATE_CHARS = 20_000
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
_CHAT = re.compile(r"[a-z0-9-]{1,32}:\S{1,200}")


def check_hook_name(name: str) -> str | None:
    return None if _NAME.fullmatch(name) else "should be 1-32 of a-z, 0-9 and inner hyphens"


def _check_secret(name: str) -> str | None:
    return None if not name or _NAME.fullmatch(name) else "should be the name of a secret in the vault"


def _check_chat(chat: str) -> str | None:
    if not chat or _CHAT.fullmatch(chat):
        return None
    return f"should be a chat as `nightyard chat list` shows it, but it is {chat[:60]!r}"


def _check_skill(name: str) -> str | None:
    return None if not name or is_skill_name(name) else f"should be a skill's name, but it is {name[:60]!r}"


def _check_file(path: str) -> str | None:
    parts = path.split("/")
    if not path or (path.endswith(".json") and all(part not in ("", ".", "..") for part in parts)):
        return None
    return "should be a .json file in the group's folder"


def _check_template(text: str) -> str | None:
    return None if len(text) <= MAX_TEMPLATE_CHARS else f"should have at most {MAX_TEMPLATE_CHARS} characters"


@dataclass(frozen=True, slots=True, kw_only=True)
class HookSettings:
    """One hook."""

    scheme: Literal["hmac", "github", "resend"] = "hmac"
    secret: str = key("", check=_check_secret)
    """The name of its key in the vault."""
    template: str = key("", check=_check_template)
    """What the agent is told, with names in braces that what was posted fills."""
    events: tuple[str, ...] = ()
    """The events that are wanted; none named: all."""
    reply_to: str = key("", check=_check_chat)
    """The chat that reads the answer; empty: nobody, the trace has it."""
    skill: str = key("", check=_check_skill)
    """A skill of the group's that the agent is to follow."""
    result_schema: str = key("", check=_check_file)
    """A JSON Schema in the group's folder: the task ends with a result that fits it. Empty: it answers in words."""


def hook_problems(hooks: Mapping[str, HookSettings]) -> Iterator[tuple[str, str]]:
    """Yield (key, what is wrong) beyond the shape of single keys."""
    if len(hooks) > MAX_HOOKS:
        yield "hooks", f"has {len(hooks)} hooks, the most is {MAX_HOOKS}"
    for name, hook in hooks.items():
        if not hook.secret:
            yield f"hooks.{name}", "names no secret: `./nightyard secret add NAME --kind channel` stores its key"
        if not hook.template.strip():
            yield f"hooks.{name}", "has no template: say what the agent is to do with what comes"
