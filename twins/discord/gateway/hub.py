"""All sessions of the bot: who is told of an event, in which form, and what faults do to events on their way."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque

from twins.discord.gateway.intents import Intent, wants
from twins.discord.gateway.protocol import (
    IDENTIFIES_PER_DAY,
    IDENTIFY_WINDOW_S,
    MAX_CONCURRENCY,
)
from twins.discord.gateway.session import Session, Wire
from twins.discord.saying import without_content
from twins.discord.world import Event, Json, World
from twins.faults import Faults

_DAY_S = 86_400.0
_OVERTAKEN_AT_LATEST_S = 0.5
"""How long (real) an event waits for one that overtakes it."""
EVENT_FAULTS = ("hold", "reorder", "duplicate")


class Hub:
    def __init__(self, world: World, faults: Faults) -> None:
        self.world = world
        self.faults = faults
        self.sessions: dict[str, Session] = {}
        self.identified_at: deque[float] = deque()
        self._held: list[Event] = []
        self._overtaken: list[Event] = []
        world.listeners.append(self.publish)

    def publish(self, event: Event) -> None:
        """Send an event on, or keep it back where a fault says so; in one chat nothing overtakes anything."""
        if not event.to_bot:
            return
        fault = self.faults.take(event.name, EVENT_FAULTS)
        kind = fault.kind if fault is not None else ""
        if kind == "hold" or any(_same_chat(event, one) for one in self._held):
            self._held.append(event)
        elif kind == "reorder" or any(_same_chat(event, one) for one in self._overtaken):
            self._overtaken.append(event)
            asyncio.get_running_loop().call_later(_OVERTAKEN_AT_LATEST_S, self._release_overtaken)
        else:
            self._send(event)
            if kind == "duplicate":
                self._send(event)
            self._release_overtaken()

    def release(self) -> None:
        """Send what was kept back."""
        self._release_overtaken()
        held, self._held = self._held, []
        for event in held:
            self._send(event)

    def _release_overtaken(self) -> None:
        overtaken, self._overtaken = self._overtaken, []
        for event in overtaken:
            self._send(event)

    def _send(self, event: Event) -> None:
        self._forget_old()
        for session in self.sessions.values():
            direct = event.channel is not None and event.channel.is_direct
            if wants(session.intents, event.name, direct=direct):
                session.dispatch(event.name, self._for_session(session, event))

    def _for_session(self, session: Session, event: Event) -> Json:
        if event.message is None or session.intents & Intent.MESSAGE_CONTENT:
            return event.data
        return without_content(self.world, event.data)

    def may_identify(self) -> bool:
        """Return whether another IDENTIFY is allowed now, and count it."""
        now = self.world.now
        while self.identified_at and now - self.identified_at[0] > _DAY_S:
            self.identified_at.popleft()
        recent = sum(1 for at in self.identified_at if now - at < IDENTIFY_WINDOW_S)
        if recent >= MAX_CONCURRENCY or self.identifies_left <= 0:
            return False
        self.identified_at.append(now)
        return True

    @property
    def identifies_left(self) -> int:
        return IDENTIFIES_PER_DAY - len(self.identified_at)

    def open_session(self, intents: int, wire: Wire) -> Session:
        session = Session(secrets.token_hex(16), intents, wire)
        self.sessions[session.id] = session
        return session

    def find_session(self, session_id: str) -> Session | None:
        """Return a session that can be resumed."""
        self._forget_old()
        return self.sessions.get(session_id)

    def end_session(self, session: Session) -> None:
        self.sessions.pop(session.id, None)

    @property
    def is_connected(self) -> bool:
        return any(session.wire is not None for session in self.sessions.values())

    def close_sockets(self, code: int) -> None:
        for wire in self._wires():
            wire.close(code)

    def silence_sockets(self) -> None:
        for wire in self._wires():
            wire.silence()

    def tell_to_leave(self, *, resumable: bool) -> None:
        """Have every client connect again, as Discord does when it moves them: opcode 7, or 9 for a lost session."""
        for session in [one for one in self.sessions.values() if one.wire is not None]:
            if session.wire is not None:
                session.wire.tell_to_leave(resumable=resumable)
            if not resumable:
                self.end_session(session)

    def _wires(self) -> list[Wire]:
        return [session.wire for session in self.sessions.values() if session.wire is not None]

    def _forget_old(self) -> None:
        for session in [one for one in self.sessions.values() if one.is_over(self.world.now)]:
            del self.sessions[session.id]


def _same_chat(one: Event, other: Event) -> bool:
    return one.channel is not None and one.channel is other.channel
