"""Trying a secret out, decided: for every provider a call that its own recipe can make, and what its answer means."""

from __future__ import annotations

import json

import pytest

from credproxy.admin_server.trial import Answer, Way, find_way, judge, write_request
from credproxy.injection.outgoing import inject
from credproxy.injection.preset import TestCall
from credproxy.injection.presets import load_preset, preset_names
from credproxy.pipeline.scrub import NO_NEEDLES, needles_of
from credproxy.policy.verdict import Allow
from credproxy.vault.credential import Credential
from credproxy.vault.rows import SealedSecret
from credproxy.vault.secret import Secret
from credproxy.vault.types import TYPES
from credproxy.wire.target import Authority, make_target, parse_path

CANARY = "canary0123456789canary"
TRIED = [name for name in preset_names() if getattr(load_preset(name), "test", None) is not None]


def row(preset: str, type_name: str = "key") -> SealedSecret:
    return SealedSecret(
        secret_id=1,
        name="one",
        kind="key",
        type=type_name,
        source="vault",
        preset=preset,
        created_at="",
        changed_at="",
        values=(),
    )


@pytest.mark.parametrize("name", TRIED)
def test_every_providers_call_can_be_made(name: str) -> None:
    """Each call that a provider's file names goes to one of its hosts over TLS, with the secret in it as everywhere."""
    preset = load_preset(name)
    assert preset is not None
    way = find_way(row(name, preset.secret_type), None, [], [])
    assert way.target.scheme == "https"
    parts = {part.name: Secret("one", CANARY) for part in TYPES[preset.secret_type].parts}
    parts |= {"value": Secret("one", CANARY), "access_token": Secret("one", CANARY)}
    parts |= {"session_token": Secret("one", "another-value"), "access_key_id": Secret("one", "AKIAEXAMPLE")}
    request = write_request(way)
    assert way.allow.injection is not None
    sent = inject(request, way.allow.injection, Credential("one", "current", parts), now=1_700_000_000.0)
    spelled = b"\n".join([sent.target.wire.encode(), *(value for _name, value in sent.headers), sent.body or b""])
    assert (CANARY.encode() in spelled) is (preset.secret_type not in ("aws", "basic")), spelled
    assert sent.headers != request.headers or sent.target != request.target
    assert CANARY not in way.spelled


def way(says: str = "", ok: str = "") -> Way:
    target = make_target("https", Authority(host="api.example.org", port=443), parse_path("/me"))
    return Way(
        call=TestCall(method="GET", url="https://api.example.org/me", says=says, ok=ok),
        target=target,
        allow=Allow(rule="preset:x", secret="one", injection=None),
    )


CASES = {
    "taken": (200, {"login": "octo"}, True, "took it (200)", "octo"),
    "taken, a number": (200, {"login": 7}, True, "took it (200)", "7"),
    "taken, nobody named": (204, None, True, "took it (204)", ""),
    "taken, the secret is its own name": (200, {"login": CANARY}, True, "took it (200)", ""),
    "refused": (401, {"message": "Bad credentials"}, False, "refused it with 401: Bad credentials", ""),
    "refused, further in": (403, {"error": {"message": "no scope"}}, False, "refused it with 403: no scope", ""),
    "refused, in a list": (401, {"errors": [{"message": "no"}]}, False, "refused it with 401: no", ""),
    "refused with a smile": (200, {"ok": False, "error": "invalid_auth"}, False, "refused it: invalid_auth", ""),
    "refused with a smile, without a word": (200, [], False, "refused it", ""),
    "taken with a smile": (200, {"ok": True}, True, "took it (200)", ""),
    "refused, and the secret repeated": (401, {"message": f"bad {CANARY}"}, False, "refused it with 401", ""),
    "used up": (429, {"error": "slow"}, None, "asked too often, or that the plan is used up (429): slow", ""),
    "broken": (503, None, None, "answered 503, which says nothing of the secret", ""),
    "moved": (302, None, None, "answered 302, which says nothing of the secret", ""),
}


@pytest.mark.parametrize("case", CASES)
def test_answer_is_judged(case: str) -> None:
    """What a status and a body mean for the secret; no sentence holds it."""
    status, body, is_good, sentence, whose = CASES[case]
    answer = Answer(status=status, body=b"" if body is None else json.dumps(body).encode())
    found = judge(way("/login", "/ok" if "smile" in case else ""), answer, needles_of((CANARY,)))
    assert found == (is_good, found[1], whose)
    assert found[1].endswith(sentence)
    assert CANARY not in found[1]


def test_hostile_answer_is_only_text() -> None:
    """Deep JSON, wrong shapes and control characters neither break the verdict nor reach the terminal."""
    for body in (b"[" * 100_000, b'{"error": {"message": 5}}', b"\xff\xfe", b'{"login": {"a": 1}}', b"[1]"):
        assert judge(way("/login/0"), Answer(status=200, body=body), NO_NEEDLES)[0] is True
    told = judge(way(), Answer(status=401, body=b'{"message": "a\\u001b[2Jb\\u202ec"}'), NO_NEEDLES)[1]
    assert told.endswith("a [2Jb c")
