"""The tool that gives a piece of work to a branch of the agent itself. The branch is run by `agents/sub_agent.py`."""

from __future__ import annotations

from agents.providers.provider import ToolCard
from agents.tools.tool import Arguments, ToolContext, ToolError, object_schema

SUB_AGENT = "sub_agent"


class SubAgent:
    """What it does is the loop's; who gets here is a branch that would branch again."""

    card = ToolCard(
        name=SUB_AGENT,
        description="Have a copy of you do a task; it knows these words alone.",
        schema=object_schema({"task": "string"}),
    )

    def run(self, arguments: Arguments, context: ToolContext) -> str:
        del arguments, context
        raise ToolError("a sub-agent has no sub-agents: do it yourself")
