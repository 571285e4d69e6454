"""Group: an agent group as its folder `groups/<id>/` says it. Pure, but for the `load_` functions.

group.yaml holds the settings, AGENTS.md the instructions. A group with a fault in either, or in a skill, is suspended:
it is listed with its problems and answers with them, and the others run. grants.yaml is the credential proxy's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from protocol.ids import GroupId, is_group_id
from protocol.link import AgentCard, McpServer
from protocol.task import ModelRoute
from protocol.tools import MCP_PREFIX, TOOLS, left_out
from runtime.approvals.constraint_terms import (
    MAX_CONSTRAINTS,
    Constraint,
    ConstraintSettings,
    ReviewSettings,
    build_constraint,
    why_wrong,
    why_wrong_asking,
)
from runtime.config import (
    REHEARSAL,
    LimitSettings,
    ParsedSettings,
    Settings,
    check_model,
    problem_section,
    resolve_model,
    unknown_route,
)
from runtime.harnesses import harness_problems
from runtime.images.settings import MAX_PACKAGES, PackageSettings
from runtime.mcp.settings import McpSettings, build_servers, check_server_name, server_problems
from runtime.people.settings import PeopleSettings
from runtime.refusal import OperationRefused
from runtime.sessions.settings import SessionSettings
from runtime.settings_file import group_names, nearest_name
from runtime.skills.catalogue import load_skills, names_in, own_skills, skill_names
from runtime.skills.frontmatter import is_skill_name
from runtime.spaces.declared import Access, GrantedSpace, SpaceSettings, check_space_name, grant_spaces, load_spaces
from runtime.store.records import PersonLimits
from runtime.yaml_record import ConfigProblem, Reading, key, parse_record

INSTRUCTION_FILES = ("AGENTS.md", "CLAUDE.md", "SOUL.md")
"""In a group's folder, in the order in which its agents read them: AGENTS.md is ours, the others those of agents that
were elsewhere before."""
MAX_INSTRUCTIONS_BYTES = 256 << 10


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


def _check_embeddings(model: str) -> str | None:
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
    embeddings: str = key("", check=_check_embeddings)
    """What its memory and conversations are searched by meaning with, as `route/model-name`; empty: by words alone."""
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


def build_group(
    group_id: GroupId,
    text: str,
    instructions: str,
    settings: Settings,
    skills: Collection[str] | None = None,
    spaces: Mapping[str, Reading[SpaceSettings]] | None = None,
) -> tuple[Group, tuple[ConfigProblem, ...]]:
    """Return the group that group.yaml's text and AGENTS.md's make, and what is wrong with it.

    `skills` and `spaces` are those that there are; None: they are not looked at.
    """
    file = f"groups/{group_id}/group.yaml"
    reading = parse_record(text, file, GroupSettings(limits=settings.limits))
    own, problems = reading.value, list(reading.problems)
    model = resolve_model(own.model or settings.model, settings.routes)
    if model is None:
        message = unknown_route(own.model or settings.model, settings.routes)
        problems.append(ConfigProblem(file=file, line=reading.lines.get("model", 1), key="model", message=message))
    fallbacks = [resolve_model(name, settings.routes) for name in own.fallbacks]
    for index, fallback in enumerate(fallbacks):
        if fallback is None:
            place, message = f"fallbacks[{index}]", unknown_route(own.fallbacks[index], settings.routes)
            problems.append(ConfigProblem(file=file, line=reading.lines.get(place, 1), key=place, message=message))
    models = [("model", model), *((f"fallbacks[{index}]", each) for index, each in enumerate(fallbacks))]
    problems += harness_problems(own.harness, models, file, reading.lines)
    for index, skill in enumerate(own.skills):
        if skills is not None and skill not in skills:
            line, named = reading.lines.get(f"skills[{index}]", 1), ", ".join(sorted(skills)) or "none"
            message = f"there is no skill {skill!r} (known: {named})"
            near = nearest_name(skill, skills)
            problems.append(ConfigProblem(file=file, line=line, key=f"skills[{index}]", message=message, nearest=near))
    if len({word.startswith("-") for word in own.tools}) > 1:
        line, message = reading.lines.get("tools", 1), "names tools with and without a `-`: it is one or the other"
        problems.append(ConfigProblem(file=file, line=line, key="tools", message=message))
    if own.embeddings and (wrong := _why_no_embeddings(own.embeddings, settings)):
        line = reading.lines.get("embeddings", 1)
        problems.append(ConfigProblem(file=file, line=line, key="embeddings", message=wrong))
    if spaces is None:
        spaces = {name: Reading(value=SpaceSettings(), problems=(), lines={}) for name in own.spaces}
    granted, of_spaces = grant_spaces(own.spaces, spaces, file, reading.lines)
    problems += _package_problems(own.packages, file, reading.lines)
    of_servers = _problems_at(server_problems(own.mcp), file, reading.lines)
    decisions = tuple(_decision_problems(own, file, reading.lines))
    problems += (*of_spaces, *of_servers, *decisions)
    group = Group(
        group_id=group_id,
        instructions=instructions,
        model=model or ModelRoute(route="", api="anthropic", model=""),
        fallbacks=tuple(each for each in fallbacks if each is not None),
        effort=own.effort,
        description=own.description,
        skills=own.skills,
        limits=own.limits,
        spaces=granted,
        embeddings=own.embeddings,
        delegates=own.delegates,
        parallel=own.parallel,
        budget=own.budget,
        footer=own.footer,
        session=own.session,
        progress=own.progress,
        people=own.people,
        mode=own.mode,
        review=own.review,
        constraints=() if decisions else _build_constraints(own.constraints),
        web_search=own.web_search,
        without_tools=left_out(own.tools),
        harness=own.harness,
        packages=own.packages,
        browser=own.browser,
        mcp=() if of_servers else build_servers(own.mcp),
    )
    return group, tuple(problems)


def _package_problems(packages: PackageSettings, file: str, lines: Mapping[str, int]) -> Iterator[ConfigProblem]:
    """Yield the managers that are to bring more packages than an image may have."""
    for manager in ("apt", "pip", "npm"):
        count, place = len(getattr(packages, manager)), f"packages.{manager}"
        if count > MAX_PACKAGES:
            message = f"has {count} items, the most is {MAX_PACKAGES}"
            yield ConfigProblem(file=file, line=lines.get(place, 1), key=place, message=message)


def _problems_at(found: Iterator[tuple[str, str]], file: str, lines: Mapping[str, int]) -> tuple[ConfigProblem, ...]:
    return tuple(ConfigProblem(file=file, line=lines.get(at, 1), key=at, message=message) for at, message in found)


def _why_no_embeddings(model: str, settings: Settings) -> str:
    found = resolve_model(model, settings.routes)
    if found is None:
        return unknown_route(model, settings.routes)
    return (
        f"the route {found.route!r} has the api anthropic, which has no embeddings" if found.api == "anthropic" else ""
    )


def _build_constraints(given: Sequence[ConstraintSettings]) -> tuple[Constraint, ...]:
    return tuple(build_constraint(f"group.yaml:{number}", each) for number, each in enumerate(given, 1))


def _decision_problems(own: GroupSettings, file: str, lines: Mapping[str, int]) -> Iterator[ConfigProblem]:
    """Yield what is wrong with constraints and reviews beyond the shape of their keys."""
    found = [(f"constraints[{index}]", why_wrong(each)) for index, each in enumerate(own.constraints)]
    found.append(("review", why_wrong_asking(own.review.who, own.review.quorum, own.review.deadline)))
    for path, wrong in found:
        if wrong is not None:
            key_name = f"{path}.{wrong[0]}" if wrong[0] else path
            yield ConfigProblem(file=file, line=lines.get(key_name, lines.get(path, 1)), key=key_name, message=wrong[1])
    if len(own.constraints) > MAX_CONSTRAINTS:
        message = f"has {len(own.constraints)} items, the most is {MAX_CONSTRAINTS}"
        yield ConfigProblem(file=file, line=lines.get("constraints", 1), key="constraints", message=message)


def _mode_problems(
    built: Mapping[GroupId, tuple[Group, tuple[ConfigProblem, ...]]],
) -> dict[GroupId, list[ConfigProblem]]:
    """Return the skills that are mounted in groups of both modes, as a fault of each of these groups: mounting a skill
    elsewhere is promoting it, and what was only tried under review must not act by itself by the same edit."""
    users: dict[str, list[Group]] = {}
    for group, _ in built.values():
        for skill in (name for name in group.skills if name not in group.own_skills):
            users.setdefault(skill, []).append(group)
    problems: dict[GroupId, list[ConfigProblem]] = {}
    for skill, groups in users.items():
        if len({group.mode for group in groups}) > 1:
            named = ", ".join(f"{group.group_id} ({group.mode})" for group in groups)
            message = (
                f"the skill {skill!r} is mounted in agents of both modes: {named}; take it out of some, give them one "
                "`mode`, or copy the skill under another name"
            )
            for group in groups:
                file = f"groups/{group.group_id}/group.yaml"
                problem = ConfigProblem(file=file, line=1, key="skills", message=message)
                problems.setdefault(group.group_id, []).append(problem)
    return problems


def sort_groups(built: Mapping[GroupId, tuple[Group, tuple[ConfigProblem, ...]]], parsed: ParsedSettings) -> Groups:
    """Tell the groups that run from the suspended ones.

    A fault in nightyard.yaml suspends what stands on it: one of a route its users, one of the whole file everybody,
    because an agent must not run under limits that its owner did not mean.
    """
    ready: dict[GroupId, Group] = {}
    suspended: dict[GroupId, tuple[ConfigProblem, ...]] = {}
    of_modes = _mode_problems(built)
    for group_id, (group, own_problems) in built.items():
        problems = (*own_problems, *of_modes.get(group_id, ()))
        above = tuple(problem for problem in parsed.problems if _concerns(problem, group))
        if problems or above:
            suspended[group_id] = (*problems, *above)
        else:
            ready[group_id] = group
    mounts = {group_id: group.skills for group_id, (group, _) in built.items()}
    return Groups(ready=ready, suspended=suspended, mounts=mounts)


def _concerns(problem: ConfigProblem, group: Group) -> bool:
    section = problem_section(problem)
    return section is None or section == ("routes", group.model.route)


def settings_problems(parsed: ParsedSettings, groups: Groups) -> tuple[ConfigProblem, ...]:
    """Return all that is wrong with the settings and the groups, each fault once."""
    of_groups = (problem for problems in groups.suspended.values() for problem in problems)
    return tuple(dict.fromkeys((*parsed.problems, *of_groups)))


def load_groups(fork: Path, parsed: ParsedSettings) -> Groups:
    """Read every folder under groups/ but `example`, the one that new groups are made from."""
    built = {GroupId(name): load_group(fork, GroupId(name), parsed.settings) for name in group_names(fork)}
    return sort_groups(built, parsed)


def load_group(fork: Path, group_id: GroupId, settings: Settings) -> tuple[Group, tuple[ConfigProblem, ...]]:
    """Read one group's folder; what cannot be read is a problem. A missing group.yaml is an empty one."""
    problems: list[ConfigProblem] = []
    folder = fork / "groups" / group_id
    text = _read_text(folder / "group.yaml", f"groups/{group_id}/group.yaml", problems)
    files = (_read_text(folder / name, f"groups/{group_id}/{name}", problems) for name in INSTRUCTION_FILES)
    instructions = join_instructions(files)
    skills = skill_names(fork, group_id)
    group, more = build_group(group_id, text, instructions, settings, skills, load_spaces(fork))
    problems += _delegate_problems(group, group_names(fork))
    for broken in load_skills(fork, group_id, [name for name in group.skills if name in skills])[1]:
        problems.append(ConfigProblem(file=broken.file, line=1, key="", message=broken.message))
    own = frozenset(names_in(own_skills(fork, group_id)))
    group = replace(group, has_grants=_grants_something(folder / "grants.yaml"), own_skills=own)
    return group, (*problems, *more)


def join_instructions(texts: Iterable[str]) -> str:
    """Return the texts one after the other: each once, and without lines that only name another of the files, as
    CLAUDE.md does in a folder that has both."""
    kept: list[str] = []
    for text in texts:
        lines = [line for line in text.splitlines() if line.strip().removeprefix("@") not in INSTRUCTION_FILES]
        own = "\n".join(lines).strip()
        if own and own not in kept:
            kept.append(own)
    return "\n\n".join(kept)


def _grants_something(path: Path) -> bool:
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return False
    return any(line.lstrip().startswith("-") for line in lines)


def _delegate_problems(group: Group, names: Collection[str]) -> list[ConfigProblem]:
    """Return what is wrong with whom a group may ask: nobody of that name, or itself."""
    problems = []
    for index, name in enumerate(group.delegates):
        others = [other for other in names if other != group.group_id]
        if name not in others:
            reason = "an agent does not ask itself" if name == group.group_id else f"there is no group {name!r}"
            message = f"{reason} (known: {', '.join(sorted(others)) or 'none'})"
            file, where = f"groups/{group.group_id}/group.yaml", f"delegates[{index}]"
            near = nearest_name(name, others)
            problems.append(ConfigProblem(file=file, line=1, key=where, message=message, nearest=near))
    return problems


def _read_text(path: Path, shown: str, problems: list[ConfigProblem]) -> str:
    try:
        if path.stat().st_size > MAX_INSTRUCTIONS_BYTES:
            message = f"is larger than {MAX_INSTRUCTIONS_BYTES >> 10} KiB"
            problems.append(ConfigProblem(file=shown, line=1, key="", message=message))
            return ""
        return path.read_text("utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        problems.append(ConfigProblem(file=shown, line=1, key="", message=f"cannot be read: {error}"))
        return ""
