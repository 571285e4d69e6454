"""The tool that asks for packages: a person says yes, the host builds an image with them, and the call returns when
they are there. Its card is paid only in tasks in which something was found to be missing (`is_missing`).
"""

from __future__ import annotations

import re

from agents.host_question import ask_host
from agents.providers.provider import ToolCard
from agents.tools.tool import Arguments, ToolContext, ToolError, object_schema, text_argument
from protocol.codec import Json
from protocol.tools import ADD_PACKAGES

HINT = f"[{ADD_PACKAGES} asks a person to have apt, pip or npm packages installed]"
MAX_PACKAGES = 20
_PATIENCE_S = 4 * 86_400.0
_MISSING = re.compile(
    r"command not found|No module named|Cannot find module|externally-managed-environment|Unable to locate package"
    r"|are you root|npm (error|ERR!)|No matching distribution found"
)


def is_missing(output: str) -> bool:
    """Return whether a command's output says that something is not installed, or cannot be."""
    return _MISSING.search(output) is not None


class AddPackages:
    def __init__(self) -> None:
        schema = object_schema({"manager": "string: apt, pip or npm", "reason": "string: for the person"})
        properties = schema["properties"]
        required = schema["required"]
        assert isinstance(properties, dict)  # both made above
        assert isinstance(required, list)
        packages = {"type": "array", "items": {"type": "string"}, "description": "names, ==version for pip, …"}
        self.card = ToolCard(
            name=ADD_PACKAGES,
            description="Ask a person to have packages installed for good, and wait. Files and notes stay as they are.",
            schema={**schema, "properties": {**properties, "packages": packages}, "required": [*required, "packages"]},
        )

    def run(self, arguments: Arguments, context: ToolContext) -> str:
        packages = arguments.get("packages")
        if not isinstance(packages, list | tuple) or not all(isinstance(name, str) for name in packages):
            raise ToolError("the argument 'packages' must be a list of names")
        if not 0 < len(packages) <= MAX_PACKAGES:
            raise ToolError(f"ask for 1 to {MAX_PACKAGES} packages at once")
        payload: Json = {
            "manager": text_argument(arguments, "manager"),
            "packages": list(packages),
            "reason": text_argument(arguments, "reason"),
        }
        return ask_host(context, "packages", payload=payload, timeout_s=_PATIENCE_S)
