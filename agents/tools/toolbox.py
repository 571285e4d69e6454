"""All tools, and what happens around each call."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence

from agents.browser import PROGRAMS
from agents.host_link import HostLink
from agents.interrupt import Interrupt
from agents.places import Places
from agents.providers.provider import ToolCard
from agents.refusals import Refusals
from agents.tools import host_tools
from agents.tools.edit_file import EditFile
from agents.tools.memory import Memory
from agents.tools.read_file import ReadFile
from agents.tools.search import Glob, Grep
from agents.tools.send_file import SendFile
from agents.tools.shell import Shell
from agents.tools.skill import OpenSkill
from agents.tools.sub_agent import SubAgent
from agents.tools.tool import Arguments, Tool, ToolContext, ToolError, cut_in_the_middle
from agents.tools.write_file import WriteFile
from protocol.link import AgentCard
from protocol.task import ModelRoute
from protocol.tools import ADD_PACKAGES
from protocol.transcript import ToolCall, ToolOutput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agents.mcp.servers import McpServers

NO_TOOLS: Mapping[str, Tool] = {}


class Toolbox:
    """The tools of one task."""

    def __init__(
        self,
        *,
        places: Places,
        link: HostLink,
        interrupt: Interrupt,
        refusals: Refusals,
        skill_names: frozenset[str],
        delegates: Sequence[AgentCard] = (),
        model: ModelRoute | None = None,
        destinations: Sequence[str] = (),
        without: Collection[str] = (),
        search: str = "",
        mcp: McpServers | None = None,
    ) -> None:
        """`model`: whom the tools are for; `without`: tools that it does not have; `search`: the web's; `mcp`: servers
        whose tools there are besides."""
        self.places = places
        self._link = link
        self._interrupt = interrupt
        self._refusals = refusals
        self._skill_names = skill_names
        self._mcp = mcp
        tools: Sequence[Tool] = (
            Shell(),
            ReadFile(),
            WriteFile(),
            EditFile(),
            SendFile(destinations),
            host_tools.send_message(destinations),
            host_tools.edit_message(),
            host_tools.react(),
            host_tools.AskUser(),
            host_tools.schedule(destinations),
            Memory(is_whole="read_file" in without or "write_file" in without),
            SubAgent(),
            Glob(),
            Grep(),
        )
        if skill_names:
            tools = (*tools, OpenSkill())
        if "web_fetch" not in without:
            from agents.tools.web_fetch import WebFetch  # late: many agents have no way to the web

            tools = (*tools, WebFetch())
        if search and "web_search" not in without:
            from agents.tools.web_search import WebSearch  # late: few groups have a search service

            tools = (*tools, WebSearch(search))
        if model is not None and model.patches:
            from agents.tools.apply_patch import ApplyPatch  # late: few models are trained on it

            tools = (*tools, ApplyPatch())
        if model is not None and model.sees:
            from agents.tools.view_image import ViewImage  # late: many models see nothing

            tools = (*tools, ViewImage())
        program = next((path for path in PROGRAMS if os.path.exists(path)), "")  # noqa: PTH110 - opened_file.py says why
        if program and "browser_open" not in without:
            from agents.tools.browser import browser_tools  # late: few images have a browser

            tools = (*tools, *browser_tools(places, program, sees=model is not None and bool(model.sees)))
        if delegates:
            from agents.tools.delegate import Delegate  # late: few agents may ask others

            tools = (*tools, Delegate(delegates))
        self._tools = {tool.card.name: tool for tool in tools if tool.card.name not in without}
        # Each card is paid with every question: a shell has both of these, and who calls them by habit gets them.
        self._unsaid = frozenset(("glob", "grep")) if "shell" in self._tools else frozenset()
        self._may_add_packages = ADD_PACKAGES not in without

    def cards(self) -> tuple[ToolCard, ...]:
        own = tuple(tool.card for name, tool in self._tools.items() if name not in self._unsaid)
        return (*own, *(tool.card for tool in self._others().values()))

    def notes(self) -> str:
        """Return what the model is to know of tools that it might miss, empty for nothing."""
        return self._mcp.notes() if self._mcp is not None else ""

    def context(self, call_id: str) -> ToolContext:
        """Return what a call may use of the agent."""
        return ToolContext(
            places=self.places,
            interrupt=self._interrupt,
            link=self._link,
            refusals=self._refusals,
            skill_names=self._skill_names,
            call_id=call_id,
        )

    def run(self, call: ToolCall) -> ToolOutput:
        """Run a call and return its output, an error too; raise Interrupted."""
        if call.name == ADD_PACKAGES:
            self.offer_packages()  # by a model that has read of it in an earlier attempt
        tool = self._tools.get(call.name) or self._others().get(call.name)
        if tool is None:
            known = ", ".join((*self._tools, *self._others()))
            return failed_output(call, f"there is no tool {call.name!r}; there are: {known}")
        context = self.context(call.call_id)
        arguments: Arguments = call.arguments if isinstance(call.arguments, dict) else {}
        try:
            taken = tool.run(arguments, context)
        except ToolError as error:
            return failed_output(call, self._with_hint(call.name, str(error)))
        text, files = (taken, ()) if isinstance(taken, str) else (taken.text, taken.files)
        return ToolOutput(call_id=call.call_id, text=storable(text), files=files)

    def _with_hint(self, name: str, problem: str) -> str:
        """Offer to ask for packages, where a command found something missing: only then is that card paid."""
        if name != "shell" or not self._may_add_packages:
            return problem
        from agents.tools.packages import HINT, is_missing  # late: few commands fail

        return f"{problem}\n{HINT}" if is_missing(problem) and self.offer_packages() else problem

    def offer_packages(self) -> bool:
        """Have the tool that asks for packages from now on; False where the group's settings leave it out."""
        if self._may_add_packages and ADD_PACKAGES not in self._tools:
            from agents.tools.packages import AddPackages

            self._tools[ADD_PACKAGES] = AddPackages()
        return self._may_add_packages

    def _others(self) -> Mapping[str, Tool]:
        return self._mcp.tools() if self._mcp is not None else NO_TOOLS


def failed_output(call: ToolCall, problem: str) -> ToolOutput:
    """Return the output that tells the model what went wrong."""
    return ToolOutput(call_id=call.call_id, text=storable(problem), is_error=True)


def storable(text: str) -> str:
    """Return the text as a frame can hold it: whole characters, of a size."""
    return cut_in_the_middle(text, _MAX_STORED_CHARS).encode("utf-8", "replace").decode("utf-8")


_MAX_STORED_CHARS = 34_000
"""A little above what each tool allows itself, for its notes; six bytes a character at worst."""
