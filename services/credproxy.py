"""The credential proxy's process: `python -m services.credproxy`. Wiring only; each part says in its own file what it
does.

The home comes from NIGHTYARD_HOME, the fork from NIGHTYARD_FORK. SIGTERM ends it; doors and leases are set again by the
host when it is back. Exit codes: 0 ended as asked, 1 a bug or a failing disk, 3 it cannot run until somebody mends
something.
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import gc
import logging
import os
import resource
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from credproxy.admin_server.server import AdminServer
from credproxy.audit.jobs import AuditFailed
from credproxy.audit.log import Audit
from credproxy.audit.price_file import PriceFile
from credproxy.audit.upkeep import AuditUpkeep
from credproxy.injection.placeholder_key import load_placeholder_key
from credproxy.injection.placeholders import Placeholders
from credproxy.pipeline.door import DoorRefused, Doors
from credproxy.pipeline.host_door import HostDoor
from credproxy.pipeline.proxy import CredentialProxy
from credproxy.policy.grants import parse_grants
from credproxy.policy.own_files import own_files, use_own_files
from credproxy.policy.routes import build_route
from credproxy.policy.rules import GroupRules, Policy
from credproxy.policy.verdict import Route
from credproxy.tokens.token_file import TokenFile
from credproxy.trust.bundle import NoAuthority, make_authority_files
from credproxy.vault.errors import VaultError
from credproxy.vault.vault import Vault
from credproxy.wire.deadlines import Deadlines
from credproxy.wire.upstream import Upstreams
from protocol.ids import GroupId, is_group_id
from runtime.config import REHEARSAL, SETTINGS_FILE, RouteSettings
from runtime.home import Home, SocketPathTooLong, fork_from, home_from
from runtime.settings_file import load_settings
from services.log_setup import set_up_logging
from services.ready import say_ready

if TYPE_CHECKING:
    from credproxy.trust.certificates import CertificateAuthority

log = logging.getLogger("services.credproxy")

ROOT = Path(__file__).resolve().parent.parent
CANNOT_RUN = 3
PR_SET_DUMPABLE = 4
MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT = 1, 2, 4


class CannotRun(Exception):
    """The proxy cannot run here, and a person must do something; the text says what."""


REASONS = (CannotRun, SocketPathTooLong, VaultError, AuditFailed, DoorRefused, NoAuthority)
"""Why it may be unable to run: told to the person in one line, without a traceback."""


def main() -> int:
    """Run the proxy until it is told to end; return the exit code."""
    home, fork = home_from(os.environ), fork_from(os.environ, ROOT)
    keep_memory_private()
    try:
        with hold_home(home):
            set_up_logging(home.logs, "credproxy")
            make_authority_files(home.path / "ca")
            return asyncio.run(run_proxy(home, fork))
    except (*REASONS, sqlite3.Error) as error:
        log.error("the credential proxy cannot run: %s", error, extra={"action": "credproxy_cannot_run"})
        print(f"nightyard credproxy: {error}", file=sys.stderr)
        return CANNOT_RUN


def keep_memory_private() -> None:
    """No core file, and no debugger or /proc reader of the same user: this process holds keys in clear."""
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
        # Not into swap, where that is allowed without limit: under a limit, growing beyond it would be refused.
        if os.geteuid() == 0 or resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY:
            libc.mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)


def give_memory_back() -> None:
    """Return what the imports have used for a moment: half a megabyte, kept for ever otherwise."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
    if trim is not None:
        trim(0)


@contextmanager
def hold_home(home: Home) -> Iterator[None]:
    """Hold a lock of the home's, so that no second proxy opens its vault and sockets; raise CannotRun."""
    home.path.mkdir(mode=0o700, parents=True, exist_ok=True)
    home.doors.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (home.run / "credproxy.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotRun(f"another proxy runs for the home {home.path}; `nightyard down` ends it") from None
        yield


async def run_proxy(home: Home, fork: Path) -> int:
    """Run all parts in one task group until a signal; return the exit code."""
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    vault = Vault(home.path / "vault.db", home.path / "vault.key")
    deadlines = Deadlines()
    try:
        async with Audit(home.path / "audit.db") as audit:
            files = PolicyFiles(home, fork)
            proxy = CredentialProxy(
                vault=vault,
                audit=audit,
                load_authority=lambda: load_authority(home.path / "ca"),
                upstreams=Upstreams(deadlines=deadlines, extra_ca=read_extra_ca()),
                prices=files.prices,
                load_policy=files.load,
                has_policy_changed=files.have_changed,
                deadlines=deadlines,
                placeholders=Placeholders(load_placeholder_key(home.path)),
                spool_folder=home.path,
            )
            await proxy.take_up()
            await serve(proxy, home, ending, files)
    except BaseExceptionGroup as errors:
        first = errors.exceptions[0]
        if isinstance(first, REASONS):
            raise first from None
        log.critical("the credential proxy ends: %s", first, exc_info=errors, extra={"action": "credproxy_broke"})
        return 1
    finally:
        vault.close()
    log.info("the credential proxy has ended", extra={"action": "credproxy_ended"})
    return 0


async def serve(proxy: CredentialProxy, home: Home, ending: asyncio.Event, files: PolicyFiles) -> None:
    """Serve doors and the admin socket until the event."""
    doors = Doors(proxy, home.run)
    host_door = HostDoor(proxy, doors, TokenFile(home.path / "tokens.json"), lambda: files.host_door_port)
    admin = AdminServer(proxy, doors, home.proxy_socket, host_door)
    listening = asyncio.Event()
    async with asyncio.TaskGroup() as parts:
        running = [
            parts.create_task(proxy.run()),
            parts.create_task(doors.run()),
            parts.create_task(host_door.run()),
            parts.create_task(AuditUpkeep(proxy.audit, lambda: files.audit_days).run()),
            parts.create_task(admin.run(listening)),
        ]
        await listening.wait()
        for problem in proxy.problems:
            log.warning("not in force: %s", problem, extra={"action": "policy_problem"})
        log.info("the credential proxy is ready", extra={"action": "credproxy_ready", "pid": os.getpid()})
        # What the start has made lives as long as the process: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        give_memory_back()
        say_ready()
        await ending.wait()
        for part in running:
            part.cancel()


def load_authority(folder: Path) -> CertificateAuthority:
    """Open the authority; imported only now, for the memory's sake."""
    from credproxy.trust.certificates import CertificateAuthority

    return CertificateAuthority(folder)


class PolicyFiles:
    """Reads routes, grants and prices from the fork, again only when a file has changed."""

    def __init__(self, home: Home, fork: Path) -> None:
        self._fork = fork
        self._port_file = home.run / "rehearsal.port"
        self._seen: list[tuple[Path, object]] = []
        self._grants: dict[Path, tuple[object, GroupRules]] = {}
        """Each group's rules, and when its file was as they say: one group's edit does not cost the others' reading."""
        self.prices = PriceFile(fork)
        self.audit_days = 0
        """How long the audit's rows are kept; 0: for ever."""
        self.host_door_port = 0
        """Where the settings want the loopback door; 0: nowhere."""
        self._loaded: tuple[Policy, tuple[str, ...]] = (Policy(), ())

    def load(self) -> tuple[Policy, tuple[str, ...]]:
        """Return the policy and what is wrong with its files. What is wrong grants nothing."""
        seen = self._look()
        if seen != self._seen:
            self._loaded = self._read()
            self._seen = seen
        return self._loaded

    def have_changed(self) -> bool:
        return self._look() != self._seen

    def _look(self) -> list[tuple[Path, object]]:
        files = (self._fork / SETTINGS_FILE, self._port_file, self.prices.path)
        return [(path, _stamp(path)) for path in (*files, *own_files(self._fork), *self._grants_files())]

    def _grants_files(self) -> list[Path]:
        return sorted((self._fork / "groups").glob("*/grants.yaml"))

    def _read(self) -> tuple[Policy, tuple[str, ...]]:
        problems: list[str] = []
        parsed = load_settings(self._fork)
        self.host_door_port = parsed.settings.host_door_port
        self.audit_days = parsed.settings.audit_days
        self.prices.load()
        problems += [self.prices.problem] if self.prices.problem else []
        problems += use_own_files(self._fork)
        own = tuple((path, _stamp(path)) for path in own_files(self._fork))
        routes = {}
        for name, settings in parsed.settings.routes.items():
            route = self._build_route(name, settings)
            if isinstance(route, Route):
                routes[name] = route
            elif settings.url != REHEARSAL or parsed.settings.model.startswith(f"{name}/"):
                # Where nobody asks the rehearsal model it does not run, and that is no fault.
                problems.append(route)
        groups = {}
        known, self._grants = self._grants, {}
        for path in self._grants_files():
            if is_group_id(path.parent.name):
                stamp = (_stamp(path), own)
                before, rules = known.get(path, (None, None))
                if rules is None or before != stamp:
                    rules = load_grants(path, GroupId(path.parent.name))
                self._grants[path] = (stamp, rules)
                groups[GroupId(path.parent.name)] = rules
                problems += [rules.problem] if rules.problem else []
        return Policy(routes=routes, groups=groups), tuple(problems)

    def _build_route(self, name: str, settings: RouteSettings) -> Route | str:
        url = settings.url
        if url == REHEARSAL:
            try:
                url = f"http://127.0.0.1:{int(self._port_file.read_text('ascii'))}"
            except (OSError, ValueError):
                return f"routes.{name}: the rehearsal model has not said its port yet"
        return build_route(name, settings.api, url, settings.secret)


def load_grants(path: Path, group_id: GroupId) -> GroupRules:
    """Return a group's rules; a file that cannot be read or has a problem grants nothing."""
    file = f"groups/{group_id}/{path.name}"
    try:
        rules = parse_grants(path.read_text("utf-8"), group_id, file)
    except (OSError, UnicodeDecodeError) as error:
        return GroupRules(problem=f"{file} cannot be read: {error}")
    if isinstance(rules, list):
        return GroupRules(problem="; ".join(str(problem) for problem in rules[:5]))
    return rules


def read_extra_ca() -> str | None:
    """Return the authority that NIGHTYARD_UPSTREAM_CA names: a company's own, or a test's."""
    named = os.environ.get("NIGHTYARD_UPSTREAM_CA", "")
    if not named:
        return None
    try:
        return Path(named).read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise CannotRun(f"NIGHTYARD_UPSTREAM_CA names {named}, which cannot be read: {error}") from error


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


if __name__ == "__main__":
    sys.exit(main())
