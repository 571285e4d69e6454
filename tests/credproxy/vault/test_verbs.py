"""Secrets over the admin socket of a whole proxy: what changes for the very next request, and what a try-out says."""

from __future__ import annotations

import asyncio

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from credproxy.admin_client.link import ProxyRefused
from credproxy.admin_client.secrets import (
    GivenSource,
    GivenValue,
    add_reserve,
    add_secret,
    promote_value,
    rekey_vault,
    remove_value,
    rotate_secret,
    show_secret,
    try_secret,
    vault_health,
)
from tests.credproxy.street import CANARY, Arrived, Street, Upstream, hang, say_json

NEW = "canary-second-0123456789/abc"


def make_pem() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    clear = serialization.NoEncryption()
    spelled = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, clear)
    return spelled.decode("ascii").strip()


def given(text: str) -> GivenValue:
    return GivenValue(parts={"value": text})


def use(street: Street, upstream: Upstream) -> None:
    street.routes["gpt"] = ("openai", f"http://127.0.0.1:{upstream.port}/v1", "key")


async def call(street: Street) -> int:
    return (await street.ask("POST", "/m/gpt/v1/chat/completions", body=b"{}")).status


def sent(upstream: Upstream) -> list[str]:
    return [arrived.header("authorization")[0].removeprefix("Bearer ") for arrived in upstream.inbox]


async def test_rotated_value_counts_for_the_next_request(street: Street) -> None:
    """A kept connection does not carry the old value on; rekeying under way changes nothing for requests."""
    async with street.upstream() as upstream:
        use(street, upstream)
        await street.lease()
        assert await call(street) == 200
        assert await rotate_secret(street.admin, "key", given(NEW), overlap_s=0) == 2
        assert await call(street) == 200
        before = await vault_health(street.admin)
        after = await rekey_vault(street.admin)
        assert await call(street) == 200
    assert sent(upstream) == [CANARY, NEW, NEW]
    assert (after.place, after.secrets) == ("file", 1)
    assert after.key_id != before.key_id
    assert street.spilled(NEW.encode()) == []


async def test_value_that_is_refused_is_followed_by_the_next(street: Street) -> None:
    """Within the overlap, and with reserves, a 401 is answered by the next value, in the order that `show` tells."""
    good = "reserve-value-0123456789"

    async def only_good(arrived: Arrived, writer: asyncio.StreamWriter) -> None:
        is_good = arrived.header("authorization") == [f"Bearer {good}"]
        await say_json(b"{}", status=b"200 OK" if is_good else b"401 Unauthorized")(arrived, writer)

    async with street.upstream() as upstream:
        upstream.respond = only_good
        use(street, upstream)
        await street.lease()
        await rotate_secret(street.admin, "key", given(NEW), overlap_s=600)
        assert await add_reserve(street.admin, "key", given(good)) == "reserve-1"
        assert await call(street) == 200
    assert sent(upstream) == [NEW, CANARY, good]
    state = await show_secret(street.admin, "key")
    assert [(value.label, value.version) for value in state.values] == [
        ("current", 2),
        ("previous", 1),
        ("reserve-1", 3),
    ]
    assert state.used_by == ("route gpt",)
    assert CANARY not in repr(state)


async def test_reserve_takes_over_and_values_go_alone(street: Street) -> None:
    """Promoting and removing single values is seen in the list at once."""
    await add_reserve(street.admin, "key", given(NEW))
    await add_reserve(street.admin, "key", given("third-value-0123"))
    assert await promote_value(street.admin, "key", "reserve-1") == 2
    await remove_value(street.admin, "key", "reserve-2")
    (listed,) = await street.admin.secret_list()
    assert (listed.version, listed.reserves, listed.has_previous) == (2, 0, False)
    with pytest.raises(ProxyRefused) as refusal:
        await remove_value(street.admin, "key", "previous")
    assert (refusal.value.code, refusal.value.mend) == ("value_unknown", "nightyard secret show key")


async def test_removed_secret_cuts_what_is_under_way(street: Street) -> None:
    """A request that is being answered with a secret ends within a second of its removal."""
    asked = asyncio.Event()

    async def note_and_hang(arrived: Arrived, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await hang(arrived, writer)

    async with asyncio.timeout(10), street.upstream() as upstream:
        upstream.respond = note_and_hang
        use(street, upstream)
        await street.lease()
        async with street.client() as client:
            await client.begin("POST", "/m/gpt/v1/chat/completions", body=b"{}")
            await asked.wait()
            await street.admin.secret_remove("key")
            async with asyncio.timeout(1):
                await client.reader.read(1)
        assert await call(street) == 424


async def test_secret_of_several_parts_is_checked_and_shown_without_values(street: Street) -> None:
    """A type's parts are all there or the secret is refused by the part's name; public ones are shown, others never."""
    parts = {"access_key_id": "AKIAEXAMPLE", "secret_access_key": NEW}
    added = await add_secret(street.admin, "aws", GivenValue(parts=parts), type_name="aws")
    assert (added.type, added.preset) == ("aws", "aws")
    state = await show_secret(street.admin, "aws")
    (value,) = state.values
    assert {part.name: (part.is_there, part.shown) for part in value.parts} == {
        "access_key_id": (True, "AKIAEXAMPLE"),
        "secret_access_key": (True, ""),
        "session_token": (False, ""),
    }
    cases = {
        "bad_value": ({"access_key_id": "A"}, "aws"),
        "wrong_shape": ({"access_key_id": 5}, "aws"),
    }
    for code, (bad, type_name) in cases.items():
        with pytest.raises(ProxyRefused) as refusal:
            await add_secret(street.admin, "other", GivenValue(parts=bad), type_name=type_name)  # type: ignore[arg-type]
        assert refusal.value.code == code
    with pytest.raises(ProxyRefused, match="private_key"):
        pem = {"app_id": "1", "installation_id": "2", "private_key": "-----BEGIN\0-----"}
        await add_secret(street.admin, "app", GivenValue(parts=pem), type_name="github-app")
    pem["private_key"] = make_pem()
    await add_secret(street.admin, "app", GivenValue(parts=pem), type_name="github-app")


async def test_provider_is_known_by_name_or_refused(street: Street) -> None:
    """A secret with a provider's name is taken for its; one that is named must exist and take that type."""
    assert (await add_secret(street.admin, "github", given(NEW))).preset == "github"
    assert (await add_secret(street.admin, "mine", given(NEW), preset="github")).preset == "github"
    assert (await add_secret(street.admin, "unlike-any", given(NEW))).preset == ""
    for preset, code in (("nonsense", "preset_unknown"), ("aws", "preset_unfit")):
        with pytest.raises(ProxyRefused) as refusal:
            await add_secret(street.admin, "yours", given(NEW), preset=preset)
        assert refusal.value.code == code


async def test_source_is_shown_and_its_value_used(street: Street) -> None:
    """A secret that is read from a file is listed as such; a request carries what the file says."""
    path = street.folder / "elsewhere"
    path.write_text(NEW)
    path.chmod(0o600)
    source = GivenSource(kind="file", place=str(path), cache_s=5)
    await add_secret(street.admin, "key", GivenValue(source=source), replace=True)
    async with street.upstream() as upstream:
        use(street, upstream)
        await street.lease()
        assert await call(street) == 200
    assert sent(upstream) == [NEW]
    state = await show_secret(street.admin, "key")
    assert state.values[0].source == f"file {path}, kept 5 s"
    with pytest.raises(ProxyRefused, match="come from"):
        await rotate_secret(street.admin, "key", given(NEW), overlap_s=0)


async def test_trial_of_a_routes_key_asks_for_the_models(street: Street) -> None:
    """The key of a model route is tried with a list of models; the verdict follows the status."""
    async with street.upstream() as upstream:
        use(street, upstream)
        street.proxy.reload()
        trial = await try_secret(street.admin, "key")
        assert (trial.is_good, trial.status, trial.label) == (True, 200, "current")
        assert upstream.inbox[0].line == "GET /v1/models HTTP/1.1"
        for status, is_good in ((b"401 Unauthorized", False), (b"403 Forbidden", False), (b"429 Slow", None)):
            upstream.respond = say_json(b'{"error": {"message": "no such key\\u0007"}}', status=status)
            trial = await try_secret(street.admin, "key")
            assert (trial.is_good, trial.sentence.rpartition(": ")[2]) == (is_good, "no such key ")
        upstream.respond = say_json(b"busy", status=b"500 Oh")
        assert (await try_secret(street.admin, "key")).is_good is None
        await add_reserve(street.admin, "key", given(NEW))
        trial = await try_secret(street.admin, "key", label="reserve-1")
        assert (trial.label, sent(upstream)[-1]) == ("reserve-1", NEW)
    down = await try_secret(street.admin, "key")
    assert (down.is_good, down.status) == (None, None)


async def test_trial_goes_only_where_the_secret_may_go(street: Street) -> None:
    """Another address needs a grant or a route for that very host and port; nothing of the key is told."""
    async with street.upstream("api.test") as upstream:
        street.addresses["api.test"] = ["127.0.0.1"]
        place = f"host: api.test, port: {upstream.port}, addresses: [127.0.0.1]"
        street.grants = f"- {{{place}, secret: key, inject: {{header: x-key}}}}"
        street.proxy.reload()
        upstream.respond = say_json(b'{"message": "' + CANARY.encode() + b'"}', status=b"403 No")
        trial = await try_secret(street.admin, "key", url=f"https://api.test:{upstream.port}/who?a=b")
        assert trial.is_good is False
        assert CANARY not in repr(trial)
        assert upstream.inbox[0].line == "GET /who?a=b HTTP/1.1"
        assert upstream.inbox[0].header("x-key") == [CANARY]
        for url, code in (
            ("https://api.test/who", "not_granted"),
            (f"http://api.test:{upstream.port}/", "not_granted"),
            (f"https://other.test:{upstream.port}/", "not_granted"),
            (f"https://api.test:{upstream.port}@other.test/", "bad_url"),
            ("ftp://api.test/", "bad_url"),
        ):
            with pytest.raises(ProxyRefused) as refusal:
                await try_secret(street.admin, "key", url=url)
            assert refusal.value.code == code, url
        with pytest.raises(ProxyRefused) as refusal:
            await try_secret(street.admin, "key")
        assert (refusal.value.code, "--url" in refusal.value.mend) == ("no_test", True)
        await street.admin.freeze(True)
        with pytest.raises(ProxyRefused) as refusal:
            await try_secret(street.admin, "key", url=f"https://api.test:{upstream.port}/")
        assert refusal.value.code == "frozen"
    assert len(upstream.inbox) == 1


async def test_every_verb_about_an_absent_secret_names_it(street: Street) -> None:
    """Whatever is asked of a secret that is not there is refused alike, with where to look."""
    verbs = (
        show_secret(street.admin, "absent"),
        rotate_secret(street.admin, "absent", given(NEW), overlap_s=0),
        add_reserve(street.admin, "absent", given(NEW)),
        promote_value(street.admin, "absent", "reserve-1"),
        remove_value(street.admin, "absent", "reserve-1"),
        street.admin.secret_remove("absent"),
        try_secret(street.admin, "absent"),
    )
    for verb in verbs:
        with pytest.raises(ProxyRefused, match="absent") as refusal:
            await verb
        assert (refusal.value.code, refusal.value.mend.startswith("nightyard secret")) == ("secret_unknown", True)


async def test_changes_of_secrets_are_on_record_without_values(street: Street) -> None:
    """Each change and each try-out is a row of the audit that says what was done, never to what."""
    await add_reserve(street.admin, "key", given(NEW))
    await rotate_secret(street.admin, "key", given("third-value-0123"), overlap_s=60)
    await promote_value(street.admin, "key", "reserve-1")
    await rekey_vault(street.admin)
    await street.admin.secret_remove("key")
    rows = await street.proxy.audit.read(
        lambda connection: connection.execute(
            "SELECT secret, detail FROM entries WHERE kind = 'secret' ORDER BY seq"
        ).fetchall()
    )
    key_id = (await vault_health(street.admin)).key_id
    assert [tuple(row) for row in rows] == [
        ("key", "add: reserve-1"),
        ("key", "rotate: version 3, overlap 60 s"),
        ("key", "promote: reserve-1, version 2"),
        ("", f"rekey: key {key_id} in file"),
        ("key", "remove"),
    ]
