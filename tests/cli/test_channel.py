"""`channel add` from the token to the pairing code, against each platform's twin and a scripted vault."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import yaml

from protocol.frames import FrameDecoder, encode_frame
from protocol.ids import PersonKey
from protocol.proxy_admin import ADMIN_CLIENT_FRAMES, AdminProblem, AdminReply, AdminRequest
from tests.cli.conftest import ROOT, Run
from tests.scripted_house import House
from twins.discord.server import DiscordTwin
from twins.discord.world import DEFAULT_TOKEN as DISCORD_TOKEN
from twins.slack.server import SlackTwin
from twins.telegram.server import TelegramTwin
from twins.telegram.world import DEFAULT_TOKEN


class ScriptedVault:
    """The admin socket's verbs that this command needs."""

    def __init__(self) -> None:
        self.secrets: dict[str, tuple[str, str]] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        decoder = FrameDecoder()
        while chunk := await reader.read(65536):
            for body in decoder.feed(chunk):
                request = ADMIN_CLIENT_FRAMES.decode(body)
                assert isinstance(request, AdminRequest)
                writer.write(encode_frame(self._answer(request)))
        writer.close()

    def _answer(self, request: AdminRequest) -> AdminReply | AdminProblem:
        arguments = request.arguments
        assert isinstance(arguments, dict)
        match request.verb:
            case "secret_add":
                self.secrets[arguments["name"]] = (arguments["value"], arguments["kind"])
                return AdminReply(id=request.id, value={"used_by": []})
            case "secret_fetch":
                return AdminReply(id=request.id, value={"value": self.secrets[arguments["name"]][0]})
            case "secret_remove":
                if self.secrets.pop(arguments["name"], None) is None:
                    return AdminProblem(id=request.id, code="secret_unknown", message="no such secret")
                return AdminReply(id=request.id, value={})
            case _:
                return AdminReply(id=request.id, value={"problems": []})


@asynccontextmanager
async def scripted_vault(path: Path) -> AsyncIterator[ScriptedVault]:
    vault = ScriptedVault()
    async with await asyncio.start_unix_server(vault.serve, path):
        yield vault


@pytest.fixture
async def twin() -> AsyncIterator[str]:
    async with TelegramTwin().serve() as url:
        yield url


async def test_bot_is_connected_and_disconnected(nightyard: Run, house: House, twin: str) -> None:
    """The token goes to the vault and nowhere else, the bot is named, the file keeps its comments, a code is shown."""
    (house.fork / "nightyard.yaml").write_text("# mine\nmodel: rehearsal/guide  # cheap\n")
    async with scripted_vault(house.home.proxy_socket) as vault:
        ran = await nightyard("channel", "add", "telegram", "--url", twin, given=f"{DEFAULT_TOKEN}\n")
        assert vault.secrets == {"telegram-token": (DEFAULT_TOKEN, "channel")}, ran.err
        assert "is connected as the channel telegram; main answers there." in ran.out
        assert ran.out.startswith("@")
        assert "Send this code to the bot" in ran.out
        assert DEFAULT_TOKEN not in ran.out + ran.err
        text = (house.fork / "nightyard.yaml").read_text()
        assert text.startswith("# mine\nmodel: rehearsal/guide  # cheap\n")
        assert DEFAULT_TOKEN not in text
        assert yaml.safe_load(text)["channels"]["telegram"]["url"] == twin
        elsewhere = await nightyard("channel", "add", "telegram", "--url", "http://127.0.0.1:1", given="1:x\n")
        assert elsewhere.code == 1
        assert "there is a channel 'telegram' already" in elsewhere.err
        gone = await nightyard("channel", "remove", "telegram")
        assert gone.code == 0, gone.err
        assert vault.secrets == {}
    assert "telegram" not in (house.fork / "nightyard.yaml").read_text()


async def test_a_token_is_renewed_by_adding_again(nightyard: Run, house: House, twin: str) -> None:
    """What every refused token is answered with: the same command takes the new one, and changes nothing else."""
    async with scripted_vault(house.home.proxy_socket) as vault:
        await nightyard("channel", "add", "telegram", "--url", twin, given=f"{DEFAULT_TOKEN}\n")
        text = (house.fork / "nightyard.yaml").read_text()
        fresh = f"{DEFAULT_TOKEN.partition(':')[0]}:a-new-token-of-the-same-bot-00000000"
        async with httpx.AsyncClient(trust_env=False) as client:
            await client.post(f"{twin}/twin/token", json={"token": fresh})
        stale = await nightyard("channel", "add", "telegram", given=f"{DEFAULT_TOKEN}\n")
        assert "Telegram does not know this token; nothing was stored" in stale.err
        assert vault.secrets == {"telegram-token": (DEFAULT_TOKEN, "channel")}
        ran = await nightyard("channel", "add", "telegram", given=f"{fresh}\n")
    assert vault.secrets == {"telegram-token": (fresh, "channel")}, ran.err
    assert "has a new token in the channel telegram; it is taken up within a minute" in ran.out
    assert "code" not in ran.out
    assert (house.fork / "nightyard.yaml").read_text() == text


async def test_one_account_is_no_two_channels(nightyard: Run, house: House, twin: str) -> None:
    """Each would get a part of what people say; another account is welcome under a name of its own."""
    async with scripted_vault(house.home.proxy_socket) as vault:
        await nightyard("channel", "add", "telegram", "--url", twin, given=f"{DEFAULT_TOKEN}\n")
        ran = await nightyard("channel", "add", "telegram", "--name", "two", "--url", twin, given=f"{DEFAULT_TOKEN}\n")
        assert ran.code == 1
        assert "the channel telegram has this token already; nothing was stored" in ran.err
        assert vault.secrets == {"telegram-token": (DEFAULT_TOKEN, "channel")}
        async with TelegramTwin().serve() as other:
            vault.secrets["telegram-token"] = ("1:another", "channel")
            ran = await nightyard("channel", "add", "telegram", "--name", "two", "--url", other, given=DEFAULT_TOKEN)
    assert ran.code == 0, ran.err
    assert set(vault.secrets) == {"telegram-token", "two-token"}


async def test_wrong_token_stores_nothing(nightyard: Run, house: House, twin: str) -> None:
    """A token that Telegram does not know is neither stored nor shown, and no file is changed."""
    async with scripted_vault(house.home.proxy_socket) as vault:
        ran = await nightyard("channel", "add", "telegram", "--url", twin, given="123456:WRONG-token\n")
    assert ran.code == 1
    assert "Telegram does not know this token; nothing was stored" in ran.err
    assert "WRONG" not in ran.err
    assert vault.secrets == {}
    assert (house.fork / "nightyard.yaml").read_text() == ""


async def test_unreachable_platform_and_missing_vault_are_told(nightyard: Run, house: House, twin: str) -> None:
    """A silent server, no token and a proxy that is down each have their own word; nothing is written."""
    dead = await nightyard("channel", "add", "telegram", "--url", "http://127.0.0.1:1", given="1:x\n")
    assert (dead.code, "nothing was stored" in dead.err) == (1, True)
    empty = await nightyard("channel", "add", "telegram", given="\n")
    assert (empty.code, "no token was given" in empty.err) == (2, True)
    away = await nightyard("channel", "add", "telegram", "--url", twin, given=f"{DEFAULT_TOKEN}\n")
    assert (away.code, "./nightyard up" in away.err) == (3, True)
    unknown = await nightyard("channel", "add", "telegram", "--group", "nobody", given="x\n")
    assert (unknown.code, "no group 'nobody'" in unknown.err) == (1, True)
    assert (house.fork / "nightyard.yaml").read_text() == ""


async def test_removing_what_is_not_there_is_refused(nightyard: Run, house: House) -> None:
    """A channel that the file does not have cannot be removed, and the file stays as it is."""
    (house.fork / "nightyard.yaml").write_text("model: rehearsal/guide\n")
    ran = await nightyard("channel", "remove", "nope")
    assert ran.code == 1
    assert "there is no channel 'nope'" in ran.err


async def test_a_discord_bot_is_connected_with_what_is_missing_said(nightyard: Run, house: House) -> None:
    """The bot is named, the intent that is off is named with its page, the invite link carries the permissions."""
    twin = DiscordTwin()
    async with twin.serve() as address, scripted_vault(house.home.proxy_socket) as vault:
        twin.world.privileged_intents = 0
        url = f"{address}#{twin.ca_file}"
        ran = await nightyard("channel", "add", "discord", "--url", url, given=f"{DISCORD_TOKEN}\n")
        assert vault.secrets == {"discord-token": (DISCORD_TOKEN, "channel")}, ran.err
        assert "is connected as the channel discord; main answers there." in ran.out
        assert "Message Content intent is off" in ran.out and "https://discord.com/developers" in ran.out
        assert "https://discord.com/oauth2/authorize?client_id=" in ran.out and "permissions=" in ran.out
        assert "Send this code to the bot" in ran.out and DISCORD_TOKEN not in ran.out + ran.err
        tested = await nightyard("channel", "test", "discord")
        assert tested.code == 1 and "Message Content intent is off" in tested.out and "discord knows the" in tested.out


async def test_a_slack_app_is_connected_with_two_tokens(nightyard: Run, house: House) -> None:
    """Both are asked for and kept as one secret; the workspace is named."""
    twin = SlackTwin()
    bot, app = (twin.world.tokens.of_kind(kind).value for kind in ("bot", "app"))
    async with twin.serve() as address, scripted_vault(house.home.proxy_socket) as vault:
        ran = await nightyard("channel", "add", "slack", "--url", address, given=f"{bot}\n{app}\n")
        assert vault.secrets == {"slack-token": (f"{bot} {app}", "channel")}, ran.err
        assert "is connected as the channel slack; main answers there." in ran.out and " in " in ran.out
        assert "/invite" in ran.out and bot not in ran.out and app not in ran.out
        wrong = await nightyard("channel", "add", "slack", "--name", "two", "--url", address, given=f"{bot}\n")
        assert wrong.code == 1 and "two tokens" in wrong.err and "nothing was stored" in wrong.err
        assert bot not in wrong.err


async def test_the_channels_are_listed_with_how_they_are(nightyard: Run, house: House, twin: str) -> None:
    """For people as a table, for programs as JSON; one that was taken out is listed no more."""
    async with scripted_vault(house.home.proxy_socket):
        await nightyard("channel", "add", "telegram", "--name", "mine", "--url", twin, given=f"{DEFAULT_TOKEN}\n")
        rows = [line.split() for line in (await nightyard("channel", "list")).out.splitlines()]
        assert ["mine", "telegram", "→", "main", "ok"] in rows
        listed = json.loads((await nightyard("channel", "list", "--json")).out)["channels"]
        assert [one["group"] for one in listed if one["channel"] == "mine"] == ["main"]
        await nightyard("channel", "remove", "mine")
        assert "mine" not in (await nightyard("channel", "list")).out


async def test_a_token_that_was_revoked_is_found_out(nightyard: Run, house: House, twin: str) -> None:
    """`channel test` asks the platform with what is in the vault."""
    async with scripted_vault(house.home.proxy_socket) as vault:
        await nightyard("channel", "add", "telegram", "--url", twin, given=f"{DEFAULT_TOKEN}\n")
        vault.secrets["telegram-token"] = ("123456:revoked", "channel")
        ran = await nightyard("channel", "test", "telegram")
        assert ran.code == 1 and "Telegram does not know this token" in ran.err and "@BotFather" in ran.err
        unknown = await nightyard("channel", "test", "nope")
        assert unknown.code == 1 and "there is no channel 'nope' (known: " in unknown.err


async def test_the_slack_manifest_is_json_with_all_that_is_needed(nightyard: Run, house: House) -> None:
    """To be pasted as it is."""
    ran = await nightyard("channel", "manifest", "--name", "Yard")
    said = json.loads(ran.out)
    assert said["display_information"]["name"] == "Yard" and said["settings"]["socket_mode_enabled"] is True
    assert "chat:write" in said["oauth_config"]["scopes"]["bot"]


async def test_a_door_for_webhooks_is_made(nightyard: Run, house: House) -> None:
    """On this machine only, with the place where hooks are named."""
    ran = await nightyard("channel", "add", "webhook", "--port", "18742")
    assert "http://127.0.0.1:18742/hooks/GROUP/HOOK" in ran.out, ran.err
    channels = yaml.safe_load((house.fork / "nightyard.yaml").read_text())["channels"]
    assert channels["hooks"] == {"platform": "webhook", "url": "http://127.0.0.1:18742"}
    again = await nightyard("channel", "add", "webhook")
    assert again.code == 1 and "there is a channel 'hooks' already" in again.err


async def test_a_person_at_a_terminal_is_led_to_the_first_message(house: House, twin: str, tmp_path: Path) -> None:
    """Told where to click, asked for the token, which is not echoed, and waited for until they have paired."""
    terminal, inside = os.openpty()
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "NIGHTYARD_HOME": str(tmp_path / "home"),
        "NIGHTYARD_FORK": str(tmp_path / "fork"),
    }
    async with scripted_vault(house.home.proxy_socket) as vault:
        adding = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cli.main", "channel", "add", "telegram", "--url", twin),
            stdin=inside,
            stdout=inside,
            stderr=inside,
            env=environment,
            cwd=tmp_path,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(inside)
        try:
            shown = await _read_until(terminal, "Bot token (not shown): ")
            assert "@BotFather and send /newbot" in shown
            os.write(terminal, f"{DEFAULT_TOKEN}\n".encode())
            shown = await _read_until(terminal, "Waiting for your message")
            assert "is connected as the channel telegram" in shown
            assert "Send this code to the bot" in shown
            assert DEFAULT_TOKEN not in shown
            assert vault.secrets == {"telegram-token": (DEFAULT_TOKEN, "channel")}
            await house.store.save_person(PersonKey("telegram:1001"), "Anna", "owner", "code")
            await _read_until(terminal, "Paired: telegram:1001. Say something there.")
            assert await adding.wait() == 0
        finally:
            if adding.returncode is None:
                adding.kill()
                await adding.wait()
            os.close(terminal)


async def _read_until(terminal: int, words: str) -> str:
    """Return what is seen on the terminal's screen up to some words."""
    seen = b""
    async with asyncio.timeout(30):
        while words.encode() not in seen:
            seen += await asyncio.to_thread(os.read, terminal, 4096)
    return seen.decode()
