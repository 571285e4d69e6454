"""AWS signatures: those that AWS publishes with their inputs, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from credproxy.injection.failure import InjectionFailed
from credproxy.injection.kinds import SigV4
from credproxy.injection.outgoing import Outgoing, inject, needs_body
from credproxy.injection.sigv4 import canonical_path, canonical_query, place_of, signing_key
from credproxy.vault.credential import Credential
from credproxy.vault.secret import Secret
from credproxy.wire.heads import Headers, find_header
from credproxy.wire.target import Target, parse_path

DOCUMENTED = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
S3_DOCUMENTED = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
SUITE_TIME = datetime(2015, 8, 30, 12, 36, tzinfo=UTC).timestamp()
S3_TIME = datetime(2013, 5, 24, tzinfo=UTC).timestamp()
FORM = b"application/x-www-form-urlencoded"


def credential(key_id: str, secret: str, token: str = "") -> Credential:
    parts = {"access_key_id": key_id, "secret_access_key": secret} | ({"session_token": token} if token else {})
    return Credential("aws", "current", {name: Secret("aws", value) for name, value in parts.items()})


def outgoing(host: str, wire: str, *, method: str = "GET", headers: Headers = [], body: bytes | None = b"") -> Outgoing:  # noqa: B006
    path = parse_path(wire)
    target = Target(scheme="https", host=host, port=443, path=path.path, query=path.query)
    return Outgoing(method, target, [(b"host", host.encode()), *headers], body)


def signed(request: Outgoing, step: SigV4, who: Credential, now: float) -> str:
    """Return the Authorization header that went out."""
    found = find_header(inject(request, step, who, now=now).headers, b"authorization")
    assert found is not None
    return found.decode()


SUITE = {
    "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31": outgoing("example.amazonaws.com", "/"),
    "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500": outgoing(
        "example.amazonaws.com", "/?Param2=value2&Param1=value1"
    ),
    "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b": outgoing(
        "example.amazonaws.com", "/", method="POST"
    ),
    "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11": outgoing(
        "example.amazonaws.com", "/?Param1=value1", method="POST"
    ),
    "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a": outgoing(
        "example.amazonaws.com", "/", method="POST", headers=[(b"content-type", FORM)], body=b"Param1=value1"
    ),
}


@pytest.mark.parametrize("signature", SUITE)
def test_a_request_of_the_published_suite_is_signed_as_it_says(signature: str) -> None:
    """The AWS test suite's own inputs give its own signatures."""
    who, step = credential("AKIDEXAMPLE", DOCUMENTED), SigV4(service="service", region="us-east-1")
    assert signed(SUITE[signature], step, who, SUITE_TIME).endswith(f"Signature={signature}")


def test_the_documents_list_users_is_signed_as_they_say() -> None:
    """The worked example of the documents, its service and region taken from the host's name."""
    request = outgoing(
        "iam.amazonaws.com",
        "/?Action=ListUsers&Version=2010-05-08",
        headers=[(b"content-type", FORM + b"; charset=utf-8")],
    )
    assert signed(request, SigV4(), credential("AKIDEXAMPLE", DOCUMENTED), SUITE_TIME) == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date, "
        "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    )


@pytest.mark.parametrize(
    ("wire", "signature"),
    [
        ("/?lifecycle", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        ("/?max-keys=2&prefix=J", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ],
)
def test_the_documents_requests_to_s3_are_signed_as_they_say(wire: str, signature: str) -> None:
    """S3's worked examples, with the body's hash as a header."""
    request, who = (
        outgoing("examplebucket.s3.amazonaws.com", wire),
        credential("AKIAIOSFODNN7EXAMPLE", S3_DOCUMENTED),
    )
    value = signed(request, SigV4(service="s3", region="us-east-1"), who, S3_TIME)
    assert "SignedHeaders=host;x-amz-content-sha256;x-amz-date," in value
    assert value.endswith(f"Signature={signature}")


def test_the_documents_signing_key_comes_out() -> None:
    """The key of a day, region and service, as the documents give it."""
    key = signing_key(DOCUMENTED, "20150830", "us-east-1", "iam")
    assert key.hex() == "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"


def test_what_the_agent_signed_with_its_placeholder_does_not_go_out() -> None:
    """Signature, date, token and an address signed in advance are the agent's own: gone, and one signature is there."""
    request = outgoing(
        "b.s3.eu-central-1.amazonaws.com",
        "/k?X-Amz-Credential=AKIAEVIL%2Fx&X-Amz-Signature=00&x-amz-security-token=t&versionId=3",
        headers=[
            (b"authorization", b"AWS4-HMAC-SHA256 Credential=AKIAEVIL"),
            (b"x-amz-date", b"20000101T000000Z"),
            (b"date", b"yesterday"),
            (b"x-amz-security-token", b"of the agent"),
        ],
    )
    sent = inject(request, SigV4(), credential("AKIAOURS", "s" * 40), now=S3_TIME)
    names = [name for name, _value in sent.headers]
    assert sent.target.wire == "/k?versionId=3"
    assert names.count(b"authorization") == names.count(b"x-amz-date") == 1
    assert b"date" not in names
    assert b"x-amz-security-token" not in names
    assert b"EVIL" not in b"".join(value for _name, value in sent.headers)


def test_a_session_token_is_sent_and_signed() -> None:
    """Temporary credentials carry their token, under the signature."""
    sent = inject(
        outgoing("sts.eu-west-1.amazonaws.com", "/"), SigV4(), credential("ASIA", "s" * 40, "session"), now=S3_TIME
    )
    assert find_header(sent.headers, b"x-amz-security-token") == b"session"
    assert b"x-amz-security-token" in (find_header(sent.headers, b"authorization") or b"")


@pytest.mark.parametrize(
    ("host", "service", "region"),
    [
        ("s3.amazonaws.com", "s3", "us-east-1"),
        ("bucket.s3.eu-central-1.amazonaws.com", "s3", "eu-central-1"),
        ("s3.dualstack.us-west-2.amazonaws.com", "s3", "us-west-2"),
        ("dynamodb.ap-southeast-2.amazonaws.com", "dynamodb", "ap-southeast-2"),
        ("bedrock-runtime.us-east-1.amazonaws.com", "bedrock", "us-east-1"),
        ("api.ecr.us-east-2.amazonaws.com", "ecr", "us-east-2"),
        ("email.eu-west-1.amazonaws.com", "ses", "eu-west-1"),
        ("iam.amazonaws.com", "iam", "us-east-1"),
        ("abc123.execute-api.eu-west-1.amazonaws.com", "execute-api", "eu-west-1"),
        ("s3.cn-north-1.amazonaws.com.cn", "s3", "cn-north-1"),
    ],
)
def test_the_host_says_service_and_region(host: str, service: str, region: str) -> None:
    """Most hosts name both; the grant need not."""
    assert place_of(SigV4(), host) == (service, region)


@pytest.mark.parametrize("host", ["minio.example.org", "amazonaws.com", "s3.amazonaws.com.evil.example"])
def test_a_host_that_does_not_say_needs_a_grant_that_does(host: str) -> None:
    """Nothing is guessed for other names; a grant that says both is taken by its word."""
    with pytest.raises(InjectionFailed, match="does not say"):
        place_of(SigV4(), host)
    assert place_of(SigV4(service="s3", region="eu-west-1"), host) == ("s3", "eu-west-1")


def test_the_query_is_sent_as_it_is_signed() -> None:
    """Sorted by name and value, encoded in one way."""
    assert canonical_query("b=2&a=x+y&a=%7e&c") == "a=x%20y&a=~&b=2&c="
    assert canonical_query("X-Amz-Signature=1") is None


def test_paths_are_encoded_twice_but_for_s3() -> None:
    """A path that holds an escape is escaped again, except by S3."""
    assert canonical_path("/a%20b/c", is_s3=False) == "/a%2520b/c"
    assert canonical_path("/a%20b/c+d", is_s3=True) == "/a%20b/c%2Bd"


def test_a_body_that_is_streamed_goes_unsigned_to_s3_alone() -> None:
    """S3 takes an unsigned body; no other service does, and nothing is sent there."""
    who = credential("AKIA", "s" * 40)
    sent = inject(
        outgoing("b.s3.eu-west-1.amazonaws.com", "/k", method="PUT", body=None),
        SigV4(service="s3", region="eu-west-1"),
        who,
        now=S3_TIME,
    )
    assert find_header(sent.headers, b"x-amz-content-sha256") == b"UNSIGNED-PAYLOAD"
    assert not needs_body(SigV4(service="s3", region="eu-west-1"))
    assert needs_body(SigV4())
    with pytest.raises(InjectionFailed) as failed:
        inject(outgoing("sqs.eu-west-1.amazonaws.com", "/", method="POST", body=None), SigV4(), who, now=S3_TIME)
    assert failed.value.code == "body_not_whole"


def test_a_body_signed_in_pieces_is_refused_before_it_is_sent() -> None:
    """Each piece holds a signature made with the placeholder, which the service would not take."""
    said = [(b"x-amz-content-sha256", b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD")]
    request = outgoing("b.s3.eu-west-1.amazonaws.com", "/k", method="PUT", headers=said, body=b"5;chunk-signature=0")
    with pytest.raises(InjectionFailed) as failed:
        inject(request, SigV4(), credential("AKIA", "s" * 40), now=S3_TIME)
    assert failed.value.code == "signing_refused"


def test_unsigned_pieces_with_a_checksum_go_out_as_they_are() -> None:
    """What the SDKs send to S3 over TLS."""
    said = [(b"x-amz-content-sha256", b"STREAMING-UNSIGNED-PAYLOAD-TRAILER")]
    request = outgoing("b.s3.eu-west-1.amazonaws.com", "/k", method="PUT", headers=said, body=b"0")
    sent = inject(request, SigV4(), credential("AKIA", "s" * 40), now=S3_TIME)
    assert find_header(sent.headers, b"x-amz-content-sha256") == b"STREAMING-UNSIGNED-PAYLOAD-TRAILER"


def test_a_secret_of_another_type_signs_nothing() -> None:
    """A plain key where an access key is needed: told, not sent."""
    plain = Credential("k", "current", {"value": Secret("k", "plain")})
    with pytest.raises(InjectionFailed, match="no part secret_access_key") as failed:
        inject(outgoing("iam.amazonaws.com", "/"), SigV4(), plain, now=S3_TIME)
    assert failed.value.code == "credential_unfit"
