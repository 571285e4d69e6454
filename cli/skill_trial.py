"""`skill test`: a skill's own cases carried out by agents of this installation, in containers, and counted.

Each run is by an agent of its own, made for it and removed afterwards: it has this one skill, without its evals, the
rights that its group.yaml gives (none but a model) and an empty workspace.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from cli.place import ask, find_fork, find_home
from cli.problem import NOT_UNDERSTOOD, CliProblem
from cli.screen import clean_line
from cli.skill_evals import Case, WrongEvals, failed_checks, parse_cases
from cli.skill_places import existing_place, write_skill
from cli.style import GREEN, RED, paint
from cli.task_wait import NOT_YET, exit_code_of, wait_for
from protocol.ids import GroupId
from runtime.skills.content import SkillRefused, SkillTree, read_folder

MAX_FILE_BYTES = 8 << 20
"""The longest file that is looked into."""
_PREFIX = "skill-test-"
_MODEL = re.compile(r"[\w.-]+/[\w./:@+-]+", re.ASCII)


@click.command("test")
@click.argument("name")
@click.option("--group", metavar="GROUP", help="Of this group alone: groups/GROUP/skills/.")
@click.option("--model", metavar="ROUTE/MODEL", help="Who is tried; otherwise the model of nightyard.yaml.")
@click.option("--case", "only", multiple=True, metavar="ID", help="Only this case; may be repeated.")
@click.option("--runs", default=1, type=click.IntRange(1, 20), help="How often each case is tried.")
@click.option("--timeout", "timeout_s", default=600.0, type=click.FloatRange(1, 3600), help="Seconds for each run.")
def trial(
    name: str, *, group: str | None, model: str | None, only: tuple[str, ...], runs: int, timeout_s: float
) -> None:
    """Carry out the cases in a skill's evals/ with real agents, and print how many passed.

    Exits with 1 unless all did. Model calls cost what they cost.
    """
    place = existing_place(name, group)
    if model is not None and not _MODEL.fullmatch(model):
        raise CliProblem(f"{clean_line(model)!r} is no model", "--model ROUTE/MODEL", NOT_UNDERSTOOD)
    try:
        tree = read_folder(place.folder)
        cases = parse_cases(tree)
    except (SkillRefused, WrongEvals) as error:
        raise CliProblem(
            f"{place.key} cannot be tested: {clean_line(str(error))}", "docs/skills.md says how"
        ) from error
    known = [case.case_id for case in cases]
    if unknown := [each for each in only if each not in known]:
        text = f"{place.key} has no case {clean_line(unknown[0])!r} (it has: {clean_line(', '.join(known))})"
        raise CliProblem(text, f"./nightyard skill test {name}", NOT_UNDERSTOOD)
    chosen = [case for case in cases if not only or case.case_id in only for _ in range(runs)]
    passed = sum(_is_passed(case, name, tree, place.folder, model, timeout_s) for case in chosen)
    click.echo(f"{passed} of {len(chosen)} passed ({100 * passed // len(chosen)} %)")
    if passed < len(chosen):
        raise click.exceptions.Exit(1)


def _is_passed(case: Case, name: str, tree: SkillTree, folder: Path, model: str | None, timeout_s: float) -> bool:
    """Have one case carried out, and tell how it went."""
    with _agent(name, tree, model) as group_id:
        files = [str(folder / file) for file in case.files]
        submitted = ask("send", {"group": group_id, "text": case.prompt, "files": files})
        envelope = wait_for(submitted["submission"], timeout_s)
        result = envelope.get("result") or {}
        if exit_code_of(envelope) == NOT_YET:
            ask("task_cancel", {"submission": submitted["submission"], "reason": "the skill's test took too long"})
            wrong: tuple[str, ...] = (f"it took longer than {timeout_s:.0f} s",)
        elif exit_code_of(envelope):
            wrong = (f"the task {result.get('status')}: {result.get('reason') or result.get('code') or 'no reason'}",)
        else:
            workspace = find_home().group(group_id) / "workspace"
            wrong = failed_checks(case, result.get("text") or "", lambda path: _read_within(workspace, path))
    verdict = paint("fail", RED) if wrong else paint("pass", GREEN)
    click.echo(f"{verdict}  {clean_line('; '.join([case.case_id, *wrong])[:1_000])}")
    return not wrong


@contextmanager
def _agent(name: str, tree: SkillTree, model: str | None) -> Iterator[GroupId]:
    """Make an agent for one run, and remove it with all that it wrote."""
    group_id = GroupId(f"{_PREFIX}{secrets.token_hex(4)}")
    folder = find_fork() / "groups" / group_id
    settings = [f"skills: [{json.dumps(name)}]", *([f"model: {json.dumps(model)}"] if model else [])]
    try:
        folder.mkdir(parents=True)
        (folder / "group.yaml").write_text("\n".join(settings) + "\n", "utf-8")
        (folder / "AGENTS.md").write_text("Do what you are asked, with your skills where they fit.\n", "utf-8")
        shown = {path: file for path, file in tree.items() if not path.startswith("evals/")}
        write_skill(folder / "skills" / name, shown)
        if problems := [each for each in ask("reload")["problems"] if group_id in each]:
            raise CliProblem(clean_line(problems[0]), "./nightyard config check")
        yield group_id
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        ask("reload")
        _sweep()


def _sweep() -> None:
    """Remove what agents of tests have left in the home. A spare that was starting as its agent went may make empty
    folders anew: the next test takes those."""
    home, fork = find_home(), find_fork()
    for folder in (home.group(GroupId(_PREFIX)).parent, home.history(GroupId(_PREFIX)).parent):
        for left in folder.glob(f"{_PREFIX}*"):
            if not (fork / "groups" / left.name.partition(".")[0]).exists():
                shutil.rmtree(left, ignore_errors=True)


def _read_within(workspace: Path, path: str) -> str | None:
    """Return a file's text; None where there is none, or where a link leads out: an agent wrote what is there."""
    target = Path(os.path.realpath(workspace / path))
    if not target.is_relative_to(workspace.resolve()):
        return None
    try:
        descriptor = os.open(target, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        return file.read(MAX_FILE_BYTES).decode("utf-8", "replace")
