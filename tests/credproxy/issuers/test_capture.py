"""Token endpoints' answers: which they are, what is found in them, and what the tool gets in its place."""

from __future__ import annotations

import base64
import json
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credproxy.issuers.capture import (
    find_logins,
    may_hold_token,
    read_ask,
    read_page,
    shaped_like,
    write_page,
)
from credproxy.issuers.capture_desk import CaptureDesk, CaptureFailed, captured_name
from credproxy.issuers.token_endpoint import is_token_endpoint
from credproxy.wire.target import Target
from protocol.ids import GroupId
from tests.credproxy.issuers.house import CLIENT, GROUP, House

SECRET = "canary-fresh-token-1234567890"


def at(path: str) -> Target:
    return Target(scheme="https", host="issuer.example.org", port=443, path=path)


@pytest.mark.parametrize(
    "path",
    [
        "/oauth/token",
        "/OAuth/Token",
        "/oauth2/v4/token/",
        "/token",
        "/login/oauth/access_token",
        "/api/oauth.v2.access",
        "/app/installations/5/access_tokens",
        "/as/token.oauth2",
        "/realms/main/protocol/openid-connect/token",
    ],
)
def test_token_endpoints_are_known_by_their_paths(path: str) -> None:
    """Whatever host and case: a POST there may bring fresh tokens."""
    assert is_token_endpoint("POST", at(path))
    assert not is_token_endpoint("GET", at(path))


@pytest.mark.parametrize("path", ["/", "/v1/messages/count_tokens", "/tokenize", "/repos/me/token-list", "/token/5"])
def test_other_paths_are_let_be(path: str) -> None:
    """What only sounds like a token endpoint is passed on as it comes."""
    assert not is_token_endpoint("POST", at(path))


@pytest.mark.parametrize(
    "given_body",
    [
        {"access_token": SECRET, "token_type": "bearer", "expires_in": 60},
        {"Access_Token": SECRET},
        {"accessToken": SECRET, "refreshToken": SECRET + "r"},
        {"ok": True, "authed_user": {"id": "U1", "access_token": SECRET}},
        {"data": [{"ACCESS-TOKEN": SECRET}]},
        {"token": SECRET, "expires_at": "2030-01-01T00:00:00Z"},
        {"access_token": SECRET, "echo": f"Bearer {SECRET}", SECRET: 1},
    ],
)
def test_tokens_are_replaced_wherever_they_stand(given_body: dict[str, object]) -> None:
    """Any case and depth of the field, and any echo elsewhere: nothing of a token is left, all else is."""
    page = read_page(json.dumps(given_body).encode(), "application/json; charset=utf-8")
    assert page is not None
    tokens = [token for login in find_logins(page) for token in login.tokens.values()]
    written = write_page(page, {token: f"placeholder-{number}" for number, token in enumerate(tokens)})
    assert SECRET.encode() not in written
    assert json.loads(written).keys() - {"placeholder-0"} == given_body.keys() - {SECRET}


def test_form_and_repeated_keys() -> None:
    """GitHub's form is written again as a form; of a repeated JSON key no second value slips through."""
    page = read_page(
        f"access_token={SECRET}&scope=repo&token_type=bearer".encode(), "application/x-www-form-urlencoded"
    )
    assert page is not None
    assert urllib.parse.parse_qs(write_page(page, {SECRET: "p"}).decode())["access_token"] == ["p"]
    page = read_page(b'{"access_token":"%s","access_token":"another-one"}' % SECRET.encode(), "application/json")
    assert page is not None
    assert SECRET.encode() not in write_page(page, {"another-one": "p"})


def test_token_that_begins_with_another_goes_whole() -> None:
    """Of two tokens of which one is the other's beginning, nothing of the longer one is left behind."""
    page = read_page(json.dumps({"access_token": SECRET, "refresh_token": SECRET + "-more"}).encode(), "")
    assert page is not None
    written = json.loads(write_page(page, {SECRET: "a", SECRET + "-more": "r"}))
    assert written == {"access_token": "a", "refresh_token": "r"}


@given(st.text(min_size=8, max_size=40), st.sampled_from(["access_token", "Refresh-Token", "idToken"]))
def test_no_token_survives(token: str, name: str) -> None:
    """Whatever a token is made of, escaped or not, the answer that is written does not hold it."""
    page = read_page(json.dumps({name: token, "other": 5}).encode(), "application/json")
    assert page is not None
    (login,) = find_logins(page)
    written = json.loads(write_page(page, dict.fromkeys(login.tokens.values(), "#")))
    assert written == {name: "#", "other": 5}


def test_jwt_keeps_its_claims_and_loses_its_proof() -> None:
    """A tool may read its account in a token; nobody can use it."""
    claims = base64.urlsafe_b64encode(b'{"sub":"ada"}').rstrip(b"=").decode()
    assert shaped_like(f"aGVhZA.{claims}.c2lnbmF0dXJl", "placeholder") == f"aGVhZA.{claims}.placeholder"
    assert shaped_like("no.jwt.this", "placeholder") == "placeholder"


def test_names_are_one_per_host_and_group() -> None:
    """Two groups never share a captured login; long hosts get short names that differ."""
    assert captured_name("github.com", GROUP, 1) == "github-com-main"
    long = captured_name("a-very-long-host-name.example.org", GroupId("main"), 1)
    other = captured_name("a-very-long-host-name.example.org", GroupId("mail"), 1)
    assert len(long) <= 32
    assert long != other


def test_pages_that_nobody_can_read() -> None:
    """HTML is no page of tokens; whether it talks of some is asked."""
    assert read_page(b"<html>access_token</html>", "text/html") is None
    assert may_hold_token(b"<AccessToken>x</AccessToken>")
    assert not may_hold_token(b"<html>Bad gateway</html>")


def desk_of(house: House, used: set[str]) -> CaptureDesk:
    return CaptureDesk(
        house.vault,
        house.credentials,
        placeholder_of=lambda group, name, preset, part: f"ph-{group}-{name}-{part}",
        is_used=used.__contains__,
        note=house._note,
        clock=house.clock,
    )


def target_of(house: House) -> Target:
    port = int(house.address.rpartition(":")[2])
    return Target(scheme="http", host="127.0.0.1", port=port, path="/oauth/token")


async def test_login_is_taken_in_and_renewed_from_here(house: House) -> None:
    """The tool gets placeholders; shown the refresh token's, the desk answers itself, with a token got anew when an old
    one is over; a second login over one that a grant names is refused before it is made."""
    used: set[str] = set()
    desk, target = desk_of(house, used), target_of(house)
    ask = read_ask(
        f"grant_type=authorization_code&code=x&client_id={CLIENT.client_id}&client_secret={CLIENT.secret}".encode(), ""
    )
    assert desk.find(target, ask, GROUP) is None
    login = house.twin.logins.log_in(CLIENT.client_id)
    came = house.twin.logins._answer("read", login.refresh_token)
    passed = await desk.take(target, ask, 200, "application/json", json.dumps(came).encode(), GROUP)
    shown = json.loads(passed)
    name = captured_name("127.0.0.1", GROUP, 1)
    assert shown["refresh_token"] == f"ph-main-{name}-refresh_token"
    assert shown["access_token"] == f"ph-main-{name}-value"
    assert str(came["access_token"]).encode() not in passed
    assert await house.token(name) == came["access_token"]
    assert house.asked == 0

    again = read_ask(f"grant_type=refresh_token&refresh_token={shown['refresh_token']}".encode(), "")
    row = desk.find(target, again, GROUP)
    assert row is not None
    answered = json.loads(await desk.answer(row, GROUP))
    assert answered["access_token"] == shown["access_token"]
    assert house.asked == 0
    house.ahead_s = 3600
    await desk.answer(row, GROUP)
    assert house.asked == 1
    assert not login.is_revoked
    assert desk.find(target, again, GroupId("other")) is None
    elsewhere = target._replace(host="127.0.0.2")
    assert desk.find(elsewhere, again, GROUP) is None

    used.add(name)
    with pytest.raises(CaptureFailed) as refused:
        desk.find(target, ask, GROUP)
    assert (refused.value.code, refused.value.mend) == ("login_exists", f"nightyard secret remove {name}")


async def test_owners_secret_is_never_replaced(house: House) -> None:
    """A secret that a person put there under the very name stays as it is; the fresh tokens are dropped."""
    desk, target = desk_of(house, set()), target_of(house)
    name = captured_name("127.0.0.1", GROUP, 1)
    house.add(name, "key", {"value": "the-owners-own-key"})
    with pytest.raises(CaptureFailed):
        await desk.take(target, read_ask(b"", ""), 200, "application/json", b'{"access_token":"0123456789"}', GROUP)
    assert await house.token(name) == "the-owners-own-key"


@pytest.mark.parametrize(
    ("status", "media_type", "body", "is_withheld"),
    [
        (200, "application/json", b"{broken", True),
        (200, "text/html", b"<p>hello</p>", True),
        (200, "application/xml", b"<AccessToken>0123456789</AccessToken>", True),
        (400, "application/xml", b"<AccessToken>0123456789</AccessToken>", True),
        (502, "text/html", b"<h1>Bad gateway</h1>", False),
        (400, "application/json", b'{"error":"invalid_grant"}', False),
        (204, "", b"", False),
    ],
)
async def test_what_cannot_be_read_is_withheld(
    house: House, status: int, media_type: str, body: bytes, is_withheld: bool
) -> None:
    """Fail closed: an answer in which a token could hide is not passed on; plain refusals are."""
    desk = desk_of(house, set())
    try:
        passed = await desk.take(target_of(house), read_ask(b"", ""), status, media_type, body, GROUP)
    except CaptureFailed as failed:
        assert (failed.code, is_withheld) == ("token_unreadable", True)
    else:
        assert (passed, is_withheld) == (body, False)
