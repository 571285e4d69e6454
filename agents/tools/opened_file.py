"""Opens files for the file tools, inside the folders that are theirs and nowhere else.

The tools run in the agent's own process, so a path is a way to its memory (/proc/self/mem holds the link's nonce).
A path is therefore checked after it was opened, by what the descriptor is: a link that is changed in between by a
process in the background changes nothing.
"""

# ruff: noqa: PTH103, PTH112, PTH114, PTH115, PTH118
# Without pathlib, here and in run.py: it costs every waiting agent 0.7 MB and 3 ms.

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from agents.places import Places
from agents.tools.tool import ToolError


def full_path(places: Places, path: str) -> str:
    """Return the path with its links followed; relative ones begin at the workspace."""
    if not path or "\0" in path or len(path) > 4096:
        raise ToolError("the path is empty, too long or holds a zero byte")
    try:
        return os.path.realpath(os.path.join(places.workspace, path), strict=False)
    except OSError as error:
        raise ToolError(f"{path}: {_plain(error)}") from error


@contextmanager
def opened_for_reading(places: Places, path: str, folders: tuple[str, ...] | None = None) -> Iterator[int]:
    """Open a regular file and give its descriptor; `folders`: where it must lie, by default in any of the tools'."""
    target = full_path(places, path)
    _check_path(target, path, folders or places.tool_folders)
    try:
        # Not blocking: a named pipe would wait for its writer.
        descriptor = os.open(target, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        raise ToolError(f"{path}: {_plain(error)}") from error
    try:
        _check_inside(descriptor, path, folders or places.tool_folders)
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise ToolError(f"{path}: is a folder; list it with the shell")
        if not stat.S_ISREG(mode):
            raise ToolError(f"{path}: is not a regular file")
        yield descriptor
    finally:
        os.close(descriptor)


def write_whole(places: Places, path: str, data: bytes) -> None:
    """Replace a file, or make it and its folders, in one step: nobody sees half of it."""
    target = full_path(places, path)
    if os.path.isdir(target):
        raise ToolError(f"{path}: is a folder")
    if os.path.islink(target):  # what is still a link now cannot be followed
        raise ToolError(f"{path}: is a link that leads nowhere")
    try:
        _check_path(target, path, places.tool_folders)
        parent, name = os.path.split(target)
        os.makedirs(parent, exist_ok=True)
        folder = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise ToolError(f"{path}: {_plain(error)}") from error
    try:
        _check_inside(folder, path, places.tool_folders)
        _replace_in(folder, name, data)
    except OSError as error:
        raise ToolError(f"{path}: {_plain(error)}") from error
    finally:
        os.close(folder)


def check_writable(places: Places, path: str) -> None:
    """Refuse a path outside the tools' folders before anything is written: the writing checks again."""
    _check_path(full_path(places, path), path, places.tool_folders)


def remove_file(places: Places, path: str) -> None:
    """Remove a file."""
    target = full_path(places, path)
    parent, name = os.path.split(target)
    try:
        folder = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise ToolError(f"{path}: {_plain(error)}") from error
    try:
        _check_inside(folder, path, places.tool_folders)
        os.unlink(name, dir_fd=folder)
    except OSError as error:
        raise ToolError(f"{path}: {_plain(error)}") from error
    finally:
        os.close(folder)


def _replace_in(folder: int, name: str, data: bytes) -> None:
    try:
        mode = stat.S_IMODE(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        mode = 0o644
    # A name of its own length: the target's may be as long as names can be.
    temporary = f".{os.urandom(8).hex()}.new"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode & 0o777)
            file.write(data)
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise


def _check_inside(descriptor: int, path: str, folders: tuple[str, ...]) -> None:
    _check_path(os.readlink(f"/proc/self/fd/{descriptor}"), path, folders)


def _check_path(target: str, path: str, folders: tuple[str, ...]) -> None:
    for folder in folders:
        root = os.path.realpath(folder)
        if target == root or target.startswith(f"{root}/"):
            return
    names = ", ".join(folders)
    raise ToolError(f"{path}: lies outside {names}. Use the shell for files elsewhere.")


def _plain(error: OSError) -> str:
    return error.strerror or str(error)
