"""The phone's page is served whole by a twin, and asks nobody else."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

import twins.phone
from twins.phone.files import phone_file
from twins.telegram.server import TelegramTwin

FILES = Path(twins.phone.__file__).parent


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with (
        TelegramTwin().serve() as address,
        httpx.AsyncClient(base_url=address, timeout=20, trust_env=False) as client,
    ):
        yield client


async def test_the_page_and_all_that_it_names_are_served(http: httpx.AsyncClient) -> None:
    """Every file beside the page is there, with its own content type."""
    page = await http.get("/twin/phone")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    named = re.findall(r'(?:src|href)="(/[^"]+)"', page.text)
    assert {Path(path).name for path in named} == {
        file.name for file in FILES.glob("page.*") if file.suffix != ".html"
    } | {"marks.js", "blocks.js"}
    for path in named:
        answer = await http.get(path)
        assert answer.status_code == 200
        kind = "text/css" if path.endswith(".css") else "text/javascript"
        assert answer.headers["content-type"].startswith(kind)


def test_no_other_path_is_the_phones() -> None:
    """Nothing beside the page's own files can be asked for."""
    assert phone_file("/twin/phone/") == phone_file("/twin/phone")
    for path in ("/twin/phone/files.py", "/twin/phone/../server.py", "/twin/phone/nothing"):
        assert phone_file(path) is None


@pytest.mark.parametrize("name", ["page.html", "page.css", "page.js", "marks.js", "blocks.js"])
def test_it_asks_no_other_host(name: str) -> None:
    """No file of the page names an address outside, and none turns a message's words into markup."""
    text = (FILES / name).read_text("utf-8")
    assert not re.findall(r"https?://(?!\$\{address\})\w", text.replace("https?:", ""))
    assert "innerHTML" not in text


def test_nothing_of_a_message_is_run_or_asked_elsewhere() -> None:
    """The browser itself holds to it, whatever the page's script does with what an agent says."""
    html = (FILES / "page.html").read_text("utf-8")
    assert "default-src 'self'" in html and "unsafe" not in html and "style=" not in html


async def test_it_finds_what_it_reads(http: httpx.AsyncClient) -> None:
    """The world, a chat and its messages have the fields that the page shows."""
    await http.post("/twin/type", json={"text": "hello"})
    world = (await http.get("/twin/world")).json()
    assert {"platform", "bot", "people", "chats", "commands"} <= set(world)
    for each in (world["bot"], *world["people"]):
        assert {"id", "name"} <= set(each)
    for each in world["chats"]:
        assert {"id", "name", "kind", "people", "threads"} <= set(each)
    chat = (await http.get("/twin/chat", params={"chat": 1001})).json()
    assert {"messages", "typing", "draft"} <= set(chat)
    wanted = {"id", "from", "is_bot", "text", "entities", "buttons", "files", "reactions", "edited", "at", "raw"}
    assert wanted <= set(chat["messages"][0])
