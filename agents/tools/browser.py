"""The tools that work in web pages: a browser behind six cards, for groups whose image has one.

What a page says is marked as a stranger's; what happened beside it (dialogs, new windows, files, what the proxy
refused) is told after it.
"""

from __future__ import annotations

import os
from abc import abstractmethod

from agents.browser.addresses import BadAddress, read_address
from agents.browser.browser import Browser
from agents.browser.chromium import Chromium
from agents.browser.page import MAX_PAGE_CHARS, change_mark, page_mark
from agents.browser.tab import Tab
from agents.places import Places
from agents.providers.provider import ToolCard
from agents.refusals import Refusal
from agents.tools.opened_file import full_path, opened_for_reading, write_whole
from agents.tools.tool import (
    Arguments,
    Looked,
    Tool,
    ToolContext,
    ToolError,
    number_argument,
    object_schema,
    text_argument,
)

MAX_TYPED_CHARS = 20_000
MAX_SCREENS = 20
MAX_NUMBER = 1_000_000
MAX_REFUSALS = 4
AUTHORITY_VARIABLE = "SSL_CERT_FILE"
"""Names the file of the authority that signs what comes by the proxy: the container's environment says it."""


def browser_tools(places: Places, program: str, *, sees: bool) -> tuple[Tool, ...]:
    """Return the tools of one browser; `sees`: whether the model looks at pictures."""
    authority = os.environ.get(AUTHORITY_VARIABLE, "")
    folder = f"{places.root}/tmp/browser"
    browser = Browser(places, lambda: Chromium(program, folder, places.forwarder_port, authority))
    picture = BrowserScreenshot(browser, sees=sees)
    return (
        BrowserOpen(browser),
        BrowserRead(browser),
        BrowserClick(browser),
        BrowserType(browser),
        BrowserBack(browser),
        picture,
    )


class _BrowserTool:
    card: ToolCard

    def __init__(self, browser: Browser) -> None:
        self.browser = browser

    def run(self, arguments: Arguments, context: ToolContext) -> str | Looked:
        context.interrupt.check()
        context.refusals.take()  # what was refused to others, and told by now
        try:
            with self.browser.at_work():
                done = self.do(arguments, context)
        except ToolError as error:
            context.interrupt.check()  # a stop ends the browser, which looks like a crash
            raise ToolError("\n".join([str(error), *self._notes(context)])) from error
        text, files = (done, ()) if isinstance(done, str) else (done.text, done.files)
        text = "\n".join([text, *self._notes(context)])
        return Looked(text=text, files=files) if files else text

    @abstractmethod
    def do(self, arguments: Arguments, context: ToolContext) -> str | Looked:
        """Do what the tool does; raise ToolError, Interrupted and what `Browser.at_work` tells of."""

    def _notes(self, context: ToolContext) -> list[str]:
        notes = [*self.browser.take_notes(), *_refused(context.refusals.take())]
        return [f"[{note}]" for note in notes]

    def read(self, tab: Tab) -> str:
        """Return the page from its beginning."""
        snapshot, text = tab.read()
        return page_mark(snapshot, text)

    def read_changes(self, tab: Tab) -> str:
        """Return what has changed on a page that the model has read, or all of another one."""
        before = tab.shown if tab.has_shown_it else None
        snapshot, text = tab.read()
        return page_mark(snapshot, text) if before is None else change_mark(snapshot, before, text)


class BrowserOpen(_BrowserTool):
    card = ToolCard(
        name="browser_open",
        description="Open a web page in a browser: its text, what can be pressed or filled in by number.",
        schema=object_schema({"url": "string"}),
    )

    def do(self, arguments: Arguments, context: ToolContext) -> str:
        try:
            address = read_address(text_argument(arguments, "url"), context.places.forwarder_port)
        except BadAddress as error:
            raise ToolError(str(error)) from error
        tab = self.browser.open(address, context.interrupt)
        return "It is a file, and no page." if tab is None else self.read(tab)


class BrowserRead(_BrowserTool):
    card = ToolCard(
        name="browser_read",
        description="Read the browser's page again.",
        schema=object_schema(
            {}, {"from": "integer: character to go on from", "scroll": "integer: screens to scroll down first"}
        ),
    )

    def do(self, arguments: Arguments, context: ToolContext) -> str:
        del context
        begin = number_argument(arguments, "from", 0, lowest=0, highest=2 * MAX_PAGE_CHARS)
        screens = number_argument(arguments, "scroll", 0, lowest=-MAX_SCREENS, highest=MAX_SCREENS)
        tab = self.browser.current()
        if screens:
            tab.scroll(screens)
        snapshot, text = tab.read()
        if begin and begin >= len(text):
            raise ToolError(f"the page has {len(text)} characters; there is nothing from {begin} on")
        return page_mark(snapshot, text, begin)


class BrowserClick(_BrowserTool):
    card = ToolCard(
        name="browser_click",
        description="Click an element.",
        schema=object_schema({"ref": "integer"}, {"yes": "boolean: say yes if the page asks to confirm"}),
    )

    def do(self, arguments: Arguments, context: ToolContext) -> str:
        del context
        number = _reference(arguments)
        tab = self.browser.current()
        with self.browser.saying_yes(arguments.get("yes") is True):
            tab.click(number)
            tab = self.browser.settle(tab)
        return self.read_changes(tab)


class BrowserType(_BrowserTool):
    card = ToolCard(
        name="browser_type",
        description="Fill in a field, take a choice, or give a file's path.",
        schema=object_schema(
            {"ref": "integer", "text": "string: replaces what is there"}, {"submit": "boolean: press Enter after it"}
        ),
    )

    def do(self, arguments: Arguments, context: ToolContext) -> str:
        number, words = _reference(arguments), text_argument(arguments, "text")
        if len(words) > MAX_TYPED_CHARS:
            raise ToolError(f"the text has {len(words)} characters; at most {MAX_TYPED_CHARS} are typed")
        tab = self.browser.current()
        if not tab.type_into(number, words, submits=arguments.get("submit") is True):
            with opened_for_reading(context.places, words):
                pass  # it is a file, and one that the tools may read
            tab.give_files(number, [full_path(context.places, words)])
        return self.read_changes(self.browser.settle(tab))


class BrowserBack(_BrowserTool):
    card = ToolCard(
        name="browser_back",
        description="Go back a page, or close a window that a page opened.",
        schema=object_schema({}),
    )

    def do(self, arguments: Arguments, context: ToolContext) -> str:
        del arguments, context
        if not self.browser.current().go_back() and not self.browser.close_top():
            raise ToolError("there is no page to go back to")
        return self.read(self.browser.current())


class BrowserScreenshot(_BrowserTool):
    card = ToolCard(
        name="browser_screenshot",
        description="Take a picture of the browser's page.",
        schema=object_schema({}, {"whole": "boolean: all of the page", "ref": "integer: scroll to this element first"}),
    )

    def __init__(self, browser: Browser, *, sees: bool) -> None:
        super().__init__(browser)
        self._sees = sees

    def do(self, arguments: Arguments, context: ToolContext) -> str | Looked:
        number = number_argument(arguments, "ref", 0, lowest=0, highest=MAX_NUMBER)
        picture = self.browser.current().picture(number, is_whole=arguments.get("whole") is True)
        path = f"{context.places.root}/tmp/screenshots/{context.call_id}.jpg"
        write_whole(context.places, path, picture)
        shown = path.removeprefix(context.places.root)
        if not self._sees:
            return f"{shown} ({len(picture)} bytes)"
        from agents.seen_files import look_at

        return Looked(text=f"{shown}: what it shows is a stranger's", files=(look_at(context.places, path),))


def _reference(arguments: Arguments) -> int:
    if "ref" not in arguments:
        raise ToolError("the argument 'ref' is missing: an element's number")
    return number_argument(arguments, "ref", 0, lowest=0, highest=MAX_NUMBER)


def _refused(refusals: tuple[Refusal, ...]) -> list[str]:
    """Return what the proxy refused the page, shortly: a page of the web asks for much that nobody needs."""
    words = [f"{one.message} {one.advice}".strip() for one in refusals]
    more = [f"… and {len(words) - MAX_REFUSALS} more refusals"] if len(words) > MAX_REFUSALS else []
    return [*words[:MAX_REFUSALS], *more]
