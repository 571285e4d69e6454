"""The home's folders and files: where each thing is. Pure.

`$NIGHTYARD_HOME` (default `~/.nightyard`, mode 0700) holds state and secrets only; what people write is in the fork.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from protocol.ids import DoorId, GroupId

MAX_SOCKET_PATH_BYTES = 100
"""Linux allows 107; the rest is left for names that grow."""


class SocketPathTooLong(Exception):
    """A socket's path is longer than the kernel takes: set NIGHTYARD_HOME to a shorter folder."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        size = len(bytes(self.path))
        return (
            f"the socket path {self.path} is {size} bytes long, more than the {MAX_SOCKET_PATH_BYTES} that are safe: "
            "set NIGHTYARD_HOME to a folder with a shorter path"
        )


@dataclass(frozen=True, slots=True)
class Home:
    """One installation's home."""

    path: Path

    @property
    def home_id_file(self) -> Path:
        return self.path / "home_id"

    @property
    def lock(self) -> Path:
        return self.path / "lock"

    @property
    def store(self) -> Path:
        return self.path / "store.db"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def exports(self) -> Path:
        """Conversations that were written out, until they are sent or copied."""
        return self.path / "exports"

    @property
    def run(self) -> Path:
        return self.path / "run"

    @property
    def control_socket(self) -> Path:
        return checked_socket(self.run / "control.sock")

    @property
    def task_socket(self) -> Path:
        return checked_socket(self.run / "task.sock")

    @property
    def proxy_socket(self) -> Path:
        return checked_socket(self.run / "proxy.sock")

    @property
    def doors(self) -> Path:
        return self.run / "c"

    def door(self, door_id: DoorId) -> Path:
        """The folder of one container's sockets: short, because their whole paths have a limit."""
        return self.doors / door_id.rpartition("_")[2]

    def group(self, group_id: GroupId) -> Path:
        """The group's workspace, memory, home and inbox."""
        return self.path / "groups" / group_id

    def inbox(self, group_id: GroupId) -> Path:
        return self.group(group_id) / "inbox"

    def space(self, name: str) -> Path:
        """The files that groups share under this name."""
        return self.path / "spaces" / name

    def history(self, group_id: GroupId) -> Path:
        """What the group's workspace and memory held before its tasks."""
        return self.path / "history" / group_id

    @property
    def agent_bundles(self) -> Path:
        return self.path / "agent"


def checked_socket(path: Path) -> Path:
    """Return the path; raise SocketPathTooLong."""
    if len(bytes(path)) > MAX_SOCKET_PATH_BYTES:
        raise SocketPathTooLong(path)
    return path


def home_from(environment: Mapping[str, str]) -> Home:
    """Return the home that the environment names."""
    named = environment.get("NIGHTYARD_HOME", "")
    return Home(Path(named).expanduser().absolute() if named else Path("~/.nightyard").expanduser())


def fork_from(environment: Mapping[str, str], program: Path) -> Path:
    """Return the folder that settings are read from; `program` is where this program stands, the usual one."""
    named = environment.get("NIGHTYARD_FORK", "")
    return Path(named).expanduser().absolute() if named else program
