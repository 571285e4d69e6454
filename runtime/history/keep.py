"""Keep: the folder `history/<group>/` of a home, where manifests and the bytes of files are, each under its digest.

    blobs/ab/cdef…      the bytes of a file
    manifests/<id>      what the folders held (manifest.py)
    seen                what each file was like when its digest was last taken, so that it need not be read again

Blocking: for a thread. Two calls for one group are never made at once (history.py).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import stat
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from runtime.history import tree
from runtime.history.manifest import (
    LARGE,
    Change,
    Difference,
    Entry,
    Manifest,
    lost_by_restoring,
    manifest_id,
    manifest_text,
    parse_manifest,
    plan_restore,
)

FOLDERS = ("workspace", "memory")
"""What of a group has a history: the agent's own home holds tools and caches, the inbox what people sent."""
MEMORY = "memory"
NOTHING = "nothing"
"""The manifest of folders that hold nothing: for a memory of which no moment is kept."""
MAX_FILE_BYTES = 256 << 20
"""A larger file is noted, its bytes are not kept."""
_PIECE_BYTES = 1 << 20

SETTLED_NS = 100_000_000
"""A file that changed so recently may change again without another time stamp: its digest is taken again next time."""

MAX_COMPARED_BYTES = 256 << 10
"""A larger file is not shown to anybody: its bytes are no part of a `Difference`."""

Seen = Mapping[str, list[int | str]]
"""By path: what the kernel says of a file (`_mark`), and the digest that it had then."""


class Keep:
    """The history of one group's folders."""

    def __init__(self, group: Path, folder: Path) -> None:
        self._group = group
        self._folder = folder

    def take(self) -> str:
        """Keep what the folders hold now; return the manifest's id. Raises TreeRefused, OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        old = self._load_seen()
        manifest, new = self._read_folders(old, self._keep)
        if new != old:
            _write_whole(self._folder / "seen", json.dumps(new).encode("ascii"))
        return self._write_manifest(manifest)

    def take_memory(self) -> str:
        """Keep what the memory alone holds now; return the manifest's id. Raises as `take`."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._write_manifest(self._read_folders(self._load_seen(), self._keep, (MEMORY,))[0])

    def memory_differences(self, identity: str) -> tuple[Difference, ...]:
        """Return what the memory holds otherwise than a manifest says; modes and empty folders do not count. Raises as
        `plan`."""
        then = _of_memory(self._load(identity))
        now = self._read_folders(self._load_seen(), self._keep, (MEMORY,))[0]
        found = []
        for path in sorted(then.keys() | now.keys()):
            have, want = then.get(path), now.get(path)
            before, after = _content(have), _content(want)
            if before != after:
                found.append(
                    Difference(path, self._small(have), self._small(want), before is not None, after is not None)
                )
        return tuple(found)

    def has(self, identity: str) -> bool:
        """Return whether a manifest is kept."""
        return identity == NOTHING or self._manifest_path(identity).exists()

    def plan(self, identity: str) -> tuple[Change, ...]:
        """Return what must change for the folders to be again as a manifest says. Raises KeyError for one that is
        not kept any more, TreeRefused, OSError."""
        return plan_restore(self._now(), self._load(identity))

    def lost(self, identity: str) -> tuple[str, ...]:
        """Return what of a manifest a restore would not bring back, a sentence each. Raises as `plan`."""
        return lost_by_restoring(self._now(), self._load(identity))

    def restore(self, identity: str, *, only_memory: bool = False) -> tuple[Change, ...]:
        """Make the folders again what they were; return what was changed, and what could not be. Raises as `plan`."""
        then = self._load(identity)
        now = self._now((MEMORY,) if only_memory else FOLDERS)
        then = _of_memory(then) if only_memory else then
        changes = plan_restore(now, then)
        acting = [change for change in changes if change.kind != "cannot"]
        # Where something changes the host must be let in; each folder gets its mode when all in it is as it was.
        around = {change.path.rpartition("/")[0] for change in acting}
        for path in sorted(path for path in around if path in now and now[path].kind == "folder"):
            self._in_folder(path, partial(tree.make_folder, mode=0o700))
        for change in reversed(acting):
            have, want = now.get(change.path), then.get(change.path)
            if want is None or (have is not None and have.kind != want.kind):
                self._in_folder(change.path, tree.remove)
        restored = {change.path for change in acting if change.kind != "remove"}
        for path in sorted(restored):
            self._put_back(path, then[path])
        for path in sorted(restored | around, reverse=True):
            entry = then.get(path)
            if entry is not None and entry.kind == "folder":
                self._in_folder(path, partial(tree.make_folder, mode=entry.mode))
        return changes

    def put_back(self, path: str, entry: Entry | None) -> None:
        """Make one file or link what it was; None: it was not there. Raises TreeRefused, OSError."""
        if entry is None:
            self._in_folder(path, tree.remove)
        else:
            self._put_back(path, entry)

    def manifest(self, identity: str) -> Manifest:
        """Return what the folders held. Raises KeyError for one that is not kept any more, OSError."""
        return self._load(identity)

    def now(self) -> Manifest:
        """Return what the folders hold. Raises TreeRefused, OSError."""
        return self._now()

    def changed_at(self, path: str) -> float:
        """Return when a file's bytes last changed, in seconds since the epoch. Raises OSError."""
        return (self._group / path).lstat().st_mtime

    def forget_seen(self) -> None:
        """Forget the names of what was read: the next moment reads all again."""
        (self._folder / "seen").unlink(missing_ok=True)

    def empty_memory(self) -> None:
        """Remove all that the memory holds, whatever that is."""
        with tree.opened_folder(self._group / MEMORY) as root:
            for name in sorted(os.listdir(root)):  # noqa: PTH208  # a descriptor: nobody can move the folder away
                tree.remove(root, name)

    def held_bytes(self) -> int:
        """Return how much disk the history takes."""
        return sum(blob.stat().st_size for blob in self._blobs())

    def prune(self, wanted: Collection[str]) -> None:
        """Remove the manifests that are not wanted, and the bytes that no other names."""
        kept: set[str] = set()
        for path in self._manifests():
            if path.name in wanted:
                kept.update(entry.content for entry in self._load(path.name).values() if entry.kind == "file")
            else:
                path.unlink()
        for blob in self._blobs():
            if blob.parent.name + blob.name not in kept:
                blob.unlink()
        if not wanted:
            (self._folder / "seen").unlink(missing_ok=True)

    def destroy(self) -> None:
        """Remove the whole history."""
        if self._folder.exists():
            shutil.rmtree(self._folder)

    # --- Reading the folders

    def _now(self, folders: tuple[str, ...] = FOLDERS) -> Manifest:
        return self._read_folders(self._load_seen(), lambda descriptor, _: _digest(descriptor), folders)[0]

    def _read_folders(
        self, seen: Seen, take: Callable[[int, int], str], folders: tuple[str, ...] = FOLDERS
    ) -> tuple[dict[str, Entry], Seen]:
        manifest: dict[str, Entry] = {}
        new: dict[str, list[int | str]] = {}
        names: dict[tuple[int, int], str] = {}
        """The first name of each file that has several."""
        for name in folders:
            path = self._group / name
            if not path.is_dir():
                continue
            with tree.opened_folder(path) as root:
                for found in tree.walk(root, name):
                    entry = self._entry(found, seen, new, take)
                    if entry.kind == "file" and found.state.st_nlink > 1:
                        first = names.setdefault((found.state.st_dev, found.state.st_ino), found.path)
                        entry = replace(entry, twin=first if first != found.path else "")
                    manifest[found.path] = entry
        return manifest, new

    def _entry(
        self,
        found: tree.Found,
        seen: Seen,
        new: dict[str, list[int | str]],
        take: Callable[[int, int], str],
    ) -> Entry:
        state = found.state
        mode = stat.S_IMODE(state.st_mode)
        if stat.S_ISDIR(state.st_mode):
            return Entry("folder", mode)
        if stat.S_ISLNK(state.st_mode):
            return Entry("link", 0, found.target())
        if not stat.S_ISREG(state.st_mode):
            return Entry("special", 0, _special(state.st_mode))
        mark = [state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns]
        if state.st_size > MAX_FILE_BYTES:
            return Entry("file", mode, LARGE + ":".join(map(str, mark)), state.st_size)
        *known, digest = seen.get(found.path, [""])
        if known != mark or not self._blob(str(digest)).exists():
            descriptor = found.open()
            try:
                digest = take(descriptor, state.st_size)
            finally:
                os.close(descriptor)
        if state.st_ctime_ns < time.time_ns() - SETTLED_NS:
            new[found.path] = [*mark, digest]
        return Entry("file", mode, str(digest), state.st_size)

    def _keep(self, descriptor: int, size: int) -> str:
        """Keep a file's bytes; return their digest."""
        digest = _digest(descriptor)
        blob = self._blob(digest)
        if blob.exists():
            return digest
        os.lseek(descriptor, 0, os.SEEK_SET)
        blob.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = blob.with_name(f"{blob.name}.new")
        copied = hashlib.sha256()
        with fresh.open("wb") as file:
            for piece in _pieces(descriptor):
                copied.update(piece)
                file.write(piece)
            file.flush()
            os.fdatasync(file.fileno())
        if copied.hexdigest() != digest:
            fresh.unlink()
            raise OSError(f"a file of {size} bytes changed while it was kept")
        fresh.replace(blob)
        return digest

    # --- Putting things back

    def _put_back(self, path: str, entry: Entry) -> None:
        if entry.kind == "folder":
            self._in_folder(path, partial(tree.make_folder, mode=0o700))
        elif entry.kind == "link":
            self._in_folder(path, tree.remove)
            self._in_folder(path, partial(tree.make_link, target=entry.content))
        else:
            self._in_folder(path, partial(tree.write_file, mode=entry.mode, fill=self._filler(entry)))

    def _filler(self, entry: Entry) -> Callable[[int], None]:
        def fill(descriptor: int) -> None:
            with self._blob(entry.content).open("rb") as blob:
                for piece in _pieces(blob.fileno()):
                    _write_all(descriptor, piece)

        return fill

    def _in_folder(self, path: str, act: Callable[[int, str], None]) -> None:
        folder, _, rest = path.partition("/")
        with tree.opened_folder(self._group / folder) as root:
            act(root, rest)

    # --- The folder's own files

    def _small(self, entry: Entry | None) -> bytes | None:
        """Return the bytes of a file that is small enough to be shown."""
        if entry is None or entry.kind != "file" or entry.size > MAX_COMPARED_BYTES:
            return None
        return self._blob(entry.content).read_bytes()

    def _write_manifest(self, manifest: Manifest) -> str:
        text = manifest_text(manifest)
        identity = manifest_id(text)
        path = self._manifest_path(identity)
        if not path.exists():
            _write_whole(path, text.encode("ascii"))
        return identity

    def _load(self, identity: str) -> Manifest:
        if identity == NOTHING:
            return {}
        try:
            text = self._manifest_path(identity).read_text("ascii")
        except FileNotFoundError:
            raise KeyError(identity) from None
        if manifest_id(text) != identity:
            raise OSError(f"the manifest {identity} is not what was written")
        return parse_manifest(text)

    def _load_seen(self) -> Seen:
        try:
            loaded: Seen = json.loads((self._folder / "seen").read_text("ascii"))
        except (FileNotFoundError, ValueError):  # all it costs is reading the files again
            return {}
        return loaded

    def _manifest_path(self, identity: str) -> Path:
        return self._folder / "manifests" / identity

    def _blob(self, digest: str) -> Path:
        return self._folder / "blobs" / digest[:2] / digest[2:]

    def _manifests(self) -> list[Path]:
        with contextlib.suppress(FileNotFoundError):
            return list((self._folder / "manifests").iterdir())
        return []

    def _blobs(self) -> Iterator[Path]:
        with contextlib.suppress(FileNotFoundError):
            for shelf in (self._folder / "blobs").iterdir():
                yield from shelf.iterdir()


def _of_memory(manifest: Manifest) -> Manifest:
    return {path: entry for path, entry in manifest.items() if path.startswith(f"{MEMORY}/")}


def _content(entry: Entry | None) -> tuple[str, str] | None:
    """Return what a thing says to whoever reads the folder; a folder says nothing, nor does a pipe."""
    return None if entry is None or entry.kind in ("folder", "special") else (entry.kind, entry.content)


def _special(mode: int) -> str:
    """Return what something is that is no file, folder or link."""
    if stat.S_ISFIFO(mode):
        return "a pipe"
    return "a socket" if stat.S_ISSOCK(mode) else "a device"


def _digest(descriptor: int) -> str:
    digest = hashlib.sha256()
    for piece in _pieces(descriptor):
        digest.update(piece)
    return digest.hexdigest()


def _pieces(descriptor: int) -> Iterator[bytes]:
    while piece := os.read(descriptor, _PIECE_BYTES):
        yield piece


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _write_whole(path: Path, data: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.new")
    with fresh.open("wb") as file:
        file.write(data)
        file.flush()
        os.fdatasync(file.fileno())
    fresh.replace(path)
