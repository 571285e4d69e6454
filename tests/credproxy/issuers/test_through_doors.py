"""Tokens as a container's programs meet them: through doors, tunnels and the whole proxy, over real sockets."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import urllib.parse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from credproxy.admin_client.link import ProxyRefused
from credproxy.admin_client.secrets import GivenValue, add_secret
from credproxy.audit.chain import verify_chain
from credproxy.injection.placeholder_key import load_placeholder_key
from credproxy.injection.placeholders import Placeholders
from tests.credproxy.issuers.house import CLIENT
from tests.credproxy.street import Arrived, Client, Respond, Street, Upstream, say, say_json
from twins.oauth.logins import Login
from twins.oauth.server import Fault, OAuthTwin, serve_oauth

FRESH = "canary-fresh-access-token-0123456789"
REFRESH = "canary-fresh-refresh-token-9876543210"
ISSUED = json.dumps({"access_token": FRESH, "refresh_token": REFRESH, "token_type": "Bearer", "expires_in": 3600})


@asynccontextmanager
async def logged_in(street: Street) -> AsyncIterator[tuple[OAuthTwin, Login]]:
    """An issuer, and a login of it in the street's vault."""
    async with serve_oauth() as (address, twin):
        twin.logins.clients[CLIENT.client_id] = CLIENT
        login = twin.logins.log_in(CLIENT.client_id)
        parts = {
            "token_url": f"{address}/oauth/token",
            "client_id": CLIENT.client_id,
            "client_secret": CLIENT.secret or "",
            "refresh_token": login.refresh_token,
        }
        street.proxy.vault.add("login", parts, type_name="oauth2-refresh")
        yield twin, login


@asynccontextmanager
async def inside(street: Street, host: str, upstream: Upstream, *, secret: str = "") -> AsyncIterator[Client]:
    """A client in a tunnel to the upstream, which a grant lets it reach."""
    street.addresses[host] = ["127.0.0.1"]
    injected = f", secret: {secret}, inject: bearer" if secret else ""
    street.grants = f"- {{host: {host}, port: {upstream.port}, addresses: [127.0.0.1]{injected}}}"
    await street.lease()
    async with street.client() as client:
        yield await client.tunnel(host, upstream.port, street.ca)


def takes(twin: OAuthTwin) -> Respond:
    """An API that lets in whoever has a good token, and shows others the door."""

    async def respond(arrived: Arrived, writer: asyncio.StreamWriter) -> None:
        (bearer,) = arrived.header("authorization") or [""]
        is_good = twin.logins.is_good(bearer.removeprefix("Bearer "))
        status = b"200 OK" if is_good else b"401 Unauthorized"
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\n{}")

    return respond


async def test_fifty_requests_at_once_refresh_once(street: Street) -> None:
    """Fifty requests meet a login whose token is over: one refresh, fifty answers, and the login lives."""
    async with logged_in(street) as (twin, login), street.upstream("api.test") as upstream:
        upstream.respond = takes(twin)
        twin.faults.append(Fault(kind="delay", seconds=0.3))
        async with inside(street, "api.test", upstream, secret="login"):
            host = f"api.test:{upstream.port}"

            async def ask() -> int:
                async with street.client() as client:
                    tunnel = await client.tunnel("api.test", upstream.port, street.ca)
                    return (await tunnel.ask("GET", "/", host=host)).status

            assert await asyncio.gather(*(ask() for _number in range(50))) == [200] * 50
        assert len(twin.log) == 1
        assert not login.is_revoked
        assert len({arrived.header("authorization")[0] for arrived in upstream.inbox}) == 1
    assert verify_chain(street.folder / "audit.db").rows > 50


@pytest.mark.parametrize("body", [b"{}", b"x" * 2_000_000], ids=["small", "large"])
async def test_refused_token_is_renewed_behind_the_agents_back(street: Street, body: bytes) -> None:
    """A token that the API refuses before its time: a new one is got and the request sent again; the agent sees 200."""
    async with logged_in(street) as (twin, _login), street.upstream("api.test") as upstream:
        upstream.respond = takes(twin)
        value = street.proxy.vault.values("login")[0]
        street.proxy.vault.store_token("login", value, {"access_token": "revoked-at-the-service"})
        async with inside(street, "api.test", upstream, secret="login") as client:
            response = await client.ask("POST", "/thing", host=f"api.test:{upstream.port}", body=body)
        assert response.status == 200
        assert [arrived.body == body for arrived in upstream.inbox] == [True, True]
        assert len(twin.log) == 1


async def test_login_that_is_over_is_said_to_the_agent(street: Street) -> None:
    """The agent learns that a person must log in again; nothing goes to the API without a credential."""
    async with logged_in(street) as (_twin, login), street.upstream("api.test") as upstream:
        login.is_revoked = True
        async with inside(street, "api.test", upstream, secret="login") as client:
            response = await client.ask("GET", "/", host=f"api.test:{upstream.port}")
        assert response.headers["x-nightyard"] == "login_lost"
        assert json.loads(response.body)["error"]["grant_with"].startswith("nightyard secret")
        assert upstream.inbox == []


async def test_fresh_tokens_do_not_reach_the_agent(street: Street) -> None:
    """A tool logs in by itself: it gets placeholders, the vault the tokens. With its placeholder it gets a new one, and
    nothing is asked of the issuer."""
    async with street.upstream("login.test") as upstream:
        upstream.respond = say_json(ISSUED.encode())
        async with inside(street, "login.test", upstream) as client:
            host = f"login.test:{upstream.port}"
            form = [("content-type", "application/x-www-form-urlencoded")]
            body = b"grant_type=authorization_code&code=abc&client_id=tool"
            first = await client.ask("POST", "/OAuth/Token", host=host, headers=form, body=body)
            shown = json.loads(first.body)
            again = f"grant_type=refresh_token&refresh_token={shown['refresh_token']}&client_id=tool".encode()
            second = await client.ask("POST", "/OAuth/Token", host=host, headers=form, body=again)
    assert (first.status, second.status) == (200, 200)
    assert FRESH.encode() not in first.body
    assert REFRESH.encode() not in first.body
    assert shown["access_token"] != shown["refresh_token"]
    assert shown["expires_in"] == 3600
    assert json.loads(second.body)["access_token"] == shown["access_token"]
    assert len(upstream.inbox) == 1
    stored = street.proxy.vault.values("login-test-main")[0]
    assert stored.parts["access_token"].reveal() == FRESH
    assert stored.parts["token_url"].reveal() == f"https://login.test:{upstream.port}/OAuth/Token"
    assert street.spilled(FRESH.encode()) == []
    assert street.spilled(REFRESH.encode()) == []


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n<%s",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n{%s",
    ],
    ids=["compressed", "a page", "broken"],
)
async def test_answer_that_cannot_be_read_is_withheld(street: Street, answer: bytes) -> None:
    """Compressed though nobody asked for it, a page, or cut off: the agent gets none of it, the login is dropped."""
    content = gzip.compress(ISSUED.encode()) if b"gzip" in answer else ISSUED.encode()
    async with street.upstream("login.test") as upstream:
        upstream.respond = say(answer % (len(content), content))
        async with inside(street, "login.test", upstream) as client:
            response = await client.ask("POST", "/token", host=f"login.test:{upstream.port}", body=b"code=1")
    assert response.headers["x-nightyard"] == "token_unreadable"
    assert FRESH.encode() not in response.body
    assert street.proxy.vault.find("login-test-main") is None


async def test_cookies_of_a_login_stay_here(street: Street) -> None:
    """A session cookie that comes with fresh tokens is one of them; headers about the old body are gone."""
    async with street.upstream("login.test") as upstream:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(ISSUED)}\r\n"
        more = "Set-Cookie: session=canary\r\nETag: x\r\nX-Request-Id: 7\r\n\r\n"
        upstream.respond = say((head + more + ISSUED).encode())
        async with inside(street, "login.test", upstream) as client:
            response = await client.ask("POST", "/token", host=f"login.test:{upstream.port}", body=b"code=1")
    assert response.status == 200
    assert response.headers.keys() >= {"x-request-id"}
    assert not response.headers.keys() & {"set-cookie", "etag"}


async def test_captured_login_is_used_by_its_placeholder(street: Street) -> None:
    """What a tool got is good where a grant names the login, and elsewhere a tripwire; after a restart too."""
    async with street.upstream("login.test") as issuer, street.upstream("api.test") as api:
        issuer.respond = say_json(ISSUED.encode())
        async with inside(street, "login.test", issuer) as client:
            first = await client.ask("POST", "/token", host=f"login.test:{issuer.port}", body=b"code=1")
        bearer = [("authorization", f"Bearer {json.loads(first.body)['access_token']}")]
        street.proxy.placeholders = Placeholders(load_placeholder_key(street.folder))  # as a new process makes them
        host = f"api.test:{api.port}"
        async with inside(street, "api.test", api) as client:
            tripped = await client.ask("GET", "/", host=host, headers=bearer)
        assert tripped.headers["x-nightyard"] == "tripwire"
        async with inside(street, "api.test", api, secret="login-test-main, must_carry: true") as client:
            without = await client.ask("GET", "/", host=host)
            response = await client.ask("GET", "/", host=host, headers=bearer)
    assert without.headers["x-nightyard"] == "placeholder_missing"
    assert response.status == 200
    assert [arrived.header("authorization") for arrived in api.inbox] == [[f"Bearer {FRESH}"]]


@pytest.mark.parametrize(
    ("type_name", "parts", "said"),
    [
        ("oauth2-refresh", {"refresh_token": "canary"}, "token_url"),
        ("oauth2-refresh", {"refresh_token": "canary", "token_url": "http://a.example/t"}, "https"),
        ("github-app", {"app_id": "1", "installation_id": "2", "private_key": "canary"}, "PEM"),
    ],
)
async def test_secret_that_could_never_bring_a_token_is_refused(
    street: Street, type_name: str, parts: dict[str, str], said: str
) -> None:
    """While the person is there who adds it, and without repeating a value."""
    with pytest.raises(ProxyRefused, match=said) as refused:
        await add_secret(
            street.admin, "new", GivenValue(parts=parts), kind="key", type_name=type_name, preset=None, replace=False
        )
    assert refused.value.code == "bad_value"
    assert "canary" not in refused.value.message


CLIENT_SECRET = "canary-client/secret+0123456789"


@pytest.mark.parametrize("way", ["form", "json", "basic"])
async def test_a_client_that_a_tool_registers_can_log_in(street: Street, way: str) -> None:
    """A tool registers itself and gets a placeholder for its client secret. Where it shows that at the same host to get
    tokens, the real one goes out; anywhere else it is an alarm. What it logs in to is kept with the real one, too."""
    async with street.upstream("login.test") as upstream, street.upstream("evil.test") as evil:
        street.addresses["evil.test"] = ["127.0.0.1"]
        upstream.respond = say_json(
            json.dumps({"client_id": "tool-1", "client_secret": CLIENT_SECRET, "redirect_uris": []}).encode(),
            status=b"201 Created",
        )
        asked = json.dumps({"redirect_uris": ["http://localhost/cb"], "client_name": "Tool"}).encode()
        as_json, as_form = (
            [("content-type", "application/json")],
            [("content-type", "application/x-www-form-urlencoded")],
        )
        async with inside(street, "login.test", upstream) as client:
            host = f"login.test:{upstream.port}"
            registered = await client.ask("POST", "/oauth/register", host=host, headers=as_json, body=asked)
            assert registered.status == 201
            shown = json.loads(registered.body)
            assert shown["client_id"] == "tool-1"
            placeholder = shown["client_secret"]
            assert CLIENT_SECRET not in placeholder
            upstream.respond = say_json(ISSUED.encode())
            fields = {"grant_type": "authorization_code", "code": "abc", "client_id": "tool-1"}
            if way != "basic":
                fields["client_secret"] = placeholder
            pair = base64.b64encode(f"tool-1:{placeholder}".encode()).decode()
            headers = {
                "form": as_form,
                "json": as_json,
                "basic": [*as_form, ("authorization", f"Basic {pair}")],
            }[way]
            body = json.dumps(fields) if way == "json" else urllib.parse.urlencode(fields)
            answer = await client.ask("POST", "/oauth/token", host=host, headers=headers, body=body.encode())
            assert answer.status == 200
            assert FRESH.encode() not in answer.body
            sent = upstream.inbox[-1]
            if way == "basic":
                said = base64.b64decode(sent.header("authorization")[0].removeprefix("Basic ")).decode()
                assert said == f"tool-1:{urllib.parse.quote_plus(CLIENT_SECRET)}"
            else:
                read = json.loads(sent.body) if way == "json" else dict(urllib.parse.parse_qsl(sent.body.decode()))
                assert read == {**fields, "client_secret": CLIENT_SECRET}
            assert sent.header("content-length") == [str(len(sent.body))]
            upstream.respond = say_json(json.dumps({"error": f"you said {CLIENT_SECRET}"}).encode())
            answer = await client.ask("POST", "/oauth/token", host=host, headers=headers, body=body.encode())
            assert (answer.status, answer.headers["x-nightyard"]) == (502, "secret_reflected")
            # At another of its paths, and at another host, it is out of its place.
            stray = await client.ask("POST", "/other", host=host, headers=as_form, body=placeholder.encode())
            assert (stray.status, stray.headers["x-nightyard"]) == (403, "tripwire")
        login = street.proxy.vault.values("login-test-main")[0]
        assert login.parts["client_secret"].reveal() == CLIENT_SECRET
        async with inside(street, "evil.test", evil) as client:
            host = f"evil.test:{evil.port}"
            stolen = await client.ask("POST", "/oauth/token", host=host, headers=headers, body=body.encode())
            assert (stolen.status, stolen.headers["x-nightyard"]) == (403, "tripwire")
        assert evil.everything == b""
    assert street.spilled(CLIENT_SECRET.encode()) == []


async def test_a_registered_client_logs_in_elsewhere_where_a_grant_says_so(street: Street) -> None:
    """The issuer of tokens is another host than the one that registered the tool: without a grant of the client's
    secret for it that is an alarm, with one the real secret goes out there, and the tool gets placeholders."""
    async with street.upstream("mcp.test") as registrar, street.upstream("auth.test") as issuer:
        registrar.respond = say_json(
            json.dumps({"client_id": "tool-1", "client_secret": CLIENT_SECRET, "redirect_uris": []}).encode()
        )
        issuer.respond = say_json(ISSUED.encode())
        street.addresses["auth.test"] = ["127.0.0.1"]
        as_json = [("content-type", "application/json")]
        async with inside(street, "mcp.test", registrar) as client:
            host = f"mcp.test:{registrar.port}"
            registered = await client.ask(
                "POST", "/register", host=host, headers=as_json, body=b'{"redirect_uris": ["http://localhost/cb"]}'
            )
            placeholder = json.loads(registered.body)["client_secret"]
        pair = base64.b64encode(f"tool-1:{placeholder}".encode()).decode()
        headers = [("content-type", "application/x-www-form-urlencoded"), ("authorization", f"Basic {pair}")]
        place = f"host: auth.test, port: {issuer.port}, addresses: [127.0.0.1]"
        answers = []
        for terms in ("", ", methods: [POST], paths: [/token], secret: mcp-test-main-client, inject: basic"):
            street.grants = f"- {{{place}{terms}}}"
            await street.lease()
            async with street.client() as knocking:
                client = await knocking.tunnel("auth.test", issuer.port, street.ca)
                answers.append(
                    await client.ask(
                        "POST",
                        "/token",
                        host=f"auth.test:{issuer.port}",
                        headers=headers,
                        body=b"grant_type=authorization_code&code=abc",
                    )
                )
    assert answers[0].headers["x-nightyard"] == "tripwire"
    assert answers[1].status == 200
    assert FRESH.encode() not in answers[1].body
    (sent,) = issuer.inbox
    assert (
        base64.b64decode(sent.header("authorization")[0].removeprefix("Basic ")).decode() == f"tool-1:{CLIENT_SECRET}"
    )


async def test_other_registrations_are_nobodys_business(street: Street) -> None:
    """A site's own sign-up has such a path too: what is no client's description goes out and comes back as it is."""
    async with street.upstream("site.test") as upstream:
        page = b"<html>welcome, your token=abcdefghijklmnop</html>"
        upstream.respond = say_json(page, b"text/html")
        async with inside(street, "site.test", upstream) as client:
            for media_type, body in (
                ("application/json", b'{"name": "Ada", "client_name": "x"}'),
                ("multipart/form-data", b"x" * 600_000),
                ("application/x-www-form-urlencoded", b"redirect_uris=x"),
            ):
                answer = await client.ask(
                    "POST",
                    "/register",
                    host=f"site.test:{upstream.port}",
                    headers=[("content-type", media_type)],
                    body=body,
                )
                assert (answer.status, answer.body) == (200, page)
