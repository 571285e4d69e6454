"""One container's folder on the host: `<home>/run/c/<id>/` with host.sock, proxy.sock and out/.

Everything below out/ is written by the container and hostile: nothing there is followed, waited for or read without
a cap. All functions block for microseconds, but `remove_door` and `measure_folder`, which belong in a thread.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from runtime.container_command import ContainerUser
from runtime.home import checked_socket

MAX_LAST_FRAMES_BYTES = 64 << 20
MAX_STDERR_BYTES = 16 << 10
MAX_DEPTH = 64
MAX_ENTRIES = 300_000
REMOVE_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class DoorFolder:
    path: Path

    @property
    def host_socket(self) -> Path:
        return self.path / "host.sock"

    @property
    def proxy_socket(self) -> Path:
        return self.path / "proxy.sock"

    @property
    def out(self) -> Path:
        return self.path / "out"


def make_door(path: Path, user: ContainerUser) -> DoorFolder:
    """Make the folder for one container; raise SocketPathTooLong, OSError."""
    door = DoorFolder(path)
    checked_socket(door.host_socket)
    checked_socket(door.proxy_socket)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder in (path, door.out):
        folder.mkdir(mode=0o700)
        give_to(folder, user)
    return door


SHOWN_FOLDERS = ("workspace", "memory", "home", "inbox")


def make_group_folders(group: Path, user: ContainerUser) -> None:
    """Make what a group's containers are shown, and the host's own outbox, where they are missing."""
    if all(os.path.isdir(f"{group}/{name}") for name in (*SHOWN_FOLDERS, "outbox")):  # noqa: PTH112 - before each task
        return
    group.mkdir(mode=0o755, parents=True, exist_ok=True)
    for name in SHOWN_FOLDERS:
        folder = group / name
        if not folder.exists():
            folder.mkdir(mode=0o755)
            give_to(folder, user)
    (group / "outbox").mkdir(mode=0o700, exist_ok=True)


def make_space_folder(folder: Path, user: ContainerUser) -> None:
    """Make what groups share, where it is missing."""
    if not os.path.isdir(folder):  # noqa: PTH112 - before each task
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        give_to(folder, user)


def give_to(folder: Path, user: ContainerUser) -> None:
    if os.geteuid() == 0:
        os.chown(folder, user.uid, user.gid, follow_symlinks=False)


def container_user() -> ContainerUser:
    """Return who agents are: the host's own user, so that their files are its own; never root."""
    if os.geteuid() == 0:
        return ContainerUser(uid=10001, gid=10001)
    return ContainerUser(uid=os.geteuid(), gid=os.getegid())


def read_last_frames(door: DoorFolder) -> bytes:
    """Return the last word that an agent wrote while its host was away; empty if there is none that can be read."""
    return _read_regular(door, "last.frames", MAX_LAST_FRAMES_BYTES)


def read_stderr_tail(door: DoorFolder) -> str:
    """Return the end of what a crashed agent said; hostile text."""
    return _read_regular(door, "stderr.txt", MAX_STDERR_BYTES, from_end=True).decode("utf-8", "replace")


def remove_door(path: Path) -> None:
    """Remove a door's folder, however deep its container made it. Blocks."""
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        return
    except (OSError, RecursionError):
        # Nested deeper than Python's stack or our descriptors reach: rm walks without either.
        command = ["rm", "-rf", "--", str(path)]
        with suppress(subprocess.TimeoutExpired):  # the reaper tries again
            subprocess.run(command, check=False, timeout=REMOVE_TIMEOUT_S, capture_output=True)


def measure_folder(folder: Path) -> int | None:
    """Return the bytes on disk below a folder that a container writes; None if it is too deep or too full to tell."""
    try:
        top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return 0
    budget = [MAX_ENTRIES]
    try:
        return _measure(top, MAX_DEPTH, budget)
    finally:
        os.close(top)


def _measure(folder: int, depth: int, budget: list[int]) -> int | None:
    total = 0
    for name in os.listdir(folder):
        budget[0] -= 1
        if budget[0] < 0:
            return None
        try:
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except OSError:
            continue
        # A file with several names is counted once for each: on the safe side.
        total += status.st_blocks * 512
        if not stat.S_ISDIR(status.st_mode):
            continue
        if depth == 0:
            return None
        try:
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        except OSError:
            continue
        try:
            below = _measure(inner, depth - 1, budget)
        finally:
            os.close(inner)
        if below is None:
            return None
        total += below
    return total


def _read_regular(door: DoorFolder, name: str, cap: int, *, from_end: bool = False) -> bytes:
    """Read at most `cap` bytes of a plain file in out/; anything else there (link, pipe, device, folder) is nothing."""
    try:
        out = os.open(door.out, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=out)
    except OSError:
        return b""
    finally:
        os.close(out)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or (status.st_size > cap and not from_end):
            return b""
        # A second name could lead to somebody else's file on the same disk.
        if status.st_nlink != 1:
            return b""
        start = max(0, status.st_size - cap) if from_end else 0
        return _read_all(descriptor, start, cap)
    finally:
        os.close(descriptor)


def _read_all(descriptor: int, start: int, cap: int) -> bytes:
    parts = []
    left = cap
    while left and (part := os.pread(descriptor, min(left, 1 << 20), start)):
        parts.append(part)
        start += len(part)
        left -= len(part)
    return b"".join(parts)
