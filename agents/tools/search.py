"""The tools that look for files: by name, and by what is in them."""

from __future__ import annotations

import shlex

from agents.providers.provider import ToolCard
from agents.tools.shell import run_command
from agents.tools.tool import Arguments, ToolContext, ToolError, object_schema
from agents.tools.tool import text_argument as text

MAX_FILES = 500
_TIMEOUT_S = 60
_SKIPPED = ("-not", "-path", "*/.git/*", "-not", "-path", "*/node_modules/*")


class Glob:
    card = ToolCard(
        name="glob",
        description="List files, newest first.",
        schema=object_schema({"pattern": "string: src/**/*.py"}),
    )

    def run(self, arguments: Arguments, context: ToolContext) -> str:
        pattern, path = text(arguments, "pattern"), text(arguments, "path", ".")  # some models give one
        words = ("find", "-H", _folder(path), *_SKIPPED, "-type", "f", *_named(pattern), "-printf", "%T@ %P\\n")
        listing = f"{shlex.join(words)} | sort -rn | head -n {MAX_FILES + 1} | cut -d' ' -f2-"
        ended = run_command(listing, _TIMEOUT_S, context)
        if ended.exit_code is None:
            raise ToolError(f"the search took longer than {_TIMEOUT_S} s; name a smaller folder")
        lines = ended.text.splitlines()
        if not lines:
            return f"(no file matches {pattern})"
        more = f"\n[… the newest {MAX_FILES}; there are more]" if len(lines) > MAX_FILES else ""
        return "\n".join(lines[:MAX_FILES]) + more


class Grep:
    card = ToolCard(
        name="grep",
        description="Search in files (ripgrep).",
        schema=object_schema({"pattern": "string: regex"}, {"path": "string", "glob": "string"}),
    )

    def run(self, arguments: Arguments, context: ToolContext) -> str:
        pattern, path, name = text(arguments, "pattern"), text(arguments, "path", "."), text(arguments, "glob", "")
        words = ["rg", "-n", "--no-heading", "--color=never", "--sort=path", "--max-columns=400"]
        words += [f"--glob={name}"] if name else []
        ended = run_command(shlex.join([*words, "-e", pattern, "--", path]), _TIMEOUT_S, context)
        if ended.exit_code is None:
            raise ToolError(f"the search took longer than {_TIMEOUT_S} s; name a smaller folder")
        if ended.exit_code == 1 and not ended.text:
            return f"(nothing matches {pattern})"
        if ended.exit_code not in (0, 1):
            raise ToolError(ended.text or f"ripgrep ended with {ended.exit_code}")
        return ended.text


def _folder(path: str) -> str:
    """Return the path such that `find` cannot take it for an option."""
    return path if path.startswith(("/", ".")) else f"./{path}"


def _named(pattern: str) -> tuple[str, str]:
    """Return find's test for a pattern: `*` stays in a folder's names where there is no `**`."""
    plain = pattern.removeprefix("./").removeprefix("**/")
    if "/" not in plain:
        return ("-name", plain)
    return ("-path", f"*/{plain.replace('**/', '*')}")
