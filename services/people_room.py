"""The room of people, wired: who may speak, which chats have which agents, where agents may send."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from runtime.approvals.approvals import Approvals
from runtime.commands.chats import chat_handlers
from runtime.commands.people import people_handlers
from runtime.control.people import people_verbs
from runtime.host_state import HostState
from runtime.people.chats import Chats
from runtime.people.desk import People
from runtime.people.destinations import Destinations
from runtime.people.own_terminal import OwnTerminal
from runtime.people.records import AccessRequest
from runtime.store.store import Store
from services.room import Room


def people_room(
    fork: Path,
    store: Store,
    state: HostState,
    approvals: Approvals,
    destinations: Destinations,
    *,
    take_up: Callable[[AccessRequest], None],
    wake_delivery: Callable[[], None],
) -> Room:
    """Return the room; what strangers ask is decided as approvals."""
    people = People(store, state, approvals, take_up=take_up, wake=wake_delivery)
    chats = Chats(store, state, people, fork)
    approvals.choose("person", people.choose)
    approvals.choose("chat", chats.choose)
    approvals.subscribe("person", people.decided)
    approvals.subscribe("chat", people.decided)
    terminal = OwnTerminal(store, lambda: state.groups, state.usual_group)
    state.when_reloaded(terminal.wake)
    return Room(
        verbs=people_verbs(people, chats, destinations),
        handlers={**people_handlers(people), **chat_handlers(people, chats)},
        parts=(terminal.run,),
    )
