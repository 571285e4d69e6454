"""Purses over the whole path: calls at once through real sockets, and a proxy that starts again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import h11
import pytest

from credproxy.admin_client.audit import read_model_use
from credproxy.admin_client.purses import put_purses
from credproxy.audit.entry import MODEL_CALL, AuditEntry, CallUse
from credproxy.audit.log import Audit
from credproxy.pipeline.call import utc_day
from credproxy.pipeline.house_purses import PURSES_MARK, HousePurses
from credproxy.pipeline.ledger import Ledger
from protocol.ids import GroupId
from protocol.task import Limits, Purse
from tests.credproxy.porch import open_porch
from tests.credproxy.street import TIMEOUT_S, Arrived, Street, say_ok

USE = b'{"model":"priced-model","usage":{"input_tokens":3,"output_tokens":2}}'
"""7 dollars by the street's prices."""
ASK = b'{"model":"priced-model","max_tokens":2}'


async def test_calls_at_once_go_over_a_purse_by_one_call_at_most(street: Street) -> None:
    """Of six calls at once, at 7 dollars each, a purse of 10 lets two through, one after the other."""
    at_once, most_at_once = 0, 0

    async def answer(_arrived: Arrived, writer: asyncio.StreamWriter) -> None:
        nonlocal at_once, most_at_once
        at_once += 1
        most_at_once = max(most_at_once, at_once)
        await asyncio.sleep(0)
        at_once -= 1
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(USE)}\r\n\r\n"
        writer.write(head.encode() + USE)

    async with street.upstream() as upstream:
        upstream.respond = answer
        street.routes["claude"] = ("anthropic", f"http://127.0.0.1:{upstream.port}", "key")
        await street.lease(purses=(Purse(name="machine", cost_usd=10.0),))
        async with asyncio.TaskGroup() as group:
            asking = [group.create_task(street.ask("POST", "/m/claude/v1/messages", body=ASK)) for _ in range(6)]
        answers = [each.result() for each in asking]
        assert sorted(each.status for each in answers) == [200, 200, 402, 402, 402, 402]
        refused = next(each for each in answers if each.status == 402)
        assert refused.headers["x-nightyard"] == "limit_day_cost"
        assert (len(upstream.inbox), most_at_once) == (2, 1)


@pytest.mark.parametrize("gone", ["route", "secret"])
async def test_a_call_that_waits_for_a_purse_is_cut_with_what_allowed_it(street: Street, gone: str) -> None:
    """It has its key already, and must not go out with that when the route or the secret has been taken away."""
    has_arrived, may_end = asyncio.Event(), asyncio.Event()

    async def answer(arrived: Arrived, writer: asyncio.StreamWriter) -> None:
        has_arrived.set()
        await may_end.wait()
        await say_ok(arrived, writer)

    async with street.upstream() as upstream:
        upstream.respond = answer
        street.routes["claude"] = ("anthropic", f"http://127.0.0.1:{upstream.port}", "key")
        await street.lease(purses=(Purse(name="machine", cost_usd=3.0),))
        asking = [asyncio.create_task(street.ask("POST", "/m/claude/v1/messages", body=ASK)) for _ in range(2)]
        async with asyncio.timeout(TIMEOUT_S):
            await has_arrived.wait()
            while len(street.proxy.under_way) < 2:  # noqa: ASYNC110 - the proxy's own state; nobody sets an event
                await asyncio.sleep(0)
        if gone == "route":
            street.routes.clear()
            await street.admin.reload()
        else:
            await street.admin.secret_remove("key")
        may_end.set()
        ended = await asyncio.gather(*asking, return_exceptions=True)
        assert [type(each) for each in ended] == [h11.RemoteProtocolError] * 2
        assert len(upstream.inbox) == 1
        assert street.proxy.under_way == set()


async def test_another_task_finds_what_is_left(street: Street) -> None:
    """A purse that one task has emptied is empty for the next, until it is given more."""
    async with street.upstream() as upstream:
        street.routes["claude"] = ("anthropic", f"http://127.0.0.1:{upstream.port}", "key")
        purse = Purse(name="group:main", model_calls=2)
        await street.lease(purses=(purse,))
        for _ in range(2):
            assert (await street.ask("POST", "/m/claude/v1/messages", body=ASK)).status == 200
        await street.lease(task="task_2", attempt="attempt_2", purses=(purse,))
        refused = await street.ask("POST", "/m/claude/v1/messages", body=ASK)
        assert refused.headers["x-nightyard"] == "limit_day_calls"
        more = Purse(name="group:main", model_calls=3)
        await street.lease(task="task_2", attempt="attempt_2", purses=(more,))
        assert (await street.ask("POST", "/m/claude/v1/messages", body=ASK)).status == 200


async def test_use_is_told_by_task_day_and_model(street: Street) -> None:
    """The rows that the host mirrors say through which route, and add up to what the upstream was asked."""
    async with street.upstream() as upstream:
        street.routes["claude"] = ("anthropic", f"http://127.0.0.1:{upstream.port}", "key")
        for task, calls in (("task_1", 1), ("task_2", 3)):
            await street.lease(task=task, attempt=f"{task}_1", limits=Limits())
            for _ in range(calls):
                await street.ask("POST", "/m/claude/v1/messages", body=ASK)
        rows = await read_model_use(street.admin)
        assert [(row.task, row.group, row.model, row.route, row.model_calls) for row in rows] == [
            ("task_1", "main", "priced-model", "claude", 1),
            ("task_2", "main", "priced-model", "claude", 3),
        ]
        assert rows[0].last_at < rows[1].last_at and all(row.last_at.startswith(row.day) for row in rows)
        assert sum(row.model_calls for row in rows) == len(upstream.inbox)
        assert await read_model_use(street.admin, task="task_2") == rows[1:]
        assert await read_model_use(street.admin, since="2999-01-01") == ()


async def test_a_restart_forgets_nothing_of_a_purse(tmp_path: Path) -> None:
    """What was paid today is in the file, by purse; tomorrow begins at nothing."""
    use = CallUse(model="m", input_tokens=3, output_tokens=2, cost_usd=7.0, purses=("machine", "group:main"))
    day = utc_day()
    for _ in range(2):
        async with Audit(tmp_path / "audit.db") as audit:
            for number in range(2):
                call = f"call_{number}"
                begun = AuditEntry(kind="begin", task_id="task_1", group_id="main", call_id=call, detail=MODEL_CALL)
                await audit.begin(begun)
                audit.end(AuditEntry(kind="end", task_id="task_1", group_id="main", call_id=call), use)
    async with Audit(tmp_path / "audit.db") as audit:
        for purse in ("machine", "group:main"):
            found = await audit.purse_use(purse, day)
            assert (found.model_calls, found.input_tokens, found.output_tokens, found.cost_usd) == (4, 12, 8, 28.0)
        assert (await audit.purse_use("machine", "2999-01-01")).model_calls == 0
        assert (await audit.purse_use("background:main", day)).model_calls == 0


async def test_a_tool_of_the_host_is_held_to_its_groups_and_the_machines_purse(street: Street) -> None:
    """What a token's bearer asks is paid from both, together with what tasks pay; the host's newest word counts at
    once, and after a restart too."""
    async with street.upstream() as upstream, open_porch(street) as porch:
        street.routes["claude"] = ("anthropic", f"http://127.0.0.1:{upstream.port}", "key")
        made = await porch.token()

        async def ask() -> str:
            shown = [("x-api-key", made.text)]
            async with porch.client() as client:
                answer = await client.ask("POST", "/m/claude/v1/messages", headers=shown, body=ASK)
            return "" if answer.status == 200 else str(answer.headers["x-nightyard"])

        assert await ask() == ""  # nobody has said a limit
        group, machine = Purse(name="group:main", model_calls=2), Purse(name="machine", model_calls=4)
        await put_purses(porch.admin, [machine, group])
        await street.lease(purses=(machine, group))
        assert (await street.ask("POST", "/m/claude/v1/messages", body=ASK)).status == 200
        assert await ask() == "limit_day_calls"
        await put_purses(porch.admin, [machine, Purse(name="group:main", model_calls=9)])
        assert [await ask(), await ask(), await ask()] == ["", "", "limit_day_calls"]  # 4 of the machine's
        await put_purses(porch.admin, [group])
        assert await ask() == "limit_day_calls"
        again = HousePurses(ledger := Ledger(), lambda: None)
        again.load(await street.proxy.audit.mark(PURSES_MARK) or "")
        assert again.of(GroupId("main")) == (Purse(name="machine"), group) and ledger.allowed("group:main") == group
        await put_purses(porch.admin, [])
        assert await ask() == ""
        assert len(upstream.inbox) == 5


@pytest.mark.parametrize("text", ["", "no json", "7", '[{"name": 7}]', '[{"model_calls": 1}]'])
def test_purses_that_cannot_be_read_are_none(text: str) -> None:
    """The proxy starts all the same, and the host says them again."""
    purses = HousePurses(Ledger(), lambda: None)
    purses.load(text)
    assert purses.dump() == "[]"
