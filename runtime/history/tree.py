"""Reads and writes a tree that somebody hostile may have filled: no link is ever followed, no name trusted.

Every step goes through the descriptor of the folder before it. Of sockets, pipes and devices it is
known only that they were there.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

MAX_ENTRIES = 200_000
MAX_DEPTH = 100
"""Folders in folders; each one that is being read keeps a descriptor open."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class TreeRefused(Exception):
    """A tree that has no history; the text says why, as the end of `the folders of main …`."""


@dataclass(frozen=True, slots=True)
class Found:
    """One thing in a tree."""

    path: str
    state: os.stat_result
    folder: int
    """The descriptor of the folder that it is in, open while this thing is looked at."""

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    def open(self) -> int:
        """Return a descriptor of this very file; raise OSError if another stands in its place by now."""
        descriptor = _open_owned(self.folder, self.name, _FILE)
        opened = os.fstat(descriptor)
        if (opened.st_dev, opened.st_ino) != (self.state.st_dev, self.state.st_ino) or not stat.S_ISREG(opened.st_mode):
            os.close(descriptor)
            raise OSError(f"{self.path} was replaced while it was looked at")
        return descriptor

    def target(self) -> str:
        return os.readlink(self.name, dir_fd=self.folder)


def walk(root: int, prefix: str, *, is_busy: bool = False) -> Iterator[Found]:
    """Yield what is under the folder `root`, each folder before what is in it; raise TreeRefused. `prefix` begins
    each path. `is_busy`: others write there meanwhile, so that a folder which is gone when its turn comes is left
    out."""
    count = 0
    stack: list[tuple[int, str, list[str]]] = [(os.dup(root), prefix, _names(root))]
    try:
        while stack:
            folder, path, names = stack[-1]
            if not names:
                os.close(folder)
                stack.pop()
                continue
            name = names.pop()
            try:
                state = os.stat(name, dir_fd=folder, follow_symlinks=False)
            except FileNotFoundError:
                continue
            count += 1
            if count > MAX_ENTRIES:
                raise TreeRefused(f"hold more than {MAX_ENTRIES:,} files")
            found = Found(f"{path}/{name}", state, folder)
            yield found
            if stat.S_ISDIR(state.st_mode):
                if len(stack) >= MAX_DEPTH:
                    raise TreeRefused(f"are nested more than {MAX_DEPTH} deep")
                try:
                    inner = _open_owned(folder, name, _FOLDER)
                except OSError:
                    if is_busy:
                        continue
                    raise
                stack.append((inner, found.path, _names(inner)))
    finally:
        for folder, _, _ in stack:
            os.close(folder)


def _open_owned(folder: int, name: str, flags: int) -> int:
    """Open a thing of ours, also one that its mode locks us out of: its mode is given back as soon as it is open."""
    try:
        return os.open(name, flags, dir_fd=folder)
    except PermissionError:
        handle = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        mode = stat.S_IMODE(os.fstat(handle).st_mode)
        by_handle = Path(f"/proc/self/fd/{handle}")  # so that no link is followed
        by_handle.chmod(mode | stat.S_IRWXU)
        try:
            return os.open(name, flags, dir_fd=folder)
        finally:
            by_handle.chmod(mode)
    finally:
        os.close(handle)


def _names(folder: int) -> list[str]:
    return sorted(os.listdir(folder), reverse=True)


@contextlib.contextmanager
def opened_folder(path: Path) -> Iterator[int]:
    """Open a folder that the host made, for reading and writing whatever mode it was given since."""
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        path.chmod(stat.S_IRWXU)
    descriptor = os.open(path, _FOLDER)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def opened_parent(root: int, path: str) -> Iterator[tuple[int, str]]:
    """Open the folder that a path under `root` is in; give its descriptor and the last name."""
    *folders, name = path.split("/")
    descriptor = os.dup(root)
    try:
        for folder in folders:
            inner = _open_owned(descriptor, folder, _FOLDER)
            os.close(descriptor)
            descriptor = inner
        yield descriptor, name
    finally:
        os.close(descriptor)


def read_beginning(root: int, path: str, most_bytes: int) -> bytes:
    """Return the first bytes of a file under `root`; OSError where there is none."""
    with opened_parent(root, path) as (folder, name):
        descriptor = _open_owned(folder, name, _FILE)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FileNotFoundError(f"{path} is no file")
        return file.read(most_bytes)


def remove(root: int, path: str) -> None:
    """Remove one thing, a folder with all that is in it; what is gone already is no error."""
    with contextlib.suppress(FileNotFoundError), opened_parent(root, path) as (folder, name):
        _remove(folder, name)


def _remove(folder: int, name: str) -> None:
    state = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if not stat.S_ISDIR(state.st_mode):
        os.unlink(name, dir_fd=folder)
        return
    inner = _open_owned(folder, name, _FOLDER)
    try:
        os.fchmod(inner, stat.S_IRWXU)
        for each in _names(inner):
            _remove(inner, each)
    finally:
        os.close(inner)
    os.rmdir(name, dir_fd=folder)


def write_file(root: int, path: str, mode: int, fill: Callable[[int], None]) -> None:
    """Put a file in the place of whatever is there; it appears whole."""
    with opened_parent(root, path) as (folder, name):
        fresh = f".nightyard-{os.urandom(8).hex()}"
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=folder)
        try:
            try:
                fill(descriptor)
                _give_to_owner(root, descriptor)
                os.fchmod(descriptor, mode)
            finally:
                os.close(descriptor)
            os.replace(fresh, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(fresh, dir_fd=folder)
            raise


def make_folder(root: int, path: str, mode: int) -> None:
    """Make a folder, or give the one that is there its mode."""
    with opened_parent(root, path) as (folder, name):
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=folder)
        inner = _open_owned(folder, name, _FOLDER)
        try:
            _give_to_owner(root, inner)
            os.fchmod(inner, mode)
        finally:
            os.close(inner)


def make_link(root: int, path: str, target: str) -> None:
    with opened_parent(root, path) as (folder, name):
        os.symlink(target, name, dir_fd=folder)
        owner = os.fstat(root)
        os.chown(name, owner.st_uid, owner.st_gid, dir_fd=folder, follow_symlinks=False)


def _give_to_owner(root: int, descriptor: int) -> None:
    owner = os.fstat(root)
    os.fchown(descriptor, owner.st_uid, owner.st_gid)
