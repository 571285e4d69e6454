"""What goes wrong with the gateway of Discord's twin on demand."""

from __future__ import annotations

import pytest

from tests.twins.discord_raw import Raw
from twins.discord.gateway.protocol import Close
from twins.discord.seed import ANNA, DIRECT, GENERAL
from twins.discord.user_side import controls, verbs


@pytest.mark.parametrize(
    ("code", "resumable"), [(1000, True), (1001, True), (4000, True), (4009, False), (4004, False)]
)
async def test_the_twin_closes_sockets_on_demand(raw: Raw, code: int, resumable: bool) -> None:
    """The fault close_socket: the session lives on where Discord lets it."""
    async with raw.gateway() as gateway:
        await gateway.identify()
        await gateway.until("GUILD_CREATE")
        controls.add_fault(raw.twin.hub, {"kind": "close_socket", "code": code})
        assert await gateway.until_closed() == code
        session, sequence = gateway.session_id, gateway.sequence
    await raw.twin.log.until(lambda: bool(raw.twin.log.read(event="gateway_parted")), 10)
    async with raw.gateway() as gateway:
        await gateway.resume(session, sequence)
        if resumable:
            await gateway.until("RESUMED")
        else:
            assert await gateway.until_op(9) is False


async def test_a_silent_socket_keeps_its_session_for_a_resume(raw: Raw) -> None:
    """Nothing comes any more, no answer to a heartbeat either; what was said is replayed on the next socket."""
    async with raw.gateway() as gateway:
        await gateway.identify()
        await gateway.until("GUILD_CREATE")
        controls.add_fault(raw.twin.hub, {"kind": "silent_socket"})
        verbs.type_text(raw.twin.world, {"text": "unheard"})
        await gateway.send(1, None)
        session, sequence = gateway.session_id, gateway.sequence
        async with raw.gateway() as second:
            await second.resume(session, sequence)
            assert (await second.until("MESSAGE_CREATE"))["content"] == "unheard"
        gateway.socket._response.close()  # as a cable is pulled


async def test_a_refused_socket_and_a_session_that_cannot_resume(raw: Raw) -> None:
    """refuse_socket: no upgrade, once; no_resume: opcode 9, false, and what was said meanwhile is lost."""
    async with raw.gateway() as gateway:
        await gateway.identify()
        await gateway.until("GUILD_CREATE")
        session, sequence = gateway.session_id, gateway.sequence
        controls.add_fault(raw.twin.hub, {"kind": "refuse_socket"})
        controls.add_fault(raw.twin.hub, {"kind": "no_resume"})
        with pytest.raises(Exception, match="503"):
            async with raw.gateway():
                pass
    async with raw.gateway() as gateway:
        await gateway.resume(session, sequence)
        assert await gateway.until_op(9) is False


async def test_events_come_twice_late_or_held_on_demand(raw: Raw) -> None:
    """duplicate, reorder (between chats alone) and hold, each on the next events."""
    world, hub = raw.twin.world, raw.twin.hub

    def say(text: str, chat: str) -> None:
        verbs.type_text(world, {"text": text, "chat": chat})

    async with raw.gateway() as gateway:
        await gateway.identify()
        await gateway.until("GUILD_CREATE")
        controls.add_fault(hub, {"kind": "duplicate", "method": "message_create"})
        say("twice", GENERAL)
        assert [(await gateway.until("MESSAGE_CREATE"))["content"] for _ in range(2)] == ["twice", "twice"]
        controls.add_fault(hub, {"kind": "reorder", "method": "message_create"})
        for text, chat in (("first", GENERAL), ("second", GENERAL), ("overtakes", DIRECT[ANNA])):
            say(text, chat)
        heard = [(await gateway.until("MESSAGE_CREATE"))["content"] for _ in range(3)]
        assert heard == ["overtakes", "first", "second"]
        controls.add_fault(hub, {"kind": "hold", "method": "message_create"})
        for text, chat in (("held", GENERAL), ("behind it", GENERAL), ("free", DIRECT[ANNA])):
            say(text, chat)
        assert (await gateway.until("MESSAGE_CREATE"))["content"] == "free"
        controls.clear_faults(hub)
        assert [(await gateway.until("MESSAGE_CREATE"))["content"] for _ in range(2)] == ["held", "behind it"]


async def test_a_resume_can_repeat_what_was_seen(raw: Raw) -> None:
    """duplicate, prepared for the resume: the last events come again with their old numbers."""
    async with raw.gateway() as gateway:
        await gateway.identify()
        await gateway.until("GUILD_CREATE")
        for text in ("one", "two"):
            verbs.type_text(raw.twin.world, {"text": text})
            await gateway.until("MESSAGE_CREATE")
        session, sequence = gateway.session_id, gateway.sequence
        await gateway.socket.close(code=4000)
    await raw.twin.log.until(lambda: bool(raw.twin.log.read(event="gateway_parted")), 10)
    controls.add_fault(raw.twin.hub, {"kind": "duplicate", "method": "resume"})
    async with raw.gateway() as gateway:
        await gateway.resume(session, sequence)
        again = [await gateway.receive() for _ in range(4)]
        assert [one["t"] for one in again] == ["GUILD_CREATE", "MESSAGE_CREATE", "MESSAGE_CREATE", "RESUMED"]
        assert [one["s"] for one in again] == list(range(sequence - 2, sequence + 2))


async def test_a_revoked_token_closes_the_gateway_for_good(raw: Raw) -> None:
    """4004 on the open socket and for whoever comes with the old token."""
    old = raw.twin.world.token
    async with raw.gateway() as gateway:
        await gateway.identify()
        await gateway.until("READY")
        await raw.person("token", {"token": "another"})
        assert await gateway.until_closed() == Close.AUTHENTICATION_FAILED
    async with raw.gateway() as gateway:
        await gateway.identify(token=old)
        assert await gateway.until_closed() == Close.AUTHENTICATION_FAILED


async def test_a_gateway_can_refuse_a_good_token(raw: Raw) -> None:
    """unauthorized, prepared for the gateway: 4004 once, then the token is good again."""
    controls.add_fault(raw.twin.hub, {"kind": "unauthorized", "method": "gateway"})
    async with raw.gateway() as gateway:
        await gateway.identify()
        assert await gateway.until_closed() == Close.AUTHENTICATION_FAILED
    async with raw.gateway() as gateway:
        await gateway.identify()
        await gateway.until("READY")
