"""The command line as a click tree whose verbs are imported when they are used, and its errors in one style."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Iterable

import click

from cli.problem import INTERRUPTED, NOT_UNDERSTOOD, CliProblem, tell_problem
from cli.verbs import VERBS, overview


class VerbGroup(click.Group):
    """Finds verbs in the table of `verbs.py`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in VERBS:
            return None
        module, _, name = VERBS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in VERBS:
            near = _nearest(args[0], VERBS)
            raise CliProblem(f"there is no verb {args[0]!r}", f"./nightyard {near or '--help'}", NOT_UNDERSTOOD)
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        formatter.write(overview())


def _nearest(word: str, known: Iterable[str]) -> str:
    return next(iter(difflib.get_close_matches(word, list(known), n=1)), "")


def _told(error: click.UsageError) -> tuple[str, str]:
    """Return what a command line had wrong, and what mends it, in our words where click's name no remedy."""
    context = error.ctx
    where = f"./{context.command_path}" if context else "./nightyard"
    if context and isinstance(error, click.exceptions.NoSuchCommand) and isinstance(context.command, click.Group):
        known = context.command.list_commands(context)
        near = _nearest(error.command_name, known)
        words = f"`{context.info_name}` has no verb {error.command_name!r} (it has: {', '.join(known)})"
        return words, f"{where} {near or '--help'}"
    return error.format_message(), f"{where} --help"


ROOT_GROUP = VerbGroup(name="nightyard", context_settings={"help_option_names": ["-h", "--help"]})


def run(arguments: list[str]) -> int:
    """Carry out a command line; return the exit code. Errors have been told."""
    try:
        code = ROOT_GROUP.main(arguments, prog_name="nightyard", standalone_mode=False)
        sys.stdout.flush()
    except CliProblem as problem:
        tell_problem(problem.message, problem.mend)
        return problem.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else overview())
        return NOT_UNDERSTOOD
    except click.UsageError as error:
        tell_problem(*_told(error))
        return NOT_UNDERSTOOD
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        print(file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has gone (`nightyard logs | head`): that is its right. Nothing may be flushed at exit either.
        sys.stdout = None
        return 0
    return code if isinstance(code, int) else 0
