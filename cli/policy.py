"""`nightyard policy`: try a file of grants out on addresses, run a group without denying, and see what it needs."""

from __future__ import annotations

import shlex
import time
from pathlib import Path

import click

from cli.grants_edit import Wish, add_grant
from cli.grants_file import change_grants, read_group
from cli.grants_options import sure_option
from cli.grants_proposals import is_nameable, propose
from cli.place import find_fork
from cli.problem import NOT_UNDERSTOOD, CliProblem
from cli.screen import clean_line, table, width_of
from cli.style import GREEN, RED, paint
from cli.vault_link import ask_proxy
from credproxy.admin_client import policy as client
from credproxy.policy.check import Checked, check_urls
from credproxy.policy.grant_values import parse_duration
from credproxy.policy.own_files import use_own_files
from protocol.ids import GroupId, is_group_id

MOST_DAYS = 7


@click.group()
def policy() -> None:
    """Try grants out before they count, and find out which a group needs."""
    use_own_files(find_fork())


@policy.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("urls", nargs=-1, required=True)
def check(file: Path, urls: tuple[str, ...]) -> None:
    """Judge URLS by the grants in FILE; nothing needs to run.

    Each of URLS is an address or a file of lines `[allow|deny] [METHOD] URL`. Exits with 1 if one is not as its line
    expects.
    """
    lines = [line for each in urls for line in _lines_of(each)]
    group_id = GroupId(folder if is_group_id(folder := file.resolve().parent.name) else "main")
    checked = check_urls(_read(file), file.name, group_id, lines, time.time())
    if isinstance(checked, list):
        for problem in checked:
            click.echo(clean_line(str(problem)))
        raise CliProblem(f"{file} grants nothing as it is", f"edit {file}")
    width = max(width_of(_asked(each)) for each in checked) if checked else 0
    for each in checked:
        click.echo(_check_line(each, width))
    wrong = [each for each in checked if not each.is_as_expected]
    if wrong:
        raise CliProblem(f"{len(wrong)} of {len(checked)} are not as expected", f"edit {file}")


@policy.command("dry-run")
@click.argument("group", required=False)
@click.option("--for", "duration", metavar="TIME", help="How long, such as 30m or 2h; one hour. At most seven days.")
@click.option("--off", is_flag=True, help="End it now.")
def dry_run(group: str | None, *, duration: str | None, off: bool) -> None:
    """Deny GROUP nothing for a set time, and take it down. Without GROUP: show the dry runs.

    What a grant could allow goes out, to public addresses and without any key. What was let out becomes
    `policy proposals`.
    """
    if group is None:
        _list_dry_runs()
        return
    group_id = read_group(group)
    seconds = 0.0 if off else parse_duration(duration or "1h")
    if seconds is None or seconds > MOST_DAYS * 86400 or (off and duration):
        raise CliProblem(
            f"a dry run lasts from 1s to {MOST_DAYS}d",
            f"./nightyard policy dry-run {group_id} --for 1h",
            NOT_UNDERSTOOD,
        )
    begun = ask_proxy(lambda admin: client.begin_dry_run(admin, group_id, seconds))
    if off:
        click.echo(f"The dry run of {group_id} has ended; {_times(begun.let_out)} would have been denied.")
    else:
        click.echo(f"Until {_clock(begun.until)} nothing that a grant could allow is denied to {group_id}.")
    click.echo(f"What it needs: ./nightyard policy proposals {group_id}")


@policy.command()
@click.argument("group")
@click.option("--denied", is_flag=True, help="From what was denied in the last seven days, not from a dry run.")
@click.option("--write", is_flag=True, help="Put them into the group's grants.yaml, with the change shown.")
@sure_option
def proposals(group: str, *, denied: bool, write: bool, is_sure: bool) -> None:
    """Propose grants for what GROUP's last dry run let out."""
    group_id = read_group(group)
    seen = ask_proxy(lambda admin: client.seen(admin, group_id, denied=denied))
    if not seen:
        what = "was denied" if denied else "would have been denied"
        click.echo(f"Nothing that a grant could allow {what}.")
        return
    click.echo(table([[each.method, each.url, each.code, _times(each.times)] for each in seen]))
    odd = sum(not is_nameable(each) for each in seen)
    if odd:
        click.echo(f"{odd} of these are not proposed: only a grant for a whole host could allow such paths.")
    wishes = propose(seen)
    if not wishes:
        return
    if not write:
        click.echo("These would allow it; read them before you use them:")
        for wish in wishes:
            click.echo(f"  ./{wish_command(group_id, wish)}")
        return

    def add_all(text: str, group_id: GroupId, file: str) -> str:
        for wish in wishes:
            text = add_grant(text, wish, group_id, file)
        return text

    if not change_grants(group_id, add_all, is_sure=is_sure):
        click.echo("All of it is granted by now.")


def wish_command(group_id: GroupId, wish: Wish) -> str:
    """Return the command that grants it, as it is typed."""
    words = ["nightyard", "allow", "host", group_id, wish.host]
    words += ["--scheme", wish.scheme] if wish.scheme != "https" else []
    words += ["--port", str(wish.port)] if wish.port is not None else []
    words += [word for method in wish.methods for word in ("--method", method)]
    words += [word for path in wish.paths for word in ("--path", path)]
    return shlex.join(words)


def _lines_of(given: str) -> list[str]:
    path = Path(given)
    if "://" in given or not path.is_file():
        return [given]
    return _read(path).splitlines()


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CliProblem(f"{path} cannot be read: {error}", f"check {path}") from error


def _asked(checked: Checked) -> str:
    return clean_line(f"{checked.explanation.method} {checked.explanation.target}")


def _check_line(checked: Checked, width: int) -> str:
    told = checked.explanation
    verdict = paint("allow", GREEN) if told.is_allowed else paint("deny ", RED)
    reason = told.rule if told.is_allowed else f"{told.code}: {told.sentence}"
    if told.is_allowed and told.secret:
        reason += f", with {told.secret}"
    expected = "" if checked.is_as_expected else paint(f"  (expected: {checked.expected})", RED)
    asked = _asked(checked)
    return f"{verdict}  {asked}{' ' * (width - width_of(asked))}  {clean_line(reason)}{expected}"


def _list_dry_runs() -> None:
    runs = ask_proxy(client.dry_runs)
    if not runs:
        click.echo("No group has had a dry run: ./nightyard policy dry-run GROUP --for 1h")
        return
    rows = [
        [each.group, f"{'until' if each.is_on else 'ended'} {_clock(each.until)}", _times(each.let_out)]
        for each in runs
    ]
    click.echo(table(rows, indent=""))


def _clock(instant: str) -> str:
    return f"{instant[:16].replace('T', ' ')} UTC"


def _times(count: int) -> str:
    return "1 request" if count == 1 else f"{count} requests"
