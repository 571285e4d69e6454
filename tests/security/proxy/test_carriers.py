"""Attacks on what a request carries: other accounts, doubled headers, values that end a header (22, 23, 26, 34-38)."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from credproxy.admin_client.link import ProxyRefused
from credproxy.wire.heads import AUTH_CARRIERS, OVERRIDES
from tests.credproxy.street import CANARY
from tests.security.proxy.scene import Scene

OWN = "own-account-of-the-agent"
CARRIERS = (
    *("authorization", "proxy-authorization", "cookie", "cookie2", "x-api-key", "api-key", "apikey", "x-apikey"),
    *("x-auth-token", "x-auth-key", "x-access-token", "x-token", "x-session-token", "x-goog-api-key", "private-token"),
    *("x-goog-iam-authorization-token", "x-amz-security-token", "x-subscription-token", "x-github-token", "job-token"),
    *("deploy-token", "x-vault-token", "x-figma-token", "x-shopify-access-token", "ocp-apim-subscription-key"),
    *("openai-organization", "openai-project"),
)
"""Where services take credentials; written apart from the proxy's own list, which may only be longer."""


def spellings(name: str) -> set[str]:
    """Return the ways in which some server takes a header's name for this one."""
    return {name, name.upper(), name.title(), name.replace("-", "_"), name.replace("-", "_", 1).upper()}


@pytest.mark.parametrize("name", sorted({*CARRIERS, *(carrier.decode() for carrier in AUTH_CARRIERS)}))
async def test_no_second_account_rides_along(scene: Scene, name: str) -> None:
    """The agent's own credential, in any header and spelling, stays behind; A gets ours, once (34, 35)."""
    headers = [(spelling, OWN) for spelling in sorted(spellings(name))]
    async with scene.inside() as client:
        assert (await client.ask("GET", "/x", host=scene.host, headers=headers)).status == 200
    assert OWN.encode() not in scene.a.everything
    assert scene.a.inbox[0].header("authorization") == [f"Bearer {CANARY}"]


@pytest.mark.parametrize("name", ["authorization", "x-custom-key", "x-api-key"])
async def test_doubled_header_is_sent_once(scene: Scene, name: str) -> None:
    """However often the agent gives the header that the secret goes into, A gets it once, with ours (36)."""
    inject = "bearer" if name == "authorization" else f"{{header: {name}}}"
    await scene.grant(f"- {{{scene.place}, secret: key, inject: {inject}}}")
    headers = [(spelling, OWN) for spelling in (name, name.upper(), name.title(), name.replace("-", "_"))]
    async with scene.inside() as client:
        assert (await client.ask("GET", "/x", host=scene.host, headers=headers)).status == 200
    (value,) = scene.a.inbox[0].header(name)
    assert value.endswith(CANARY)
    assert OWN.encode() not in scene.a.everything


@pytest.mark.parametrize("name", sorted(override.decode() for override in OVERRIDES))
async def test_no_override_reaches_the_server(scene: Scene, name: str) -> None:
    """Headers with which a server may do another thing than was judged stay behind, in any spelling (26)."""
    headers = [(spelling, "/closed-or-DELETE") for spelling in sorted(spellings(name))]
    async with scene.inside() as client:
        assert (await client.ask("GET", "/x", host=scene.host, headers=headers)).status == 200
    assert b"closed-or-DELETE" not in scene.a.everything


METHODS = ("HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "get", "Get", "GETT", "TRACE", "TRACK", "CONNECTT")


@pytest.mark.parametrize("method", METHODS)
async def test_method_is_the_one_on_the_wire(scene: Scene, method: str) -> None:
    """A grant for GET is for GET: not for HEAD, nor for another spelling, nor for anything unheard of (26)."""
    await scene.grant(f"- {{{scene.place}, methods: [GET], secret: key, inject: bearer}}")
    async with scene.inside() as client:
        response = await client.ask(method, "/x", host=scene.host)
    assert response.status == 403
    assert scene.a.connections == 0


async def test_headers_of_the_hop_end_here(scene: Scene) -> None:
    """What is for this hop, or named as such by `Connection`, stays here in both directions (37, 38)."""
    headers = [
        ("Proxy-Authorization", "Basic " + OWN),
        ("Proxy-Connection", "keep-alive, X-Named"),
        ("Connection", "Keep-Alive, X-Also-Named"),
        ("Keep-Alive", OWN),
        ("X-Named", OWN),
        ("X-Also-Named", OWN),
        ("TE", "trailers"),
        ("Trailer", "X-Trailer"),
        ("X-Nightyard", "allowed"),
        ("X-Nightyard-Group", "other"),
        ("X-Nightyard-Task", OWN),
    ]
    async with scene.inside() as client:
        await client.ask("GET", "/x", host=scene.host, headers=headers)
    raw = scene.a.inbox[0].raw.lower()
    assert OWN.encode() not in raw
    for gone in (b"proxy-", b"x-nightyard", b"named", b"te:", b"trailer"):
        assert gone not in raw


@pytest.mark.parametrize("name", ["authorization", "host", "content-length"])
async def test_connection_cannot_name_what_the_proxy_sends(scene: Scene, name: str) -> None:
    """`Connection: Authorization` makes the proxy drop the agent's, never its own header (37)."""
    async with scene.inside() as client:
        response = await client.ask(
            "POST", "/x", host=scene.host, headers=[("Connection", f"keep-alive, {name}")], body=b"hello"
        )
    assert response.status == 200
    (arrived,) = scene.a.inbox
    assert arrived.header("authorization") == [f"Bearer {CANARY}"]
    assert arrived.header("host") == [scene.host]
    assert arrived.body == b"hello"


BAD_VALUE_CHARS = "".join(map(chr, range(32))) + "\x7f\x80\xe4\u2028\U0001f600"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=st.text("ab", max_size=3), bad=st.sampled_from(BAD_VALUE_CHARS), after=st.text("ab", max_size=3))
def test_value_that_could_end_a_header_is_not_taken(before: str, bad: str, after: str) -> None:
    """No value with a control character or a letter beyond ASCII becomes a secret (22)."""
    from credproxy.vault.secret import BadValue, check_value

    with pytest.raises(BadValue):
        check_value(before + bad + after)


@pytest.mark.parametrize("value", ["a\r\nX-Injected: 1", "a\nb", "a\0b", "\u00e4\u00f6", " padded ", ""])
async def test_bad_value_is_refused_where_it_is_written(scene: Scene, value: str) -> None:
    """The vault says no before anything is stored, and the old value stays in force (22)."""
    with pytest.raises(ProxyRefused) as refused:
        await scene.street.admin.secret_add("key", value, "key", replace=True)
    scene.said.append(str(refused.value))
    async with scene.inside() as client:
        assert (await client.ask("GET", "/x", host=scene.host)).status == 200
    assert scene.canary_came_home()


BAD_HEADERS = ("X: y", "X\\r\\nY", "Host", "Content-Length", "Transfer-Encoding", "Connection", "", "X Y", "\u00c4")


@pytest.mark.parametrize("header", BAD_HEADERS)
async def test_header_that_would_break_a_request_is_refused_in_the_file(scene: Scene, header: str) -> None:
    """A grant that would put the secret into framing, or past a line, grants nothing (22)."""
    await scene.grant(f'- {{{scene.place}, secret: key, inject: {{header: "{header}"}}}}')
    async with scene.client() as client:
        response = await client.ask("CONNECT", scene.host, host=scene.host)
    assert response.headers["x-nightyard"] == "grants_broken"
    assert scene.a.connections == 0


async def test_secret_that_does_not_open_sends_nothing(scene: Scene) -> None:
    """A sealed value that was tampered with fails the request with its code: it never goes out without it (23)."""
    async with scene.inside() as client:
        assert (await client.ask("GET", "/x", host=scene.host)).status == 200
    scene.a.inbox.clear()
    with closing(sqlite3.connect(scene.street.folder / "vault.db", timeout=5)) as database:
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        changed = 0
        for table in tables:
            for _, column, kind, *_rest in database.execute(f"PRAGMA table_info({table})").fetchall():
                if kind.upper() == "BLOB":
                    changed += database.execute(f"UPDATE {table} SET {column} = zeroblob(length({column}))").rowcount
        database.commit()
    assert changed
    await scene.street.admin.reload()
    await scene.street.admin.secret_add("other", "another-value", "key")
    async with scene.inside() as client:
        response = await client.ask("POST", "/x", host=scene.host, body=b"pay")
    assert response.headers.get("x-nightyard") in ("secret_broken", "secret_missing"), response
    assert scene.a.inbox == []
