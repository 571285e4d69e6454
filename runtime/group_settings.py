"""group.yaml: what its keys are, and which values each takes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from protocol.ids import is_group_id
from protocol.tools import MCP_PREFIX, TOOLS
from runtime.approvals.constraint_terms import ConstraintSettings, ReviewSettings
from runtime.config import LimitSettings, check_model
from runtime.hooks.settings import HookSettings, check_hook_name
from runtime.images.settings import PackageSettings
from runtime.mcp.settings import McpSettings, check_server_name
from runtime.people.settings import PeopleSettings
from runtime.sessions.settings import SessionSettings
from runtime.settings_file import nearest_name
from runtime.skills.frontmatter import is_skill_name
from runtime.spaces.declared import Access, check_space_name
from runtime.yaml_record import key

SEARCH_SERVICES = ("brave", "tavily")
ProgressStyle = Literal["off", "line", "full"]
Harness = Literal["native", "claude-code", "codex", "opencode"]
"""Which program is the agent: our own, or one that others make, in an image that holds it."""
Mode = Literal["copilot", "autonomous"]
"""`copilot`: what a task says outside the chat in which it began waits for a review. `autonomous`: it goes."""


def _check_delegate(name: str) -> str | None:
    return None if is_group_id(name) else f"should be the name of a folder under groups/, but it is {name[:60]!r}"


def _check_tool(word: str) -> str | None:
    if word.removeprefix("-").startswith(MCP_PREFIX):
        return None
    near = nearest_name(word.removeprefix("-"), TOOLS)
    hint = f"; did you mean {near}?" if near else ""
    return None if word.removeprefix("-") in TOOLS else f"should be a tool's name, but it is {word[:60]!r}{hint}"


def _check_search(service: str) -> str | None:
    if service in ("", *SEARCH_SERVICES) or service.startswith(("https://", "http://")):
        return None
    return f"should be {', '.join(SEARCH_SERVICES)}, or the address of a SearXNG, but it is {service[:60]!r}"


def _check_extra_model(model: str) -> str | None:
    return check_model(model) if model else None


def _check_skill(name: str) -> str | None:
    return None if is_skill_name(name) else f"should be the name of a folder under skills/, but it is {name[:60]!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupBudget:
    """What the tasks of a group together may spend in one day (UTC), beside `limits.calls_per_day`."""

    usd_per_day: float | None = key(None, least=0)
    """Counts calls whose price is known."""
    tokens_per_day: int | None = key(None, least=0)
    """Input and output together, of all calls."""
    background_percent: int = key(20, least=0, most=100)
    """How much of the day's budget work may use that no person waits for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSettings:
    """All of group.yaml."""

    description: str = ""
    model: str | None = key(None, check=check_model)
    """`route/model-name`; None: as nightyard.yaml says."""
    fallbacks: tuple[str, ...] = key((), check=check_model)
    """Who answers in chats, in this order, where the service of `model` fails for good."""
    effort: Literal["", "low", "medium", "high"] = ""
    """How hard the model is to think before it answers; empty: as its provider does by itself."""
    skills: tuple[str, ...] = key((), check=_check_skill)
    """Folders under its own skills/ or the fork's; the group sees these and no others."""
    limits: LimitSettings = field(default_factory=LimitSettings)
    """Over those of nightyard.yaml, key by key."""
    spaces: Mapping[str, Access] = field(default_factory=dict, metadata={"check": check_space_name})
    """The folders that it shares with other groups, and whether its agents may write there."""
    embeddings: str = key("", check=_check_extra_model)
    """What its memory and conversations are searched by meaning with, as `route/model-name`; empty: by words alone."""
    transcription: str = key("", check=_check_extra_model)
    """What voice notes of its people are transcribed with, as `route/model-name`; empty: they stay files."""
    delegates: tuple[str, ...] = key((), check=_check_delegate)
    """The groups whose agents this one may ask."""
    parallel: int = key(1, least=1, most=16)
    """Tasks of this group that may run at once; they share its workspace."""
    budget: GroupBudget = field(default_factory=GroupBudget)
    footer: bool = False
    """Whether each answer says what it cost."""
    session: SessionSettings = field(default_factory=SessionSettings)
    """When a conversation ends by itself."""
    progress: ProgressStyle = "line"
    """What is shown while the agent works: `off`: only that it does; `line`: its tools' names; `full`: what it calls
    them with, too."""
    people: PeopleSettings = field(default_factory=PeopleSettings)
    """What it takes from one person."""
    mode: Mode = "autonomous"
    review: ReviewSettings = field(default_factory=ReviewSettings)
    constraints: tuple[ConstraintSettings, ...] = ()
    tools: tuple[str, ...] = key((), check=_check_tool)
    """Those that its agents have; with a `-` before each: all but those. None named: all."""
    web_search: str = key("", check=_check_search)
    """What its agents search the web with: `brave`, `tavily`, or the address of a SearXNG. Empty: nothing."""
    harness: Harness = "native"
    packages: PackageSettings = field(default_factory=PackageSettings)
    browser: bool = False
    """Whether its image holds Chromium."""
    mcp: Mapping[str, McpSettings] = field(default_factory=dict, metadata={"check": check_server_name})
    """The MCP servers that its agents may use, once somebody has said yes to each."""
    hooks: Mapping[str, HookSettings] = field(default_factory=dict, metadata={"check": check_hook_name})
    """The webhooks that bring it work."""
