"""GitHub Apps against the twin: a signed statement brings a token, narrowed if asked; what is wrong is said so."""

from __future__ import annotations

import asyncio
import re
from functools import cache

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.credproxy.issuers.house import House


@cache
def key_pair() -> tuple[str, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode().strip(), public.decode()


def add_app(house: House, name: str = "app", **parts: str) -> None:
    private, public = key_pair()
    house.twin.apps.keys["12345"] = public
    house.twin.apps.installations["678"] = ("notes", "site")
    usual = {"app_id": "12345", "installation_id": "678", "private_key": private, "api_url": house.address}
    house.add(name, "github-app", usual | parts)


async def test_token_of_an_installation(house: House) -> None:
    """Fifty requests, one token; it is long, stored, and good for an hour."""
    add_app(house)
    tokens = await asyncio.gather(*(house.token("app") for _number in range(50)))
    assert len(set(tokens)) == 1
    assert house.asked == 1
    assert len(tokens[0]) > 200
    assert house.stored("app", "access_token") == tokens[0]
    needles = {secret.reveal() for secret in house.credentials.needles("app")}
    assert needles == {tokens[0]}
    house.ahead_s = house.twin.clock_ahead_s = 3590
    assert await house.token("app") != tokens[0]


async def test_narrowed(house: House) -> None:
    """Only the repositories and permissions that the secret names are asked for."""
    add_app(house, repositories="notes", permissions="contents:read")
    given = house.twin.apps.tokens[await house.token("app")]
    assert given["repositories"] == [{"name": "notes"}]
    assert given["permissions"] == {"contents": "read"}


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"installation_id": "999"}, "no installation 999"),
        ({"repositories": "other"}, "cannot narrow"),
        ({"permissions": "administration:write"}, "cannot narrow"),
        ({"app_id": "777"}, "do app_id and private_key belong together"),
        ({"private_key": "-----BEGIN NONE-----\nAAAA\n-----END NONE-----"}, "no PEM key"),
        ({"repositories": "me/notes"}, "without its owner"),
        ({"permissions": "contents"}, "contents:read"),
    ],
)
async def test_what_is_wrong_is_said(house: House, parts: dict[str, str], said: str) -> None:
    """Each mistake has its own sentence, and none is asked for again at each request."""
    add_app(house, **parts)
    failed = await house.failure("app")
    assert failed.code == "issuer_refused"
    assert said in failed.sentence
    asked = house.asked
    await house.failure("app")
    assert house.asked == asked


async def test_clock_that_is_wrong_is_named(house: House) -> None:
    """GitHub refuses what a slow clock signs: the sentence says by how much, and it is tried again later."""
    add_app(house)
    house.twin.clock_ahead_s = 1200
    failed = await house.failure("app")
    assert failed.code == "issuer_unavailable"
    assert re.search(r"clock is -(1199|1200) s off", failed.sentence)


async def test_lifetime_counts_by_the_issuers_clock(house: House) -> None:
    """A clock that is some seconds off makes no token live longer than it does."""
    add_app(house)
    house.twin.clock_ahead_s = 30
    await house.token("app")
    ends_at = house.vault.values("app")[0].token_ends_at
    assert ends_at is not None
    assert 3590 < ends_at - house.clock() < 3602
