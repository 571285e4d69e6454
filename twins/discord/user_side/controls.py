"""What a tester does to the twin itself: faults, the token, the clock."""

from __future__ import annotations

from twins.discord.gateway.hub import Hub
from twins.discord.gateway.protocol import Close
from twins.discord.world import Json, World


def add_fault(hub: Hub, body: Json) -> Json:
    """`{kind, method?, count?, …}`; those of sockets strike the open ones at once, else the next."""
    fault = hub.faults.add(body)
    if fault.kind in ("close_socket", "silent_socket") and hub.is_connected:
        hub.faults.take("gateway", (fault.kind,))
        if fault.kind == "close_socket":
            hub.close_sockets(fault.code)
        else:
            hub.silence_sockets()
    hub.world.log.note("fault", kind=fault.kind, method=fault.method)
    return {}


def clear_faults(hub: Hub) -> Json:
    hub.faults.clear()
    hub.release()
    return {}


def reconnect(hub: Hub, body: Json) -> Json:
    """`{resumable?}`: Discord moves its clients: opcode 7, or opcode 9 where the session cannot go on."""
    hub.tell_to_leave(resumable=bool(body.get("resumable", True)))
    return {}


def set_token(hub: Hub, body: Json) -> Json:
    """`{token}`: the old one is revoked; sessions that it opened end at once."""
    hub.world.token = str(body["token"])
    hub.close_sockets(Close.AUTHENTICATION_FAILED)
    return {}


def set_clock(world: World, body: Json) -> Json:
    """`{advance_s?, scale?}`."""
    if "scale" in body:
        world.clock.scale = float(body["scale"])
    if "advance_s" in body:
        world.clock.advance(float(body["advance_s"]))
    return {"now": world.now, "scale": world.clock.scale}
