"""`inject:` of a grant: what is taken, and what is told about a mistake."""

from __future__ import annotations

from typing import cast

import pytest
import yaml

from credproxy.injection.grant_inject import parse_grant_inject
from credproxy.injection.kinds import (
    Basic,
    Bearer,
    ByPrefix,
    Cookie,
    HmacSigning,
    Injection,
    JsonField,
    ListHeader,
    PathHole,
    Query,
    Recipe,
    RemoveHeader,
    RemoveQuery,
    ReplaceHeader,
    SetHeader,
    SigV4,
)
from credproxy.injection.parse import parse_inject
from credproxy.policy.yaml_nodes import NodeReader


def parse(text: str, host: str | None = "api.example.org") -> Injection | list[str]:
    """Return the injection, or the problems."""
    reader = NodeReader("grants.yaml")
    node = cast(yaml.Node, reader.document(text))
    injection = parse_grant_inject(reader, node, host=host) if host else parse_inject(reader, node, host=None)
    return [str(problem) for problem in reader.problems] if reader.problems or injection is None else injection


@pytest.mark.parametrize(
    ("text", "injection"),
    [
        ("bearer", Bearer()),
        ("basic", Basic()),
        ("aws", SigV4()),
        ("{basic: x-access-token}", Basic(username="x-access-token")),
        ("{header: X-Api-Key}", SetHeader(name="x-api-key")),
        ('{header: Authorization, as: "Token {}"}', SetHeader(name="authorization", template="Token {}")),
        ("{header: X-Key, only_if_sent: true}", ReplaceHeader(name="x-key")),
        ("{header: X-Key, only_if_sent: false}", SetHeader(name="x-key")),
        (
            "{header: account-id, part: account_id, optional: true}",
            SetHeader(name="account-id", part="account_id", is_optional=True),
        ),
        ("{remove: X-Debug}", RemoveHeader(name="x-debug")),
        ("{remove_query: debug}", RemoveQuery(name="debug")),
        ("{list_header: anthropic-beta, item: a-1}", ListHeader(name="anthropic-beta", item="a-1")),
        ("{query: key}", Query(name="key")),
        ('{path: "/bot{}/**"}', PathHole(templates=("/bot{}/**",))),
        ('{path: ["/bot{}/**", "/v1/{}"]}', PathHole(templates=("/bot{}/**", "/v1/{}"))),
        ("{cookie: session}", Cookie(name="session")),
        ("{json: /auth/token}", JsonField(pointer="/auth/token")),
        ("{sigv4: {service: s3, region: eu-west-1}}", SigV4(service="s3", region="eu-west-1")),
        ("{sigv4: {}}", SigV4()),
        ("{hmac: {header: X-Signature}}", HmacSigning(header="x-signature")),
        (
            '{hmac: {header: X-S, message: "{timestamp}\\n{body}", as: "v1={}", algorithm: sha512, encoding: base64, '
            "key_encoding: hex, timestamp_header: X-T, timestamp: ms, key_id_header: X-I}}",
            HmacSigning(
                header="x-s",
                message="{timestamp}\n{body}",
                template="v1={}",
                algorithm="sha512",
                encoding="base64",
                key_encoding="hex",
                timestamp_header="x-t",
                timestamp_form="ms",
                key_id_header="x-i",
            ),
        ),
        ("{header: X-Key, env: SEARCH_KEY}", Recipe(steps=(SetHeader(name="x-key"),), variables=("SEARCH_KEY",))),
        ("[{sigv4: {}}, {remove: x-a}, bearer]", Recipe(steps=(RemoveHeader(name="x-a"), Bearer(), SigV4()))),
        (
            "{by_prefix: {sk-: [bearer, {remove: x-a}]}, otherwise: {header: x-key}}",
            ByPrefix(
                cases=(("sk-", Recipe(steps=(Bearer(), RemoveHeader(name="x-a")))),),
                otherwise=SetHeader(name="x-key"),
            ),
        ),
    ],
)
def test_each_form_is_the_kind_that_it_says(text: str, injection: Injection) -> None:
    """Names of headers in lower case, signatures last."""
    assert parse(text) == injection


def test_a_presets_name_is_its_way_for_the_grants_host() -> None:
    """And for a host that is none of the provider's it is a mistake."""
    assert parse("github", "github.com") == Recipe(steps=(Basic(username="x-access-token"),), preset="github")
    assert parse("{preset: github, env: MY_TOKEN}", "api.github.com") == Recipe(
        steps=(Bearer(),), preset="github", variables=("MY_TOKEN",)
    )
    assert "is for api.github.com" in str(parse("github", "evil.example.org"))
    assert "neither bearer, basic, aws nor a preset; did you mean github?" in str(parse("githib"))


def test_an_aws_host_says_its_service_when_policy_is_read() -> None:
    """So an upload to S3 may be streamed; what the grant says has the last word."""
    host = "bucket.s3.eu-central-1.amazonaws.com"
    assert parse("aws", host) == parse("{sigv4: {}}", host) == SigV4(service="s3", region="eu-central-1")
    assert parse("{sigv4: {region: us-east-1}}", host) == SigV4(service="s3", region="us-east-1")
    assert parse("{sigv4: {service: s3}}", "minio.example.org") == SigV4(service="s3")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{}", "must be one of"),
        ("[]", "is an empty list"),
        ("{header: X-A, query: b}", "must be one of"),
        ("{header: X-A, item: b}", "does not go with `header`"),
        ("{headr: X-A}", "did you mean header?"),
        ("{header: Host}", "cannot carry a secret"),
        ("{header: Content-Length}", "cannot carry a secret"),
        ("{header: X-Nightyard-A}", "cannot carry a secret"),
        ('{header: "X A"}', "cannot carry a secret"),
        ('{header: "X-A\\r\\nX-B"}', "cannot carry a secret"),
        ('{header: X-A, as: "Token"}', "one {} for the secret"),
        ('{header: X-A, as: "{} {}"}', "one {} for the secret"),
        ('{header: X-A, as: "a\\r\\nb: {}"}', "one {} for the secret"),
        ("{header: X-A, only_if_sent: maybe}", "must be true or false"),
        ('{basic: "a:b"}', "without a colon"),
        ('{query: "a b"}', "not the name of a parameter"),
        ("{path: /bot/x}", "a path with one {}"),
        ('{path: "/{}/{}"}', "a path with one {}"),
        ('{path: "/a/../{}"}', "a path with one {}"),
        ('{path: "bot{}"}', "a path with one {}"),
        ('{cookie: "a;b"}', "not the name of a cookie"),
        ("{json: auth.token}", "not a JSON pointer"),
        ("{sigv4: {service: S3}}", "not the name of a service"),
        ("{hmac: {message: x}}", "where the signature goes"),
        ('{hmac: {header: X-S, message: "{secret}"}}', "`{secret}` is not one of"),
        ('{hmac: {header: X-S, as: "x"}}', "no {} for the signature"),
        ("{hmac: {header: X-S, algorithm: md5}}", "`md5` is not one of"),
        ("{header: X-A, env: PATH}", "cannot name a placeholder"),
        ("{header: X-A, env: LD_PRELOAD}", "cannot name a placeholder"),
        ("{header: X-A, env: lower}", "cannot name a placeholder"),
        ("{list_header: x-a}", "is missing"),
        ("{by_prefix: {sk-: bearer}}", "otherwise"),
        ("{by_prefix: {sk-: nonsense}, otherwise: bearer}", "nonsense"),
        ("{preset: bearer}", "is a way of its own"),
    ],
)
def test_a_mistake_is_told_with_its_line(text: str, problem: str) -> None:
    """Nothing is taken for something else."""
    problems = parse(text)
    assert isinstance(problems, list)
    assert problem in " ".join(problems)
    assert all(told.startswith("grants.yaml:1: ") for told in problems)


def test_within_a_preset_no_preset_is_named() -> None:
    """A preset's file says how, itself."""
    assert "`github` is not one of bearer, basic, aws" in str(parse("github", None))
