"""What a name stands for: values in their order, read from elsewhere too, and what happens when one is refused."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from credproxy.issuers.credentials import CredentialFailed
from credproxy.vault.rows import Source
from tests.credproxy.issuers.house import CLIENT, GROUP, House
from twins.oauth.server import Fault


async def test_order_of_values(house: House) -> None:
    """The current one, the one before it in its overlap window, then those in reserve."""
    house.add("key", "key", {"value": "value-one"})
    house.vault.add_reserve("key", {"value": "value-in-reserve"})
    house.vault.rotate("key", {"value": "value-two"}, overlap_s=60)
    found = await house.credentials.candidates("key", GROUP)
    assert [(each.label, each.value.reveal()) for each in found] == [
        ("current", "value-two"),
        ("previous", "value-one"),
        ("reserve-1", "value-in-reserve"),
    ]
    assert len(house.credentials.needles("key")) == 3
    assert await house.credentials.renew(found[0]) is None


async def test_value_of_a_file_is_read_again_when_it_is_refused(house: House, tmp_path: Path) -> None:
    """Kept for its cache time; a 401 has it read anew, and if it says the same there is nothing new to try."""
    file = tmp_path / "key"
    file.write_text("value-one\n")
    file.chmod(0o600)
    house.vault.add("key", Source(kind="file", place=str(file), cache_s=600))
    first = await house.first("key")
    assert first.value.reveal() == "value-one"
    assert await house.credentials.candidates("key", GROUP) is await house.credentials.candidates("key", GROUP)
    assert await house.credentials.renew(first) is None
    file.write_text("value-two\n")
    assert await house.token("key") == "value-one"
    renewed = await house.credentials.renew(first)
    assert renewed is not None
    assert renewed.value.reveal() == "value-two"
    assert "value-two" in {secret.reveal() for secret in house.credentials.needles("key")}
    file.unlink()
    assert await house.credentials.renew(renewed) is None
    assert (await house.failure("key")).code == "source_failed"


async def test_command_is_run_once_for_all_who_wait(house: House, tmp_path: Path) -> None:
    """Fifty requests, one run of the password manager."""
    runs = tmp_path / "runs"
    script = tmp_path / "manager"
    script.write_text(f"#!/bin/sh\necho run >> {runs}\necho value-of-the-manager\n")
    script.chmod(0o700)
    house.vault.add("key", Source(kind="command", command=(str(script),), cache_s=600))
    values = await asyncio.gather(*(house.token("key") for _number in range(50)))
    assert set(values) == {"value-of-the-manager"}
    assert runs.read_text().count("run") == 1


async def test_client_of_a_password_manager_gets_tokens(house: House, tmp_path: Path) -> None:
    """A client's credentials may be read from elsewhere, and nothing of them or of the token is kept here. A refresh
    token may not: it changes with each use."""
    house.twin.logins.life_s = 3600
    file = tmp_path / "client.json"
    address = f"{house.address}/oauth/token"
    file.write_text(
        f'{{"client_id": "{CLIENT.client_id}", "client_secret": "{CLIENT.secret}", "token_url": "{address}"}}'
    )
    file.chmod(0o600)
    house.vault.add("robot", Source(kind="file", place=str(file), cache_s=0), type_name="client-credentials")
    token = await house.token("robot")
    assert house.twin.logins.is_good(token)
    assert await house.token("robot") == token
    assert house.asked == 1
    file.write_text(f'{{"refresh_token": "canary", "token_url": "{address}"}}')
    house.vault.add("login", Source(kind="file", place=str(file), cache_s=0), type_name="oauth2-refresh")
    failed = await house.failure("login")
    assert (failed.code, "in the vault itself" in failed.sentence) == ("issuer_refused", True)


async def test_secret_removed_while_its_token_is_got(house: House) -> None:
    """Who waits for a token of a secret that is removed meanwhile is told that there is none."""
    house.log_in()
    house.twin.faults.append(Fault(kind="delay", seconds=0.1))
    asking = asyncio.ensure_future(house.failure())
    async with asyncio.timeout(5):
        await house.twin.arrived.wait()
    house.vault.remove("login")
    house.credentials.forget("login")
    assert (await asking).code == "secret_missing"


async def test_service_that_refuses_all_tokens_costs_few(house: House) -> None:
    """Ever more time passes between two renewals that a refusal brings about."""
    house.log_in()
    credential = await house.first()
    renewals = 0
    for minute in range(120):
        house.ahead_s = 60.0 * minute + 31
        house.twin.logins.revoke_access()
        credential = await house.first()
        renewals += await house.credentials.renew(credential) is not None
    assert renewals <= 8
    assert not house.twin.logins.logins[0].is_revoked


async def test_plain_keys_cost_nothing(house: House) -> None:
    """Asking for a plain key is a look into two tables: a hundred thousand in a second or two."""
    house.add("key", "key", {"value": "value-one"})
    await house.first("key")
    begun = time.process_time()
    for _number in range(2000):
        await house.credentials.candidates("key", GROUP)
    assert (time.process_time() - begun) / 2000 < 500e-6


async def test_nothing_under_a_name(house: House) -> None:
    """The command that would mend it is named."""
    with pytest.raises(CredentialFailed) as failed:
        await house.credentials.candidates("none", GROUP)
    assert failed.value.mend == "nightyard secret add none"
    assert not failed.value.may_retry
    assert house.credentials.needles("none") == ()
