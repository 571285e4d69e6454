"""A vault, a twin that issues tokens, and the proxy's issuers between them, in this process over real sockets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from credproxy.issuers.credentials import CredentialFailed, Credentials
from credproxy.issuers.token_client import TokenClient
from credproxy.vault.credential import Credential
from credproxy.vault.sources import Sources
from credproxy.vault.vault import Vault
from credproxy.wire.deadlines import Deadlines
from credproxy.wire.upstream import Upstreams
from protocol.ids import GroupId
from twins.oauth.logins import Client, Login
from twins.oauth.server import OAuthTwin, serve_oauth

GROUP = GroupId("main")
CLIENT = Client(client_id="a-client", secret="canary-client-secret")


class House:
    """Set time by `ahead_s`; what was put into the audit is in `notes`."""

    def __init__(self, folder: Path, address: str, twin: OAuthTwin) -> None:
        self.folder = folder
        self.address = address
        self.twin = twin
        self.ahead_s = 0.0
        self.notes: list[tuple[str, str]] = []
        self.is_audit_whole = True
        self.twin.logins.clients = {CLIENT.client_id: CLIENT}
        self.vault: Vault
        self.credentials: Credentials

    @asynccontextmanager
    async def open(self) -> AsyncIterator[House]:
        """Run the issuers; they are ended in order at the end."""
        self.vault = Vault(self.folder / "vault.db", self.folder / "vault.key")
        deadlines = Deadlines(answer_s=2.0)
        client = TokenClient(Upstreams(deadlines=deadlines), deadlines)
        self.credentials = Credentials(self.vault, Sources(), client.send, note=self._note, clock=self.clock)
        try:
            async with asyncio.TaskGroup() as group:
                running = group.create_task(self.credentials.run())
                await asyncio.sleep(0)
                yield self
                running.cancel()
        finally:
            self.vault.close()

    def clock(self) -> float:
        return time.time() + self.ahead_s

    def log_in(self, name: str = "login", *, replace: bool = False, **parts: str) -> Login:
        """A person's login, kept in the vault."""
        login = self.twin.logins.log_in(CLIENT.client_id)
        self.add(name, "oauth2-refresh", self.parts_of(login) | parts, replace=replace)
        return login

    def parts_of(self, login: Login) -> dict[str, str]:
        return {
            "token_url": f"{self.address}/oauth/token",
            "client_id": CLIENT.client_id,
            "client_secret": CLIENT.secret or "",
            "refresh_token": login.refresh_token,
        }

    def add(self, name: str, type_name: str, parts: Mapping[str, str], *, replace: bool = False) -> None:
        self.vault.add(name, parts, type_name=type_name, replace=replace)

    async def token(self, name: str = "login") -> str:
        """Return the value that a request would get."""
        return (await self.first(name)).value.reveal()

    async def first(self, name: str = "login") -> Credential:
        async with asyncio.timeout(10):
            return (await self.credentials.candidates(name, GROUP))[0]

    async def failure(self, name: str = "login") -> CredentialFailed:
        try:
            await self.first(name)
        except CredentialFailed as failed:
            return failed
        raise AssertionError("a credential came after all")

    def stored(self, name: str, part: str) -> str:
        return self.vault.values(name)[0].parts[part].reveal()

    @property
    def asked(self) -> int:
        return len(self.twin.log)

    async def _note(self, name: str, what: str) -> bool:
        self.notes.append((name, what))
        return self.is_audit_whole


@asynccontextmanager
async def open_house(folder: Path) -> AsyncIterator[House]:
    async with serve_oauth() as (address, twin), House(folder, address, twin).open() as house:
        yield house


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for what another thread or a pause of the code's own brings about."""
    async with asyncio.timeout(10):
        while True:
            if is_so():
                return
            await asyncio.sleep(0.02)
