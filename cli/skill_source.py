"""Where a skill comes from: a folder, an archive, or a git repository, of which nothing is checked out or run."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from cli.problem import CliProblem
from cli.screen import clean_line
from runtime.skills.archive import MAX_ARCHIVE_BYTES, MAX_TAR_BYTES, unpack
from runtime.skills.catalogue import SKILL_FILE
from runtime.skills.content import LEFT_OUT, SkillFile, SkillRefused, read_folder

GIT_TIMEOUT_S = 180
MAX_SHOWN_SKILLS = 30
MAX_LISTING_BYTES = 16 << 20
SEARCH_DEPTH = 6
"""Folders within folders in which skills are looked for."""

_GIT_URL = re.compile(r"(?:https?|ssh|git|file)://|[\w.-]+@[\w.-]+:", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """One skill as its source has it now."""

    kind: Literal["folder", "archive", "git"]
    path: str
    """Of its folder within the source; empty for the source itself."""
    commit: str
    tree: dict[str, SkillFile]


def is_git_url(source: str) -> bool:
    return _GIT_URL.match(source) is not None


def absolute_source(source: str) -> str:
    """Return the source as it can be found again from any folder."""
    return source if is_git_url(source) else str(Path(source).expanduser().resolve())


def fetch_skill(source: str, path: str, ref: str) -> Fetched:
    """Return the skill; a CliProblem if there is none, if it is not said which, or if it may not be taken.

    `path`: its folder within the source; `ref`: a branch or tag; both may be empty.
    """
    try:
        if is_git_url(source):
            return _from_git(source, path, ref)
        if ref:
            raise CliProblem("--ref is for git URLs", "the same command without --ref")
        found = Path(source).expanduser()
        if found.is_dir():
            chosen = _choose(_skills_below(found), path, source)
            return Fetched(kind="folder", path=chosen, commit="", tree=read_folder(found / chosen))
        if not found.is_file():
            raise CliProblem(f"{clean_line(source)} is no folder, no archive and no git URL", f"ls -l {found.parent}")
        return _from_archive(found, path, source)
    except SkillRefused as refused:
        text = f"{clean_line(source)} is refused whole: {clean_line(str(refused))}"
        raise CliProblem(text, "ask whoever made it for one without that") from refused
    except OSError as error:
        raise CliProblem(f"{clean_line(source)} cannot be read: {error.strerror}", f"ls -l {source}") from error


def _from_archive(file: Path, path: str, source: str) -> Fetched:
    with file.open("rb") as opened:
        tree = unpack(opened.read(MAX_ARCHIVE_BYTES + 1))
    chosen = _choose(_parents_of(tree), path, source)
    start = f"{chosen}/" if chosen else ""
    inside = {name.removeprefix(start): each for name, each in tree.items() if name.startswith(start)}
    return Fetched(kind="archive", path=chosen, commit="", tree=inside)


def _from_git(source: str, path: str, ref: str) -> Fetched:
    with tempfile.TemporaryDirectory(prefix="nightyard-skill-") as folder:
        options = ["--branch", ref] if ref else []
        clone = ["clone", "--quiet", "--bare", "--depth=1", "--single-branch", "--template=", *options]
        _git([*clone, "--", source, folder], source)
        commit = _git(["-C", folder, "rev-parse", "HEAD"], source).decode().strip()
        listing = _git(["-C", folder, "ls-tree", "-r", "-z", "--name-only", "HEAD"], source, MAX_LISTING_BYTES)
        names = listing.decode("utf-8", "replace").split("\0")
        chosen = _choose(_parents_of(names), path, source)
        packed = _git(["-C", folder, "archive", "--format=tar", f"HEAD:{chosen}"], source, MAX_TAR_BYTES)
    return Fetched(kind="git", path=chosen, commit=commit, tree=unpack(packed))


def _git(arguments: list[str], source: str, most_bytes: int = 1 << 20) -> bytes:
    """Run git and return what it prints, never more than so much. It asks nothing, and speaks no odd protocol."""
    environment = {
        **os.environ,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "https:http:ssh:git:file",
        "GIT_SSH_COMMAND": os.environ.get("GIT_SSH_COMMAND", "ssh -o BatchMode=yes"),
        "LC_ALL": "C",
    }
    with tempfile.TemporaryFile() as printed:
        try:
            done = subprocess.run(
                ["git", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.PIPE,
                env=environment,
                timeout=GIT_TIMEOUT_S,
                check=False,
            )
        except FileNotFoundError as error:
            raise CliProblem("git is not installed on this machine", "sudo apt install git") from error
        except subprocess.TimeoutExpired as error:
            text = f"{clean_line(source)} was not there after {GIT_TIMEOUT_S} s"
            raise CliProblem(text, "try again, or give a folder") from error
        if done.returncode != 0:
            words = clean_line(done.stderr.decode("utf-8", "replace"))[-300:]
            raise CliProblem(f"git could not read {clean_line(source)}: {words}", f"git ls-remote {clean_line(source)}")
        if printed.tell() > most_bytes:
            raise SkillRefused(f"it holds more than {most_bytes >> 20} MiB")
        printed.seek(0)
        return printed.read()


def _skills_below(folder: Path) -> list[str]:
    """Return the folders that hold a SKILL.md, as paths from `folder`. No link is followed."""
    found: list[str] = []
    for inside, folders, files in os.walk(folder):
        path = PurePosixPath(Path(inside).relative_to(folder).as_posix())
        folders[:] = [name for name in folders if name not in LEFT_OUT] if len(path.parts) < SEARCH_DEPTH else []
        if SKILL_FILE in files:
            found.append("" if path == PurePosixPath() else str(path))
            folders.clear()
    return found


def _parents_of(names: Iterable[str]) -> list[str]:
    """Return the folders that hold a SKILL.md, without those within a skill."""
    found: list[str] = []
    for name in sorted(names, key=lambda each: each.count("/")):
        folder, _, file = name.rpartition("/")
        if file == SKILL_FILE and not any(not each or folder.startswith(f"{each}/") for each in found):
            found.append(folder)
    return found


def _choose(found: list[str], path: str, source: str) -> str:
    wanted = path.strip("/")
    shown = clean_line(source)
    if wanted and wanted in found:
        return wanted
    if not found:
        raise CliProblem(f"{shown} holds no {SKILL_FILE}", "give the folder that has one")
    if len(found) == 1 and not wanted:
        return found[0]
    named = ", ".join(clean_line(each) or "." for each in sorted(found)[:MAX_SHOWN_SKILLS])
    more = f" and {len(found) - MAX_SHOWN_SKILLS} more" if len(found) > MAX_SHOWN_SKILLS else ""
    what = f"has no skill in {clean_line(wanted)!r}" if wanted else f"holds {len(found)} skills"
    raise CliProblem(f"{shown} {what}: {named}{more}", f"the same command with --path {clean_line(sorted(found)[0])}")
