"""An outside service whose every call is an effect in the world: it counts what was done, and how often."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from twins.http_server import Exchange, Request, serve_http


@dataclass(slots=True)
class Effects:
    done: Counter[str] = field(default_factory=Counter)
    """How often each id was done: `POST /effect/<id>`."""
    is_gone: bool = False
    """Whether every connection breaks off before anything is done."""

    async def handle(self, request: Request, exchange: Exchange) -> None:
        if self.is_gone:
            exchange.reset()
            return
        self.done[request.path.removeprefix("/effect/")] += 1
        await exchange.answer(200, b"done\n")


@asynccontextmanager
async def serve_effects() -> AsyncIterator[tuple[int, Effects]]:
    """Serve until the block is left; yields the port and the count."""
    effects = Effects()
    async with serve_http(effects.handle) as port:
        yield port, effects
