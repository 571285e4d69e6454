"""Files that pages have the browser keep: each under a name of ours until it is whole, then in the workspace.

Chromium tells in events what begins, grows and ends; what is too large or one too many is cancelled.
"""

# ruff: noqa: PTH103, PTH104
# Without pathlib: tools/opened_file.py says why.

from __future__ import annotations

import os
import shutil

from agents.browser.page import clean
from agents.browser.wire import Event, number_in, text_in
from agents.places import Places

MAX_DOWNLOAD_BYTES = 200 << 20
MAX_DOWNLOADS = 20
"""In the life of one browser."""
MAX_NAME_CHARS = 120


class Downloads:
    """What is kept in `/workspace/downloads`; events and questions under the connection's lock."""

    def __init__(self, places: Places) -> None:
        self._root = places.root
        self.folder = f"{places.workspace}/downloads"
        self.coming = f"{self.folder}/.coming"
        """Where Chromium writes, by ids of its own."""
        self._names: dict[str, str] = {}
        """What is under way."""
        self.begun = 0
        """So many in all."""
        self._notes: list[str] = []

    def prepare(self) -> None:
        """Make the folders, without what a browser that was ended has left; raise OSError."""
        shutil.rmtree(self.coming, ignore_errors=True)
        os.makedirs(self.coming, exist_ok=True)

    @property
    def is_idle(self) -> bool:
        return not self._names

    def take(self, event: Event) -> str:
        """Take in an event; return the id of a download that is to be cancelled, mostly ""."""
        guid = text_in(event.params, "guid")
        if not guid or "/" in guid:
            return ""
        if event.method == "Browser.downloadWillBegin":
            self.begun += 1
            self._names[guid] = safe_name(text_in(event.params, "suggestedFilename"))
            if self.begun > MAX_DOWNLOADS:
                return self._refuse(guid, f"no more than {MAX_DOWNLOADS} files are kept")
            return ""
        if guid not in self._names:
            return ""
        size = max(number_in(event.params, "receivedBytes"), number_in(event.params, "totalBytes"))
        if size > MAX_DOWNLOAD_BYTES:
            return self._refuse(guid, f"it is larger than {MAX_DOWNLOAD_BYTES >> 20} MiB")
        state = text_in(event.params, "state")
        if state == "completed":
            self._keep(guid, self._names.pop(guid))
        elif state == "canceled":
            self._notes.append(f"the download of {self._names.pop(guid)} broke off")
        return ""

    def take_notes(self) -> list[str]:
        """Return what has come since the last time, and what is still coming."""
        notes, self._notes = self._notes, []
        return [*notes, *(f"{name} is still being downloaded" for name in self._names.values())]

    def _refuse(self, guid: str, why: str) -> str:
        self._notes.append(f"{self._names.pop(guid)} was not downloaded: {why}")
        return guid

    def _keep(self, guid: str, name: str) -> None:
        path = free_path(self.folder, name)
        try:
            os.rename(f"{self.coming}/{guid}", path)
            size = os.path.getsize(path)  # noqa: PTH202
        except OSError as error:
            self._notes.append(f"{name} was downloaded and could not be kept: {error.strerror}")
            return
        self._notes.append(f"downloaded: {path.removeprefix(self._root)} ({size} bytes)")


def safe_name(suggested: str) -> str:
    """Return a file's name that leads nowhere and shows what it is."""
    name = clean(suggested).replace("\n", " ").replace("/", "_").replace("\\", "_").strip(" .")
    stem, dot, ending = name.rpartition(".")
    if len(name) > MAX_NAME_CHARS:
        name = f"{(stem or ending)[: MAX_NAME_CHARS - 12]}{dot}{ending[:10]}" if dot else name[:MAX_NAME_CHARS]
    return name or "download"


def free_path(folder: str, name: str) -> str:
    """Return the path of a name in a folder, numbered where there is one of that name."""
    stem, dot, ending = name.rpartition(".")
    for number in range(1, 1_000):
        tried = name if number == 1 else f"{stem}-{number}{dot}{ending}" if dot else f"{name}-{number}"
        if not os.path.lexists(f"{folder}/{tried}"):
            return f"{folder}/{tried}"
    return f"{folder}/{name}"
