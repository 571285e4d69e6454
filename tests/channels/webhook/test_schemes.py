"""Signatures of the three schemes, against figures that their documents print and against requests made by hand."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as some

from channels.webhook.hook import Scheme
from channels.webhook.schemes import REPLAY_WINDOW_S, Signed, Unsigned, check_signature, sign

NOW = 1_800_000_000
KEY = base64.b64encode(b"k" * 24).decode()


def own(body: bytes = b"{}", *, at: int = NOW, delivery: str = "d-1", secret: str = "s3") -> dict[str, str]:
    return {
        "x-nightyard-id": delivery,
        "x-nightyard-timestamp": str(at),
        "x-nightyard-signature": sign(secret, delivery, at, body),
        "x-nightyard-event": "deploy",
    }


def svix(body: bytes, *, at: int = NOW, delivery: str = "msg_1") -> dict[str, str]:
    signed = f"{delivery}.{at}.".encode() + body
    digest = hmac.new(b"k" * 24, signed, hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return {"svix-id": delivery, "svix-timestamp": str(at), "svix-signature": f"v1,AAAA {signature}"}


def github(body: bytes, secret: str = "s3") -> dict[str, str]:
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"x-hub-signature-256": f"sha256={digest}", "x-github-event": "push", "x-github-delivery": "g-1"}


def test_github_s_own_example_is_signed() -> None:
    """The figures that GitHub prints for testing a check: key, body, signature."""
    wanted = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    checked = check_signature(
        "github", "It's a Secret to Everybody", {"x-hub-signature-256": wanted}, b"Hello, World!", NOW
    )
    assert checked == Signed(event_id=wanted.removeprefix("sha256="), event="")


def test_a_request_of_github_s_tells_its_event() -> None:
    """The header names the event, the signature names the request, whatever delivery it says it is."""
    first = check_signature("github", "s3", github(b"{}"), b"{}", NOW)
    again = check_signature("github", "s3", {**github(b"{}"), "x-github-delivery": "g-2"}, b"{}", NOW)
    assert isinstance(first, Signed) and first.event == "push"
    assert first == again, "a delivery's id is not signed: whoever repeats a request may change it"


def test_resend_s_request_is_known_by_its_id() -> None:
    """Any of several signatures will do; the event is the type in the body."""
    body = b'{"type": "email.bounced"}'
    checked = check_signature("resend", f"whsec_{KEY}", svix(body), body, NOW)
    assert checked == Signed(event_id="msg_1", event="email.bounced")


def test_our_own_scheme() -> None:
    """Id, time and body are signed together."""
    assert check_signature("hmac", "s3", own(), b"{}", NOW) == Signed(event_id="d-1", event="deploy")


@pytest.mark.parametrize(
    "change",
    [
        {"x-nightyard-id": "d-2"},
        {"x-nightyard-timestamp": str(NOW + 1)},
        {"x-nightyard-signature": ""},
        {"x-nightyard-signature": "sha256=\udcff"},
        {"x-nightyard-signature": "sha1=0"},
    ],
)
def test_whatever_is_changed_is_not_signed(change: dict[str, str]) -> None:
    """An id, a time or a signature that is not the one that was signed."""
    assert isinstance(check_signature("hmac", "s3", {**own(), **change}, b"{}", NOW), Unsigned)


@pytest.mark.parametrize("scheme", ["hmac", "github", "resend"])
@pytest.mark.parametrize("secret", ["", "s3", f"whsec_{KEY}", "not base64 at all"])
def test_without_a_signature_nothing_is_taken(scheme: Scheme, secret: str) -> None:
    """Whatever the key is like."""
    assert isinstance(check_signature(scheme, secret, {}, b"{}", NOW), Unsigned)


@pytest.mark.parametrize("late_s", [-REPLAY_WINDOW_S - 1, REPLAY_WINDOW_S + 1])
def test_an_old_request_is_refused_though_it_is_signed(late_s: int) -> None:
    """Or one from the future: five minutes either way."""
    old = check_signature("hmac", "s3", own(at=NOW + late_s), b"{}", NOW)
    assert isinstance(old, Unsigned) and "300 s" in old.reason
    assert isinstance(check_signature("resend", KEY, svix(b"{}", at=NOW + late_s), b"{}", NOW), Unsigned)


@pytest.mark.parametrize("late_s", [-REPLAY_WINDOW_S, REPLAY_WINDOW_S])
def test_the_window_s_edge_is_inside(late_s: int) -> None:
    """Exactly five minutes is well."""
    assert isinstance(check_signature("hmac", "s3", own(at=NOW + late_s), b"{}", NOW), Signed)


@pytest.mark.parametrize("delivery", ["", "x" * 201, "a\nb"])
def test_an_id_that_is_none_is_refused(delivery: str) -> None:
    """Signed or not: it is the key by which a request is known again."""
    assert isinstance(check_signature("hmac", "s3", own(delivery=delivery), b"{}", NOW), Unsigned)


@given(body=some.binary(max_size=200), other=some.binary(max_size=200))
def test_one_body_s_signature_is_no_other_s(body: bytes, other: bytes) -> None:
    """In none of the schemes."""
    for scheme, secret, headers in (
        ("hmac", "s3", own(body)),
        ("github", "s3", github(body)),
        ("resend", KEY, svix(body)),
    ):
        assert isinstance(check_signature(scheme, secret, headers, body, NOW), Signed)  # type: ignore[arg-type]  # names
        is_taken = isinstance(check_signature(scheme, secret, headers, other, NOW), Signed)  # type: ignore[arg-type]  # names
        assert is_taken == (body == other)


@pytest.mark.parametrize("secret", ["", " \n", "whsec_"])
@pytest.mark.parametrize("scheme", ["hmac", "github", "resend"])
def test_an_empty_key_signs_nothing(scheme: Scheme, secret: str) -> None:
    """Anybody has it."""
    key = b"" if scheme == "resend" else secret.encode()
    signed = b"d-1.1000.{}"
    if scheme == "github":
        headers = {"x-hub-signature-256": "sha256=" + hmac.new(key, b"{}", "sha256").hexdigest()}
    elif scheme == "resend":
        digest = base64.b64encode(hmac.new(key, signed, "sha256").digest()).decode()
        headers = {"svix-id": "d-1", "svix-timestamp": "1000", "svix-signature": f"v1,{digest}"}
    else:
        headers = {"x-nightyard-id": "d-1", "x-nightyard-timestamp": "1000"}
        headers["x-nightyard-signature"] = sign(secret, "d-1", 1000, b"{}")
    told = check_signature(scheme, secret, headers, b"{}", 1000)
    assert isinstance(told, Signed) == (scheme != "resend" and secret == "whsec_")


def test_a_signed_request_cannot_be_taken_apart_as_another() -> None:
    """What was signed for one id, time and body holds for no other ones: an id has no dot."""
    signature = sign("key", "a", 1000, b"2000.body")
    headers = {"x-nightyard-id": "a.1000", "x-nightyard-timestamp": "2000", "x-nightyard-signature": signature}
    assert check_signature("hmac", "key", headers, b"body", 2000) == Unsigned(reason="the request's id has a dot")
