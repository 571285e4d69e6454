"""The room of images, wired: what groups have beside the agent image, and who hears that one is there."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from functools import partial

from protocol.ids import GroupId
from protocol.message import OutboundMessage
from runtime.container_engine import ContainerEngine
from runtime.home import Home
from runtime.host_state import HostState
from runtime.images.house import Ears, Images, ImagesSetup
from runtime.insist import insist
from runtime.schedules.zones import zone_of
from runtime.store.store import Store
from services.host_setup import ROOT

COMMAND = (sys.executable, "-P", "-m", "cli.main")
"""The `nightyard` command, by this very Python."""


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
) -> Images:
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
    images = Images(
        ImagesSetup(base=image, repository=ROOT, book=home.path / "images.json", command=COMMAND),
        engine,
        lambda: state.groups,
        lambda: zone_of(state.settings.settings.time_zone),
        ears,
    )
    state.when_reloaded(images.wake)
    return images
