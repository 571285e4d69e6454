"""HMAC signatures, against what services publish of theirs."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from credproxy.injection.failure import InjectionFailed
from credproxy.injection.kinds import HmacSigning
from tests.credproxy.injection.requests import NOW, credential, request, sent_headers


def test_a_webhooks_published_example_comes_out() -> None:
    """GitHub's documents give this secret, this body and this signature."""
    step = HmacSigning(header="x-hub-signature-256", template="sha256={}")
    sent = sent_headers(step, request(method="POST", body=b"Hello, World!"), credential("It's a Secret to Everybody"))
    assert sent["x-hub-signature-256"] == "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"


def test_slacks_published_example_comes_out() -> None:
    """Slack's documents give this secret, this time, this body and this signature."""
    step = HmacSigning(
        header="x-slack-signature",
        message="v0:{timestamp}:{body}",
        template="v0={}",
        timestamp_header="x-slack-request-timestamp",
    )
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&"
        b"channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&"
        b"response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&"
        b"trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    who = credential("8f742231b10e8888abcd99yyyzzz85a5")
    from credproxy.injection.outgoing import inject

    sent = dict(inject(request(method="POST", body=body), step, who, now=1531420618.0).headers)
    assert sent[b"x-slack-request-timestamp"] == b"1531420618"
    assert sent[b"x-slack-signature"] == b"v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512"])
def test_fields_encodings_and_algorithms(algorithm: str) -> None:
    """An exchange's way: time in milliseconds, method, target and body, a key in base64, the key's id beside."""
    key = bytes(range(32))
    step = HmacSigning(
        header="x-sign",
        message="{timestamp}{method}{target}{body_sha256}|{path}|{query}|{host}|{key_id}",
        template="id={key_id},t={timestamp},s={}",
        algorithm=algorithm,  # type: ignore[arg-type]  # from the table above
        encoding="base64",
        key_encoding="base64",
        timestamp_form="ms",
        timestamp_header="x-time",
        key_id_header="x-id",
    )
    of = request("/v1/orders?a=1", method="POST", body=b"{}", headers=[(b"x-time", b"planted"), (b"x-id", b"planted")])
    sent = sent_headers(step, of, credential(base64.b64encode(key).decode(), key_id="me"))
    body = hashlib.sha256(b"{}").hexdigest()
    message = f"1700000000000POST/v1/orders?a=1{body}|/v1/orders|a=1|api.example.org|me"
    signature = base64.b64encode(hmac.digest(key, message.encode(), algorithm)).decode()
    assert sent["x-sign"] == f"id=me,t=1700000000000,s={signature}"
    assert (sent["x-time"], sent["x-id"]) == ("1700000000000", "me")


def test_a_field_in_the_body_is_no_field() -> None:
    """What the agent writes is signed as it is, and opens nothing."""
    step = HmacSigning(header="s", message="{body}.{timestamp}")
    sent = sent_headers(step, request(method="POST", body=b"{timestamp}{key_id}{}"))
    assert sent["s"] == hmac.digest(b"tok-en", f"{{timestamp}}{{key_id}}{{}}.{int(NOW)}".encode(), "sha256").hex()


def test_times_are_written_as_the_service_wants_them() -> None:
    """ISO 8601 in UTC."""
    step = HmacSigning(header="s", message="{timestamp}", timestamp_header="t", timestamp_form="iso")
    assert sent_headers(step)["t"] == "2023-11-14T22:13:20Z"


@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_a_key_that_is_not_written_as_said_is_refused(encoding: str) -> None:
    """And the failure does not say it."""
    step = HmacSigning(header="s", key_encoding=encoding)  # type: ignore[arg-type]  # from the table above
    with pytest.raises(InjectionFailed, match="key_encoding") as failed:
        sent_headers(step, who=credential("can@ry!"))
    assert "can@ry" not in str(failed.value)


def test_the_key_never_goes_out() -> None:
    """Only what was made with it."""
    sent = sent_headers(HmacSigning(header="s"), request(body=b"x"), credential("canary-of-32-characters-or-so-it-is"))
    assert "canary" not in repr(sent)
