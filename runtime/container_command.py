"""From what a group's container is made of to the engine's create request. Pure.

Nothing here talks to an engine (`container_engine.py`) or touches a disk; the request is the body of the Engine API's
`POST /containers/create`, which Docker and Podman both take.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace

from protocol.ids import DoorId, GroupId
from protocol.task import ModelRoute
from runtime.client_environment import (
    QUIET,
    build_client_environment,
    build_model_environment,
    with_placeholders,
)

FORWARDER = "http://127.0.0.1:3128"
"""Where the agent process listens for its tools' HTTP and carries it to proxy.sock."""
LABEL_HOME = "nightyard.home"
LABEL_DOOR = "nightyard.door"
LABEL_GROUP = "nightyard.group"
LABEL_KEY = "nightyard.key"
LABEL_BUNDLE = "nightyard.bundle"
AGENT_COMMAND = ("/usr/bin/python3", "-I", "/opt/agent")
"""By its whole path: the home folder on PATH is written by earlier tasks of the group."""
CA_FILE = "/etc/nightyard/ca.pem"
NO_KEY = "added-by-the-proxy"
"""What tools inside send as a model's key: some do not start without one."""
SYSTEM_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
SHARED_MEMORY_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerLimits:
    """What one container may use; enforced by the engine, `disk_bytes` by the host's own watch."""

    memory_bytes: int = 512 << 20
    """Swap is counted in it; /tmp and /dev/shm too."""
    cpus: float = 1.0
    pids: int = 256
    open_files: int = 1024
    """Of one process: what systems give by themselves; no setting, since nobody has needed another."""
    file_bytes: int = 1 << 30
    """The largest single file that a process may write."""
    tmp_bytes: int = 64 << 20
    disk_bytes: int = 4 << 30
    """All folders of the group together; above it the session ends with `disk_full`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderMount:
    """A folder of the host that a group's containers may read, as `/skills/<name>`."""

    name: str
    path: str
    """Absolute, on the host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceMount:
    """A folder that groups share, as `/spaces/<name>`."""

    name: str
    path: str
    """Absolute, on the host."""
    may_write: bool
    quota_bytes: int
    """What the space may hold, of all that write there; watched by the host."""
    max_files: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerKind:
    """All that a group's containers are made from. Two equal kinds may share a spare."""

    group_id: GroupId
    image: str
    """`nightyard-agent:<hash>`."""
    limits: ContainerLimits = ContainerLimits()
    skills: tuple[FolderMount, ...] = ()
    spaces: tuple[SpaceMount, ...] = ()
    model: ModelRoute | None = None
    """Where tools inside that call a model find one; None: nowhere."""
    harness: str = "native"
    """Which program is the agent; `native`: our own loop."""
    placeholders: tuple[tuple[str, str], ...] = ()
    """Variable to what stands in it for a key of the group's: worth nothing, and enough for a tool to start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerUser:
    """Who the agent is inside: the host's own user, or a dedicated one where the host is root."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerPlaces:
    """Where on the host the things are that a container is shown. Absolute paths."""

    home_id: str
    group_folder: str
    """Holds `workspace`, `memory`, `home`, `inbox`."""
    bundle: str
    """The versioned copy of the agent's code; its last part is its hash."""
    ca_file: str = ""
    """Empty: the proxy has no authority yet; then HTTPS through it cannot be trusted by any tool."""
    ca_bundle: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineTraits:
    """How an engine wants to be asked for what all of them can do."""

    seccomp: str
    """What stands behind `seccomp=`: the profile itself, or a file of it for Podman."""
    user_namespace: str = ""
    """`keep-id` on rootless Podman, so that the container's user is the host's."""
    parent_cgroup: str = ""
    """What all containers of the home stand under, as `name_parent_cgroup` says; empty: the engine's default."""


def name_parent_cgroup(home_id: str, cgroup_driver: str) -> str:
    """Return the cgroup of all containers of a home, as the engine's driver wants it named; empty: it cannot be had.

    `docker stats` and the kernel then know the home as one, whichever cgroup version the machine has.
    """
    if cgroup_driver == "systemd":
        return f"nightyard-{home_id}.slice"
    return f"/nightyard-{home_id}" if cgroup_driver == "cgroupfs" else ""


def build_create_request(
    kind: ContainerKind,
    places: ContainerPlaces,
    user: ContainerUser,
    traits: EngineTraits,
    *,
    door_id: DoorId,
    door_folder: str,
    key: str,
) -> dict[str, object]:
    """Return the create request for one container of the kind behind one door."""
    limits = kind.limits
    host_config: dict[str, object] = {
        "NetworkMode": "none",
        "ReadonlyRootfs": True,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges", f"seccomp={traits.seccomp}"],
        "Memory": limits.memory_bytes,
        "MemorySwap": limits.memory_bytes,
        "PidsLimit": limits.pids,
        "NanoCpus": int(limits.cpus * 1_000_000_000),
        "Ulimits": [
            _ulimit("nofile", limits.open_files),
            _ulimit("fsize", limits.file_bytes),
            _ulimit("core", 0),
        ],
        # exec: builds run what they made in /tmp; the workspace can be run from anyway.
        "Tmpfs": {"/tmp": f"rw,exec,nosuid,nodev,mode=1777,size={limits.tmp_bytes}"},
        "ShmSize": min(SHARED_MEMORY_BYTES, limits.tmp_bytes),
        "Mounts": _mounts(kind, places, door_folder),
        # Orphans of killed tools are reaped, and a stop takes 0.04 s: Python as process 1 would do neither.
        "Init": True,
        "LogConfig": {"Type": "none", "Config": {}},
        # The attempt's end is read from the container before it is removed.
        "AutoRemove": False,
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        "IpcMode": "private",
        "Privileged": False,
        # When the machine runs out of memory agents go first, the host and the proxy last.
        "OomScoreAdj": 500,
    }
    if traits.user_namespace:
        host_config["UsernsMode"] = traits.user_namespace
    if traits.parent_cgroup:
        host_config["CgroupParent"] = traits.parent_cgroup
    return {
        "Image": kind.image,
        "Cmd": list(AGENT_COMMAND),
        "User": f"{user.uid}:{user.gid}",
        "WorkingDir": "/workspace",
        "Hostname": "nightyard",
        "Env": [f"{name}={value}" for name, value in sorted(_environment(kind, places).items())],
        "NetworkDisabled": True,
        "Labels": {
            LABEL_HOME: places.home_id,
            LABEL_DOOR: door_id,
            LABEL_GROUP: kind.group_id,
            LABEL_KEY: key,
            LABEL_BUNDLE: places.bundle.rpartition("/")[2],
        },
        "HostConfig": host_config,
    }


def build_spare_key(
    kind: ContainerKind, places: ContainerPlaces, user: ContainerUser, traits: EngineTraits, stamps: tuple[str, ...]
) -> str:
    """Return the hash of everything a container is made from but its door.

    `stamps` say which files stand behind the mounted paths now: a folder that was replaced is another folder.
    """
    request = build_create_request(kind, places, user, traits, door_id=DoorId(""), door_folder="", key="")
    text = json.dumps([request, stamps], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def build_mount_sources(kind: ContainerKind, places: ContainerPlaces) -> tuple[str, ...]:
    """Return every path of the host that a container of the kind is shown, its door apart."""
    return tuple(str(mount["Source"]) for mount in _mounts(kind, places, ""))[:-2]


def build_compile_request(
    image: str, home_id: str, folder: str, user: ContainerUser, traits: EngineTraits
) -> dict[str, object]:
    """Return the create request of the throw-away container that compiles the agent's code with the image's Python."""
    places = ContainerPlaces(home_id=home_id, group_folder="", bundle=folder)
    kind = ContainerKind(group_id=GroupId("compile"), image=image)
    # Outside the home's cgroup, which an engine may refuse: that is found out with the first agent.
    traits = replace(traits, parent_cgroup="")
    request = build_create_request(kind, places, user, traits, door_id=DoorId(""), door_folder="", key="")
    host_config = request["HostConfig"]
    if isinstance(host_config, dict):
        host_config["Mounts"] = [_bind(folder, "/opt/agent", writable=True)]
    # Unchecked: the copy never changes, so that no import has to look at its source.
    mode = ["--invalidation-mode", "unchecked-hash"]
    return {**request, "Cmd": [AGENT_COMMAND[0], "-I", "-m", "compileall", "-q", *mode, "/opt/agent"]}


def _mounts(kind: ContainerKind, places: ContainerPlaces, door_folder: str) -> list[dict[str, object]]:
    group = places.group_folder
    mounts = [
        _bind(f"{group}/workspace", "/workspace", writable=True),
        _bind(f"{group}/memory", "/memory", writable=True),
        _bind(f"{group}/home", "/home/agent", writable=True),
        _bind(f"{group}/inbox", "/inbox"),
        _bind(places.bundle, "/opt/agent"),
        *(_bind(skill.path, f"/skills/{skill.name}") for skill in kind.skills),
        *(_bind(space.path, f"/spaces/{space.name}", writable=space.may_write) for space in kind.spaces),
    ]
    if places.ca_file:
        mounts.append(_bind(places.ca_file, CA_FILE))
    if places.ca_bundle:
        mounts.append(_bind(places.ca_bundle, SYSTEM_BUNDLE))
    # The folder, not the sockets: a socket made anew by a restarted host or proxy is then seen inside.
    mounts.append(_bind(door_folder, "/run/yard"))
    mounts.append(_bind(f"{door_folder}/out", "/run/yard/out", writable=True))
    return mounts


def _bind(source: str, target: str, *, writable: bool = False) -> dict[str, object]:
    """Mounts, not Binds: the engine refuses a missing source instead of making a folder owned by root."""
    return {
        "Type": "bind",
        "Source": source,
        "Target": target,
        "ReadOnly": not writable,
        "BindOptions": {"Propagation": "rprivate"},
    }


def _ulimit(name: str, value: int) -> dict[str, object]:
    return {"Name": name, "Soft": value, "Hard": value}


def _environment(kind: ContainerKind, places: ContainerPlaces) -> dict[str, str]:
    variables = {
        # No /etc/passwd entry stands behind the user: what would be looked up there is said here.
        "HOME": "/home/agent",
        "USER": "agent",
        "LOGNAME": "agent",
        "SHELL": "/bin/bash",
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/home/agent/.local/bin",
        "LANG": "C.UTF-8",
        "TMPDIR": "/tmp",
    }
    if kind.harness != "native":
        variables["NIGHTYARD_HARNESS"] = kind.harness  # a spare starts its program before there is a task
    if kind.model is not None:
        variables |= build_model_environment(kind.model, FORWARDER, NO_KEY)
    variables |= QUIET | build_client_environment(FORWARDER, CA_FILE if places.ca_file else "")
    return with_placeholders(variables, kind.placeholders)
