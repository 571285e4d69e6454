"""How one container comes to be and is taken away again, with its door at the proxy and its folder.

What it is made from is `container_command.py`'s decision; who asks for one, and when, is `containers.py`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from credproxy.admin_client.link import ProxyError
from protocol.ids import DoorId, GroupId, mint
from runtime.agent_bundle import ensure_bundle
from runtime.agent_link import AgentLink, LinkPlace
from runtime.agent_link_rules import LinkLimits, LinkMemory
from runtime.container_command import (
    ContainerKind,
    ContainerLimits,
    ContainerPlaces,
    EngineTraits,
    SpaceMount,
    build_create_request,
    build_mount_sources,
    build_spare_key,
    name_parent_cgroup,
)
from runtime.container_engine import ContainerEngine
from runtime.container_session import CannotStart, ContainerSession, ProxyDoors
from runtime.door import (
    DoorFolder,
    container_user,
    make_door,
    make_group_folders,
    make_space_folder,
    read_stderr_tail,
    remove_door,
)
from runtime.engine_errors import EngineAway, EngineError, EngineRefused, ImageMissing, LimitsNotApplied
from runtime.home import Home, SocketPathTooLong

log = logging.getLogger(__name__)

_Launch = asyncio.Future[tuple[str, ...] | CannotStart]
PlaceholdersOf = Callable[[GroupId], Awaitable[tuple[tuple[str, str], ...]]]


@dataclass(frozen=True, slots=True)
class _KnownKey:
    """A group's last key, with all that it was hashed from."""

    made_of: tuple[ContainerKind, ContainerPlaces, EngineTraits]
    sources: tuple[str, ...]
    stamps: tuple[str, ...]
    key: str


LOOK_EVERY_S = 1.0
"""How often a container whose agent has not said Hello is asked whether it still runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainersSetup:
    """What all containers of one home have in common."""

    home: Home
    home_id: str
    repository: Path
    """`agents/` and `protocol/` in it are what runs inside, `agents/image/seccomp.json` is what they may call."""
    image: str = ""
    """Whose agent code is compiled before the first task asks for it; empty: none."""
    bundle: Path | None = None
    """A ready agent folder instead of a compiled copy of the repository's: for scripted agents."""
    link: LinkLimits = field(default_factory=LinkLimits)
    disk_bytes: int = ContainerLimits().disk_bytes
    """What the folders of a container that an earlier host started may hold; new ones have it in their kind."""
    spaces_of: Callable[[GroupId], Sequence[SpaceMount]] = lambda _: ()
    """The same of the spaces that it is shown."""
    spare_idle_s: float = 600.0
    """A spare not taken for so long goes; 0 keeps none."""
    spare_delay_s: float = 0.3
    """The next spare is started so long after the last was taken: the agent at work comes first."""
    spares: int = 8
    """At most so many spares in all; 0 keeps none."""
    start_timeout_s: float = 30.0
    stop_grace_s: float = 1.5
    free_disk_floor_mb: int = 512
    free_memory_floor_mb: int = 128
    """No container starts below these; spares go below twice as much."""
    reap_every_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that is needed to start one container, looked up and checked."""

    kind: ContainerKind
    places: ContainerPlaces
    traits: EngineTraits
    key: str
    door_id: DoorId


class ContainerStart:
    """Makes sessions. `when_over` and `let_go` are given to each of them."""

    def __init__(
        self,
        setup: ContainersSetup,
        engine: ContainerEngine,
        proxy: ProxyDoors,
        *,
        spawn: Callable[[Coroutine[None, None, None]], None],
        finish: Callable[[Coroutine[None, None, None]], object],
        when_over: Callable[[ContainerSession], None],
        let_go: Callable[[ContainerSession, int], None],
        placeholders: PlaceholdersOf | None = None,
    ) -> None:
        """Two have something done that outlives the call: `spawn` until the host goes, `finish` before it goes.
        `placeholders` says what a group's containers hold in place of keys; None: nothing."""
        self._spawn = spawn
        self._finish = finish
        self._setup = setup
        self._engine = engine
        self._proxy = proxy
        self._when_over = when_over
        self._let_go = let_go
        self._placeholders = placeholders
        self._user = container_user()
        self._bundles: dict[str, Path] = {}
        self._bundling = asyncio.Lock()
        self._keys: dict[GroupId, _KnownKey] = {}
        """Each group's last key, with what it was hashed from: hashing takes longer than the rest of a hand-over."""
        self._is_engine_verified = False
        self._parent_refusal = ""
        self.removing: set[DoorId] = set()
        """Doors whose removal is under way: the reaper leaves them alone."""

    @property
    def engine_text(self) -> str:
        """Which engine it is and what it would not do; empty before one has answered."""
        if self._engine.facts is None:
            return ""
        return f"{self._engine.facts}{', without a cgroup of our own' if self._parent_refusal else ''}"

    @property
    def socket_uid(self) -> int | None:
        """Whom sockets are given to: the container's user if that is not our own."""
        return self._user.uid if os.geteuid() == 0 else None

    def current_bundles(self) -> frozenset[str]:
        """Names of the bundles that new containers use; empty before the first container."""
        return frozenset(path.name for path in self._bundles.values())

    async def plan(self, kind: ContainerKind) -> Plan | CannotStart:
        """Look up all that a container of the kind needs. With a known engine, image and grants this takes no wait."""
        if self._placeholders is not None:
            kind = replace(kind, placeholders=await self._placeholders(kind.group_id))
        try:
            traits = await self._traits()
            places = self._places(kind, await self._bundle(kind.image, traits))
            known = self._keys.get(kind.group_id)
            is_known = known is not None and known.made_of == (kind, places, traits)
            sources = known.sources if known is not None and is_known else build_mount_sources(kind, places)
            stamps = tuple(_stamp(source) for source in sources)
        except (EngineError, OSError) as error:
            return _cannot(error)
        if known is not None and is_known and known.stamps == stamps:
            key = known.key
        else:
            key = build_spare_key(kind, places, self._user, traits, stamps)
            self._keys[kind.group_id] = _KnownKey((kind, places, traits), sources, stamps, key)
        return Plan(kind=kind, places=places, traits=traits, key=key, door_id=DoorId(mint("door")))

    async def prepare(self, image: str) -> None:
        """Have the agent's code for an image ready before the first container needs it, if an engine answers."""
        try:
            await self._bundle(image, await self._traits())
        except (EngineError, OSError) as error:
            log.debug("the agent's code is compiled later: %s", error, extra={"action": "not_prepared"})

    async def start(self, plan: Plan) -> ContainerSession | CannotStart:
        """Start the container and wait until its agent has said Hello.

        Whatever goes wrong, and when cancelled, everything made is removed again.
        """
        folder = self._setup.home.door(plan.door_id)
        name = container_name(self._setup.home_id, plan.door_id)
        session: ContainerSession | None = None
        launching: _Launch = asyncio.get_running_loop().create_future()
        is_up = False
        try:
            door = make_door(folder, self._user)
            link = self._link(plan.door_id, plan.kind.group_id, door)
            link.listen()
            session = self._session(plan.kind.group_id, name, door, link)
            self._finish(self._launch(plan, door, name, launching))
            self._spawn(session.run())
            outcome = await self._wait_ready(plan, session, link, launching, door, name)
            is_up = outcome is None
            return outcome or session
        except (SocketPathTooLong, ProxyError, EngineError, OSError) as error:
            return _cannot(error)
        finally:
            if not is_up:
                self.removing.add(plan.door_id)
                if session is None:
                    launching.cancel()
                else:
                    session.leave()
                self._finish(self._undo(launching, name, plan.door_id, DoorFolder(folder)))

    def adopt(self, memory: LinkMemory, group_id: GroupId) -> ContainerSession:
        """Return the session of a container that an earlier host started; it is still to be run."""
        path = self._setup.home.door(memory.door_id)
        door = DoorFolder(path) if path.is_dir() else make_door(path, self._user)
        link = self._link(memory.door_id, group_id, door, memory)
        link.listen()
        session = self._session(group_id, container_name(self._setup.home_id, memory.door_id), door, link)
        session.mark_launched()
        return session

    async def remove(self, container: str, door_id: DoorId, door: DoorFolder) -> None:
        """Remove container, door and folder; what cannot go now goes by the reaper."""
        self.removing.add(door_id)
        try:
            if await self._remove_container(container, door_id):
                await asyncio.to_thread(remove_door, door.path)
        finally:
            self.removing.discard(door_id)

    async def _remove_container(self, container: str, door_id: DoorId) -> bool:
        """Remove container and door; False if the container is still there: its folder shows that to the reaper."""
        try:
            await self._engine.remove(container)
        except EngineError as error:
            extra = {"action": "remove_failed", "door_id": door_id}
            log.warning("a container could not be removed now: %s", error, extra=extra)
            return False
        finally:
            try:
                await self._proxy.close_door(door_id)
            except ProxyError as error:
                log.debug("the proxy closes a door later: %s", error, extra={"action": "door_left", "door_id": door_id})
        return True

    async def _launch(self, plan: Plan, door: DoorFolder, name: str, launching: _Launch) -> None:
        """Open the proxy's door and start the container, both at once; the result is the engine's warnings.

        In a task of its own: the engine finishes what it began, whoever does not wait for it any more.
        """
        try:
            async with asyncio.TaskGroup() as both:
                opening = both.create_task(self._open_door(plan.door_id, door))
                starting = both.create_task(self._start_container(plan, door, name))
            outcome = opening.result() or starting.result()
            if not launching.done():
                launching.set_result(outcome)
        finally:
            launching.cancel()

    async def _start_container(self, plan: Plan, door: DoorFolder, name: str) -> tuple[str, ...] | CannotStart:
        try:
            return await self._create(plan, plan.traits, door, name)
        except EngineRefused as refused:
            if not plan.traits.parent_cgroup or "cgroup" not in refused.detail.lower():
                return _cannot(refused)
            refusal = refused.detail
        except EngineError as error:
            return _cannot(error)
        try:
            warnings = await self._create(plan, replace(plan.traits, parent_cgroup=""), door, name)
        except EngineError as error:
            return _cannot(error)
        # It was the parent. The limits of each container hold without it; only what counts them together is missing.
        self._parent_refusal = refusal
        extra = {"action": "parent_cgroup_refused", "parent": plan.traits.parent_cgroup}
        log.warning("the engine puts no containers under a cgroup of ours: %s", refusal, extra=extra)
        return warnings

    async def _create(self, plan: Plan, traits: EngineTraits, door: DoorFolder, name: str) -> tuple[str, ...]:
        request = build_create_request(
            plan.kind,
            plan.places,
            self._user,
            traits,
            door_id=plan.door_id,
            door_folder=str(door.path),
            key=plan.key,
        )
        _, warnings = await self._engine.start(request, name)
        return warnings

    async def _open_door(self, door_id: DoorId, door: DoorFolder) -> CannotStart | None:
        try:
            await self._proxy.open_door(door_id, door.proxy_socket, self.socket_uid, is_held=True)
        except ProxyError as error:
            return _cannot(error)
        return None

    async def _wait_ready(
        self,
        plan: Plan,
        session: ContainerSession,
        link: AgentLink,
        launching: _Launch,
        door: DoorFolder,
        name: str,
    ) -> CannotStart | None:
        """Return None once the agent is there, or why it is not."""
        try:
            async with asyncio.timeout(self._setup.start_timeout_s):
                launched = await asyncio.shield(launching)
                if isinstance(launched, CannotStart):
                    return launched
                session.mark_launched()
                while not await _is_set_within(link.ready, LOOK_EVERY_S):
                    state = await self._engine.inspect(name)
                    if state is None or not state.is_running:
                        code = "gone" if state is None else f"exit code {state.exit_code}"
                        return _no_hello(f"it ended with {code}", door)
        except TimeoutError:
            return _no_hello(f"no word after {self._setup.start_timeout_s:g} s", door)
        if not self._is_engine_verified:
            # Once per engine, with the first container: what it took and did not apply, it never will.
            request = build_create_request(
                plan.kind, plan.places, self._user, plan.traits, door_id=plan.door_id, door_folder="", key=""
            )
            await self._engine.verify_limits(name, request, launched)
            self._is_engine_verified = True
        return None

    async def _undo(self, launching: _Launch, name: str, door_id: DoorId, door: DoorFolder) -> None:
        if not launching.done():
            await asyncio.wait([launching])
        await self.remove(name, door_id, door)

    def _link(
        self, door_id: DoorId, group_id: GroupId, door: DoorFolder, adopted: LinkMemory | None = None
    ) -> AgentLink:
        group_folder = self._setup.home.group(group_id)
        make_group_folders(group_folder, self._user)
        place = LinkPlace(socket_path=door.host_socket, uid=self.socket_uid, files_folder=group_folder / "outbox")
        return AgentLink(door_id, place, self._setup.link, adopted)

    def _session(self, group_id: GroupId, name: str, door: DoorFolder, link: AgentLink) -> ContainerSession:
        return ContainerSession(
            group_id=group_id,
            container=name,
            door=door,
            link=link,
            engine=self._engine,
            proxy=self._proxy,
            stop_grace_s=self._setup.stop_grace_s,
            when_over=self._when_over,
            let_go=self._let_go,
        )

    async def _traits(self) -> EngineTraits:
        facts = await self._engine.connect()
        parent = "" if self._parent_refusal else name_parent_cgroup(self._setup.home_id, facts.cgroup_driver)
        if not facts.is_podman:
            return EngineTraits(seccomp=self._seccomp, parent_cgroup=parent)
        # Podman's compatible API takes the profile as a file only.
        path = self._setup.home.run / "seccomp.json"
        if not path.exists() or path.read_text() != self._seccomp:
            path.write_text(self._seccomp)
        user_namespace = "keep-id" if facts.is_rootless else ""
        return EngineTraits(seccomp=str(path), user_namespace=user_namespace, parent_cgroup=parent)

    @cached_property
    def _seccomp(self) -> str:
        profile = json.loads((self._setup.repository / "agents/image/seccomp.json").read_bytes())
        return json.dumps(profile, separators=(",", ":"))

    async def _bundle(self, image: str, traits: EngineTraits) -> Path:
        if self._setup.bundle is not None:
            return self._setup.bundle
        async with self._bundling:
            known = self._bundles.get(image)
            if known is not None:
                return known
            setup = self._setup
            bundles = setup.home.agent_bundles
            bundle = await ensure_bundle(
                setup.repository, bundles, image, self._engine, traits, self._user, setup.home_id
            )
            self._bundles[image] = bundle
            return bundle

    def _places(self, kind: ContainerKind, bundle: Path) -> ContainerPlaces:
        group_folder = self._setup.home.group(kind.group_id)
        make_group_folders(group_folder, self._user)
        for space in kind.spaces:
            make_space_folder(Path(space.path), self._user)
        authority = f"{self._setup.home.path}/ca"
        ca_file, ca_bundle = f"{authority}/ca.pem", f"{authority}/bundle.pem"
        return ContainerPlaces(
            home_id=self._setup.home_id,
            group_folder=str(group_folder),
            bundle=str(bundle),
            ca_file=ca_file if os.path.isfile(ca_file) else "",  # noqa: PTH113 - on the way of every message
            ca_bundle=ca_bundle if os.path.isfile(ca_bundle) else "",  # noqa: PTH113
        )


def container_name(home_id: str, door_id: DoorId) -> str:
    """Return a container's name: known before the engine has made it, so that it can be removed in any case."""
    return f"nightyard-{home_id}-{door_id.rpartition('_')[2]}"


async def _is_set_within(event: asyncio.Event, timeout_s: float) -> bool:
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return False
    return True


def _stamp(source: str) -> str:
    """What stands behind a path now: a folder that was removed and made anew is another one."""
    status = os.stat(source)  # noqa: PTH116 - a dozen of these on the way of every message
    is_folder = status.st_mode & 0o170000 == 0o040000
    return f"{status.st_dev}:{status.st_ino}" + ("" if is_folder else f":{status.st_size}:{status.st_mtime_ns}")


def _no_hello(why: str, door: DoorFolder) -> CannotStart:
    tail = read_stderr_tail(door).strip().splitlines()
    said = f"; its last line: {tail[-1][:200]}" if tail else ""
    message = f"the agent in a new container did not report to the host: {why}{said}"
    return CannotStart(code="agent_did_not_start", message=message, mend="nightyard logs")


def _cannot(error: Exception) -> CannotStart:
    """Return what a failure means to the owner."""
    match error:
        case EngineAway():
            return CannotStart(code="engine_away", message=str(error), mend=error.mend)
        case ImageMissing():
            return CannotStart(code="image_missing", message=str(error), mend=error.mend)
        case LimitsNotApplied():
            return CannotStart(code="limits_not_applied", message=str(error), mend=error.mend)
        case SocketPathTooLong():
            return CannotStart(code="path_too_long", message=str(error), mend="set NIGHTYARD_HOME")
        case ProxyError():
            return CannotStart(code="proxy_away", message=str(error), mend="nightyard status")
        case EngineRefused():
            return CannotStart(code="engine_refused", message=str(error), mend=error.mend)
        case _:
            return CannotStart(code="engine_refused", message=str(error))
