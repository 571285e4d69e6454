"""Files that pages have the browser keep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agents.browser.downloads import MAX_DOWNLOAD_BYTES, MAX_DOWNLOADS, MAX_NAME_CHARS, Downloads, safe_name
from agents.browser.wire import Event
from agents.places import Places


@pytest.fixture
def downloads(places: Places) -> Downloads:
    made = Downloads(places)
    made.prepare()
    return made


def begins(downloads: Downloads, guid: str, name: str) -> str:
    return downloads.take(event("Browser.downloadWillBegin", guid=guid, suggestedFilename=name))


def event(method: str, **params: Any) -> Event:
    return Event(method=method, session="", params=params)


@pytest.mark.parametrize(
    ("suggested", "name"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("..", "download"),
        ("", "download"),
        (".bashrc", "bashrc"),
        ("a\u202efdp.exe", "afdp.exe"),
        ("a\nb\x1b[2J.txt", "a b[2J.txt"),
        ("C:\\x\\y.txt", "C:_x_y.txt"),
    ],
)
def test_names_lead_nowhere(suggested: str, name: str) -> None:
    """A file cannot choose its folder, hide, or look like what it is not."""
    assert safe_name(suggested) == name


def test_long_names_keep_their_ending() -> None:
    """So that what it is stays known."""
    name = safe_name("x" * 500 + ".pdf")
    assert len(name) <= MAX_NAME_CHARS
    assert name.endswith(".pdf")


def test_a_file_is_kept_when_it_is_whole(downloads: Downloads, root: Path) -> None:
    """Under its own name, numbered where there is one of that name; until then it is told as coming."""
    for number, shown in ((1, "report.pdf"), (2, "report-2.pdf")):
        assert begins(downloads, f"g{number}", "report.pdf") == ""
        assert downloads.take_notes() == ["report.pdf is still being downloaded"]
        (Path(downloads.coming) / f"g{number}").write_text("12345")
        downloads.take(event("Browser.downloadProgress", guid=f"g{number}", receivedBytes=5, state="completed"))
        assert downloads.take_notes() == [f"downloaded: /workspace/downloads/{shown} (5 bytes)"]
        assert (root / "workspace/downloads" / shown).read_text() == "12345"
    assert downloads.is_idle


def test_what_is_too_large_or_one_too_many_is_cancelled(downloads: Downloads) -> None:
    """And told, once."""
    begins(downloads, "big", "big.iso")
    growing = event("Browser.downloadProgress", guid="big", receivedBytes=1, totalBytes=MAX_DOWNLOAD_BYTES + 1)
    assert downloads.take(growing) == "big"
    assert downloads.take(growing) == ""
    assert downloads.take_notes() == ["big.iso was not downloaded: it is larger than 200 MiB"]
    for number in range(1, MAX_DOWNLOADS):
        assert begins(downloads, f"g{number}", "x") == ""
    assert begins(downloads, "last", "x") == "last"


def test_what_breaks_off_or_is_made_up_leaves_nothing(downloads: Downloads) -> None:
    """An end without a beginning, an id that is a path, a file that is not there."""
    downloads.take(event("Browser.downloadProgress", guid="unknown", state="completed"))
    assert begins(downloads, "../x", "x") == ""
    begins(downloads, "a", "a.txt")
    downloads.take(event("Browser.downloadProgress", guid="a", state="canceled"))
    begins(downloads, "b", "b.txt")
    downloads.take(event("Browser.downloadProgress", guid="b", state="completed"))
    assert downloads.take_notes() == [
        "the download of a.txt broke off",
        "b.txt was downloaded and could not be kept: No such file or directory",
    ]


def test_leftovers_of_a_browser_that_was_ended_go(downloads: Downloads) -> None:
    """Halves of files are nobody's."""
    (Path(downloads.coming) / "g1.crdownload").write_text("half")
    downloads.prepare()
    assert list(Path(downloads.coming).iterdir()) == []
