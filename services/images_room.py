"""The room of images, wired: what groups have beside the agent image, and who hears that one is there."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from protocol.ids import GroupId, TaskId
from protocol.message import OutboundMessage
from protocol.tools import ADD_PACKAGES
from runtime.approvals.approvals import Approvals
from runtime.asks.tool_sets import checked
from runtime.container_engine import ContainerEngine
from runtime.control.images import image_verbs
from runtime.home import Home
from runtime.host_state import HostState
from runtime.images.book import open_book
from runtime.images.house import Ears, Images, ImagesSetup
from runtime.images.wishes import PackageWishes
from runtime.insist import insist
from runtime.schedules.zones import zone_of
from runtime.store.store import Store
from runtime.waiting_tasks import WaitingTasks
from services.host_setup import ROOT
from services.room import Room

COMMAND = (sys.executable, "-P", "-m", "cli.main")
"""The `nightyard` command, by this very Python."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagesRoom:
    """Its word on images, which tasks ask for; and the room."""

    images: Images
    room: Room


def images_room(
    home: Home,
    image: str,
    store: Store,
    state: HostState,
    engine: ContainerEngine,
    *,
    wake_dispatcher: Callable[[], None],
    wake_delivery: Callable[[], None],
    drop_spares: Callable[[], Awaitable[None]],
    alarm: Callable[[str, str, GroupId], None],
    approvals: Approvals,
    waiting: WaitingTasks,
    hand_back: Callable[[TaskId], None],
    fork: Path,
) -> ImagesRoom:
    """Return the room; `image` is what groups have that want nothing more."""

    async def tell_waiting(group_id: GroupId, key: str, text: str) -> bool:
        waiting = await store.waiting_messages()
        chats = dict.fromkeys(message.inbound.chat for message in waiting if message.group_id == group_id)
        for chat in chats:
            message = OutboundMessage(chat=chat, text=text)
            await insist(partial(store.put_outbound, f"{key}:{chat}", message), "a notice")
        wake_delivery()
        return bool(chats)

    ears = Ears(ready=wake_dispatcher, refreshed=drop_spares, tell_waiting=tell_waiting, alarm=alarm)
    book = open_book(home.path / "images.json")
    images = Images(
        ImagesSetup(base=image, repository=ROOT, command=COMMAND),
        book,
        engine,
        lambda: state.groups,
        lambda: zone_of(state.settings.settings.time_zone),
        ears,
    )
    wishes = PackageWishes(
        store,
        images,
        book,
        approvals,
        fork,
        groups=lambda: state.groups,
        resume=waiting.resume,
        hand_back=hand_back,
        reload=state.reload,
        wake_delivery=wake_delivery,
    )
    approvals.subscribe("package", wishes.decided)
    waiting.answer_kind("packages", checked(ADD_PACKAGES, wishes.asked, lambda: state.groups))
    state.when_reloaded(images.wake)
    return ImagesRoom(images=images, room=Room(verbs=image_verbs(images), parts=(images.run, wishes.run)))
