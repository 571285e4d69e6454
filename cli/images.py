"""`image`: build, list, refresh and remove the images that agents run in."""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.image_cause import BUILD
from cli.place import ROOT, ask, find_fork, find_home
from cli.problem import NOT_RUNNING, NOT_UNDERSTOOD, CliProblem
from cli.screen import clean_line, table
from cli.up_progress import SetupFailed, step

if TYPE_CHECKING:
    import docker

    from runtime.images.recipe import ImageRecipe
    from runtime.images.settings import PackageSettings

HARNESSES = ("claude-code", "codex", "opencode")
ENGINE_TIMEOUT_S = 900
"""An engine that is silent for so long over one step (keeping some gigabytes) has failed."""


ROOM_MB = 2_500
"""Free disk above the floor that a build begins with: the largest harness takes 1.2 GB while it is made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Yard:
    """Where images are made: the engine, and what they stand on."""

    client: docker.DockerClient
    base: str
    """The agent image's reference."""


@click.group("image")
def image() -> None:
    """Build, list, refresh and remove the images that agents run in."""


@image.command(short_help="Build an agent's image, one with a harness, or all that are missing.")
@click.argument("group", required=False)
@click.option("--with", "harness", type=click.Choice(HARNESSES), help="With this program as the agent.")
@click.option("--package", "packages", multiple=True, metavar="MANAGER:NAME", help="As if group.yaml named this, too.")
@click.option("--base", help="On this agent image.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def build(group: str | None, harness: str | None, packages: Sequence[str], base: str | None, as_json: bool) -> None:
    """Build an agent's image, or one with a harness; without either, those of all agents that lack theirs."""
    more = _read_packages(packages)
    if packages and group is None:
        raise CliProblem("packages are an agent's", "./nightyard image build GROUP --package …", NOT_UNDERSTOOD)
    with _told(as_json, group), _yard(base) as yard:
        built = _build(yard, _wanted(yard, group, harness, more))
    if as_json:
        click.echo(json.dumps({"images": built}))
        return
    for reference, summary in built.items():
        click.echo(f"{reference}: {summary}")
    if not built:
        click.echo("The agent image itself is what is wanted: it has nothing extra." if group else "Nothing to build.")
    _tell_host()


def _build(yard: _Yard, recipes: Sequence[ImageRecipe]) -> dict[str, str]:
    """Build the images that are not there; return those that then are, with what is in them."""
    from cli.base_image import has_image
    from cli.image_build import build_derived
    from runtime.images.inputs import load_inputs

    built, inputs = {}, load_inputs(ROOT)
    for recipe in recipes:
        reference = recipe.reference(inputs)
        built[reference] = recipe.summary
        if not has_image(yard.client, reference):
            with step(f"an image with {recipe.summary}") as progress:
                build_derived(yard.client, ROOT, recipe, progress)
    return built


def _read_packages(given: Sequence[str]) -> PackageSettings:
    """Return packages as they are given on the command line."""
    from runtime.images.settings import SHAPES, PackageSettings, why_wrong_package

    named: dict[str, tuple[str, ...]] = {}
    for word in given:
        manager, _, name = word.partition(":")
        wrong = why_wrong_package(manager, name) if manager in SHAPES else "should begin with apt:, pip: or npm:"
        if wrong:
            raise CliProblem(f"--package {clean_line(word)[:80]!r} {wrong}", "--package pip:pandas", NOT_UNDERSTOOD)
        named[manager] = (*named.get(manager, ()), name)
    return PackageSettings(**named)


def _wanted(yard: _Yard, group: str | None, harness: str | None, more: PackageSettings) -> list[ImageRecipe]:
    """Return what is to be built: nothing of it is the agent image itself."""
    from runtime.images.recipe import ImageRecipe

    if group is None and harness is not None:
        return [ImageRecipe(base=yard.base, harness=harness)]
    recipes = _recipes(yard.base)
    if group is not None:
        if group not in recipes:
            raise CliProblem(f"there is no agent {clean_line(group)[:40]!r} that runs", "./nightyard group list")
        own = recipes[group]
        own = replace(own, harness=harness or own.harness, packages=own.packages.joined(more))
        recipes = {group: own}
    return [recipe for recipe in dict.fromkeys(recipes.values()) if not recipe.is_plain]


def _recipes(base: str) -> dict[str, ImageRecipe]:
    """Return what each group's image is made of; groups with a fault are left out."""
    from runtime.group_reading import load_groups
    from runtime.images.recipe import recipe_of
    from runtime.settings_file import load_settings

    fork = find_fork()
    groups = load_groups(fork, load_settings(fork)).ready
    return {str(group_id): recipe_of(group, base) for group_id, group in groups.items()}


@image.command(short_help="Make all images anew, for security updates.")
@click.option("--every", type=click.IntRange(0, 365), metavar="DAYS", help="By itself so often from now on; 0: never.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--base", help="The agent image that the host runs on.")
def refresh(every: int | None, as_json: bool, base: str | None) -> None:
    """Make the agent image and those of your agents anew, for security updates."""
    if every is not None:
        ask("image_look", {"refresh_days": every})
        click.echo(f"Images are refreshed every {every} days." if every else "Images are refreshed when you say so.")
        return
    from cli.image import image_reference
    from cli.image_refresh import refresh_images

    with _told(as_json):
        if base not in (None, image_reference(ROOT)):
            why = f"it runs on {base}, and this checkout makes {image_reference(ROOT)}"
            raise SetupFailed("the host has another agent image than this checkout", why, "./nightyard up")
        with _yard(base) as yard:
            made, removed = refresh_images(yard.client, ROOT, yard.base, _recipes(yard.base))
    if as_json:
        click.echo(json.dumps({"refreshed": made, "removed": removed}))
        return
    click.echo(f"made anew: {', '.join(made)}")
    if removed:
        click.echo(f"removed: {', '.join(removed)}")
    _tell_host(is_refreshed=True)


@image.command("list", short_help="Show the images: size, age, content, whose they are.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def list_images(as_json: bool) -> None:
    """Show the images that there are, how large, what is in them, and whose they are."""
    from cli.image_shelf import look_at_images

    with _yard(None, builds=False) as yard:
        found = look_at_images(yard.client, ROOT, yard.base, _recipes(yard.base))
    if as_json:
        click.echo(json.dumps({"images": [one.as_json() for one in found]}, indent=2, ensure_ascii=False))
        return
    click.echo(table([one.row() for one in found]) if found else "There are no images yet: ./nightyard up")


@image.command(short_help="Remove an image, or all that nobody uses.")
@click.argument("reference", required=False)
def remove(reference: str | None) -> None:
    """Remove an image; without a name, all derived ones that no agent of yours wants and no container uses."""
    from cli.image_shelf import look_at_images, remove_image

    with _yard(None, builds=False) as yard:
        found = look_at_images(yard.client, ROOT, yard.base, _recipes(yard.base))
        chosen = [one for one in found if (one.reference == reference if reference else one.is_unused)]
        if reference and not chosen:
            raise CliProblem(f"there is no image {clean_line(reference)[:80]!r} of ours", "./nightyard image list")
        for one in chosen:
            refused = remove_image(yard.client, one)
            if refused and reference:
                raise CliProblem(f"{one.reference} stays: {refused}", "./nightyard image list")
            if not refused:
                click.echo(f"removed {one.reference} ({one.size_mb} MB)")
    if not chosen:
        click.echo("No image is unused.")


@contextlib.contextmanager
def _yard(base: str | None, *, builds: bool = True) -> Iterator[_Yard]:
    """Open the engine; when something is to be built, with the agent image there, and nobody else building."""
    import docker
    from docker.errors import DockerException

    from cli.engine import engine_address
    from cli.image import ensure_image, image_reference
    from runtime.settings_file import load_settings

    settings = load_settings(find_fork()).settings.containers
    address = engine_address(settings.engine)
    try:
        client = docker.DockerClient(base_url=address, version="auto", timeout=ENGINE_TIMEOUT_S)
    except DockerException as error:
        raise CliProblem(f"the container engine at {address} does not answer: {error}", "./nightyard up") from error
    with contextlib.closing(client), _one_at_a_time() if builds else contextlib.nullcontext():
        if builds:
            signal.signal(signal.SIGTERM, signal.default_int_handler)  # what is begun at the engine is cleared away
            _check_room(client, settings.disk_floor_mb)
        if base is None and builds:
            with step("the agent image") as progress:
                base = ensure_image(ROOT, engine=address, progress=progress)
        yield _Yard(client=client, base=base or image_reference(ROOT))


def _check_room(client: docker.DockerClient, floor_mb: int) -> None:
    """Refuse to build where that could fill the disk."""
    from cli.base_image import SPACE

    # The engine's own folder may be nobody's to look at, or on another machine's disk: then ours must do.
    folders = {path for path in (SPACE, str(client.info().get("DockerRootDir") or SPACE)) if Path(path).is_dir()}
    for folder in sorted(folders):
        free_mb = shutil.disk_usage(folder).free >> 20
        if free_mb < floor_mb + ROOM_MB:
            why = f"{folder} has {free_mb} MB free; a build wants {ROOM_MB} MB above the floor of {floor_mb} MB"
            raise SetupFailed("there is no room to build an image", why, "./nightyard image remove")


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Hold the home's lock on building: two at once are slower than one after the other."""
    run = find_home().run
    run.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (run / "image.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with step("another image is being built; waiting"):
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _told(as_json: bool, group: str | None = None) -> Iterator[None]:
    """Have a program told what failed in a form that it can read. `group`: whose image it is about."""
    try:
        yield
    except SetupFailed as failed:
        if group is not None and failed.mend.endswith(BUILD):
            failed.mend = f"{failed.mend} {group}"
        if not as_json:
            raise
        click.echo(json.dumps({"what": failed.what, "why": failed.why, "mend": failed.mend}))
        raise click.exceptions.Exit(1) from failed


def _tell_host(*, is_refreshed: bool = False) -> None:
    """Have a running host look for the images that it waits for."""
    try:
        ask("image_look", {"refreshed": is_refreshed})
    except CliProblem as problem:
        if problem.exit_code != NOT_RUNNING:
            raise
