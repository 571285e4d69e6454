"""The loopback door: tools of the host, who show a token, over real sockets."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator

import pytest

from credproxy.admin_client.link import ProxyRefused
from credproxy.admin_client.tokens import list_tokens, revoke_token
from credproxy.pipeline.door import MAX_CONNECTIONS
from credproxy.tokens.token import HostToken, digest_of, spell_token
from credproxy.tokens.token_file import TokenFile
from protocol.ids import mint
from protocol.task import Effects, Limits
from tests.credproxy.porch import Porch, basic, open_porch
from tests.credproxy.street import CANARY, GROUP, TIMEOUT_S, Street, hang


@pytest.fixture
async def porch(street: Street) -> AsyncIterator[Porch]:
    async with open_porch(street) as porch:
        yield porch


async def test_a_token_lets_a_tool_do_what_its_group_may(porch: Porch) -> None:
    """A tunnel opened with a token is decided by the group's grants; the token itself goes no further."""
    async with porch.granted() as upstream, porch.client() as client:
        made = await porch.token()
        inside = await porch.tunnel(client, upstream, basic(made.text))
        host = f"api.test:{upstream.port}"
        answer = await inside.ask("GET", "/a", host=host, headers=[("proxy-authorization", basic(made.text))])
    assert answer.status == 200
    assert upstream.inbox[0].header("authorization") == [f"Bearer {CANARY}"]
    assert made.text.encode() not in upstream.everything
    assert porch.rows("begin")[0][:2] == (made.token_id, GROUP)


async def test_without_a_token_nothing_is_told_nor_done(porch: Porch) -> None:
    """No token, a wrong one, two at once or one spelled in another way: 407, one audit row each, nothing goes out."""
    async with porch.granted() as upstream:
        made, other = await porch.token(), await porch.token()
        shown: list[tuple[str, ...]] = [
            (),
            (basic(spell_token(b"x" * 32)),),
            (basic(made.text.upper()),),
            (f"Digest {made.text}",),
            ("Basic \u00fc",),
            (basic(made.text), basic(other.text)),
        ]
        for values in shown:
            async with porch.client() as client:
                head = await porch.knock(client, upstream, *values)
            assert head.startswith(b"HTTP/1.1 407"), values
            assert b'proxy-authenticate: Basic realm="nightyard"\r\n' in head
    assert upstream.connections == 0
    assert porch.rows("denied") == [("host_door", "", "token_wanted")] * len(shown)


async def test_a_tool_may_first_ask_without_its_token(porch: Porch) -> None:
    """After a 407 the same connection takes the request again with the token: git asks in this way."""
    async with porch.granted() as upstream, porch.client() as client:
        made = await porch.token()
        target = f"http://api.test:{upstream.port}/"
        first = await client.ask("GET", target, host=f"api.test:{upstream.port}")
        inside = await porch.tunnel(client, upstream, basic(made.text))
        second = await inside.ask("GET", "/a", host=f"api.test:{upstream.port}")
    assert (first.status, second.status) == (407, 200)
    assert json.loads(first.body)["error"]["grant_with"] == "nightyard token add GROUP"


@pytest.mark.parametrize(
    "header", [("x-api-key", "{}"), ("authorization", "Bearer {}"), ("proxy-authorization", "Bearer {}")]
)
async def test_a_models_client_shows_its_token_as_its_key(porch: Porch, header: tuple[str, str]) -> None:
    """A model's SDK that takes the named route for the model's server needs nothing but the token as its key."""
    name, form = header
    async with porch.street.upstream() as upstream, porch.client() as client:
        porch.street.routes["claude"] = ("anthropic", f"http://127.0.0.1:{upstream.port}", "key")
        made = await porch.token()
        # A key of its user's own, which the tool found somewhere, does not harm and goes nowhere.
        own = "authorization" if name == "x-api-key" else "x-api-key"
        headers = [(name, form.format(made.text)), (own, "sk-own"), ("api-key", "sk-own")]
        answer = await client.ask("POST", "/m/claude/v1/messages", headers=headers, body=b"{}")
    assert answer.status == 200
    assert upstream.inbox[0].header("x-api-key") == [CANARY]
    assert made.text.encode() not in upstream.everything


async def test_only_routes_of_the_token_are_open(porch: Porch) -> None:
    """A model route that the token does not name is refused, whatever the policy has."""
    async with porch.street.upstream() as upstream, porch.client() as client:
        made = await porch.token()
        porch.street.routes["claude"] = ("anthropic", f"http://127.0.0.1:{upstream.port}", "key")
        porch.street.proxy.reload()
        answer = await client.ask("POST", "/m/claude/v1/messages", headers=[("x-api-key", made.text)], body=b"{}")
    assert (answer.status, answer.headers["x-nightyard"]) == (403, "route_not_leased")


async def test_a_key_at_a_foreign_host_is_no_token(porch: Porch) -> None:
    """Outside the named routes only Proxy-Authorization counts: a header meant for the server is not for us."""
    async with porch.granted() as upstream, porch.client() as client:
        made = await porch.token()
        place = f"api.test:{upstream.port}"
        answer = await client.ask(
            "GET", f"http://{place}/", host=place, headers=[("authorization", f"Bearer {made.text}")]
        )
    assert answer.status == 407


async def test_revoking_cuts_what_goes_on_at_once(porch: Porch) -> None:
    """With the revocation the running tunnel is cut and the token opens nothing."""
    async with porch.granted() as upstream, porch.client() as client:
        upstream.respond = hang
        made = await porch.token()
        inside = await porch.tunnel(client, upstream, basic(made.text))
        await inside.begin("GET", "/slow", host=f"api.test:{upstream.port}")
        async with asyncio.timeout(TIMEOUT_S):
            while not upstream.inbox:  # noqa: ASYNC110 - an upstream is looked at
                await asyncio.sleep(0.01)
        assert (await list_tokens(porch.admin)).tokens[0].connections == 1
        await revoke_token(porch.admin, made.token_id)
        async with asyncio.timeout(TIMEOUT_S):
            assert await inside.reader.read() == b""
        async with porch.client() as again:
            assert (await porch.knock(again, upstream, basic(made.text))).startswith(b"HTTP/1.1 407")
    assert (await list_tokens(porch.admin)).tokens == ()
    assert [detail for *_, detail in porch.rows("token")] == ["add for 600 s", "revoke"]
    with pytest.raises(ProxyRefused, match="no valid token"):
        await revoke_token(porch.admin, made.token_id)


async def test_an_expired_token_ends_with_all_that_it_opened(porch: Porch) -> None:
    """When its time is over a token's running tunnel is cut, and the token opens nothing more."""
    text, now = spell_token(b"y" * 32), time.time()
    token = HostToken(
        token_id=mint("token"),
        digest=digest_of(text),
        group_id=GROUP,
        effects=Effects.LIVE,
        limits=Limits(),
        routes=(),
        note="",
        created_at=now,
        expires_at=now + 1.0,
    )
    porch.door.tokens.add(token)
    async with porch.granted() as upstream, porch.client() as client:
        upstream.respond = hang
        inside = await porch.tunnel(client, upstream, basic(text))
        await inside.begin("GET", "/slow", host=f"api.test:{upstream.port}")
        async with asyncio.timeout(TIMEOUT_S):
            assert await inside.reader.read() == b""
        assert time.time() - now >= 1.0
        async with porch.client() as again:
            assert (await porch.knock(again, upstream, basic(text))).startswith(b"HTTP/1.1 407")


async def test_a_connection_is_of_one_token(porch: Porch) -> None:
    """What is sent on another's connection with a token of its own is refused, and the connection ended."""
    async with porch.street.upstream() as upstream, porch.client() as client:
        porch.street.routes["claude"] = ("anthropic", f"http://127.0.0.1:{upstream.port}", "key")
        one, other = await porch.token(), await porch.token()
        first = await client.ask("POST", "/m/claude/v1/messages", headers=[("x-api-key", one.text)], body=b"{}")
        second = await client.ask("POST", "/m/claude/v1/messages", headers=[("x-api-key", other.text)], body=b"{}")
    assert (first.status, second.status, second.headers["x-nightyard"]) == (200, 407, "token_changed")
    assert len(upstream.inbox) == 1


async def test_limits_are_counted_per_token(porch: Porch) -> None:
    """A token's model calls end at its limit; another token of the group has its own."""
    async with porch.street.upstream() as upstream:
        porch.street.routes["claude"] = ("anthropic", f"http://127.0.0.1:{upstream.port}", "key")
        one, other = await porch.token(limits=Limits(model_calls=1)), await porch.token()
        statuses = []
        for text in (one.text, one.text, other.text):
            async with porch.client() as client:
                answer = await client.ask("POST", "/m/claude/v1/messages", headers=[("x-api-key", text)], body=b"{}")
                statuses.append(answer.status)
    assert statuses == [200, 402, 200]


async def test_a_freeze_holds_here_too(porch: Porch) -> None:
    """While everything is frozen a token opens nothing, and what it had open is cut."""
    async with porch.granted() as upstream, porch.client() as client:
        made = await porch.token()
        inside = await porch.tunnel(client, upstream, basic(made.text))
        await porch.street.admin.freeze(True)
        async with asyncio.timeout(TIMEOUT_S):
            assert await inside.reader.read() == b""
        async with porch.client() as again:
            assert (await porch.knock(again, upstream, basic(made.text))).startswith(b"HTTP/1.1 503")


async def test_the_door_is_closed_unless_the_settings_name_a_port(porch: Porch) -> None:
    """Taken out of the settings, the door closes with its connections, and no token is made; named again, it opens."""
    async with porch.granted() as upstream, porch.client() as client:
        made = await porch.token()
        inside = await porch.tunnel(client, upstream, basic(made.text))
        port, porch.wanted[0] = porch.port, 0
        await porch.street.admin.reload()
        async with asyncio.timeout(TIMEOUT_S):
            assert await inside.reader.read() == b""
        assert (await list_tokens(porch.admin)).port == 0
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", port)
        with pytest.raises(ProxyRefused, match="names no port") as refused:
            await porch.token()
        assert (refused.value.code, "host_door_port" in refused.value.mend) == ("door_closed", True)
        porch.wanted[0] = port
        await porch.street.admin.reload()
        assert (await list_tokens(porch.admin)).port == port
        async with porch.client() as again:
            assert (await porch.knock(again, upstream, basic(made.text))).startswith(b"HTTP/1.1 200")


async def test_a_port_that_is_taken_is_said(porch: Porch) -> None:
    """Where another program listens already, the refusal says so, and the door opens once that has gone."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        porch.wanted[0] = other.getsockname()[1]
        await porch.street.admin.reload()
        with pytest.raises(ProxyRefused, match=f"port {porch.port}: Address already in use"):
            await porch.token()
        assert any("host_door_port" in problem for problem in (await porch.street.admin.health()).problems)
    assert (await porch.token()).port == porch.port
    assert (await porch.street.admin.health()).problems == ()


async def test_it_listens_on_loopback_alone(porch: Porch) -> None:
    """No address but 127.0.0.1 answers: not another of the loopback network either."""
    await porch.token()
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.2", porch.port)


async def test_strangers_are_few_and_do_not_hold_tools_up(porch: Porch) -> None:
    """Of connections that show no token the oldest goes when there are too many; a tool comes in at once however many
    there are, and what it has opened stays."""
    async with porch.granted() as upstream, porch.client() as before:
        made = await porch.token()
        inside = await porch.tunnel(before, upstream, basic(made.text))
        opening = (asyncio.open_connection("127.0.0.1", porch.port) for _ in range(2 * MAX_CONNECTIONS))
        idle = await asyncio.gather(*opening)
        async with porch.client() as after:
            assert (await porch.knock(after, upstream, basic(made.text))).startswith(b"HTTP/1.1 200")
        assert (await inside.ask("GET", "/a", host=f"api.test:{upstream.port}")).status == 200
        async with asyncio.timeout(TIMEOUT_S):
            ended = [asyncio.create_task(_is_ended(reader)) for reader, _writer in idle]
            await asyncio.wait(ended, return_when=asyncio.FIRST_COMPLETED)
            while sum(each.done() for each in ended) < MAX_CONNECTIONS:
                await asyncio.wait([each for each in ended if not each.done()], return_when=asyncio.FIRST_COMPLETED)
        for each in ended:
            each.cancel()
        for _, writer in idle:
            writer.close()


async def _is_ended(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read(1) == b""
    except ConnectionError:
        return True


async def test_tokens_outlive_the_proxy_as_hashes(porch: Porch) -> None:
    """After a restart a token is still valid; no file of the home holds its text, and nobody else may read the hash."""
    made = await porch.token()
    file = porch.street.folder / "tokens.json"
    assert porch.street.spilled(made.text.encode()) == []
    assert file.stat().st_mode & 0o777 == 0o600
    again = TokenFile(file)
    found = again.find(made.text, time.time())
    assert found is not None and found.token_id == made.token_id
    assert again.find(made.text, found.expires_at) is None
    file.write_text('[{"token_id": 1}]')
    assert TokenFile(file).tokens(time.time()) == ()
