"""python-telegram-bot's own online tests, put to the twin in place of Telegram.

The tests are in its repository, fetched by whoever runs this, never kept here. They are run as they are, in a process
of their own, and led to the twin by a proxy. The bot, the people and the chats that they presume are made here; the
files that they let the server fetch from the web come out of the checkout.
"""

from __future__ import annotations

import base64
import json
import tempfile
from pathlib import Path

from twins.conformance.redirect import serve_redirect
from twins.conformance.suite import Outcome, Suite, run_suite
from twins.discord.certificate import write_certificates
from twins.telegram.arguments import Upload
from twins.telegram.chats import Chat, Json
from twins.telegram.server import TelegramTwin
from twins.telegram.world import World

HOST = "api.telegram.org"
TOKEN = "7000000002:REHEARSAL-of-the-tests-of-another-one-00"
USERNAME = "twin_tests_bot"
PERSON = 675666224
"""One test names its person by the number."""
SUPERGROUP, FORUM, CHANNEL, PAID = -1001310911135, -1001838004577, -1001073943101, -1002229649303
CHANNEL_NAME = "pythontelegrambottests"
SELECTION = "-m req tests"
GAME = {"title": "Test Game", "description": "A no-op test game, for python-telegram-bot bot framework testing."}
PICTURE_BYTES = 5403
_SITE = "https://python-telegram-bot.org/static/testfiles"
_RAW = "https://github.com/python-telegram-bot/python-telegram-bot/blob/master/tests/data/telegram.webp?raw=true"
PAGES = {
    **{f"{_SITE}/telegram.{kind}": f"telegram.{kind}" for kind in ("jpg", "gif", "mp4", "ogg", "mp3", "webp")},
    _RAW: "telegram.webp",
    f"{_SITE}/telegram_new.jpg": "telegram.jpg",
    "https://github.com/python-telegram-bot/python-telegram-bot": "text_file.txt",
    "http://bit.ly/2L18jua": "game.gif",
    "https://goo.gl/3En24v": "telegram.mp3",
    "http://dummyimage.com/600x400/000/fff.png&text=telegram": "telegram.png",
}


async def run_online_tests(checkout: Path, python: str, only: str = "") -> Outcome:
    """Run the tests that ask a server; raise OSError for a checkout that has none."""
    twin = TelegramTwin(TOKEN)
    furnish(twin.world, checkout)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        certificate = write_certificates(scratch, hosts=(HOST,))
        async with twin.serve() as address, serve_redirect(address, certificate) as proxy:
            bots = base64.b64encode(json.dumps([_bot_info()]).encode()).decode()
            surroundings = {
                "HTTPS_PROXY": proxy,
                "SSL_CERT_FILE": str(scratch / "ca.pem"),
                # Their way to be given a bot that is not one of their own.
                "GITHUB_ACTIONS": "true",
                "BOTS": bots,
                "JOB_INDEX": "0",
                "TEST_WITH_OPT_DEPS": "true",
            }
            options = ["-m", "req", "-p", "no:cacheprovider", *(["-k", only] if only else [])]
            suite = Suite(python=python, checkout=checkout, asked=["tests"], options=options, surroundings=surroundings)
            return await run_suite(suite, scratch)


def _bot_info() -> Json:
    return {
        "token": TOKEN,
        "payment_provider_token": "284685063:TEST:TWIN",
        "chat_id": str(PERSON),
        "super_group_id": str(SUPERGROUP),
        "forum_group_id": str(FORUM),
        "channel_id": f"@{CHANNEL_NAME}",
        "subscription_channel_id": PAID,
        "name": "Twin tests",
        "username": f"@{USERNAME}",
    }


def furnish(world: World, checkout: Path) -> None:
    """Make what the tests presume."""
    world.bot |= {"username": USERNAME, "first_name": "Twin tests"}
    world.add_person(PERSON, "PTB", "Test user")
    other_bot = 7000000003
    world.people[other_bot] = {"id": other_bot, "is_bot": True, "first_name": "Another", "username": "another_bot"}
    ruled = {PERSON: {"status": "creator"}, other_bot: {"status": "administrator"}}
    everybody = [PERSON, other_bot, *list(world.people)[:3]]
    titles: dict[int, Json] = {
        SUPERGROUP: {"type": "supergroup", "title": f">>> telegram.Bot(test) @{USERNAME}"},
        FORUM: {"type": "supergroup", "title": "Forum", "is_forum": True},
        CHANNEL: {"type": "channel", "title": "Tests", "username": CHANNEL_NAME},
        PAID: {"type": "channel", "title": "Paid"},
    }
    for number, info in titles.items():
        chat = Chat(info={"id": number, **info}, members=everybody, roles=dict(ruled), bot_status="administrator")
        world.chats[number] = chat
    data = checkout / "tests" / "data"
    for address, name in PAGES.items():
        media_type = "application/octet-stream"
        world.web[address] = Upload(name=name, media_type=media_type, content=(data / name).read_bytes())
    world.profile["game:test_game"] = {**GAME, "picture": bytes(851)}
    world.chats[SUPERGROUP].more["photo"] = _chat_photo(world, (data / "telegram_test_channel.jpg").read_bytes())
    picture = world.files.store(Upload(name="p.jpg", media_type="image/jpeg", content=bytes(PICTURE_BYTES)), "photo")
    world.photos[PERSON] = [[{**picture.as_json(), "width": 160, "height": 160}]]


def _chat_photo(world: World, content: bytes) -> Json:
    photo: Json = {}
    for size, padding in (("small", 1), ("big", 2)):
        file = Upload(name="chat.jpg", media_type="image/jpeg", content=content + bytes(padding))
        stored = world.files.store(file, "photo")
        photo |= {f"{size}_file_id": stored.file_id, f"{size}_file_unique_id": stored.unique_id}
    return photo
