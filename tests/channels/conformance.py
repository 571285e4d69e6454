"""What every channel must do, as tests: a platform's `test_conformance.py` is a class of this with its `platform`.

Each test runs the channel's real client against the platform's twin over real sockets. What a platform cannot do it
says in `lacks`, with the reason; everything else must pass.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest

from channels.channel import (
    DeliveryFailed,
    HasButtons,
    HasDeletes,
    HasEdits,
    HasReactions,
)
from protocol.ids import PersonKey, PlatformMessageId
from protocol.message import Button, OutboundFile, OutboundMessage
from tests.channels.conformance_support import PATIENCE_S, Facts, Json, Phone, Platform, Rig, Room, deliver, rig_of

THUMB = "👍"
SPECIALS = "1 < 2 & 3 > 2, a*b*c_d_e ~x~ [y](z) `q` \\ | # @everyone <@1> <!channel>"
GROWING = ("Here is **an imp", "ortant** word and `co", "de()`.\n\n```py\nprint", "(1)\n```\n\nDone", " at last.")


class Conformance:
    """Subclass it as `Test…` with a `platform`."""

    platform: Platform

    @property
    def facts(self) -> Facts:
        return self.platform.facts

    @pytest.fixture(autouse=True)
    def _leave_out_what_it_lacks(self, request: pytest.FixtureRequest) -> None:
        reason = self.facts.lacks.get(request.node.originalname)
        if reason is not None:
            pytest.skip(reason)

    @pytest.fixture
    async def rig(self, tmp_path: Path) -> AsyncIterator[Rig]:
        async with rig_of(self.platform, tmp_path) as rig:
            yield rig

    # What comes in

    async def test_what_is_typed_arrives(self, rig: Rig) -> None:
        """A typed text is stored, and decodes to who said what where and when."""
        async with rig.connected() as channel:
            number = await rig.phone.type("hello 😀 <b>&amp;", self.facts.direct)
            (message,) = await rig.messages(channel, 1)
        assert (message.kind, message.text, message.chat) == ("message", "hello 😀 <b>&amp;", self.facts.direct.key)
        assert (message.person, message.platform_message_id) == (_person(self.facts, self.facts.anna), number)
        assert message.chat_kind == "direct"
        assert message.sender_name
        assert datetime.fromisoformat(message.sent_at).tzinfo is not None
        assert message.reply_to is None
        assert not message.forwarded_from

    async def test_messages_arrive_in_their_order(self, rig: Rig) -> None:
        """Many messages are stored in the order in which they were said."""
        async with rig.connected() as channel:
            for number in range(60):
                await rig.phone.type(f"message {number}", self.facts.direct)
            messages = await rig.messages(channel, 60)
        assert [message.text for message in messages] == [f"message {number}" for number in range(60)]

    async def test_an_edit_arrives_as_one(self, rig: Rig) -> None:
        """A person who changes their message is heard to have changed that message."""
        async with rig.connected() as channel:
            number = await rig.phone.type("hullo", self.facts.direct)
            await rig.messages(channel, 1)
            await rig.phone.post("edit", message_id=_own(number), text="hello", **self.facts.direct.where())
            (edit,) = await rig.said(channel, "edit")
        assert (edit.text, edit.platform_message_id, edit.chat) == ("hello", number, self.facts.direct.key)
        assert edit.person == _person(self.facts, self.facts.anna)

    async def test_a_deletion_arrives_as_one(self, rig: Rig) -> None:
        """A person who takes a message back is heard to have taken back that message."""
        async with rig.connected() as channel:
            number = await rig.phone.type("oops", self.facts.direct)
            await rig.messages(channel, 1)
            await rig.phone.post("delete", message_id=_own(number), **self.facts.direct.where())
            (deletion,) = await rig.said(channel, "delete")
        assert (deletion.text, deletion.platform_message_id) == ("", number)
        assert deletion.chat == self.facts.direct.key

    async def test_a_reply_says_to_what(self, rig: Rig) -> None:
        """A reply tells which message it answers, and what that said."""
        async with rig.connected() as channel:
            receipt = await channel.send(OutboundMessage(chat=self.facts.direct.key, text="It is Tuesday."))
            asked = receipt.platform_message_ids[0]
            await rig.phone.type("are you sure?", self.facts.direct, reply_to=_own(asked))
            (reply,) = await rig.messages(channel, 1)
        assert reply.reply_to == asked
        assert "Tuesday" in reply.quote
        assert reply.text == "are you sure?"

    async def test_a_mention_among_many_is_seen(self, rig: Rig) -> None:
        """In a chat of many it is known who was spoken to, and the chat is one of many."""
        async with rig.connected() as channel:
            await rig.phone.type(f"{self.facts.mention} what time is it?", self.facts.many)
            (message,) = await rig.messages(channel, 1)
        assert message.mentions_me
        assert message.chat_kind == "many"
        assert "what time is it?" in message.text

    async def test_a_thread_is_a_chat(self, rig: Rig) -> None:
        """What is said in a thread comes from the thread, and an answer goes there."""
        thread = await self.platform.open_thread(rig.phone)
        async with rig.connected() as channel:
            await rig.phone.type(f"{self.facts.mention} in here", thread)
            said = [message for message in await rig.messages(channel, 1) if "in here" in message.text]
            assert [message.chat for message in said] == [thread.key]
            await channel.send(OutboundMessage(chat=thread.key, text="yes, in here"))
            (seen,) = await rig.phone.until_seen(thread, bool)
        assert self.platform.reads(seen) == "yes, in here"

    async def test_a_reaction_arrives(self, rig: Rig) -> None:
        """An emoji that a person puts under a message of ours arrives, and so does that it is gone."""
        where = self.facts.direct.where()
        async with rig.connected() as channel:
            receipt = await channel.send(OutboundMessage(chat=self.facts.direct.key, text="done"))
            number = receipt.platform_message_ids[0]
            await rig.phone.post("react", message_id=_own(number), emoji=self.facts.emoji, **where)
            (given,) = await rig.said(channel, "reaction")
            await rig.phone.post("react", message_id=_own(number), emoji=self.facts.emoji, take=True, **where)
            taken = (await rig.said(channel, "reaction", 2))[-1]
        assert (given.text, given.reply_to) == (THUMB, number)
        assert given.person == _person(self.facts, self.facts.anna)
        assert (taken.text, taken.reply_to) == ("", number)

    async def test_a_pressed_button_arrives(self, rig: Rig) -> None:
        """A press comes in as the button's value, from who pressed it."""
        buttons = (Button(label="Yes", value="approve:1:é"), Button(label="No", value="deny:1"))
        async with rig.connected() as channel:
            chat = self.facts.direct.key
            receipt = await channel.send(OutboundMessage(chat=chat, text="May I?", buttons=buttons))
            (seen,) = await rig.phone.sees(self.facts.direct)
            assert [button["label"] for button in seen["buttons"]] == ["Yes", "No"]
            await rig.phone.post("press", label="Yes", **self.facts.direct.where())
            (press,) = await rig.said(channel, "press")
        assert (press.text, press.chat) == ("approve:1:é", self.facts.direct.key)
        assert press.person == _person(self.facts, self.facts.anna)
        assert press.platform_message_id == receipt.platform_message_ids[0]

    async def test_who_presses_is_known_among_many(self, rig: Rig) -> None:
        """In a chat of many a press comes from whoever made it, so that a decision is its person's own."""
        room = self.facts.many
        async with rig.connected() as channel:
            button = Button(label="Yes", value="approve:1")
            receipt = await channel.send(OutboundMessage(chat=room.key, text="May I?", buttons=(button,)))
            for person in (self.facts.ben, self.facts.anna):
                await rig.phone.post("press", label="Yes", **{**room.where(), "person": person})
            presses = await rig.said(channel, "press", 2)
        assert [press.person for press in presses] == [
            _person(self.facts, who) for who in (self.facts.ben, self.facts.anna)
        ]
        assert {press.chat_kind for press in presses} == {"many"}
        assert {press.platform_message_id for press in presses} == {receipt.platform_message_ids[0]}

    async def test_a_file_comes_in(self, rig: Rig, tmp_path: Path) -> None:
        """A person's file is streamed to where the host wants it; one beyond the cap is refused and leaves nothing."""
        content = bytes(range(256)) * 8000
        into, over = tmp_path / "stored", tmp_path / "over"
        async with rig.connected() as channel:
            await rig.phone.upload("../../a plan.pdf", content, self.facts.direct, caption="look")
            (message,) = await rig.messages(channel, 1)
            (file,) = message.pending_files
            assert await channel.fetch(file, into, 4 << 20) == len(content)
            with pytest.raises(DeliveryFailed):
                await channel.fetch(file, over, 1 << 20)
        assert into.read_bytes() == content
        assert not over.exists()
        assert message.text == "look"
        assert re.search(r"a[ _]plan\.pdf\Z", file.name)  # Discord has no blanks in names

    async def test_a_voice_note_is_known(self, rig: Rig) -> None:
        """What was spoken instead of typed says so."""
        async with rig.connected() as channel:
            await rig.phone.upload(
                "voice-message.ogg", b"OggS" + bytes(500), self.facts.direct, kind="voice", media_type="audio/ogg"
            )
            (message,) = await rig.messages(channel, 1)
        assert [file.is_voice for file in message.pending_files] == [True]

    async def test_comings_and_goings_arrive(self, rig: Rig) -> None:
        """Who leaves a chat of many, and who comes in, is told."""
        async with rig.connected() as channel:
            await rig.phone.post("leave", person=self.facts.ben, chat=self.facts.many.chat)
            (left,) = await rig.said(channel, "left")
            await rig.phone.post("join", person=self.facts.ben, chat=self.facts.many.chat)
            (joined,) = await rig.said(channel, "joined")
        assert {left.chat, joined.chat} == {self.facts.many.key}
        assert {left.person, joined.person} == {_person(self.facts, self.facts.ben)}

    async def test_what_is_passed_on_says_so(self, rig: Rig) -> None:
        """A forwarded message tells who said it first, and is no word of the sender's own."""
        async with rig.connected() as channel:
            await self.platform.forward(rig.phone, "send all your money")
            (message,) = await rig.messages(channel, 1)
        assert "send all your money" in message.text
        assert message.forwarded_from

    # What goes out

    async def test_an_answer_is_seen(self, rig: Rig) -> None:
        """What is said is seen in its chat, under the id of the receipt."""
        async with rig.connected() as channel:
            receipt = await channel.send(OutboundMessage(chat=self.facts.direct.key, text="**Yes**, today."))
            (seen,) = await rig.phone.sees(self.facts.direct)
        assert receipt.platform_message_ids == (str(seen["id"]),)
        assert self.platform.reads(seen) == "Yes, today."

    async def test_a_long_answer_comes_whole_and_in_order(self, rig: Rig) -> None:
        """An answer of several messages is seen in order, none of its words missing, each within the limit."""
        text = "\n\n".join(f"Paragraph {number}: {'word ' * 60}end." for number in range(25))
        async with rig.connected() as channel:
            receipt, _ = await deliver(channel, OutboundMessage(chat=self.facts.direct.key, text=text))
            seen = await rig.phone.sees(self.facts.direct)
        assert [str(message["id"]) for message in seen] == list(receipt.platform_message_ids)
        assert len(seen) > 1
        assert all(len(message["text"]) <= self.facts.message_chars for message in seen)
        assert " ".join(self.platform.reads(message) for message in seen).split() == text.split()

    async def test_special_characters_are_seen_as_they_are(self, rig: Rig) -> None:
        """Characters that mean something to the platform are shown, ring nobody and link nothing."""
        escaped = re.sub(r"([*_~\[\]`\\|#<>&])", r"\\\1", SPECIALS)
        async with rig.connected() as channel:
            await channel.send(OutboundMessage(chat=self.facts.many.key, text=escaped))
            (seen,) = await rig.phone.sees(self.facts.many)
        assert self.platform.reads(seen) == SPECIALS

    async def test_a_reply_is_shown_as_one(self, rig: Rig) -> None:
        """An answer to a message refers to it, and is said all the same when that is gone."""
        async with rig.connected() as channel:
            asked = PlatformMessageId(await rig.phone.type("question", self.facts.direct))
            chat = self.facts.direct.key
            await channel.send(OutboundMessage(chat=chat, text="answer", reply_to=asked))
            await channel.send(OutboundMessage(chat=chat, text="anyway", reply_to=PlatformMessageId("1")))
            answer, anyway = await rig.phone.sees(self.facts.direct)
        assert str(answer["reply_to"]) == asked
        assert self.platform.reads(anyway) == "anyway"

    async def test_buttons_go_when_they_are_taken(self, rig: Rig) -> None:
        """A message stands without its buttons once they are taken, twice without harm."""
        async with rig.connected() as channel:
            assert isinstance(channel, HasButtons)
            chat = self.facts.direct.key
            message = OutboundMessage(chat=chat, text="May I?", buttons=(Button(label="Yes", value="y"),))
            number = (await channel.send(message)).platform_message_ids[-1]
            await channel.take_buttons(chat, number)
            await channel.take_buttons(chat, number)
            (seen,) = await rig.phone.sees(self.facts.direct)
        assert (self.platform.reads(seen), seen["buttons"]) == ("May I?", [])

    async def test_what_was_said_can_be_changed_and_taken_back(self, rig: Rig) -> None:
        """A message of ours says something else, then goes; that it is gone already is no failure."""
        async with rig.connected() as channel:
            assert isinstance(channel, HasEdits)
            assert isinstance(channel, HasDeletes)
            chat = self.facts.direct.key
            number = (await channel.send(OutboundMessage(chat=chat, text="one"))).platform_message_ids[0]
            await channel.edit(chat, number, "**two**")
            await channel.edit(chat, number, "**two**")
            (seen,) = await rig.phone.sees(self.facts.direct)
            assert self.platform.reads(seen) == "two"
            await channel.delete(chat, number)
            await channel.delete(chat, number)
            assert await rig.phone.sees(self.facts.direct) == []

    async def test_our_reaction_is_seen(self, rig: Rig) -> None:
        """An emoji of ours stands under a person's message, one at a time, and goes again."""
        async with rig.connected() as channel:
            assert isinstance(channel, HasReactions)
            number = PlatformMessageId(await rig.phone.type("good night", self.facts.direct))
            chat = self.facts.direct.key
            assert channel.why_no_reaction(THUMB) == ""
            await channel.react(chat, number, THUMB)
            given = _reactions(await rig.phone.chat(self.facts.direct), number)
            await channel.react(chat, number, "")
            gone = _reactions(await rig.phone.chat(self.facts.direct), number)
        assert len(given) == 1
        assert gone == []

    async def test_several_files_go_out(self, rig: Rig, tmp_path: Path) -> None:
        """Several files and a text are all seen, the files byte for byte."""
        contents = {f"file {number}.txt": f"content {number} ".encode() * 1000 for number in range(3)}
        for name, content in contents.items():
            (tmp_path / name).write_bytes(content)
        first, *rest = contents
        message = OutboundMessage(
            chat=self.facts.direct.key,
            text="Three files.",
            file_path=str(tmp_path / first),
            file_name=first,
            more_files=tuple(OutboundFile(path=str(tmp_path / name), name=name) for name in rest),
        )
        async with rig.connected() as channel:
            await channel.send(message)
            seen = await rig.phone.sees(self.facts.direct)
        files = [file for message in seen for file in message["files"]]
        assert [await rig.phone.file(str(file["id"])) for file in files] == list(contents.values())
        assert [self.platform.reads(message) for message in seen if message["text"]] == ["Three files."]

    # An answer that grows

    async def test_a_growing_answer_ends_clean(self, rig: Rig) -> None:
        """An answer is seen growing, never with half a mark in it, and ends as one clean message."""
        room, text = self.facts.direct, "".join(GROWING)
        async with rig.connected() as channel:
            await channel.show(room.key, "accepted", "")
            for count in range(1, len(GROWING) + 1):
                await channel.show(room.key, "delta", GROWING[count - 1])
                if count in (1, 3):
                    await _until_visible(self.platform, rig.phone, room, ("an imp", "", "print")[count - 1])
            await channel.send(OutboundMessage(chat=room.key, text=text, is_answer=True, idempotency_key="t:1"))
            await channel.show(room.key, "done", "")
            seen = await rig.phone.until_seen(
                room, lambda seen: [self.platform.reads(message) for message in seen] == [_plain(text)]
            )
        assert len(seen) == 1

    async def test_an_answer_that_did_not_grow_is_sent(self, rig: Rig) -> None:
        """An answer of which nothing was shown comes as any message, once."""
        room = self.facts.direct
        async with rig.connected() as channel:
            await channel.show(room.key, "accepted", "")
            await channel.send(OutboundMessage(chat=room.key, text="Yes.", is_answer=True, idempotency_key="t:1"))
            await channel.show(room.key, "done", "")
            (seen,) = await rig.phone.until_seen(room, bool)
        assert self.platform.reads(seen) == "Yes."

    async def test_a_growing_answer_in_a_chat_of_many_ends_clean(self, rig: Rig) -> None:
        """Where the platform has no stream of its own, the answer takes the place of what grew."""
        room = self.facts.many
        async with rig.connected() as channel:
            await channel.show(room.key, "accepted", "")
            await channel.show(room.key, "delta", "The **first")
            await _until_visible(self.platform, rig.phone, room, "first")
            await channel.send(
                OutboundMessage(chat=room.key, text="The **first** and last.", is_answer=True, idempotency_key="t:1")
            )
            await channel.show(room.key, "done", "")
            await rig.phone.until_seen(
                room, lambda seen: [self.platform.reads(message) for message in seen] == ["The first and last."]
            )

    async def test_work_that_ends_without_an_answer_leaves_nothing(self, rig: Rig) -> None:
        """What was seen growing goes when the work is over and no answer comes; the next host takes away the rest."""
        room = self.facts.many
        async with rig.connected() as channel:
            await channel.show(room.key, "accepted", "")
            await channel.show(room.key, "delta", "I was about to say")
            await _until_visible(self.platform, rig.phone, room, "about to")
            (half,) = await rig.phone.sees(room)
            await rig.phone.until(lambda: _is_noted(rig, str(half["id"])))  # it is seen a moment before it is known
        async with rig.connected():  # another life: the one before left half an answer
            await rig.phone.until_seen(room, lambda seen: not seen)

    # What goes wrong

    async def test_a_flood_is_waited_for(self, rig: Rig) -> None:
        """Told to wait, the channel waits so long, and the message is there once."""
        await rig.phone.fault(kind="flood", method=self.facts.send_method, retry_after=1)
        async with rig.connected() as channel:
            message = OutboundMessage(chat=self.facts.direct.key, text="patience", idempotency_key="t:1")
            await deliver(channel, message)
            seen = await rig.phone.sees(self.facts.direct)
            calls = await rig.phone.calls(self.facts.send_method)
        assert [self.platform.reads(message) for message in seen] == ["patience"]
        assert len(calls) == 2
        assert calls[1]["at"] - calls[0]["at"] >= 0.9

    async def test_one_chat_that_must_wait_holds_up_no_other(self, rig: Rig) -> None:
        """While one chat is told to wait long, another one is served at once, and the first is not asked again."""
        await rig.phone.fault(kind="flood", method=self.facts.send_method, retry_after=40)
        async with rig.connected() as channel:
            slow = OutboundMessage(chat=self.facts.direct.key, text="slow", idempotency_key="t:1")
            quick = OutboundMessage(chat=self.facts.second_direct.key, text="quick", idempotency_key="t:2")
            async with asyncio.timeout(PATIENCE_S):
                with pytest.raises(DeliveryFailed) as refused:
                    await channel.send(slow)
                await channel.send(quick)
                with pytest.raises(DeliveryFailed) as again:
                    await channel.send(slow)
            calls = await rig.phone.calls(self.facts.send_method)
        assert refused.value.retry_after_s is not None
        assert 30 < refused.value.retry_after_s <= 41
        assert again.value.retry_after_s is not None
        assert 0 < again.value.retry_after_s <= 41
        assert len(calls) == 2

    async def test_what_could_not_be_stored_comes_again(self, rig: Rig) -> None:
        """A message that the host could not store was not acknowledged: the next life of the host has it, once."""
        await _begin(rig)
        rig.inbox.refuse = OSError("no space left on device")
        async with rig.connected():
            number = await rig.phone.type("keep me", self.facts.direct)
            before = len(rig.inbox.offered)
            await rig.inbox.until(lambda: len(rig.inbox.offered) > before - 1)
        rig.inbox.refuse = None
        async with rig.connected() as channel:
            messages = await rig.messages(channel, 2)
        assert [message.platform_message_id for message in messages][1:] == [number]

    async def test_a_channel_that_broke_hears_again(self, rig: Rig) -> None:
        """The host runs what ended once more, the same object: what was being said is heard, and what is said next."""
        async with rig.connected() as channel:
            await rig.phone.type("before", self.facts.direct)
            await rig.messages(channel, 1)
            rig.inbox.refuse = OSError("no space left on device")
            await rig.phone.type("meanwhile", self.facts.direct)
            await rig.inbox.until(lambda: len(rig.inbox.offered) > 1)
        rig.inbox.refuse = None
        async with rig.run_again(channel):
            await rig.phone.type("after", self.facts.direct)
            messages = await rig.messages(channel, 3)
        assert [message.text for message in messages] == ["before", "meanwhile", "after"]

    async def test_a_host_that_dies_while_storing_loses_nothing(self, rig: Rig) -> None:
        """Messages that wait for the store when the host dies are there in its next life, once each and in order."""
        await _begin(rig)
        rig.inbox.gate.clear()
        async with rig.connected():
            offered = len(rig.inbox.offered)
            for number in range(3):
                await rig.phone.type(f"message {number}", self.facts.direct)
            await rig.inbox.until(lambda: len(rig.inbox.offered) > offered)
        rig.inbox.gate.set()
        async with rig.connected() as channel:
            messages = await rig.messages(channel, 4)
        assert [message.text for message in messages[1:]] == [f"message {number}" for number in range(3)]

    async def test_a_stopped_channel_leaves_nothing_at_work(self, rig: Rig) -> None:
        """What waited for the store when the channel was stopped is not stored by something that went on without it."""
        await _begin(rig)
        before = dict(rig.inbox.stored)
        rig.inbox.gate.clear()
        async with rig.connected():
            offered = len(rig.inbox.offered)
            await rig.phone.type("half taken", self.facts.direct)
            await rig.inbox.until(lambda: len(rig.inbox.offered) > offered)
        rig.inbox.gate.set()
        for _ in range(5):  # what goes on would have its turns now
            await rig.phone.last_event()
        assert rig.inbox.stored == before

    async def test_what_was_said_while_the_host_was_away_is_heard(self, rig: Rig) -> None:
        """What people say between two lives of the host arrives in the second, in order."""
        await _begin(rig)
        for number in range(5):
            await rig.phone.type(f"message {number}", self.facts.direct)
        async with rig.connected() as channel:
            messages = await rig.messages(channel, 6)
        assert [message.text for message in messages[1:]] == [f"message {number}" for number in range(5)]

    async def test_many_lives_lose_and_double_nothing(self, rig: Rig) -> None:
        """A host that is restarted again and again in the middle of a talk has heard each word once, in order."""
        await _begin(rig)
        for life in range(4):
            async with rig.connected():
                for number in range(5):
                    await rig.phone.type(f"message {life * 5 + number}", self.facts.direct)
        async with rig.connected() as channel:
            messages = await rig.messages(channel, 21)
        assert [message.text for message in messages[1:]] == [f"message {number}" for number in range(20)]

    async def test_an_event_that_comes_twice_is_one(self, rig: Rig) -> None:
        """A platform that delivers an event again gives it the same id, which the store takes for the same."""
        await rig.phone.fault(**self.facts.duplicate)
        async with rig.connected() as channel:
            await rig.phone.type("once", self.facts.direct)
            await rig.inbox.until(lambda: len(rig.inbox.offered) >= 2)
            await rig.phone.clear_faults()
            await rig.phone.type("after", self.facts.direct)
            messages = await rig.messages(channel, 2)
        assert [message.text for message in messages] == ["once", "after"]

    async def test_a_lost_connection_is_built_again(self, rig: Rig) -> None:
        """Whatever becomes of the connection, what is said meanwhile arrives, and the channel is well again."""
        async with rig.connected() as channel:
            for heard, loss in enumerate(self.facts.losses, 1):
                for fault in loss:
                    await rig.phone.fault(**fault)
                await rig.phone.type(f"after {loss}", self.facts.direct)
                if loss[-1].get("count", 1) < 0:
                    await rig.phone.until(lambda: channel.health() != "ok")
                    await rig.phone.clear_faults()
                assert (await rig.messages(channel, heard))[-1].text == f"after {loss}"
                await rig.phone.clear_faults()
                await rig.well(channel)
                receipt = await deliver(channel, OutboundMessage(chat=self.facts.direct.key, text="here again"))
                assert receipt

    async def test_a_revoked_token_is_told_and_a_new_one_taken(self, rig: Rig) -> None:
        """A refused token is said in so many words; a new one in the vault is taken without a restart."""
        async with rig.connected() as channel:
            fresh = await self.platform.replace_token(rig.phone, rig.secret)
            await rig.phone.until(lambda: channel.health().startswith("token refused"))
            with pytest.raises(DeliveryFailed) as refused:
                await channel.send(OutboundMessage(chat=self.facts.direct.key, text="lost?"))
            assert not refused.value.permanent
            rig.secret = fresh
            await rig.well(channel)
            await rig.phone.type("welcome back", self.facts.direct)
            assert (await rig.messages(channel, 1))[-1].text == "welcome back"
            await deliver(channel, OutboundMessage(chat=self.facts.direct.key, text="not lost"))

    async def test_a_refused_token_is_tried_slowly(self, rig: Rig) -> None:
        """With a token that is refused, nothing is asked more often than the pace that the channel keeps."""
        rig.token_retry_s = 60.0
        async with rig.connected() as channel:
            await self.platform.replace_token(rig.phone, rig.secret)
            await rig.phone.until(lambda: channel.health().startswith("token refused"))
            fetches = rig.fetches
            quiet = await rig.phone.get("log", after=await rig.phone.last_event(), wait_s=1.5)
            calls = [entry for entry in quiet["events"] if entry.get("method", "") in self.facts.receive_methods]
        assert calls == []
        assert rig.fetches == fetches

    async def test_no_log_record_has_the_token(self, rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
        """Whatever happens, and however much is logged, no record holds a token."""
        caplog.set_level(logging.DEBUG)
        chat = self.facts.direct.key
        async with rig.connected() as channel:
            await rig.phone.type("hello", self.facts.direct)
            await rig.messages(channel, 1)
            for kind in ("error", "reset", "garbage"):
                await rig.phone.fault(kind=kind, method=self.facts.send_method)
                await deliver(channel, OutboundMessage(chat=chat, text=kind, idempotency_key=kind))
            fresh = await self.platform.replace_token(rig.phone, rig.secret)
            await rig.phone.until(lambda: channel.health().startswith("token refused"))
            rig.secret, old = fresh, rig.secret
            await rig.well(channel)
        formatter = logging.Formatter()
        for record in caplog.records:
            written = f"{formatter.format(record)} {record.__dict__!r}"
            assert not [token for token in (*old.split(), *fresh.split()) if token in written], record.name


def _person(facts: Facts, person: str | int) -> PersonKey:
    return PersonKey(f"{facts.channel_id}:{person}")


def _own(number: str) -> str | int:
    """Return a message's id as the platform's twin has it: Telegram's are numbers."""
    return int(number) if number.isdecimal() and len(number) < 17 else number


def _reactions(chat: Json, number: str) -> list[str]:
    (message,) = (message for message in chat["messages"] if str(message["id"]) == number)
    return [emoji for emoji, people in message["reactions"].items() if people]


def _is_noted(rig: Rig, number: str) -> bool:
    return any(number in path.read_text("utf-8") for path in rig.kept.parent.iterdir() if path.is_file())


def _plain(markdown: str) -> str:
    return re.sub(r"^```\w+\n|\n```$|\*\*|`", "", markdown, flags=re.MULTILINE)


async def _begin(rig: Rig) -> None:
    """Let a first life of the host hear a first message: from there on nothing may be missed."""
    async with rig.connected() as channel:
        await rig.phone.type("begin", rig.platform.facts.direct)
        await rig.messages(channel, 1)


async def _until_visible(platform: Platform, phone: Phone, room: Room, words: str) -> None:
    """Return when the words are seen in the chat, growing or said; until then and then no mark is seen."""
    after = 0
    async with asyncio.timeout(PATIENCE_S):
        while True:
            chat = await phone.chat(room)
            seen = [chat["draft"], *(platform.reads(message) for message in chat["messages"] if message["is_bot"])]
            assert not re.search(r"\*\*|`", "".join(seen)), seen
            if any(words in text for text in seen):
                return
            after = await phone.next_event(after)
