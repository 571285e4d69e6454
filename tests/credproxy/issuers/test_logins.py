"""Logins by a browser: the address, what is pasted back, what is kept; and logins that other tools left in files."""

from __future__ import annotations

import json
import time
import urllib.parse
import urllib.request

import pytest

from credproxy.issuers.login import LoginRefused, read_found_login, read_pasted
from credproxy.issuers.login_desk import LoginDesk
from credproxy.issuers.token_client import TokenClient
from credproxy.wire.deadlines import Deadlines
from credproxy.wire.upstream import Upstreams
from tests.credproxy.issuers.house import CLIENT, House


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments: object, **more: object) -> None:
        return None


def browse(address: str) -> str:
    """Open an address as a browser would, with a person who agrees; return where it ends."""
    try:
        urllib.request.build_opener(_Stay).open(address, timeout=10)
    except urllib.error.HTTPError as answer:
        with answer:
            return str(answer.headers["location"])
    raise AssertionError("no redirect came")


def desk_of(house: House) -> LoginDesk:
    deadlines = Deadlines()
    send = TokenClient(Upstreams(deadlines=deadlines), deadlines).send
    return LoginDesk(house.vault, send, note=house._note, clock=house.clock)


def own_client(house: House) -> dict[str, str]:
    return {
        "authorize_url": f"{house.address}/oauth/authorize",
        "token_url": f"{house.address}/oauth/token",
        "client_id": CLIENT.client_id,
        "client_secret": CLIENT.secret or "",
        "scope": "read",
    }


async def log_in(house: House, desk: LoginDesk, name: str = "mine", **more: bool) -> None:
    import asyncio

    address = desk.begin(name, "", own_client(house), replace=False, is_reserve=more.get("is_reserve", False))
    await desk.finish(name, await asyncio.to_thread(browse, address))


async def test_login_is_kept_and_renews_itself(house: House) -> None:
    """What the browser ended at is pasted, the tokens are in the vault, and the login goes on from there by itself."""
    await log_in(house, desk_of(house))
    first = await house.token("mine")
    assert house.twin.logins.is_good(first)
    assert house.asked == 1
    house.ahead_s = 3600
    assert await house.token("mine") != first
    assert house.asked == 2
    assert ("mine", "login kept") in house.notes


async def test_again_in_reserve_and_in_place(house: House) -> None:
    """A lost login is replaced by the next one with what the secret knows of its issuer; another waits in reserve."""
    desk = desk_of(house)
    await log_in(house, desk)
    house.twin.logins.logins[0].is_revoked = True
    with pytest.raises(LoginRefused, match="authorize-url"):
        desk.begin("mine", "", {}, replace=False, is_reserve=False)
    await log_in(house, desk)
    await log_in(house, desk, is_reserve=True)
    assert [value.label for value in house.vault.values("mine")] == ["current", "reserve-1"]
    house.add("key", "key", {"value": "of-another-type"})
    for name, is_reserve in (("key", False), ("key", True), ("none", True)):
        with pytest.raises(LoginRefused):
            desk.begin(name, "", own_client(house), replace=False, is_reserve=is_reserve)


async def test_what_the_browser_brings_is_good_for_nobody_else(house: House) -> None:
    """The answer to another login is refused before anything is sent; so is one that comes too late, or twice."""
    import asyncio

    desk = desk_of(house)
    ends = await asyncio.to_thread(browse, desk.begin("mine", "", own_client(house), replace=False, is_reserve=False))
    desk.begin("mine", "", own_client(house), replace=False, is_reserve=False)
    with pytest.raises(LoginRefused, match="another login"):
        await desk.finish("mine", ends)
    assert house.asked == 0
    await log_in(house, desk)
    with pytest.raises(LoginRefused, match="begun"):
        await desk.finish("mine", ends)
    desk.begin("mine", "", own_client(house), replace=False, is_reserve=False)
    house.ahead_s = 3600
    with pytest.raises(LoginRefused, match="too long"):
        await desk.finish("mine", "code")


async def test_known_services_need_no_addresses(house: House) -> None:
    """The address for a Claude or a ChatGPT plan is made from the service's name alone, with PKCE."""
    desk = desk_of(house)
    for name, host in (("claude", "claude.ai"), ("chatgpt", "auth.openai.com")):
        address = urllib.parse.urlsplit(desk.begin(name, "", {}, replace=False, is_reserve=False))
        query = dict(urllib.parse.parse_qsl(address.query))
        assert address.hostname == host
        assert query["code_challenge_method"] == "S256"
        assert query["response_type"] == "code"
    with pytest.raises(LoginRefused, match="client-id"):
        desk.begin("google", "", {}, replace=False, is_reserve=False)


@pytest.mark.parametrize(
    "pasted",
    [
        "https://a.example/cb?code=abc&state=st",
        "abc#st",
        "abc",
        " http://localhost:1455/auth/callback?state=st&code=abc ",
        "code=abc&state=st",
        "https://a.example/cb?code=abc#st",
    ],
)
def test_pasted_forms(pasted: str) -> None:
    """A whole address, `code#state`, or the code alone."""
    assert read_pasted(pasted, "st") == "abc"


@pytest.mark.parametrize(
    "pasted",
    ["", "abc#other", "https://a.example/?error=access_denied", "https://a.example/", "two words\n", "x" * 9999],
)
def test_pasted_nonsense(pasted: str) -> None:
    """What is no code, or another login's, is refused with what to do."""
    with pytest.raises(LoginRefused):
        read_pasted(pasted, "st")


def test_found_logins() -> None:
    """Claude Code's and Codex' files are read, with the token's end where it is said."""
    in_ms = (time.time() + 60) * 1000
    claude = read_found_login(
        json.dumps({"claudeAiOauth": {"accessToken": "a-1", "refreshToken": "r-1", "expiresAt": in_ms}})
    )
    assert (claude.service, claude.token_ends_at) == ("claude", in_ms / 1000)
    codex = read_found_login(
        json.dumps({"OPENAI_API_KEY": None, "tokens": {"access_token": "a", "refresh_token": "r", "account_id": "x"}})
    )
    assert (codex.service, codex.parts["account_id"]) == ("chatgpt", "x")
    for text in ("", "{}", "[]", '{"claudeAiOauth": {"accessToken": "a"}}', '{"tokens": {}}'):
        with pytest.raises(LoginRefused):
            read_found_login(text)


async def test_found_login_is_taken_over(house: House) -> None:
    """It becomes a secret of its preset, whose stored token is used until it ends."""
    text = json.dumps(
        {
            "claudeAiOauth": {
                "accessToken": "sk-ant-oat01-x",
                "refreshToken": "r-1",
                "expiresAt": (time.time() + 900) * 1000,
            }
        }
    )
    await desk_of(house).take_over("claude", read_found_login(text), replace=False, is_reserve=False)
    row = house.vault.find("claude")
    assert row is not None
    assert (row.type, row.preset) == ("oauth2-refresh", "anthropic-plan")
    assert await house.token("claude") == "sk-ant-oat01-x"
