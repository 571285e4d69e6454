"""The browser of one task: begun with its first page, gone with its container. Its windows, and what is done about
pages that misbehave.

There is one window that the model works in, the top of a stack: a window that a page opens comes on top, and going back
from its first page closes it. A page that hangs or crashes loses its window; when Chromium itself is lost, the next
page begins a fresh one. Cookies live as long as Chromium.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from agents.browser.addresses import Address, build_bypass
from agents.browser.connection import Connection, Gone, Refused, Silent
from agents.browser.downloads import Downloads
from agents.browser.page import clean
from agents.browser.patience import USUAL, BrowserPatience
from agents.browser.tab import Numbers, Tab
from agents.browser.wire import Event, mapping_in, text_in
from agents.interrupt import Interrupt
from agents.places import Places
from agents.tools.tool import ToolError
from protocol.codec import Json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol
else:  # importing `typing` would cost every agent with a browser
    Protocol = object

MAX_TABS = 5
MAX_NOTES = 8


class Process(Protocol):
    """A browser that runs (`chromium.py`)."""

    end: socket.socket

    def kill(self) -> None: ...


class Browser:
    def __init__(self, places: Places, start: Callable[[], Process], patience: BrowserPatience = USUAL) -> None:
        """`start` begins a process, and raises ToolError."""
        self._places = places
        self._start = start
        self._patience = patience
        self._chromium: Process | None = None
        self._connection: Connection | None = None
        self._downloads = Downloads(places)
        self._tabs: dict[str, Tab] = {}
        """By session."""
        self._stack: list[Tab] = []
        self._contexts: dict[str, int] = {}
        """Chromium's name of a set of windows → the container's own port that they may reach."""
        self._numbers = Numbers()
        self._notes: list[str] = []
        self._says_yes = False
        self._turn = threading.Lock()
        """Calls come one after the other, also those of a harness that makes several at once."""

    # -- the model's thread ----------------------------------------------------------------------------------------

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """What is done inside fails with a ToolError, and leaves a browser that can go on."""
        try:
            with self._turn:
                yield
        except Gone:
            self.end()
            raise ToolError("the browser has crashed; browser_open begins a fresh one, logged in nowhere") from None
        except Silent:
            raise ToolError(self._give_up()) from None
        except Refused as error:
            raise ToolError(f"the browser could not do that: {clean(str(error))[:300]}") from error

    def open(self, address: Address, interrupt: Interrupt) -> Tab | None:
        """Go to an address and return the window; None: a file was there, and is kept. Raises what `at_work` tells."""
        self._ensure_started(interrupt)
        tab = self._tab_for(address.local_port)
        before = self._downloads.begun
        if tab.navigate(address.url):
            self._wait_downloads(lambda: self._downloads.begun > before and self._downloads.is_idle)
            return None
        return self.current()

    def current(self) -> Tab:
        """Return the window that is worked in; raise ToolError where there is none."""
        if self._connection is None or not self._stack:
            raise ToolError("no page is open; begin with browser_open")
        tab = self._stack[-1]
        if tab.is_crashed:
            raise Silent
        return tab

    @contextmanager
    def saying_yes(self, does: bool) -> Iterator[None]:
        """Inside, a page that asks for a yes gets it, if `does`; else a no."""
        self._says_yes = does
        try:
            yield
        finally:
            self._says_yes = False

    def settle(self, tab: Tab) -> Tab:
        """Wait until what was done in a window has had its effect, and return the window that is on top then."""
        if not tab.is_closed:
            tab.settle()
        top = self.current()
        if top is not tab:
            top.wait_loaded()
        self._wait_downloads(lambda: self._downloads.is_idle)
        return top

    def close_top(self) -> bool:
        """Close the window on top and return whether there is one below it."""
        if len(self._stack) < 2:
            return False
        self._drop(self._stack[-1])
        return bool(self._stack)

    def take_notes(self) -> list[str]:
        """Return what has happened beside what was asked for."""
        for tab in self._stack:
            tab.dialogs = 0
        notes, self._notes = [*self._notes, *self._downloads.take_notes()], []
        more = [f"… and {len(notes) - MAX_NOTES} more"] if len(notes) > MAX_NOTES else []
        return [*notes[:MAX_NOTES], *more]

    def end(self) -> None:
        """Kill it, if it runs."""
        if self._connection is not None:
            self._connection.close()
        if self._chromium is not None:
            self._chromium.kill()
        self._connection, self._chromium = None, None
        self._tabs.clear()
        self._stack.clear()
        self._contexts.clear()

    def _ensure_started(self, interrupt: Interrupt) -> None:
        if self._connection is not None:
            return
        try:
            self._downloads.prepare()
        except OSError as error:
            raise ToolError(f"{self._downloads.folder} cannot be made: {error.strerror}") from error
        self._chromium = self._start()
        self._connection = connection = Connection(self._chromium.end, interrupt, self._take)
        connection.start()
        # Windows are stopped at their beginning, so that nothing in them happens before it is listened to.
        watch = {"autoAttach": True, "waitForDebuggerOnStart": True, "flatten": True, "filter": [{"type": "page"}]}
        connection.call("Target.setAutoAttach", watch, timeout_s=self._patience.start_s)
        self._keep_downloads({})
        if not connection.wait_until(lambda: bool(self._stack), self._patience.start_s):
            raise Gone

    def _wait_downloads(self, are_there: Callable[[], bool]) -> None:
        """Wait a while until what is being downloaded is there."""
        self._running().wait_until(are_there, self._patience.download_s)

    def _keep_downloads(self, where: dict[str, Json]) -> None:
        behavior = {"behavior": "allowAndName", "downloadPath": self._downloads.coming, "eventsEnabled": True}
        self._call("Browser.setDownloadBehavior", {**behavior, **where})

    def _tab_for(self, local_port: int) -> Tab:
        """Return a window that reaches what is asked for, the uppermost or a new one, and put it on top."""
        for tab in reversed(self._stack):
            if tab.local_port == local_port and not tab.is_crashed:
                self._stack.remove(tab)
                self._stack.append(tab)
                return tab
        context = self._context_for(local_port)
        if len(self._stack) >= MAX_TABS:
            self._drop(self._stack[0])
        opened = self._call("Target.createTarget", {"url": "about:blank", **context})
        name = text_in(opened, "targetId")
        connection = self._running()
        if not connection.wait_until(lambda: any(tab.target == name for tab in self._stack), self._patience.start_s):
            raise Gone
        return self._stack[-1]

    def _context_for(self, local_port: int) -> dict[str, Json]:
        """Return the set of windows that may reach a port of the container's own; 0: the usual one, which may not."""
        if not local_port:
            return {}
        known = {port: name for name, port in self._contexts.items()}
        if local_port not in known:
            proxy = f"http://127.0.0.1:{self._places.forwarder_port}"
            way: dict[str, Json] = {"proxyServer": proxy, "proxyBypassList": build_bypass(local_port)}
            name = text_in(self._call("Target.createBrowserContext", way), "browserContextId")
            self._contexts[name] = local_port
            known[local_port] = name
            self._keep_downloads({"browserContextId": name})
        return {"browserContextId": known[local_port]}

    def _give_up(self) -> str:
        """Close the window on top, whose page has crashed or does nothing any more, and return what is to be said."""
        tab = self._stack[-1] if self._stack else None
        if tab is None or self._connection is None:
            return "the window was closed"
        what = "the page has crashed" if tab.is_crashed else "the page does not respond"
        what = "the page kept opening dialogs" if tab.is_flooding else what
        if not tab.is_crashed:
            # Its process would go on, and with it whatever stands in the way of other windows of the same process.
            with suppress(Gone):
                self._connection.tell("Page.crash", session=tab.session)
                self._connection.wait_until(lambda: tab.is_crashed, self._patience.close_s)
        for lost in [tab, *(each for each in self._stack if each.is_crashed and each is not tab)]:
            self._drop(lost)
        return f"{what}; its window was closed"

    def _drop(self, tab: Tab) -> None:
        """Close a window, whatever its page says; a browser that does not even do that is killed."""
        if self._connection is None:
            return
        try:
            self._call("Target.closeTarget", {"targetId": tab.target}, timeout_s=self._patience.close_s)
            if self._connection.wait_until(lambda: tab.is_closed, self._patience.close_s):
                return
        except (Gone, Silent, Refused):
            pass
        self.end()

    def _call(self, method: str, params: dict[str, Json], timeout_s: float = 0.0) -> dict[str, Json]:
        return dict(self._running().call(method, params, timeout_s=timeout_s or self._patience.call_s))

    def _running(self) -> Connection:
        if self._connection is None:
            raise Gone
        return self._connection

    # -- the connection's thread, which must not wait --------------------------------------------------------------

    def _take(self, event: Event) -> None:
        connection = self._connection
        if connection is None:
            return
        tab = self._tabs.get(event.session)
        if event.method == "Target.attachedToTarget":
            self._attach(event, connection)
        elif event.method == "Target.detachedFromTarget":
            self._detach(text_in(event.params, "sessionId"))
        elif event.method.startswith("Browser.download"):
            if guid := self._downloads.take(event):
                connection.tell("Browser.cancelDownload", {"guid": guid})
        elif event.method == "Page.javascriptDialogOpening" and tab is not None:
            self._answer(event, tab, connection)
        elif tab is not None:
            tab.take(event)

    def _attach(self, event: Event, connection: Connection) -> None:
        info, session = mapping_in(event.params, "targetInfo"), text_in(event.params, "sessionId")
        name = text_in(info, "targetId")
        if len(self._stack) >= MAX_TABS:
            self._note("a page wanted more windows than there may be; they were closed")
            # One that stays stopped at its beginning would stop all windows of its process.
            connection.tell("Runtime.runIfWaitingForDebugger", session=session)
            connection.tell("Target.closeTarget", {"targetId": name})
            return
        if text_in(info, "openerId"):
            self._note("the page opened a new window, which is on top now; browser_back closes it")
        port = self._contexts.get(text_in(info, "browserContextId"), 0)
        tab = self._tabs[session] = Tab(
            connection, self._numbers, self._patience, target=name, session=session, local_port=port
        )
        self._stack.append(tab)
        for method, params in (
            ("Page.enable", {}),
            ("Network.enable", {"maxTotalBufferSize": 0, "maxResourceBufferSize": 0}),
            ("Page.setLifecycleEventsEnabled", {"enabled": True}),
            ("Inspector.enable", {}),
            ("Runtime.runIfWaitingForDebugger", {}),
        ):
            connection.tell(method, params, session=session)

    def _detach(self, session: str) -> None:
        tab = self._tabs.pop(session, None)
        if tab is not None:
            tab.is_closed = True
            with suppress(ValueError):
                self._stack.remove(tab)

    def _answer(self, event: Event, tab: Tab, connection: Connection) -> None:
        """Answer a dialog, unless there are too many."""
        tab.dialogs += 1
        if tab.is_flooding:
            return
        kind = text_in(event.params, "type")
        accepts = self._says_yes or kind in ("alert", "beforeunload")
        words = " ".join(clean(text_in(event.params, "message")).split())[:300]
        if kind == "alert":
            self._note(f"the page says: “{words}”")
        elif kind != "beforeunload":
            again = "" if accepts else "; browser_click with yes=true says yes"
            self._note(f"the page asks: “{words}” It was told {'yes' if accepts else 'no'}{again}")
        connection.tell("Page.handleJavaScriptDialog", {"accept": accepts}, session=tab.session)

    def _note(self, words: str) -> None:
        if words not in self._notes and len(self._notes) < 3 * MAX_NOTES:
            self._notes.append(words)
