"""The container engine: Docker, or Podman's Docker-compatible socket, through the `docker` SDK.

The only file that imports `docker`, and it does so late: its import costs 65 ms, which a host that starts should not
wait for. The SDK blocks, so each call runs in a thread of a small pool; starting and ending have pools of their own,
so that a stop never waits behind twenty starts. What to ask for is `container_command.py`'s business.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from runtime.container_command import LABEL_BUNDLE, LABEL_DOOR, LABEL_GROUP, LABEL_HOME
from runtime.container_effect import CGROUP_FILES, EffectReading, find_limits_not_applied
from runtime.engine_address import SCHEME, engine_addresses, wrong_engine
from runtime.engine_errors import ContainerUnknown, EngineAway, EngineRefused, ImageMissing, LimitsNotApplied

if TYPE_CHECKING:
    import docker

CALL_TIMEOUT_S = 60
"""How long the SDK waits for an answer: an engine under a stampede of starts takes seconds for one."""
CALL_THREADS = 4
END_THREADS = 4
WAIT_THREADS = 8

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFacts:
    """Which engine answered."""

    name: str
    version: str
    api_version: str
    is_rootless: bool
    cgroup_driver: str = ""
    """`cgroupfs` or `systemd`; anything else: containers cannot be put under a cgroup of ours."""

    @property
    def is_podman(self) -> bool:
        return self.name == "podman"

    def __str__(self) -> str:
        return f"{self.name} {self.version} (API {self.api_version}{', rootless' if self.is_rootless else ''})"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundContainer:
    """A container with our home's label."""

    container_id: str
    door_id: str
    group_id: str
    bundle: str
    is_running: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerState:
    is_running: bool
    exit_code: int
    out_of_memory: bool
    """Some process in it was killed for memory; not always the one that mattered."""
    pid: int


class ContainerEngine:
    """One engine. Raises EngineError's kinds; each call may be cancelled, the engine then finishes it by itself."""

    def __init__(self, sockets: tuple[str, ...] | None = None) -> None:
        """`sockets`: base URLs to try in this order; None: as the environment and this machine's habits say."""
        self._sockets = sockets if sockets is not None else engine_addresses(os.environ)
        self._client: docker.APIClient | None = None
        self._connecting = asyncio.Lock()
        self._facts: EngineFacts | None = None
        self._calls = ThreadPoolExecutor(CALL_THREADS, "engine-call")
        self._ends = ThreadPoolExecutor(END_THREADS, "engine-end")
        self._waits = ThreadPoolExecutor(WAIT_THREADS, "engine-wait")

    @property
    def facts(self) -> EngineFacts | None:
        """None until an engine has answered."""
        return self._facts

    async def connect(self) -> EngineFacts:
        """Find the engine that answers; later calls return what was found. Raises EngineAway."""
        async with self._connecting:
            if self._facts is not None:
                return self._facts
            self._client, facts = await self._in(self._calls, partial(_open_client, self._sockets))
            self._facts = facts
            return facts

    def close(self) -> None:
        """Free threads and connections; containers are left as they are."""
        for pool in (self._calls, self._ends, self._waits):
            pool.shutdown(wait=False, cancel_futures=True)
        if self._client is not None:
            self._client.close()

    async def start(self, request: Mapping[str, object], name: str) -> tuple[str, tuple[str, ...]]:
        """Create and start a container; return its id and the engine's warnings. One that cannot start is removed."""
        image = str(request["Image"])
        return await self._ask("start a container", partial(_create_and_start, request, name), subject=image)

    async def inspect(self, container: str) -> ContainerState | None:
        """Return how a container is; None if the engine does not know it. By id or name."""
        try:
            found = await self._ask("inspect", lambda c: c.inspect_container(container), pool=self._waits)
        except ContainerUnknown:
            return None
        return _read_state(found)

    async def wait_for_end(self, container: str, timeout_s: int) -> bool:
        """Wait until a container does not run; False if it still does after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s + 5):
                return await self._ask("wait", partial(_wait, container, timeout_s), pool=self._waits)
        except ContainerUnknown:
            return True
        except TimeoutError:
            return False

    async def kill(self, container: str) -> None:
        """Kill all processes of a container; fine if it does not run or does not exist."""
        await self._ask("kill", partial(_kill, container), pool=self._ends)

    async def remove(self, container: str) -> None:
        """Kill and remove a container; fine if it does not exist. On return none of its processes is left."""
        with contextlib.suppress(ContainerUnknown):
            remove = partial(_remove, container)
            await self._ask("remove a container", remove, pool=self._ends)

    async def list_containers(self, home_id: str) -> list[FoundContainer]:
        """Return all containers with the home's label, running or not."""
        filters = {"label": [f"{LABEL_HOME}={home_id}"]}
        found = await self._ask("list containers", lambda client: client.containers(all=True, filters=filters))
        return [_read_found(item) for item in found]

    async def image_made_at(self, reference: str) -> datetime | None:
        """Return when an image was made, None if the engine does not have it."""
        try:
            found = await self._ask("inspect an image", partial(_inspect_image, reference))
        except ImageMissing:
            return None
        # Nanoseconds, which Python 3.11 reads only as far as microseconds go.
        seconds = str(found["Created"]).partition(".")[0].rstrip("Z")
        return datetime.fromisoformat(seconds).replace(tzinfo=UTC)

    async def verify_limits(self, container: str, request: Mapping[str, object], warnings: tuple[str, ...]) -> None:
        """Raise LimitsNotApplied unless a running container has what was asked for, by what the kernel says of it."""
        found = await self._ask("inspect", lambda client: client.inspect_container(container))
        is_rootless = self._facts is not None and self._facts.is_rootless
        reading = await self._in(self._calls, partial(_read_effect, found, is_rootless))
        missing = find_limits_not_applied(request, reading, warnings)
        if missing:
            raise LimitsNotApplied(missing)

    async def _ask(
        self,
        what: str,
        call: Callable[[docker.APIClient], T],
        *,
        subject: str = "",
        pool: ThreadPoolExecutor | None = None,
    ) -> T:
        if self._client is None:
            await self.connect()
        client = self._client
        assert client is not None
        return await self._in(pool or self._calls, partial(_translate, what, subject, partial(call, client)))

    async def _in(self, pool: ThreadPoolExecutor, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(pool, call)


def _open_client(sockets: tuple[str, ...]) -> tuple[docker.APIClient, EngineFacts]:
    import docker
    import docker.errors
    import requests

    refusals = []
    for socket in sockets:
        wrong = wrong_engine(socket)
        if wrong:
            refusals.append(wrong)
            continue
        if not Path(socket.removeprefix(SCHEME)).exists():
            refusals.append(f"{socket}: not there")
            continue
        try:
            client = docker.APIClient(base_url=socket, version="auto", timeout=CALL_TIMEOUT_S, max_pool_size=16)
            # No look at proxy variables and ~/.netrc at every request.
            client.trust_env = False
            return client, _read_facts(client.version(), client.info(), client.api_version)
        except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
            refusals.append(f"{socket}: {_innermost(error)}")
    raise EngineAway(" or ".join(sockets), "; ".join(refusals))


def _translate(what: str, subject: str, call: Callable[[], T]) -> T:
    """Run one call of the SDK; raise our errors for its."""
    import docker.errors
    import requests

    try:
        return call()
    except docker.errors.ImageNotFound as error:
        raise ImageMissing(subject) from error
    except docker.errors.NotFound as error:
        if "no such image" in str(error.explanation).lower():
            raise ImageMissing(subject) from error
        raise ContainerUnknown(what) from error
    except docker.errors.APIError as error:
        raise EngineRefused(what, str(error.explanation or error)) from error
    except (requests.exceptions.RequestException, docker.errors.DockerException) as error:
        raise EngineAway("its socket", f"{what}: {_innermost(error)}") from error


def _create_and_start(
    request: Mapping[str, object], name: str, client: docker.APIClient
) -> tuple[str, tuple[str, ...]]:
    created: dict[str, Any] = client.create_container_from_config(request, name)  # type: ignore[no-untyped-call] # has none
    container_id = str(created["Id"])
    try:
        client.start(container_id)
    except BaseException:
        with _known_failures():
            client.remove_container(container_id, force=True)
        raise
    return container_id, tuple(str(warning) for warning in created.get("Warnings") or ())


def _inspect_image(reference: str, client: docker.APIClient) -> dict[str, Any]:
    found: dict[str, Any] = client.inspect_image(reference)  # type: ignore[no-untyped-call] # has none
    return found


def _wait(container: str, timeout_s: int, client: docker.APIClient) -> bool:
    import requests

    try:
        client.wait(container, timeout=timeout_s)
    except requests.exceptions.ReadTimeout:
        return False
    except requests.exceptions.ConnectionError as error:
        # A read that times out inside a response's body is told as a lost connection.
        if "timed out" in str(error).lower():
            return False
        raise
    return True


def _kill(container: str, client: docker.APIClient) -> None:
    import docker.errors

    try:
        client.kill(container)
    except docker.errors.APIError as error:
        if error.status_code not in (404, 409):
            raise


def _remove(container: str, client: docker.APIClient) -> None:
    import docker.errors

    try:
        client.remove_container(container, force=True, v=True)
    except docker.errors.APIError as error:
        # 409: a removal is under way already.
        if error.status_code not in (404, 409):
            raise


@contextlib.contextmanager
def _known_failures() -> Iterator[None]:
    import docker.errors
    import requests

    with contextlib.suppress(docker.errors.DockerException, requests.exceptions.RequestException):
        yield


def _read_facts(version: Mapping[str, Any], info: Mapping[str, Any], api_version: str) -> EngineFacts:
    components = version.get("Components") or ()
    is_podman = any("podman" in str(component.get("Name", "")).lower() for component in components)
    options = info.get("SecurityOptions") or ()
    return EngineFacts(
        name="podman" if is_podman else "docker",
        version=str(version.get("Version", "?")),
        api_version=api_version,
        # Docker has a security option of that name; Podman 4 a field of its own.
        is_rootless=info.get("Rootless") is True or any("rootless" in str(option) for option in options),
        cgroup_driver=str(info.get("CgroupDriver") or ""),
    )


def _read_state(found: Mapping[str, Any]) -> ContainerState:
    state = found["State"]
    return ContainerState(
        is_running=bool(state.get("Running")),
        exit_code=int(state.get("ExitCode") or 0),
        out_of_memory=bool(state.get("OOMKilled")),
        pid=int(state.get("Pid") or 0),
    )


def _read_found(item: Mapping[str, Any]) -> FoundContainer:
    labels = item.get("Labels") or {}
    return FoundContainer(
        container_id=str(item["Id"]),
        door_id=labels.get(LABEL_DOOR, ""),
        group_id=labels.get(LABEL_GROUP, ""),
        bundle=labels.get(LABEL_BUNDLE, ""),
        is_running=item.get("State") in ("running", "paused", "restarting"),
    )


def _read_effect(found: Mapping[str, Any], is_rootless: bool) -> EffectReading:
    """Read what the kernel says of the container's first process, where this machine's /proc shows it."""
    pid = int(found["State"].get("Pid") or 0)
    process = Path(f"/proc/{pid}")
    folders = _cgroup_folders(_read_text(process / "cgroup")) if pid else []
    return EffectReading(
        status=_read_text(process / "status") if pid else "",
        ulimits=_read_text(process / "limits") if pid else "",
        mounts=_read_text(process / "mountinfo") if pid else "",
        is_cgroup_readable=bool(folders),
        cgroup_limits={
            name: text for folder in folders for name in CGROUP_FILES if (text := _read_text(folder / name).strip())
        },
        has_swap=any(not line.startswith("Filename") for line in _read_text(Path("/proc/swaps")).splitlines()),
        is_rootless=is_rootless,
        host_config=dict(found.get("HostConfig") or {}),
    )


def _cgroup_folders(text: str) -> list[Path]:
    """Return the folders of a process's control groups that can be seen here; `text` is its /proc/<pid>/cgroup."""
    folders = []
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        # Not the root's own: it has no limits, and a group outside our namespace is shown as one above it.
        folder = Path("/sys/fs/cgroup") / controllers / path.lstrip("/")
        if path.strip("/") and ".." not in path and folder.is_dir():
            # Podman's runtime puts the processes into a group of this name below the one that has the limits.
            folders.append(folder.parent if folder.name == "container" else folder)
    return folders


def _read_text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _innermost(error: BaseException) -> str:
    """The first cause: the SDK wraps a refused connection four times, and only the inmost says it."""
    seen: BaseException = error
    while (below := seen.__cause__ or seen.__context__) is not None:
        seen = below
    return str(seen) or type(seen).__name__
