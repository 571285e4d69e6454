"""The browser's windows, and what becomes of pages and browsers that misbehave; Chromium's side is scripted."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from agents.browser.addresses import Address
from agents.browser.browser import MAX_TABS, Browser
from agents.browser.patience import BrowserPatience
from agents.browser.tab import MAX_DIALOGS
from agents.interrupt import Interrupt, Interrupted
from agents.places import Places
from agents.tools.tool import ToolError
from tests.agents.browser.scripted_chromium import ScriptedChromium

SHORT = BrowserPatience(
    start_s=10.0, call_s=1.5, navigation_s=10.0, calm_s=0.3, picture_s=1.5, download_s=0.3, close_s=1.5
)
PAGE = Address(url="https://shop.example/")


class House:
    """A browser, and the Chromiums that it has started."""

    def __init__(self, places: Places, patience: BrowserPatience = SHORT) -> None:
        self.started: list[ScriptedChromium] = []
        self.next = ScriptedChromium()
        self.interrupt = Interrupt()
        self.browser = Browser(places, self._start, patience)

    def _start(self) -> ScriptedChromium:
        self.started.append(self.next)
        self.next = ScriptedChromium()
        return self.started[-1]

    def open(self) -> None:
        with self.browser.at_work():
            self.browser.open(PAGE, self.interrupt)

    def fails(self) -> str:
        """Read the page and return why that failed."""
        with pytest.raises(ToolError) as failed, self.browser.at_work():
            self.browser.current().read()
        return str(failed.value)

    @property
    def chromium(self) -> ScriptedChromium:
        return self.started[-1]

    @property
    def windows(self) -> list[str]:
        return [tab.target for tab in self.browser._stack]


@pytest.fixture
def house(places: Places) -> Iterator[House]:
    made = House(places)
    yield made
    made.browser.end()
    made.next.kill()


def test_nothing_is_started_before_the_first_page(house: House) -> None:
    """And without a page there is nothing to read."""
    assert house.started == []
    assert house.fails() == "no page is open; begin with browser_open"
    house.open()
    assert len(house.started) == 1
    house.open()
    assert len(house.started) == 1


def test_a_port_on_which_nothing_listens_is_said_to_be_the_containers(house: House) -> None:
    """Only the container's own ports refuse Chromium itself; other failures are told in its words."""
    house.next.answers["Page.navigate"] = lambda _, __: {"errorText": "net::ERR_CONNECTION_REFUSED"}
    with pytest.raises(ToolError, match="port of this container"):
        house.open()
    house.chromium.answers["Page.navigate"] = lambda _, __: {"errorText": "net::ERR_X"}
    with pytest.raises(ToolError, match="opened: net::ERR_X"):
        house.open()


def test_a_page_that_does_not_answer_loses_its_window(house: House) -> None:
    """With its process, which might stand in the way of other windows; the next page gets another window."""
    house.open()
    house.chromium.answers["Runtime.callFunctionOn"] = lambda _one, _params: None
    assert house.fails() == "the page does not respond; its window was closed"
    assert ("Page.crash", "ST1") in house.chromium.commands
    assert house.fails() == "no page is open; begin with browser_open"
    del house.chromium.answers["Runtime.callFunctionOn"]
    house.chromium.answers["Target.createTarget"] = lambda one, _: {**one.open_window("T2"), "targetId": "T2"}
    house.open()
    assert house.windows == ["T2"]
    assert len(house.started) == 1


def test_a_crash_of_a_page_is_told_at_once(house: House) -> None:
    """Nobody waits for an answer that cannot come."""
    house.open()

    def crash(one: ScriptedChromium, params: Any) -> None:
        one.send("Inspector.targetCrashed", params["session"])

    house.chromium.answers["Runtime.callFunctionOn"] = crash
    assert house.fails() == "the page has crashed; its window was closed"


def test_a_browser_that_closes_no_window_is_killed(house: House) -> None:
    """The next page begins a fresh one."""
    house.open()
    for method in ("Runtime.callFunctionOn", "Target.closeTarget", "Page.crash"):
        house.chromium.answers[method] = lambda _one, _params: None
    house.fails()
    assert house.chromium.is_killed
    house.open()
    assert len(house.started) == 2


@pytest.mark.parametrize("last_words", [b"", b"no protocol\0"])
def test_a_browser_that_ends_or_says_nonsense_is_replaced(house: House, last_words: bytes) -> None:
    """The model is told that logins are gone."""
    house.open()

    def end(one: ScriptedChromium, _params: Any) -> None:
        one.write_raw(last_words) if last_words else one.hang_up()

    house.chromium.answers["Runtime.callFunctionOn"] = end
    assert house.fails() == "the browser has crashed; browser_open begins a fresh one, logged in nowhere"
    assert house.chromium.is_killed
    house.open()
    assert len(house.started) == 2


def test_a_stop_ends_the_waiting(places: Places) -> None:
    """Whatever is waited for, and for however long."""
    house = House(places, BrowserPatience())
    house.open()
    asked = threading.Event()
    house.chromium.answers["Runtime.callFunctionOn"] = lambda _one, _params: asked.set()

    def stop() -> None:
        asked.wait(10)
        house.interrupt.trip("enough")

    stopper = threading.Thread(target=stop)
    stopper.start()
    with pytest.raises(Interrupted), house.browser.at_work():
        house.browser.current().read()
    stopper.join()
    house.browser.end()
    house.next.kill()


def test_windows_that_pages_open_come_on_top_and_are_few(house: House) -> None:
    """One too many is let go and closed; what is on top can be closed, the last cannot."""
    house.open()
    for number in range(2, MAX_TABS + 2):
        house.chromium.open_window(f"T{number}", opener="T1")
    house.chromium.was_told("Target.closeTarget")
    assert ("Runtime.runIfWaitingForDebugger", f"ST{MAX_TABS + 1}") in house.chromium.commands
    assert house.windows == ["T1", "T2", "T3", "T4", "T5"]
    assert house.browser.take_notes() == [
        "the page opened a new window, which is on top now; browser_back closes it",
        "a page wanted more windows than there may be; they were closed",
    ]
    with house.browser.at_work():
        assert [house.browser.close_top() for _ in range(MAX_TABS)] == [True, True, True, True, False]
    assert house.windows == ["T1"]


@pytest.mark.parametrize(
    ("kind", "says_yes", "accepts", "note"),
    [
        ("alert", False, True, "the page says: “Sure? x”"),
        ("beforeunload", False, True, None),
        ("confirm", False, False, "the page asks: “Sure? x” It was told no; browser_click with yes=true says yes"),
        ("confirm", True, True, "the page asks: “Sure? x” It was told yes"),
        ("prompt", False, False, "the page asks: “Sure? x” It was told no; browser_click with yes=true says yes"),
    ],
)
def test_dialogs_are_answered(house: House, kind: str, says_yes: bool, accepts: bool, note: str | None) -> None:
    """Without the model, which is told; a question gets a no unless it said yes before."""
    house.open()
    given: list[Any] = []

    def take(_one: ScriptedChromium, params: Any) -> dict[str, Any]:
        given.append(params["accept"])
        return {}

    house.chromium.answers["Page.handleJavaScriptDialog"] = take
    with house.browser.saying_yes(says_yes):
        house.chromium.send("Page.javascriptDialogOpening", "ST1", type=kind, message="Sure?\x1b\n\u202ex")
        house.chromium.was_told("Page.handleJavaScriptDialog", "ST1")
    assert given == [accepts]
    assert house.browser.take_notes() == ([] if note is None else [note])


def test_a_page_with_dialogs_without_end_is_given_up(house: House) -> None:
    """At once, not when somebody's patience is over."""
    house.open()

    def flood(one: ScriptedChromium, params: Any) -> None:
        for _ in range(MAX_DIALOGS + 1):
            one.send("Page.javascriptDialogOpening", params["session"], type="alert", message="again")

    house.chromium.answers["Runtime.callFunctionOn"] = flood
    assert house.fails() == "the page kept opening dialogs; its window was closed"
    assert house.browser.take_notes() == ["the page says: “again”"]


def test_a_window_for_a_port_of_the_container_is_one_of_its_own(house: House) -> None:
    """It shares no cookies with the others, which reach no port."""
    house.open()
    given: list[Any] = []

    def create(one: ScriptedChromium, params: Any) -> Any:
        given.append(params)
        return {"browserContextId": "C1"}

    def open_window(one: ScriptedChromium, params: Any) -> Any:
        assert params["browserContextId"] == "C1"
        info = {"targetId": "T2", "type": "page", "browserContextId": "C1"}
        one.send("Target.attachedToTarget", sessionId="ST2", targetInfo=info)
        return {"targetId": "T2"}

    house.chromium.answers |= {"Target.createBrowserContext": create, "Target.createTarget": open_window}
    own = Address(url="http://localhost:8000/", local_port=8000)
    with house.browser.at_work():
        for address, top in ((own, "T2"), (PAGE, "T1"), (own, "T2")):
            house.browser.open(address, house.interrupt)
            assert house.windows[-1] == top
    (way,) = given
    assert way["proxyBypassList"] == "<-loopback>;localhost:8000;127.0.0.1:8000;[::1]:8000"


def test_a_page_that_goes_elsewhere_while_it_is_read_is_read_again(house: House) -> None:
    """Twice; then it is told."""
    house.open()
    tries: list[int] = []

    def refuse(one: ScriptedChromium, _params: Any) -> Any:
        tries.append(1)
        if len(tries) > 3:
            return {"result": {"value": json.dumps({"title": "there", "marks": ["words"]})}}
        return {"exceptionDetails": {"exception": {"description": "Execution context was destroyed"}}}

    house.chromium.answers["Runtime.callFunctionOn"] = refuse
    with house.browser.at_work():
        snapshot, text = house.browser.current().read()
    assert (snapshot.title, text) == ("there", "words")
    house.chromium.answers["Runtime.callFunctionOn"] = lambda _one, _params: {"exceptionDetails": {}}
    assert house.fails() == "the page keeps going elsewhere; it could not be read"
