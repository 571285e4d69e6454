"""`stop` and `new`: the verbs that end one thing. What ends everything is `freeze.py`."""

from __future__ import annotations

import click

from cli.place import ask
from cli.problem import NOT_UNDERSTOOD, CliProblem
from cli.screen import clean_line


@click.command()
@click.option("--chat", metavar="CHAT", help="Stop what this chat asked for, and end its waiting messages.")
@click.option("--keep-waiting", is_flag=True, help="With --chat: what waits there is answered in its turn.")
@click.option("--task", metavar="TASK", help="Stop one running task.")
@click.option("--all", "everything", is_flag=True, help="Stop every running task; waiting messages keep waiting.")
def stop(chat: str | None, keep_waiting: bool, task: str | None, everything: bool) -> None:
    """Stop a task, a chat's work, or every task. `nightyard status` names them."""
    if [bool(chat), bool(task), everything].count(True) != 1:
        raise CliProblem("stop wants one of --chat, --task and --all", "./nightyard stop --all", NOT_UNDERSTOOD)
    if keep_waiting and not chat:
        raise CliProblem("--keep-waiting goes with --chat", "./nightyard stop --chat CHAT", NOT_UNDERSTOOD)
    answer = ask("stop", {"chat": chat, "keep_waiting": keep_waiting} if chat else {"task": task} if task else {})
    tasks = [clean_line(str(one)) for one in answer["tasks"]]
    if not tasks and not answer["messages"]:
        click.echo("Nothing was running there.")
        return
    if tasks:
        click.echo(f"Stopped {', '.join(tasks)}.")
    if answer["messages"]:
        click.echo(f"Waiting messages that will not be answered: {answer['messages']}.")


@click.command()
@click.argument("chat")
def new(chat: str) -> None:
    """Start a chat's conversation afresh: its agent forgets what was said, not its files.

    CHAT is as `nightyard group show` gives it: terminal:main, telegram:12345.
    """
    answer = ask("new", {"chat": chat})
    click.echo(f"A fresh conversation with {clean_line(str(answer['group']))} begins in {clean_line(chat)}.")
