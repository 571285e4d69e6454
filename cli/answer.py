"""`answer`: what agents have asked people and wait for, and an answer from the machine."""

from __future__ import annotations

import json

import click

from cli.place import ask
from cli.problem import CliProblem
from cli.screen import clean, clean_line
from cli.style import BOLD, paint


@click.command()
@click.argument("question", required=False)
@click.argument("words", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def answer(question: str | None, words: tuple[str, ...], as_json: bool) -> None:
    """Answer what an agent has asked in a chat; without QUESTION: what is waited for.

    WORDS: an option, its number, or what you would say.
    """
    if question is None:
        _list(as_json=as_json)
        return
    if not words:
        raise CliProblem("say what you answer", f"./nightyard answer {question} WORDS")
    done = ask("question_answer", {"question": question, "text": " ".join(words)})
    click.echo(json.dumps(done) if as_json else f"Answered: {clean_line(done['answer'])}")


def _list(*, as_json: bool) -> None:
    found = ask("question_list")
    if as_json:
        click.echo(json.dumps(found))
        return
    for each in found["questions"]:
        click.echo(f"{paint(each['question'], BOLD)} {clean_line(each['group'])} in {clean_line(each['chat'])}")
        click.echo("\n".join(f"    {line}" for line in clean(each["text"]).splitlines()))
        for number, option in enumerate(each["options"], 1):
            click.echo(f"    {number}: {clean_line(option)}")
    if not found["questions"]:
        click.echo("No agent waits for an answer.")
