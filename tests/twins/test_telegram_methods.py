"""The methods of the Bot API, asked by the SDK: it knows every field of every answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from telegram import (
    Bot,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputMediaDocument,
    InputMediaPhoto,
    InputSticker,
    Message,
    MessageEntity,
)
from telegram.error import BadRequest, ChatMigrated, Forbidden

from tests.twins.telegram_side import ADA, BEN, GROUP, PNG, Server, sdk_bot, serving, unknown_fields
from twins.telegram.methods.edits import DELETABLE_S

KEYBOARD = InlineKeyboardMarkup([[InlineKeyboardButton("Yes", callback_data="y")]])


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as running:
        yield running


@pytest.fixture
async def bot(server: Server) -> AsyncIterator[Bot]:
    async with sdk_bot(server) as made:
        yield made


def known(value: Any) -> Any:
    """Return a value after seeing that the SDK knows all of it."""
    assert unknown_fields(value) == []
    return value


async def test_every_kind_of_message_is_sent_and_known(bot: Bot) -> None:
    """Each send method gives a message of its kind, none with a field that the SDK does not know."""
    sent: list[Message] = [
        await bot.send_message(ADA, "*x* https://x.org", parse_mode="Markdown", reply_markup=KEYBOARD),
        await bot.send_photo(ADA, PNG, caption="<b>c</b>", parse_mode="HTML", has_spoiler=True),
        await bot.send_document(ADA, b"d", filename="d.txt", thumbnail=PNG),
        await bot.send_audio(ADA, b"a", filename="a.mp3", title="T", performer="P", duration=5),
        await bot.send_voice(ADA, b"v"),
        await bot.send_video(ADA, b"v", filename="v.mp4", cover=PNG),
        await bot.send_video_note(ADA, b"n"),
        await bot.send_animation(ADA, b"g", filename="g.mp4"),
        await bot.send_sticker(ADA, PNG, emoji="💪"),
        await bot.send_location(ADA, 1.5, 2.5, live_period=60),
        await bot.send_venue(ADA, 1.5, 2.5, "title", "address", foursquare_id="f"),
        await bot.send_contact(ADA, "+1", "First", "Last"),
        await bot.send_poll(ADA, "q?", ["a", "b"], allows_multiple_answers=True, open_period=60),
        await bot.send_dice(ADA, emoji="🎳"),
        await bot.send_invoice(ADA, "t", "d", "payload", "XTR", [{"label": "l", "amount": 3}]),  # type: ignore[list-item]  # as JSON
    ]
    for message in sent:
        known(message)
        assert message.from_user is not None
        assert message.from_user.is_bot
    assert sent[0].entities == (MessageEntity("bold", 0, 1), MessageEntity("url", 2, 13))
    assert sent[1].caption == "c"
    assert sent[5].video is not None
    assert sent[5].video.cover


async def test_everything_about_chats_and_the_bot_is_known(server: Server, bot: Bot) -> None:
    """What is asked about chats, members and the bot itself comes in the SDK's own schema."""
    await server.person("promote", chat=GROUP)
    for chat in (ADA, GROUP):
        known(await bot.get_chat(chat))
    assert known(await bot.get_chat_member(GROUP, ADA)).status == "creator"
    assert known(await bot.get_chat_member(GROUP, BEN)).status == "member"
    assert {each.status for each in known(await bot.get_chat_administrators(GROUP))} == {"creator", "administrator"}
    assert await bot.get_chat_member_count(GROUP) == 4
    known(await bot.get_me())
    assert await bot.set_my_description("d", language_code="de")
    assert known(await bot.get_my_description("de")).description == "d"
    assert known(await bot.get_my_name()).name == "Rehearsal"
    known(await bot.get_user_profile_photos(ADA))
    known(await bot.get_chat_menu_button())
    known(await bot.get_my_default_administrator_rights())
    known(await bot.create_chat_invite_link(GROUP, name="n", member_limit=3))
    known(await bot.get_webhook_info())
    known(await bot.get_forum_topic_icon_stickers())
    known(await bot.get_available_gifts())


async def test_updates_of_every_kind_are_known(server: Server, bot: Bot) -> None:
    """All that people do reaches the SDK as updates that it knows whole."""
    await bot.get_updates(timeout=0, allowed_updates=["message", "message_reaction", "chat_member", "my_chat_member"])
    await server.person("promote", chat=GROUP)
    number = await server.types("hello", chat=GROUP)
    await server.types("a reply", chat=GROUP, reply_to=number, quote="hel")
    for kind in ("document", "photo", "voice", "audio", "video", "animation", "video_note", "sticker"):
        await server.person("upload", name="f.bin", content="eA==", kind=kind, caption="c", emoji="💪")
    await server.person("react", chat=GROUP, message_id=number, emoji="👍")
    await server.person("react", chat=GROUP, message_id=number, emoji="👍", take=True)
    await server.person("leave", chat=GROUP, person=BEN)
    await server.person("join", chat=GROUP, person=BEN)
    await server.person("topic", chat=GROUP, name="Seeds")
    await server.person("forward", message_id=number, from_chat=GROUP)
    await server.person("block", chat=BEN)
    await server.person("leave", chat=GROUP, person="bot", kick=True)
    server.world.clock.advance(4)
    updates = await bot.get_updates()
    known(updates)
    kinds = {kind for update in updates for kind in update.to_dict()}
    assert kinds == {"update_id", "message", "message_reaction", "chat_member", "my_chat_member"}


async def test_albums_come_as_several_messages_of_one_group(bot: Bot) -> None:
    """Two to ten files of kinds that go together."""
    group = await bot.send_media_group(ADA, [InputMediaPhoto(PNG, caption="one"), InputMediaPhoto(PNG)])
    known(group)
    assert len({message.media_group_id for message in group}) == 1
    assert [message.caption for message in group] == ["one", None]
    with pytest.raises(BadRequest, match="Too few messages to send as an album"):
        await bot.send_media_group(ADA, [InputMediaPhoto(PNG)])
    with pytest.raises(BadRequest, match="Can't use the media of the specified type in the album"):
        await bot.send_media_group(ADA, [InputMediaPhoto(PNG), InputMediaDocument(b"d")])


async def test_editing_changes_what_it_names_and_drops_the_buttons(server: Server, bot: Bot) -> None:
    """Text, caption, file and buttons are edited; the same again is not a change; without buttons they go."""
    sent = await bot.send_message(ADA, "a", reply_markup=KEYBOARD)
    edited = known(await bot.edit_message_text("b", ADA, sent.message_id))
    assert edited.reply_markup is None
    with pytest.raises(BadRequest, match="exactly the same as a current content and reply markup of the message"):
        await bot.edit_message_text("b", ADA, sent.message_id)
    await bot.edit_message_text("b", ADA, sent.message_id, reply_markup=KEYBOARD)
    without = await bot.edit_message_text("b", ADA, sent.message_id)
    assert isinstance(without, Message)
    assert without.reply_markup is None
    photo = await bot.send_photo(ADA, PNG, caption="c")
    assert (
        known(await bot.edit_message_caption(ADA, photo.message_id, caption="*d*", parse_mode="MarkdownV2")).caption
        == "d"
    )
    swapped = known(await bot.edit_message_media(InputMediaDocument(b"d", filename="d.txt"), ADA, photo.message_id))
    assert swapped.document is not None
    assert not swapped.photo
    buttons = await bot.edit_message_reply_markup(ADA, sent.message_id, reply_markup=KEYBOARD)
    assert isinstance(buttons, Message)
    assert buttons.reply_markup == KEYBOARD
    theirs = await server.types("mine")
    with pytest.raises(BadRequest, match="Message can't be edited"):
        await bot.edit_message_text("x", ADA, theirs)


async def test_a_message_is_deleted_within_48_hours(server: Server, bot: Bot) -> None:
    """Later only an administrator may; of a group's people only an administrator may at all."""
    fresh, old = await bot.send_message(ADA, "fresh"), await bot.send_message(ADA, "old")
    in_group = await bot.send_message(GROUP, "old")
    theirs = await server.types("theirs", chat=GROUP)
    assert await bot.delete_message(ADA, fresh.message_id)
    with pytest.raises(BadRequest, match="Message can't be deleted"):
        await bot.delete_message(GROUP, theirs)
    await server.person("clock", advance_s=DELETABLE_S + 1)
    for chat, number in ((ADA, old.message_id), (GROUP, in_group.message_id)):
        with pytest.raises(BadRequest, match="Message can't be deleted"):
            await bot.delete_message(chat, number)
    await server.person("promote", chat=GROUP)
    assert await bot.delete_messages(GROUP, [in_group.message_id, theirs])


async def test_forwards_say_whence_and_copies_do_not(bot: Bot) -> None:
    """A protected message is neither."""
    sent = await bot.send_photo(ADA, PNG, caption="c")
    forwarded = known(await bot.forward_message(GROUP, ADA, sent.message_id))
    assert forwarded.forward_origin.sender_user.is_bot
    copied = known(await bot.copy_message(GROUP, ADA, sent.message_id, caption="new"))
    assert copied.message_id > forwarded.message_id
    protected = await bot.send_message(ADA, "x", protect_content=True)
    with pytest.raises(BadRequest, match="Message can't be forwarded"):
        await bot.forward_message(GROUP, ADA, protected.message_id)
    with pytest.raises(BadRequest, match="Message can't be copied"):
        await bot.copy_message(GROUP, ADA, protected.message_id)


async def test_topics_are_made_closed_and_deleted_by_an_administrator(server: Server, bot: Bot) -> None:
    """A topic is a thread of its number; the General one is number 1 and is not written to by it."""
    with pytest.raises(BadRequest, match="Not enough rights to manage topics"):
        await bot.create_forum_topic(GROUP, "Seeds")
    await server.person("promote", chat=GROUP)
    topic = known(await bot.create_forum_topic(GROUP, "Seeds"))
    sent = await bot.send_message(GROUP, "x", message_thread_id=topic.message_thread_id)
    assert sent.is_topic_message
    assert sent.message_thread_id == topic.message_thread_id
    assert await bot.close_general_forum_topic(GROUP)
    with pytest.raises(BadRequest, match="Message thread not found"):
        await bot.send_message(GROUP, "x", message_thread_id=1)
    with pytest.raises(BadRequest, match="Topic_not_modified"):
        await bot.close_general_forum_topic(GROUP)
    assert await bot.delete_forum_topic(GROUP, topic.message_thread_id)
    with pytest.raises(BadRequest, match="Message thread not found"):
        await bot.send_message(GROUP, "x", message_thread_id=topic.message_thread_id)


async def test_a_poll_closes_in_its_time(server: Server, bot: Bot) -> None:
    """A poll with a period is closed by the twin's clock, others by the bot, and only once."""
    timed = await bot.send_poll(ADA, "q?", ["a", "b"], open_period=60)
    await server.person("clock", advance_s=61)
    edited = await bot.edit_message_reply_markup(ADA, timed.message_id, reply_markup=KEYBOARD)
    assert isinstance(edited, Message)
    assert edited.poll is not None
    assert edited.poll.is_closed
    by_hand = await bot.send_poll(ADA, "q?", ["a", "b"])
    assert known(await bot.stop_poll(ADA, by_hand.message_id)).is_closed
    with pytest.raises(BadRequest, match="Poll has already been closed"):
        await bot.stop_poll(ADA, by_hand.message_id)


async def test_the_bot_has_one_reaction_to_a_message(server: Server, bot: Bot) -> None:
    """A new one takes the place of the old one; two at once are too many; a person sees it."""
    number = await server.types("x")
    await bot.set_message_reaction(ADA, number, "👀")
    await bot.set_message_reaction(ADA, number, "👍")
    assert [message["reactions"] for message in await server.sees()] == [{"👍": [server.world.bot["id"]]}]
    with pytest.raises(BadRequest, match="Reactions_too_many"):
        await bot.set_message_reaction(ADA, number, ["👀", "👍"])
    with pytest.raises(BadRequest, match="Reaction_invalid"):
        await bot.set_message_reaction(ADA, number, "🧽")
    await bot.set_message_reaction(ADA, number)
    assert (await server.sees())[0]["reactions"] == {}


async def test_typing_and_drafts_end_by_themselves(server: Server, bot: Bot) -> None:
    """The bot is seen typing for five seconds, a draft for thirty; a message ends both."""
    server.world.clock.scale = 0.001

    async def seen() -> tuple[bool, str]:
        chat = (await server.http.get("/twin/chat")).json()
        return chat["typing"], chat["draft"]

    await bot.send_chat_action(ADA, "typing")
    await bot.send_message_draft(ADA, 1, "grow")
    assert await seen() == (True, "grow")
    await server.person("clock", advance_s=6)
    assert await seen() == (False, "grow")
    await server.person("clock", advance_s=25)
    assert await seen() == (False, "")
    await bot.send_chat_action(ADA, "typing")
    await bot.send_message_draft(ADA, 1, "*grows* on", parse_mode="MarkdownV2")
    assert await seen() == (True, "grows on")
    await bot.send_message(ADA, "done")
    assert await seen() == (False, "")
    with pytest.raises(BadRequest, match="Textdraft_peer_invalid"):
        await bot.send_message_draft(GROUP, 1, "x")


async def test_a_press_waits_for_its_answer_for_a_while(server: Server, bot: Bot) -> None:
    """After a minute the answer is too old; an answer's text has 200 characters."""
    await bot.send_message(ADA, "?", reply_markup=KEYBOARD)
    press = (await server.person("press", value="y"))["press_id"]
    with pytest.raises(BadRequest, match="Message_too_long"):
        await bot.answer_callback_query(press, "x" * 201)
    await server.person("clock", advance_s=61)
    with pytest.raises(BadRequest, match="Query is too old and response timeout expired or query id is invalid"):
        await bot.answer_callback_query(press)


async def test_who_may_not_be_written_to(server: Server, bot: Bot) -> None:
    """Blocked, gone, thrown out, moved: each in the server's words, the move with the new chat."""
    await server.person("block", chat=BEN)
    with pytest.raises(Forbidden, match="bot was blocked by the user"):
        await bot.send_message(BEN, "x")
    await server.person("deactivate", chat=ADA)
    with pytest.raises(Forbidden, match="user is deactivated"):
        await bot.send_message(ADA, "x")
    await server.person("leave", chat=GROUP, person="bot")
    with pytest.raises(Forbidden, match="bot is not a member of the supergroup chat"):
        await bot.send_message(GROUP, "x")
    await server.person("leave", chat=GROUP, person="bot", kick=True)
    with pytest.raises(Forbidden, match="bot was kicked from the supergroup chat"):
        await bot.send_message(GROUP, "x")
    await server.person("join", chat=GROUP, person="bot")
    await server.person("move", chat=GROUP, to=-1009)
    with pytest.raises(ChatMigrated) as moved:
        await bot.send_message(GROUP, "x")
    assert moved.value.new_chat_id == -1009
    assert (await bot.send_message(-1009, "x")).chat.type == "supergroup"


async def test_a_files_link_lives_for_an_hour(server: Server, bot: Bot) -> None:
    """After an hour it is asked for anew; one id is as good as another upload."""
    sent = await bot.send_document(ADA, b"content", filename="a.txt")
    assert sent.document is not None
    file = known(await sent.document.get_file())
    assert bytes(await file.download_as_bytearray()) == b"content"
    await server.person("clock", advance_s=3601)
    path = f"/{str(file.file_path).split('/', 3)[3]}"
    assert (await server.http.get(path)).status_code == 404
    assert bytes(await (await sent.document.get_file()).download_as_bytearray()) == b"content"
    again = await bot.send_document(ADA, sent.document.file_id)
    assert again.document == sent.document
    with pytest.raises(BadRequest, match="Can't use file of type document as photo"):
        await bot.send_photo(ADA, sent.document.file_id)
    with pytest.raises(BadRequest, match="Failed to get http url content"):
        await bot.send_document(ADA, "https://nowhere.example/x")


async def test_sticker_sets_are_made_and_changed(server: Server, bot: Bot) -> None:
    """A set carries the bot's name; its stickers are added and taken."""
    sticker = InputSticker(PNG, ["💪"], "static")
    name = f"yard_by_{server.world.bot['username']}"
    with pytest.raises(BadRequest, match="Invalid sticker set name"):
        await bot.create_new_sticker_set(ADA, "yard", "Yard", [sticker])
    assert await bot.create_new_sticker_set(ADA, name, "Yard", [sticker])
    assert await bot.add_sticker_to_set(ADA, name, InputSticker(PNG, ["👍"], "static"))
    made = known(await bot.get_sticker_set(name))
    assert [each.emoji for each in made.stickers] == ["💪", "👍"]
    assert await bot.delete_sticker_from_set(made.stickers[0])
    assert len((await bot.get_sticker_set(name)).stickers) == 1


@pytest.mark.parametrize(
    ("token", "status", "words"),
    [
        ("1:unknown", 401, "Unauthorized"),
        ("nonsense", 401, "Unauthorized: invalid token specified"),
        ("0:x", 401, "Unauthorized: invalid token specified"),
        (f"1:{'x' * 80}", 401, "Unauthorized: invalid token specified"),
    ],
)
async def test_a_token_that_is_none_is_told_from_one_that_is_revoked(
    server: Server, token: str, status: int, words: str
) -> None:
    """The server says which tokens cannot be tokens at all."""
    answer = await server.http.get(f"/bot{token}/getMe")
    assert (answer.status_code, answer.json()["description"]) == (status, words)
