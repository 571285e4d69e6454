"""Group: an agent group, as the host runs it. Pure. `group_reading.py` makes it of its folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from protocol.ids import GroupId
from protocol.link import AgentCard, McpServer
from protocol.task import ModelRoute
from runtime.approvals.constraint_terms import Constraint, ReviewSettings
from runtime.config import REHEARSAL, LimitSettings
from runtime.group_settings import GroupBudget, Harness, Mode, ProgressStyle
from runtime.hooks.settings import HookSettings
from runtime.images.settings import PackageSettings
from runtime.people.settings import PeopleSettings
from runtime.refusal import OperationRefused
from runtime.sessions.settings import SessionSettings
from runtime.spaces.declared import GrantedSpace
from runtime.store.records import PersonLimits
from runtime.yaml_record import ConfigProblem


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One agent group, ready to run."""

    group_id: GroupId
    instructions: str
    """AGENTS.md as it stands, and the files beside it that say more (INSTRUCTION_FILES)."""
    model: ModelRoute
    fallbacks: tuple[ModelRoute, ...] = ()
    effort: Literal["", "low", "medium", "high"] = ""
    description: str = ""
    skills: tuple[str, ...] = ()
    own_skills: frozenset[str] = frozenset()
    """Those of its own folder, mounted or not: no other group's skill of that name is the same one."""
    limits: LimitSettings = field(default_factory=LimitSettings)
    spaces: tuple[GrantedSpace, ...] = ()
    embeddings: str = ""
    transcription: str = ""
    delegates: tuple[str, ...] = ()
    parallel: int = 1
    budget: GroupBudget = field(default_factory=GroupBudget)
    footer: bool = False
    session: SessionSettings = field(default_factory=SessionSettings)
    progress: ProgressStyle = "line"
    people: PeopleSettings = field(default_factory=PeopleSettings)
    mode: Mode = "autonomous"
    review: ReviewSettings = field(default_factory=ReviewSettings)
    constraints: tuple[Constraint, ...] = ()
    """Those of group.yaml; more may have been added in chats (`approvals/constraints.py`)."""
    has_grants: bool = False
    """Whether grants.yaml grants anything, as far as its lines show: what it says is the proxy's to read."""
    web_search: str = ""
    without_tools: tuple[str, ...] = ()
    """The tools that its agents do not have."""
    mcp: tuple[McpServer, ...] = ()
    """What its agents may use, as far as somebody has said yes (`mcp/book.py`)."""
    harness: Harness = "native"
    packages: PackageSettings = field(default_factory=PackageSettings)
    browser: bool = False
    hooks: Mapping[str, HookSettings] = field(default_factory=dict)
    """The webhooks that bring it work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """The groups of the fork: those that run, and those that wait for a mended file."""

    ready: Mapping[GroupId, Group]
    suspended: Mapping[GroupId, tuple[ConfigProblem, ...]]
    mounts: Mapping[GroupId, tuple[str, ...]] = field(default_factory=dict)
    """The skills of each, of the suspended ones too."""

    @property
    def rehearsing(self) -> tuple[GroupId, ...]:
        """Those whose answers come from the rehearsal's script."""
        return tuple(group.group_id for group in self.ready.values() if group.model.route == REHEARSAL)

    @property
    def person_limits(self) -> Mapping[GroupId, PersonLimits]:
        """All groups, with what each takes from one person."""
        usual = dict.fromkeys(self.suspended, PeopleSettings().limits)
        return usual | {group_id: group.people.limits for group_id, group in self.ready.items()}

    def checked(self, group_id: GroupId) -> GroupId:
        """Return a group that there is, running or suspended; OperationRefused for another."""
        if group_id not in self.ready and group_id not in self.suspended:
            known = ", ".join([*self.ready, *self.suspended]) or "none"
            message = f"there is no group {group_id[:40]!r} (known: {known})"
            raise OperationRefused("unknown_group", message, "./nightyard group list")
        return group_id

    def delegates_of(self, group: Group) -> tuple[AgentCard, ...]:
        """Return whom a group's agents may ask, those that run now."""
        ready = (self.ready.get(GroupId(name)) for name in group.delegates)
        return tuple(AgentCard(name=each.group_id, description=each.description) for each in ready if each is not None)

    def problems_of(self, group_id: GroupId) -> tuple[ConfigProblem, ...]:
        """Return why a group does not run; empty for one that does."""
        if group_id in self.ready:
            return ()
        folder = f"groups/{group_id}"
        absent = ConfigProblem(file=folder, line=1, key="", message=f"there is no group {group_id!r}")
        return self.suspended.get(group_id, (absent,))
