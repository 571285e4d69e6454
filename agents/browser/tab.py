"""One window of the browser: what events tell of it, and what can be done in it.

The events come in the connection's thread and only change what is noted here; everything else is the thread's that
works for the model. What goes wrong comes out as the connection's exceptions, and is told by `browser.py`.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Mapping, Sequence

from agents.browser import page_script
from agents.browser.command import HEIGHT, WIDTH
from agents.browser.connection import Connection, Refused
from agents.browser.page import MAX_MARKS, MAX_PAGE_CHARS, Snapshot, clean, read_snapshot, to_text
from agents.browser.patience import BrowserPatience
from agents.browser.wire import NOTHING, Event, list_in, mapping_in, number_in, text_in
from agents.tools.tool import ToolError
from protocol.codec import Json

CALM_MS, LONGEST_CALM_MS = 250, 1_500
MAX_REQUESTS = 500
"""Under way at once that are counted."""
READ_MS = 3_000
MAX_FRAMES = 8
MAX_FRAME_DEPTH = 2
MAX_PICTURE_HEIGHT = 5_000
MAX_DIALOGS = 10
"""That one page is answered between two calls of the model."""
NOBODY_LISTENS = (
    "nothing listens on that port of this container (localhost is the container; what runs on the machine outside is "
    "reached by a name that is granted)"
)
"""Why Chromium itself was refused: of all that is not the container's own the proxy answers."""
_UNCOUNTED = frozenset(("Document", "EventSource", "Ping"))
_TRIES = 3
"""A page that goes elsewhere while it is read is read again."""


class Numbers:
    """The numbers of elements: none is given twice, so that an old one never means something else."""

    def __init__(self) -> None:
        self.next = 1


class Tab:
    def __init__(
        self,
        connection: Connection,
        numbers: Numbers,
        patience: BrowserPatience,
        *,
        target: str,
        session: str,
        local_port: int,
    ) -> None:
        self._connection = connection
        self._patience = patience
        self._numbers = numbers
        self.target = target
        """Its name, and that of its main frame."""
        self.session = session
        self.local_port = local_port
        self.is_loading = False
        self.is_crashed = False
        self.is_closed = False
        self.dialogs = 0
        """Answered since the model's last call."""
        self.shown = ""
        """What the model has read of the document that is there."""
        self._loads = 0
        self._shown_load = -1
        self._requests: set[str] = set()
        """What the page has asked for and not got yet."""
        self._earlier: frozenset[str] = frozenset()
        """Those that were under way before the model did something: nobody waits for these."""
        self._frames: dict[int, str] = {}
        """In which frame each element is."""

    # -- the connection's thread -----------------------------------------------------------------------------------

    def take(self, event: Event) -> None:
        """Note what an event of this tab's says."""
        if event.method == "Inspector.targetCrashed":
            self.is_crashed = True
        if event.method.startswith("Network."):
            self._count(event)
        if text_in(event.params, "frameId") != self.target:
            return
        match event.method:
            case "Page.frameStartedLoading" | "Page.frameStartedNavigating":
                self.is_loading = True
            case "Page.frameStoppedLoading":
                self.is_loading = False
            case "Page.lifecycleEvent" if text_in(event.params, "name") == "init":
                self._loads += 1
                self._requests.clear()

    def _count(self, event: Event) -> None:
        """Note what is under way beside the document itself, whose end is not always told."""
        request = text_in(event.params, "requestId")
        match event.method:
            case "Network.requestWillBeSent" if text_in(event.params, "type") not in _UNCOUNTED:
                if len(self._requests) < MAX_REQUESTS:
                    self._requests.add(request)
            case "Network.loadingFinished" | "Network.loadingFailed":
                self._requests.discard(request)

    # -- the model's thread ----------------------------------------------------------------------------------------

    @property
    def is_lost(self) -> bool:
        """Whether nothing will come of it any more."""
        return self.is_crashed or self.is_closed or self.is_flooding

    @property
    def is_flooding(self) -> bool:
        """Whether its page opens dialogs without end; the last is left open, so that it does nothing more."""
        return self.dialogs > MAX_DIALOGS

    @property
    def has_shown_it(self) -> bool:
        """Whether the model has read the document that is there now."""
        return self._shown_load == self._loads

    def call(self, method: str, params: Mapping[str, Json] = NOTHING, *, timeout_s: float = 0.0) -> Mapping[str, Json]:
        """Give this tab a command; raise Gone, Silent, Refused, Interrupted."""
        return self._connection.call(
            method,
            params,
            session=self.session,
            timeout_s=timeout_s or self._patience.call_s,
            is_lost=lambda: self.is_lost,
        )

    def navigate(self, url: str) -> bool:
        """Go there and wait for the page; return whether it was a file that is being kept instead."""
        went = self.call("Page.navigate", {"url": url}, timeout_s=self._patience.navigation_s)
        if went.get("isDownload") is True:
            return True
        if problem := text_in(went, "errorText"):
            why = NOBODY_LISTENS if problem.endswith("ERR_CONNECTION_REFUSED") else clean(problem)
            raise ToolError(f"{clean(url)[:300]} could not be opened: {why}")
        self.wait_loaded()
        return False

    def wait_loaded(self) -> None:
        """Wait until the page is there, or has had its time: what is there then is what is read."""
        self._connection.wait_until(lambda: not self.is_loading or self.is_lost, self._patience.navigation_s)
        self._earlier = frozenset()
        self._wait_calm()

    def settle(self) -> None:
        """Wait until what was done has had its effect: the document is at rest, or another one is there."""
        self._wait_calm()
        if self.is_loading:
            self.wait_loaded()

    def _wait_calm(self) -> None:
        """Wait until nothing that was asked for since is under way, and the document has not changed for a moment."""
        deadline = time.monotonic() + self._patience.calm_s
        while (left_s := deadline - time.monotonic()) > 0 and not self.is_lost:
            self._connection.wait_until(lambda: not self._is_waiting or self.is_loading or self.is_lost, left_s)
            try:
                self._run(self._world(self.target), page_script.REST, CALM_MS, LONGEST_CALM_MS, is_promise=True)
            except Refused:
                return  # it went elsewhere meanwhile
            if not self._is_waiting or self.is_loading:
                return

    @property
    def _is_waiting(self) -> bool:
        return not self._requests <= self._earlier

    def read(self) -> tuple[Snapshot, str]:
        """Return the document and its text; what the model has read is that from now on."""
        for tries_left in reversed(range(_TRIES)):
            load = self._loads
            try:
                snapshot, text = self._read_frame(self.target, MAX_PAGE_CHARS, MAX_FRAME_DEPTH)
            except Refused:
                if not tries_left:
                    raise ToolError("the page keeps going elsewhere; it could not be read") from None
                self.wait_loaded()
                continue
            self.shown, self._shown_load = text, load
            return snapshot, text
        raise AssertionError("the last try returns or raises")

    def click(self, number: int) -> None:
        """Press the left button on an element."""
        self._earlier = frozenset(self._requests)
        element = self._element(number)
        look = self._ask(element, page_script.LOOK)
        if text_in(look, "tag") in ("select", "option"):
            raise ToolError(f"[{number}] is a choice: take one with browser_type")
        if text_in(look, "tag") == "input" and text_in(look, "type") == "file":
            raise ToolError(f"[{number}] takes a file: give its path with browser_type")
        place = None if look.get("isHidden") is True else self._place(element)
        if place is None:
            self._ask(element, page_script.PRESS)
            return
        if cover := text_in(self._ask(element, page_script.LOOK), "cover"):
            raise ToolError(f"[{number}] is covered by {clean(cover)}; close or click that first")
        x, y = place
        for kind, more in (
            ("mouseMoved", {}),
            ("mousePressed", {"button": "left", "clickCount": 1}),
            ("mouseReleased", {"button": "left", "clickCount": 1}),
        ):
            self.call("Input.dispatchMouseEvent", {"type": kind, "x": x, "y": y, **more})

    def type_into(self, number: int, words: str, *, submits: bool) -> bool:
        """Replace what stands in a field, take a choice; return False for a field that takes files."""
        self._earlier = frozenset(self._requests)
        element = self._element(number)
        look = self._ask(element, page_script.LOOK)
        if look.get("isHidden") is not True:
            self._place(element)
        prepared = self._ask(element, page_script.PREPARE, words)
        if problem := text_in(prepared, "problem"):
            raise ToolError(f"[{number}]: {clean(problem)}")
        if prepared.get("file") is True:
            return False
        if prepared.get("ready") is True:
            if words:
                self.call("Input.insertText", {"text": words})
            else:
                self._press_key("Delete", 46)
        if submits:
            self._press_key("Enter", 13, "\r")
        return True

    def give_files(self, number: int, paths: Sequence[str]) -> None:
        """Have a field that takes files take these."""
        self.call("DOM.setFileInputFiles", {"files": list(paths), "objectId": self._element(number)})

    def scroll(self, screens: int) -> None:
        """Turn the wheel over the middle of the window; below 0: up."""
        self._earlier = frozenset(self._requests)
        place: dict[str, Json] = {"x": WIDTH // 2, "y": HEIGHT // 2}
        wheel = {"type": "mouseWheel", "deltaX": 0, "deltaY": screens * HEIGHT * 0.9, **place}
        self.call("Input.dispatchMouseEvent", wheel)
        self.settle()

    def go_back(self) -> bool:
        """Go to the page before; return whether there is one."""
        history = self.call("Page.getNavigationHistory")
        index, entries = int(number_in(history, "currentIndex")), list_in(history, "entries")
        before = entries[index - 1] if 0 < index <= len(entries) else None
        if not isinstance(before, dict) or text_in(before, "url") == "about:blank":
            return False
        self.is_loading = True
        self.call("Page.navigateToHistoryEntry", {"entryId": before.get("id")})
        self.wait_loaded()
        return True

    def picture(self, number: int, *, is_whole: bool) -> bytes:
        """Return a JPEG of the window, of an element's place in it (`number` above 0), or of the whole page."""
        if number:
            self._place(self._element(number))
            self.settle()
        params: dict[str, Json] = {"format": "jpeg", "quality": 75}
        if is_whole:
            size = mapping_in(self.call("Page.getLayoutMetrics"), "cssContentSize")
            height = min(MAX_PICTURE_HEIGHT, max(HEIGHT, int(number_in(size, "height"))))
            params["captureBeyondViewport"] = True
            params["clip"] = {"x": 0, "y": 0, "width": WIDTH, "height": height, "scale": 1}
        taken = self.call("Page.captureScreenshot", params, timeout_s=self._patience.picture_s)
        try:
            return base64.b64decode(text_in(taken, "data"), validate=True)
        except binascii.Error as error:
            raise ToolError("the browser gave no picture") from error

    # -- elements and frames ---------------------------------------------------------------------------------------

    def _read_frame(self, frame: str, chars: int, depth: int) -> tuple[Snapshot, str]:
        world = self._world(frame)
        limits = {"chars": chars, "marks": MAX_MARKS, "ms": READ_MS, "options": 12, "next": self._numbers.next}
        value = self._run(world, page_script.READ, limits).get("value")
        snapshot = read_snapshot(value if isinstance(value, str) else "")
        first, self._numbers.next = self._numbers.next, max(self._numbers.next, snapshot.next_number)
        self._frames.update((number, frame) for number in range(first, self._numbers.next))
        texts: dict[int, str] = {}
        for index in range(min(snapshot.frames, MAX_FRAMES) if depth else 0):
            chars_left = chars - sum(map(len, texts.values()))
            inner = self._frame_at(world, index)
            if inner and chars_left > 0:
                texts[index] = self._read_frame(inner, chars_left, depth - 1)[1]
        return snapshot, to_text(snapshot, texts)

    def _frame_at(self, world: int, index: int) -> str:
        element = text_in(self._run(world, page_script.FRAME, index, by_value=False), "objectId")
        if not element:
            return ""
        return text_in(mapping_in(self.call("DOM.describeNode", {"objectId": element}), "node"), "frameId")

    def _world(self, frame: str) -> int:
        """Return our world in a frame, made if the document is new."""
        made = self.call("Page.createIsolatedWorld", {"frameId": frame, "worldName": page_script.WORLD})
        return int(number_in(made, "executionContextId"))

    def _element(self, number: int) -> str:
        """Return the object that an element's number stands for; raise ToolError where it is gone."""
        stale = ToolError(f"[{number}] is not on the page any more; browser_read shows what is")
        frame = self._frames.get(number)
        if frame is None:
            raise stale
        try:
            found = self._run(self._world(frame), page_script.ELEMENT, number, by_value=False)
        except Refused:
            raise stale from None
        if not (element := text_in(found, "objectId")):
            raise stale
        return element

    def _place(self, element: str) -> tuple[float, float] | None:
        """Bring an element into view and return the middle of it; None for one that has no place."""
        try:
            self.call("DOM.scrollIntoViewIfNeeded", {"objectId": element})
            quads = list_in(self.call("DOM.getContentQuads", {"objectId": element}), "quads")
        except Refused:
            return None
        for quad in quads:
            if isinstance(quad, list) and len(quad) == 8 and all(isinstance(each, (int, float)) for each in quad):
                across, down = quad[0::2], quad[1::2]
                if max(across) - min(across) >= 1 and max(down) - min(down) >= 1:
                    return sum(across) / 4, sum(down) / 4
        return None

    def _press_key(self, key: str, code: int, text: str = "") -> None:
        named: dict[str, Json] = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        down = {"type": "keyDown", "text": text} if text else {"type": "rawKeyDown"}
        self.call("Input.dispatchKeyEvent", {**named, **down})
        self.call("Input.dispatchKeyEvent", {**named, "type": "keyUp"})

    def _ask(self, element: str, function: str, *arguments: Json) -> Mapping[str, Json]:
        """Run a function on an element and return the object that it gives."""
        return mapping_in(self._run(0, function, *arguments, element=element), "value")

    def _run(
        self,
        world: int,
        function: str,
        *arguments: Json,
        element: str = "",
        by_value: bool = True,
        is_promise: bool = False,
    ) -> Mapping[str, Json]:
        """Run a function in a world, or on an element, and return what it gives; raise Refused too if it fails."""
        params: dict[str, Json] = {
            "functionDeclaration": function,
            "arguments": [{"value": argument} for argument in arguments],
            "returnByValue": by_value,
            "awaitPromise": is_promise,
        }
        params |= {"objectId": element} if element else {"executionContextId": world}
        result = self.call("Runtime.callFunctionOn", params)
        if "exceptionDetails" in result:
            raise Refused(text_in(mapping_in(mapping_in(result, "exceptionDetails"), "exception"), "description"))
        return mapping_in(result, "result")
