"""`undo` and `history`: going back to what a group's files were before a task."""

from __future__ import annotations

import json
import sys

import click

from cli.place import ask
from cli.screen import clean_line
from cli.style import DIM, paint

_WORDS = {
    "restore": "as it was",
    "recreate": "there again",
    "remove": "removed",
    "cannot": "stays: too large to keep",
}


@click.command()
@click.argument("task")
@click.option("--with-later", is_flag=True, help="Also undo what others changed in the files since.")
@click.option("--dry-run", is_flag=True, help="Show what would change, change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="For programs; implies --yes.")
def undo(task: str, with_later: bool, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Take a group's workspace and memory back to before TASK, byte for byte.

    `nightyard history GROUP` lists the tasks. An undo has an id too: undoing that takes it back.
    """
    if dry_run or not (yes or as_json or not sys.stdin.isatty()):
        plan = ask("undo_plan", {"task": task})
        if as_json:
            click.echo(json.dumps(plan, indent=2))
            return
        _show(plan, "Would change in")
        if dry_run or not click.confirm("Undo?", default=False):
            return
    done = ask("undo", {"task": task, "with_later": with_later})
    if as_json:
        click.echo(json.dumps(done, indent=2))
        return
    _show(done, "Undone in")
    click.echo(paint(f"To take that back: ./nightyard undo {clean_line(str(done['undo']))}", DIM))


@click.command()
@click.argument("group")
@click.option("-n", "--number", default=20, show_default=True, help="How many, newest first.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def history(group: str, number: int, as_json: bool) -> None:
    """The moments that GROUP's files can be taken back to: before each task that used a tool."""
    answer = ask("history", {"group": group, "limit": number})
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    if not answer["moments"]:
        click.echo("No task of this group has used a tool yet.")
    for moment in answer["moments"]:
        state = f"undone by {moment['undone_by']}" if moment["undone_by"] else ""
        state = state if moment["is_kept"] else f"cannot be undone: {moment['reason']}"
        at = str(moment["taken_at"])[:19].replace("T", " ")
        click.echo(f"{at} UTC  {clean_line(str(moment['reference']))}  {paint(clean_line(state), DIM)}".rstrip())


def _show(undoing: dict[str, object], title: str) -> None:
    changes, counts, lasting, later = (undoing[name] for name in ("changes", "counts", "lasting", "later"))
    assert isinstance(changes, list)
    assert isinstance(counts, dict)
    assert isinstance(lasting, list)
    assert isinstance(later, list)
    click.echo(f"{title} {clean_line(str(undoing['group']))}:")
    for change in changes:
        click.echo(f"  {clean_line(change['path'])}  {paint(_WORDS[change['kind']], DIM)}")
    if not changes:
        click.echo("  nothing: the files are as they were")
    left = sum(counts.values()) - len(changes)
    if left > 0:
        click.echo(f"  and {left} more")
    if later:
        click.echo(f"Changed since then, and undone with it: {clean_line(', '.join(later[:5]))}")
    if lasting:
        click.echo("What cannot be undone:")
        for line in lasting:
            click.echo(f"  {clean_line(line)}")
