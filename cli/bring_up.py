"""Bring everything up: each step looks first whether it is done already.

The steps are in the files beside this one: `up_home.py`, `engine.py`, `image.py`, `up_model.py`, `up_services.py`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from cli.place import ROOT
from cli.screen import clean_line
from cli.up_progress import step
from runtime.home import Home

CHAT_GROUP = "main"
"""Who answers in the chat that `up` opens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpOptions:
    """How `up` was called."""

    yes: bool
    model: str | None = None
    opens_chat: bool = False
    """A chat follows, on a terminal."""

    @property
    def may_ask(self) -> bool:
        return not self.yes and sys.stdin.isatty() and sys.stderr.isatty()


def bring_up(home: Home, fork: Path, options: UpOptions) -> None:
    """Make and start what is missing; say what runs. Raises SetupFailed."""
    from cli.up_home import make_fork, make_home
    from cli.up_model import load_checked, rehearsing, set_model

    make_home(home)
    with one_at_a_time(home):
        made = make_fork(fork, ROOT)
        if made:
            click.echo(f"  made from the examples: {', '.join(made)} in {fork}", err=True)
        if options.model:
            set_model(fork, options.model)
        parsed = load_checked(fork)
        if not _runs_as_it_should(home, rehearsing(fork, parsed), options):
            _start(home, fork, options)
            parsed = load_checked(fork)
        groups = rehearsing(fork, parsed)
    click.echo(said_when_up(home, fork, parsed.settings.model, groups, opens_chat=options.opens_chat), err=True)


def _runs_as_it_should(home: Home, rehearsing_groups: list[str], options: UpOptions) -> bool:
    """Whether everything runs already, from this image, with the processes that the settings want."""
    from cli.image import image_reference
    from cli.up_services import is_answering, running_names

    names = running_names(home)
    if options.model or not {"credproxy", "host"} <= set(names) or (rehearsing_groups and "rehearsal" not in names):
        return False
    return _noted_image(home) == image_reference(ROOT) and is_answering(home)


def _start(home: Home, fork: Path, options: UpOptions) -> None:
    """The slow way: each step looks first whether it is done already."""
    from cli.engine_install import ensure_engine
    from cli.image import ensure_image
    from cli.up_model import choose_offer, find_offers, load_checked, rehearsing, route_problem, set_model, store_key
    from cli.up_services import start_services, stop_services

    settings = load_checked(fork).settings
    with step("the container engine") as progress:
        engine = ensure_engine(settings.containers.engine, lambda question: _confirm(question, options), progress)
    click.echo(f"  container engine: {engine.detail}", err=True)
    with step("the agent image (once; half a minute to a few)") as progress:
        reference = ensure_image(ROOT, engine=engine.address, progress=progress)
    model = options.model
    if model is None and options.may_ask and rehearsing(fork, load_checked(fork)):
        model = choose_offer(find_offers(os.environ), _choose)
        if model:
            set_model(fork, model)
    with step("ending what ran before") as progress:
        stop_services(home, now=False, progress=progress)
    _image_file(home).write_text(f"{reference}\n")
    parsed = load_checked(fork)
    names = [*(["rehearsal"] if rehearsing(fork, parsed) else []), "credproxy", "host"]
    with step("starting " + ", ".join(names)) as progress:
        start_services(home, fork, ROOT, names, engine.address, progress)
    kept = store_key(home, model, os.environ) if model else ""
    if kept:
        click.echo(f"  {kept}", err=True)
    problem = route_problem(home, parsed.settings.model)
    if problem:
        click.echo(f"\nnightyard: {parsed.settings.model} cannot answer yet: {problem}", err=True)


def said_when_up(home: Home, fork: Path, model: str, rehearsing_groups: Sequence[str], *, opens_chat: bool) -> str:
    """Return what `up` says when all runs. The chat that it opens on a terminal says of its own group that a script
    answers, so that is not said twice there."""
    lines = [f"\nNightyard is up. Model: {model}. Home: {home.path}. Settings: {fork}."]
    if rehearsing_groups and not (opens_chat and list(rehearsing_groups) == [CHAT_GROUP]):
        groups = ", ".join(rehearsing_groups)
        lines.append(
            f"REHEARSAL: a script answers for {groups}, not a model. Nothing is spent, nothing leaves this machine."
        )
    if rehearsing_groups:
        lines.append(
            '  Try: "make a file", "what\'s in my workspace?". A real model: ./nightyard up --model ROUTE/MODEL'
        )
    return "\n".join([*lines, *([""] if opens_chat else [])])


def _image_file(home: Home) -> Path:
    """Where `up` notes the image that the host is to use."""
    return home.run / "image"


def _noted_image(home: Home) -> str:
    try:
        return _image_file(home).read_text().strip()
    except FileNotFoundError:
        return ""


@contextlib.contextmanager
def one_at_a_time(home: Home) -> Iterator[None]:
    """Hold the home's `up` lock, so that two of them do not start everything twice."""
    home.run.mkdir(mode=0o700, exist_ok=True)
    with (home.run / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            click.echo("  another nightyard is setting up this home; waiting …", err=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _confirm(question: str, options: UpOptions) -> bool:
    return click.confirm(question, default=True, err=True) if options.may_ask else True


def _choose(lines: list[str]) -> int:
    click.echo("Who should answer?", err=True)
    for number, line in enumerate(lines, 1):
        click.echo(f"  {number}  {line}", err=True)
    while True:
        said = str(click.prompt(f"1 to {len(lines)}", default=str(len(lines)), prompt_suffix=" > ", err=True)).strip()
        if said.isdecimal() and 1 <= int(said) <= len(lines):
            return int(said) - 1
        click.echo(f"  {clean_line(said)[:40]!r} is none of them", err=True)
