"""Tokens: got once for all who wait, kept before they are used, got again when due, and what happens when not."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from pathlib import Path

import pytest

from tests.credproxy.issuers.house import CLIENT, GROUP, House, open_house, until
from twins.oauth.logins import Client
from twins.oauth.server import Fault, serve_oauth


async def wait_until(house: House, asked: int) -> None:
    async with asyncio.timeout(10):
        while house.asked < asked:
            house.twin.arrived.clear()
            await house.twin.arrived.wait()


async def settle(house: House) -> None:
    """Wait until what was asked for has come or was refused."""

    def is_settled() -> bool:
        asked = sum(what.startswith("token asked") for _name, what in house.notes)
        return asked > 0 and asked == sum(
            what.startswith(("token got", "token refused")) for _name, what in house.notes
        )

    await asyncio.sleep(0)  # what was begun in the background begins
    await until(is_settled)


async def test_fifty_at_once_make_one_request(house: House) -> None:
    """Fifty requests that need a token at the same moment get the same one, of one refresh; nothing is spent twice."""
    login = house.log_in()
    house.twin.faults.append(Fault(kind="delay", seconds=0.05))
    tokens = await asyncio.gather(*(house.token() for _number in range(50)))
    assert len(set(tokens)) == 1
    assert house.twin.logins.is_good(tokens[0])
    assert house.asked == 1
    assert not login.is_revoked
    assert [what for _name, what in house.notes] == [
        f"token asked: POST {house.address}/oauth/token",
        "token got for the current value",
    ]


async def test_fresh_tokens_are_stored_before_use_and_outlive_the_process(tmp_path: Path) -> None:
    """What was got is in the vault when the first request has it; the next process uses it without asking again."""
    async with serve_oauth() as (address, twin):
        house = House(tmp_path, address, twin)
        async with house.open():
            login = house.log_in()
            first = await house.token()
            assert house.stored("login", "access_token") == first
            assert house.stored("login", "refresh_token") == login.refresh_token
        async with house.open():
            assert await house.token() == first
            assert house.asked == 1
            house.ahead_s = 3590
            second = await house.token()
        assert second != first
        assert house.asked == 2
        assert not login.is_revoked
        spilled = [path.name for path in tmp_path.iterdir() if second.encode() in path.read_bytes()]
        assert spilled == []


async def test_due_token_is_renewed_behind_the_back_of_requests(house: House) -> None:
    """Near its end a token is still used while the next one is got; nobody waits."""
    house.log_in()
    first = await house.token()
    house.ahead_s = 3600 - 200
    house.twin.faults.append(Fault(kind="delay", seconds=0.2))
    async with asyncio.timeout(0.15):
        assert await house.token() == first
    await settle(house)
    assert await house.token() != first
    assert house.asked == 2


async def test_same_objects_while_nothing_changes(house: House) -> None:
    """A request that changes nothing gets the very same tuples: what was made of them may be kept."""
    house.log_in()
    house.add("key", "key", {"value": "canary-of-a-plain-key"})
    for name in ("login", "key"):
        first = await house.credentials.candidates(name, GROUP)
        assert await house.credentials.candidates(name, GROUP) is first
        assert house.credentials.needles(name) is house.credentials.needles(name)
    revealed = {secret.reveal() for secret in house.credentials.needles("login")}
    assert revealed == {await house.token(), house.stored("login", "refresh_token"), CLIENT.secret}
    assert [secret.reveal() for secret in house.credentials.needles("key")] == ["canary-of-a-plain-key"]


async def test_answer_that_was_lost_is_asked_for_again(house: House) -> None:
    """The issuer changed the tokens and the answer broke off: with an issuer that forgives that, the old refresh token
    is tried again and works."""
    login = house.log_in()
    house.twin.logins.grace_s = 30
    house.twin.faults.append(Fault(kind="lost"))
    failed = await house.failure()
    assert (failed.code, failed.may_retry) == ("issuer_unavailable", True)
    assert house.stored("login", "refresh_token") != login.refresh_token
    assert (await house.failure()).code == "issuer_unavailable"
    assert house.asked == 1
    house.ahead_s = 1.1
    assert house.twin.logins.is_good(await house.token())
    assert house.stored("login", "refresh_token") == login.refresh_token


async def test_login_that_is_lost_says_so_and_is_not_asked_for_again(house: House) -> None:
    """A refresh token that the issuer does not take any more needs a person; until the secret changes, nobody asks."""
    login = house.log_in()
    login.is_revoked = True
    failures = [await house.failure() for _number in range(5)]
    assert {failed.code for failed in failures} == {"login_lost"}
    assert failures[0].mend == "nightyard secret add login --replace"
    assert "unknown or revoked refresh token" in failures[0].sentence
    assert house.asked == 1
    house.log_in(replace=True)
    assert house.twin.logins.is_good(await house.token())


@pytest.mark.parametrize("kind", ["status", "reset", "garbage", "silence"])
async def test_issuer_in_trouble_leaves_a_good_token_in_use(house: House, kind: str) -> None:
    """While the old token lives, an issuer's trouble is nobody's; then it is said, and not asked at every request."""
    house.log_in()
    first = await house.token()
    house.twin.faults.append(Fault(kind=kind, times=3))
    house.ahead_s = 3600 - 200
    assert await house.token() == first
    await settle(house)
    assert await house.token() == first
    house.ahead_s = 3600
    failures = [await house.failure() for _number in range(5)]
    assert {failed.code for failed in failures} == {"issuer_refused" if kind == "garbage" else "issuer_unavailable"}
    assert house.asked == 3


async def test_issuer_says_when_to_come_again(house: House) -> None:
    """A 429 with Retry-After is kept to."""
    house.log_in()
    house.twin.faults.append(Fault(kind="status", status=429, retry_after="60"))
    assert (await house.failure()).code == "issuer_unavailable"
    house.ahead_s = 59
    assert (await house.failure()).code == "issuer_unavailable"
    assert house.asked == 1
    house.ahead_s = 61
    assert house.twin.logins.is_good(await house.token())


async def test_who_goes_away_does_not_stop_a_renewal(house: House) -> None:
    """A request that is cancelled in the middle of a refresh loses nothing: the new tokens are kept."""
    login = house.log_in()
    before = login.refresh_token
    house.twin.faults.append(Fault(kind="late", seconds=0.1))
    asking = asyncio.ensure_future(house.token())
    await wait_until(house, 1)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await settle(house)
    assert login.refresh_token != before
    assert house.stored("login", "refresh_token") == login.refresh_token
    assert house.twin.logins.is_good(await house.token())
    assert house.asked == 1


async def test_end_of_the_process_waits_for_a_renewal(tmp_path: Path) -> None:
    """Told to end in the middle of a refresh, the proxy first stores what comes."""
    async with serve_oauth() as (address, twin):
        house = House(tmp_path, address, twin)
        async with house.open():
            login = house.log_in()
            twin.faults.append(Fault(kind="late", seconds=0.1))
            asking = asyncio.ensure_future(house.token())
            await wait_until(house, 1)
        await asyncio.gather(asking, return_exceptions=True)
        async with house.open():
            assert house.stored("login", "refresh_token") == login.refresh_token
            assert twin.logins.is_good(await house.token())
        assert house.asked == 1


async def test_secret_replaced_during_a_renewal_wins(house: House) -> None:
    """A login that a person replaces while the old one is being renewed: the old one's tokens are dropped."""
    house.log_in()
    house.twin.faults.append(Fault(kind="late", seconds=0.1))
    asking = asyncio.ensure_future(house.first())
    await wait_until(house, 1)
    new = house.log_in(replace=True)
    await asyncio.gather(asking, return_exceptions=True)
    house.credentials.forget("login")
    await house.token()
    assert house.stored("login", "refresh_token") == new.refresh_token
    assert not new.is_revoked


async def test_disk_that_fails_loses_no_login(house: House) -> None:
    """New tokens that cannot be stored are used from memory, and stored when the disk works again."""
    login = house.log_in()
    with contextlib.closing(sqlite3.connect(house.folder / "vault.db")) as other, other:
        other.execute(
            "CREATE TRIGGER full BEFORE UPDATE ON secret_values BEGIN SELECT RAISE(FAIL, 'the disk is full'); END"
        )
    first = await house.token()
    assert house.twin.logins.is_good(first)
    assert await house.token() == first
    assert house.stored("login", "refresh_token") != login.refresh_token
    with contextlib.closing(sqlite3.connect(house.folder / "vault.db")) as other, other:
        other.execute("DROP TRIGGER full")
    other.close()
    await until(lambda: house.stored("login", "refresh_token") == login.refresh_token)
    assert await house.token() == first
    assert house.asked == 1


async def test_refused_token_is_renewed_once(house: House) -> None:
    """A 401 for a token that should be good brings a new one; for a token that was just got it brings none."""
    house.log_in()
    first = await house.first()
    assert await house.credentials.renew(first) is None
    house.ahead_s = 60
    house.twin.logins.revoke_access()
    second = await house.credentials.renew(first)
    assert second is not None
    assert house.twin.logins.is_good(second.value.reveal())
    assert await house.credentials.renew(first) is second
    assert await house.first() is second
    assert second.value.reveal() in {secret.reveal() for secret in house.credentials.needles("login")}
    assert house.asked == 2


async def test_client_is_named_in_the_way_that_the_issuer_knows(house: House) -> None:
    """An issuer that takes the client's secret in one way only gets it so, at once from the second time on."""
    house.twin.logins.clients[CLIENT.client_id] = Client(client_id=CLIENT.client_id, secret=CLIENT.secret, auth="basic")
    house.log_in()
    await house.token()
    house.ahead_s = 3600
    await house.token()
    ways = ["authorization" in entry["headers"] for entry in house.twin.log]
    assert ways == [False, True, True]


async def test_client_credentials(house: House) -> None:
    """A client's own credentials bring a token, with scope; wrong ones are the owner's to mend."""
    parts = {
        "token_url": f"{house.address}/oauth/token",
        "client_id": CLIENT.client_id,
        "client_secret": CLIENT.secret or "",
        "scope": "read write",
    }
    house.add("robot", "client-credentials", parts)
    assert house.twin.logins.is_good(await house.token("robot"))
    assert "scope=read+write" in house.twin.log[0]["body"]
    house.add("wrong", "client-credentials", parts | {"client_secret": "canary-another-secret"})
    failed = await house.failure("wrong")
    assert failed.code == "issuer_refused"
    assert "client authentication failed" in failed.sentence
    assert "canary" not in failed.sentence


async def test_reserve_login_is_there_when_it_is_needed(house: House) -> None:
    """A second login in reserve is got in the background, and comes after the first; if the first is lost, alone."""
    first = house.log_in()
    second = house.twin.logins.log_in(CLIENT.client_id)
    house.vault.add_reserve("login", house.parts_of(second))
    assert [each.label for each in await house.credentials.candidates("login", GROUP)] == ["current"]
    await settle(house)
    both = await house.credentials.candidates("login", GROUP)
    assert [each.label for each in both] == ["current", "reserve-1"]
    assert both[0].value.reveal() != both[1].value.reveal()
    first.is_revoked = True
    house.ahead_s = 3600
    (alone,) = await house.credentials.candidates("login", GROUP)
    assert alone.label == "reserve-1"


async def test_nothing_is_asked_without_the_audit(house: House) -> None:
    """Where the audit cannot be written, no secret goes to an issuer."""
    house.log_in()
    house.is_audit_whole = False
    assert (await house.failure()).code == "issuer_unavailable"
    assert house.asked == 0


async def test_missing_secret(house: House) -> None:
    """A name without a secret says what to run."""
    failed = await house.failure("nothing")
    assert (failed.code, failed.mend) == ("secret_missing", "nightyard secret add nothing")


async def test_removed_secret_is_gone_at_once(house: House) -> None:
    """After a removal no request gets a token any more."""
    house.log_in()
    await house.token()
    house.vault.remove("login")
    assert (await house.failure()).code == "secret_missing"


async def test_plain_http_to_another_machine_is_refused(tmp_path: Path) -> None:
    """A refresh token never travels in clear: the address must be https, or this machine's own."""
    async with open_house(tmp_path) as house:
        house.log_in(token_url="http://tokens.example.org/oauth/token")
        failed = await house.failure()
        assert failed.code == "issuer_refused"
        assert "https" in failed.sentence


async def test_captured_login_is_renewed_at_public_addresses_only(house: House) -> None:
    """An agent named that address: it must not have the proxy post to a private one. The owner may."""
    address = house.address.replace("http://", "https://")
    for name, preset, sentence in (
        ("captured", "captured", "no public address"),
        ("mine", "", "cannot be reached: it broke the connection off"),
    ):
        parts = {"token_url": f"{address}/oauth/token", "refresh_token": "canary"}
        house.vault.add(name, parts, type_name="oauth2-refresh", preset=preset)
        failed = await house.failure(name)
        assert failed.code == "issuer_unavailable"
        assert sentence in failed.sentence
    assert house.asked == 0
