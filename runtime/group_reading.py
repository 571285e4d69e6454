"""Groups out of their folders `groups/<id>/`, and what is wrong with them. Pure, but for the `load_` functions.

group.yaml holds the settings, AGENTS.md the instructions. A group with a fault in either, or in a skill, is suspended:
it is listed with its problems and answers with them, and the others run. grants.yaml is the credential proxy's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from protocol.ids import GroupId
from protocol.task import ModelRoute
from protocol.tools import left_out
from runtime.approvals.constraint_terms import (
    MAX_CONSTRAINTS,
    Constraint,
    ConstraintSettings,
    build_constraint,
    why_wrong,
    why_wrong_asking,
)
from runtime.config import ParsedSettings, Settings, problem_section, resolve_model, unknown_route
from runtime.group import Group, Groups
from runtime.group_settings import GroupSettings
from runtime.harnesses import harness_problems
from runtime.hooks.settings import hook_problems
from runtime.images.settings import MAX_PACKAGES, PackageSettings
from runtime.mcp.settings import build_servers, server_problems
from runtime.settings_file import group_names, nearest_name
from runtime.skills.catalogue import load_skills, names_in, own_skills, skill_names
from runtime.spaces.declared import SpaceSettings, grant_spaces, load_spaces
from runtime.yaml_record import ConfigProblem, Reading, parse_record

INSTRUCTION_FILES = ("AGENTS.md", "CLAUDE.md", "SOUL.md")
"""In a group's folder, in the order in which its agents read them: AGENTS.md is ours, the others those of agents that
were elsewhere before."""
MAX_INSTRUCTIONS_BYTES = 256 << 10


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
    for key_name, model_name in (("embeddings", own.embeddings), ("transcription", own.transcription)):
        if model_name and (wrong := _why_not_asked(model_name, settings, key_name)):
            line = reading.lines.get(key_name, 1)
            problems.append(ConfigProblem(file=file, line=line, key=key_name, message=wrong))
    if spaces is None:
        spaces = {name: Reading(value=SpaceSettings(), problems=(), lines={}) for name in own.spaces}
    granted, of_spaces = grant_spaces(own.spaces, spaces, file, reading.lines)
    problems += _package_problems(own.packages, file, reading.lines)
    of_servers = _problems_at(server_problems(own.mcp), file, reading.lines)
    decisions = tuple(_decision_problems(own, file, reading.lines))
    of_hooks = _problems_at(hook_problems(own.hooks), file, reading.lines)
    problems += (*of_spaces, *of_servers, *of_hooks, *decisions)
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
        transcription=own.transcription,
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
        hooks=own.hooks,
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


def _why_not_asked(model: str, settings: Settings, what: str) -> str:
    found = resolve_model(model, settings.routes)
    if found is None:
        return unknown_route(model, settings.routes)
    return f"the route {found.route!r} has the api anthropic, which has no {what}" if found.api == "anthropic" else ""


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
