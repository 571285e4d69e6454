"""The proxy as a process, killed with -9 in the middle of a refresh whose old token is good for one use only."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from credproxy.admin_client.link import ProxyAdmin
from credproxy.admin_client.secrets import GivenValue, add_secret
from credproxy.audit.chain import verify_chain
from protocol.ids import AttemptId, DoorId, GroupId, TaskId
from protocol.task import Effects, Lease, Limits
from tests.credproxy.issuers.house import CLIENT, until
from tests.credproxy.process import ProxyProcess
from tests.credproxy.street import Arrived, Client, Response, Upstream
from twins.oauth.logins import Login
from twins.oauth.server import Fault, OAuthTwin, serve_oauth

DOOR = DoorId("door_eeeeeeeeeeeeeeee")
LEASE = Lease(
    task_id=TaskId("task_1"),
    attempt_id=AttemptId("attempt_1"),
    group_id=GroupId("main"),
    effects=Effects.LIVE,
    limits=Limits(),
    routes=("api",),
)


class Scene:
    """An issuer, an API that takes its tokens, and a proxy process with a login of the one for the other."""

    def __init__(self, proxy: ProxyProcess, twin: OAuthTwin, login: Login) -> None:
        self.proxy = proxy
        self.twin = twin
        self.login = login
        self.admin = ProxyAdmin(proxy.admin_path)

    @property
    def door_path(self) -> Path:
        path = self.proxy.home / "run" / "c" / "ee" / "proxy.sock"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    async def restart(self) -> None:
        """Start again, and wait until the door that the host's link opens anew is there."""
        await asyncio.to_thread(self.proxy.start)
        while True:
            if DOOR in (await self.admin.health()).leases:
                return
            await asyncio.sleep(0.01)

    async def ask(self) -> Response:
        client = Client(*await asyncio.open_unix_connection(self.door_path))
        try:
            return await client.ask("POST", "/m/api/v1/chat/completions", body=b"{}")
        finally:
            client.close()


@pytest.fixture
def proxy(short_folder: Path) -> Iterator[ProxyProcess]:
    proxy = ProxyProcess(short_folder)
    yield proxy
    if proxy.process is not None and proxy.process.poll() is None:
        proxy.end(signal.SIGTERM)


@asynccontextmanager
async def scene(proxy: ProxyProcess) -> AsyncIterator[Scene]:
    async with serve_oauth() as (address, twin):

        async def respond(arrived: Arrived, writer: asyncio.StreamWriter) -> None:
            (bearer,) = arrived.header("authorization") or [""]
            status = b"200 OK" if twin.logins.is_good(bearer.removeprefix("Bearer ")) else b"401 Unauthorized"
            writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")

        upstream = Upstream(respond=respond)
        server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        (proxy.fork / "nightyard.yaml").write_text(
            f"routes: {{api: {{api: openai, url: 'http://127.0.0.1:{port}', secret: login}}}}\n"
        )
        await asyncio.to_thread(proxy.start)
        twin.logins.clients[CLIENT.client_id] = CLIENT
        login = twin.logins.log_in(CLIENT.client_id)
        parts = {
            "token_url": f"{address}/oauth/token",
            "client_id": CLIENT.client_id,
            "client_secret": CLIENT.secret or "",
            "refresh_token": login.refresh_token,
        }
        scene = Scene(proxy, twin, login)
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            running = group.create_task(scene.admin.run())
            await add_secret(
                scene.admin, "login", GivenValue(parts=parts), kind="key", type_name="oauth2-refresh", preset=None,
                replace=False,
            )  # fmt: skip
            await scene.admin.open_door(DOOR, scene.door_path)
            await scene.admin.grant(DOOR, LEASE)
            try:
                yield scene
            finally:
                running.cancel()
                server.close()
                await upstream.end()


@pytest.mark.parametrize("kind", ["late", "delay"])
async def test_killed_in_the_middle_of_a_refresh(proxy: ProxyProcess, kind: str) -> None:
    """Killed while the issuer thinks, before (delay) and after (late) it changed the tokens: the next process asks
    again, an issuer that forgives a lost answer gives new ones, and nobody has to log in again."""
    async with scene(proxy) as at:
        at.twin.logins.grace_s = 30
        before = at.login.refresh_token
        at.twin.faults.append(Fault(kind=kind, seconds=0.5))
        asking = asyncio.ensure_future(at.ask())
        await at.twin.arrived.wait()
        if kind == "late":
            await until(lambda: at.login.refresh_token != before)
        proxy.end(signal.SIGKILL)
        await asyncio.gather(asking, return_exceptions=True)
        await at.restart()
        assert (await at.ask()).status == 200
        assert not at.login.is_revoked
        assert (await asyncio.gather(*(at.ask() for _number in range(5))))[0].status == 200
        assert at.twin.logins.issued <= 3
    assert verify_chain(proxy.home / "audit.db").rows > 0
    assert proxy.spilled(before.encode()) == []
    assert proxy.spilled(at.login.refresh_token.encode()) == []


async def test_killed_at_an_issuer_that_forgives_nothing(proxy: ProxyProcess) -> None:
    """Such an issuer ends the login: the agent and the owner are told, once asked, and no request goes out without."""
    async with scene(proxy) as at:
        before = at.login.refresh_token
        at.twin.faults.append(Fault(kind="late", seconds=0.5))
        asking = asyncio.ensure_future(at.ask())
        await until(lambda: at.login.refresh_token != before)
        proxy.end(signal.SIGKILL)
        await asyncio.gather(asking, return_exceptions=True)
        await at.restart()
        answers = [await at.ask() for _number in range(3)]
        assert {answer.headers["x-nightyard"] for answer in answers} == {"login_lost"}
        assert len(at.twin.log) == 2


async def test_killed_at_any_moment_afterwards(proxy: ProxyProcess) -> None:
    """Killed at moments around the store of what came: the vault holds the old pair or the new one, never a mixture,
    and either works."""
    async with scene(proxy) as at:
        at.twin.logins.grace_s = 60
        for pause_s in (0.0, 0.003, 0.01):
            at.twin.logins.revoke_access()
            at.twin.arrived.clear()
            asking = asyncio.ensure_future(at.ask())
            await at.twin.arrived.wait()
            await asyncio.sleep(pause_s)
            proxy.end(signal.SIGKILL)
            await asyncio.gather(asking, return_exceptions=True)
            await at.restart()
            assert (await at.ask()).status == 200
            proxy.end(signal.SIGKILL)
            await at.restart()
        assert not at.login.is_revoked


async def test_ended_in_the_middle_of_a_refresh(proxy: ProxyProcess) -> None:
    """Told to end (SIGTERM) while the issuer thinks: what comes is stored first, and nothing is asked again."""
    async with scene(proxy) as at:
        at.twin.faults.append(Fault(kind="late", seconds=0.5))
        asking = asyncio.ensure_future(at.ask())
        await at.twin.arrived.wait()
        assert await asyncio.to_thread(proxy.end, signal.SIGTERM) == 0
        await asyncio.gather(asking, return_exceptions=True)
        await at.restart()
        assert (await at.ask()).status == 200
        assert len(at.twin.log) == 1
