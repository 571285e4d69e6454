"""OAuth on the wire: requests as RFC 6749 has them, and answers of all sorts, good, bad and odd."""

from __future__ import annotations

import base64
import json
import urllib.parse
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credproxy.issuers.capture import find_logins, read_page, write_page
from credproxy.issuers.github_app import read_installation_answer
from credproxy.issuers.oauth import (
    build_token_request,
    parse_retry_after,
    read_account_id,
    read_token_answer,
)
from credproxy.issuers.recipe import BadRecipe, GitHubApp, OAuthLogin, build_recipe, parse_issuer_url
from credproxy.issuers.token import NoToken, Token, TokenAnswer
from credproxy.vault.secret import Secret

NOW = 1_800_000_000.0
HIDDEN = Secret("login", "canary-refresh-token")


def secrets_of(**parts: str) -> dict[str, Secret]:
    return {name: Secret("login", text) for name, text in parts.items()}


def login_of(preset: str = "", **parts: str) -> OAuthLogin:
    made = build_recipe("oauth2-refresh", secrets_of(refresh_token="canary-refresh-token", **parts), preset)
    assert isinstance(made, OAuthLogin)
    return made


def answer(
    body: bytes, status: int = 200, content_type: str = "application/json", retry_after: str = ""
) -> TokenAnswer:
    return TokenAnswer(status=status, content_type=content_type, body=body, retry_after=retry_after)


def read(body: bytes, status: int = 200, **more: str) -> Token | NoToken:
    return read_token_answer(answer(body, status, **more), "login", NOW, (HIDDEN,))


def jwt(claims: Mapping[str, object]) -> str:
    return f"aGVhZA.{base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b'=').decode()}.c2lnbg"


def test_request_names_the_client_in_the_body_or_by_basic() -> None:
    """Both halves of Basic are form-encoded first, as RFC 6749 2.3.1 says; nothing secret is in address or repr."""
    login = login_of(token_url="https://issuer.example.org/token", client_id="a:b", client_secret="c d/+")
    body = urllib.parse.parse_qs(build_token_request(login).body.decode())
    assert body == {
        "grant_type": ["refresh_token"],
        "refresh_token": ["canary-refresh-token"],
        "client_id": ["a:b"],
        "client_secret": ["c d/+"],
    }
    request = build_token_request(login, "basic")
    assert (b"authorization", b"Basic " + base64.b64encode(b"a%3Ab:c+d%2F%2B")) in request.headers
    assert b"client" not in request.body
    assert "canary" not in repr(request) + str(request.target)


def test_plans_know_where_their_tokens_are_got() -> None:
    """The logins of a Claude or ChatGPT plan need a refresh token and nothing else; Claude's is asked for in JSON."""
    claude, chatgpt = login_of("anthropic-plan"), login_of("chatgpt-plan")
    assert str(claude.target) == "https://platform.claude.com/v1/oauth/token"
    sent = json.loads(build_token_request(claude).body)
    assert sent.keys() == {"grant_type", "refresh_token", "client_id"}
    assert str(chatgpt.target) == "https://auth.openai.com/oauth/token"
    assert b"grant_type=refresh_token" in build_token_request(chatgpt).body


def test_good_answers() -> None:
    """What a token is good for is said in seconds, in a text, in the token itself, or not at all."""
    ends = {
        b'{"access_token":"token-1","token_type":"Bearer","expires_in":60}': NOW + 60,
        b'{"access_token":"token-1","token_type":"bearer","expires_in":"60"}': NOW + 60,
        b'{"access_token":"token-1"}': None,
        b'{"access_token":"token-1","expires_in":-5}': None,
        b'{"access_token":"token-1","expires_in":1%s}' % (b"0" * 400): None,
        b'{"access_token":"%s"}' % jwt({"exp": NOW + 99}).encode(): NOW + 99,
    }
    for body, expires_at in ends.items():
        got = read(body)
        assert isinstance(got, Token)
        assert got.expires_at == expires_at
    form = read(
        b"access_token=token-1&refresh_token=r-2&expires_in=9", content_type="application/x-www-form-urlencoded"
    )
    assert isinstance(form, Token)
    assert form.refresh_token is not None
    assert form.refresh_token.reveal() == "r-2"


@pytest.mark.parametrize(
    ("status", "body", "code", "is_for_good"),
    [
        (400, b'{"error":"invalid_grant","error_description":"expired"}', "login_lost", True),
        (401, b'{"error":{"code":"refresh_token_reused","message":"used before"}}', "login_lost", True),
        (200, b'{"error":"bad_refresh_token"}', "login_lost", True),
        (401, b'{"error":"invalid_client"}', "issuer_refused", True),
        (400, b'{"error":"invalid_scope"}', "issuer_refused", True),
        (403, b"forbidden", "issuer_refused", True),
        (302, b"", "issuer_refused", True),
        (200, b'{"access_token":"t","token_type":"mac"}', "issuer_refused", True),
        (200, b'{"access_token":"two words\\nmore"}', "issuer_refused", True),
        (200, b'{"access_token":5}', "issuer_refused", True),
        (200, b"<html>", "issuer_refused", False),
        (200, b"[" * 100_000, "issuer_refused", False),
        (400, b'{"error":"slow_down"}', "issuer_unavailable", False),
        (429, b"", "issuer_unavailable", False),
        (503, b'{"error":"invalid_grant"}', "issuer_unavailable", False),
    ],
)
def test_no_is_told_apart(status: int, body: bytes, code: str, is_for_good: bool) -> None:
    """A login that is over needs a person, wrong facts the owner, trouble only time."""
    got = read(body, status)
    assert isinstance(got, NoToken)
    assert (got.code, got.is_for_good) == (code, is_for_good)


def test_words_of_an_issuer_hold_no_secret() -> None:
    """An issuer that repeats the refresh token in its words is not quoted; nor are its line breaks and escapes."""
    got = read(b'{"error":"invalid_grant","error_description":"canary-refresh-token is old"}', 400)
    assert isinstance(got, NoToken)
    assert "canary" not in got.sentence
    got = read(json.dumps({"error": "invalid_grant", "error_description": "a\x1b[31m\nb" + "c" * 999}).encode(), 400)
    assert isinstance(got, NoToken)
    assert got.sentence.isprintable()
    assert len(got.sentence) < 300


@given(st.binary(max_size=200), st.sampled_from([200, 201, 302, 400, 401, 429, 500]))
def test_any_bytes_give_an_answer(body: bytes, status: int) -> None:
    """Whatever comes, it is a token or a plain no; nothing is raised."""
    got = read(body, status)
    assert isinstance(got, (Token, NoToken))


_VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(min_value=10**300, max_value=10**400), st.floats(), st.text(),
    st.sampled_from(["", "0", "-1", "1e999", "nan", "\xb2", "9" * 400, "0001-01-01T00:00:00", "9999-12-31T23:59:59Z"]),
)  # fmt: skip
_FIELDS = (
    "access_token",
    "token",
    "refresh_token",
    "expires_in",
    "expires_at",
    "token_type",
    "error",
    "message",
    "scope",
)
_APP = GitHubApp(target=parse_issuer_url("https://a.example/app"), app_id="1", private_key=Secret("app", "key"))


@given(
    st.dictionaries(
        st.sampled_from(_FIELDS), st.one_of(_VALUES, st.lists(_VALUES), st.dictionaries(st.text(), _VALUES))
    ),
    st.sampled_from([200, 201, 401, 403, 429, 500]),
    st.one_of(st.text(), st.sampled_from(["\xb2", "9" * 400, "Sat, 99 Nov 99999 99:99:99 GMT", "Mon, 01 Jan 0001"])),
)
def test_any_fields_and_headers_give_an_answer(fields: dict[str, object], status: int, header: str) -> None:
    """A hostile issuer may say what it likes, in fields and headers: it ends in a token or a no, never in an error."""
    body = json.dumps(fields).encode()
    came = TokenAnswer(status=status, content_type=header, body=body, retry_after=header, date=header)
    for got in (read_token_answer(came, "login", NOW), read_installation_answer(_APP, came, "app", NOW)):
        assert isinstance(got, (Token, NoToken))
        if isinstance(got, Token):
            got.is_due(NOW)
            got.is_over(NOW)
    page = read_page(body, header)
    if page is not None:
        write_page(page, {token: "#" for login in find_logins(page) for token in login.tokens.values()})


@pytest.mark.parametrize(
    "url",
    [
        "http://issuer.example.org/token",
        "ftp://issuer.example.org/",
        "issuer.example.org/token",
        "https://user@issuer.example.org/",
        "https://issuer.example.org/a;b",
        "https://issuer.example.org/../x",
        "http://127.0.0.1.example.org/",
        "http://2130706433/",
    ],
)
def test_issuers_address_is_strict(url: str) -> None:
    """Tokens are asked for over TLS, at an address that can be read in one way only."""
    with pytest.raises(BadRecipe):
        parse_issuer_url(url)


def test_recipes_say_what_is_missing() -> None:
    """A secret that cannot get tokens says which part it lacks, without a value."""
    for type_name, parts, missing in (
        ("oauth2-refresh", {"refresh_token": "canary"}, "token_url"),
        ("client-credentials", {"token_url": "https://a.example/t", "client_id": "canary"}, "client_secret"),
        ("github-app", {"app_id": "1", "installation_id": "canary", "private_key": "canary"}, "installation_id"),
    ):
        with pytest.raises(BadRecipe, match=missing) as bad:
            build_recipe(type_name, secrets_of(**parts))
        assert "canary" not in bad.value.reason


def test_chatgpt_account_is_read_from_either_token() -> None:
    """The API wants the account's id in a header; it stands in the tokens' claims."""
    claims = {"https://api.openai.com/auth": {"chatgpt_account_id": "acct-1"}}
    assert read_account_id("", jwt(claims)) == "acct-1"
    assert read_account_id(jwt({"chatgpt_account_id": "acct-2"}), jwt(claims)) == "acct-2"
    assert read_account_id("opaque", "a.b.c") == ""


def test_retry_after() -> None:
    """Seconds, an hour at most; a date is as good as nothing, and so is what only looks like a number."""
    assert [parse_retry_after(text) for text in ("5", "999999", "soon", "\xb2", "9" * 400)] == [
        5,
        3600,
        None,
        None,
        None,
    ]
