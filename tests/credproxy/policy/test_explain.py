"""Decisions told to a person, and files of grants judged by addresses."""

from __future__ import annotations

import typing

import pytest

from credproxy.injection import kinds
from credproxy.policy.check import check_urls
from credproxy.policy.explain import describe_injection, parse_url
from credproxy.policy.verdict import Allow
from credproxy.wire.target import TargetRefused
from tests.credproxy.policy.judging import MAIN, NOW, allowed, judge, problems_of

EACH_KIND: dict[type, str] = {
    kinds.SetHeader: "{header: X-Key, as: 'Token {}'}",
    kinds.ReplaceHeader: "{header: X-Key, only_if_sent: true}",
    kinds.RemoveHeader: "{remove: X-Other}",
    kinds.RemoveQuery: "{remove_query: other}",
    kinds.ListHeader: "{list_header: X-Beta, item: one}",
    kinds.Bearer: "bearer",
    kinds.Basic: "{basic: user}",
    kinds.Query: "{query: key}",
    kinds.PathHole: "{path: '/bot{}/**'}",
    kinds.Cookie: "{cookie: session}",
    kinds.JsonField: "{json: /auth/key}",
    kinds.HmacSigning: "{hmac: {header: X-Signature}}",
    kinds.SigV4: "aws",
}


def test_every_kind_of_injection_is_told() -> None:
    """What is put in and where is said in words for each kind, and for several; never by a catch-all."""
    assert set(EACH_KIND) == set(typing.get_args(kinds.Step))
    told = set()
    for kind, inject in EACH_KIND.items():
        secret = "" if kind in (kinds.RemoveHeader, kinds.RemoveQuery, kinds.ListHeader) else ", secret: k"
        verdict = allowed(judge(f"- {{host: a.org, inject: {inject}{secret}}}", "https://a.org/bot1/x"))
        assert verdict.injection is not None
        (line,) = describe_injection(verdict.injection)
        told.add(line)
    assert len(told) == len(EACH_KIND)
    assert "several things" not in told
    assert "header x-key: Token …" in told
    both = "{by_prefix: {sk-a: bearer}, otherwise: [{header: X-Key}, {cookie: c}]}"
    verdict = allowed(judge(f"- {{host: a.org, secret: k, inject: {both}}}", "https://a.org/"))
    assert verdict.injection is not None
    assert describe_injection(verdict.injection) == (
        "a value that begins with sk-a: header authorization: Bearer …",
        "any other value: header x-key: …, cookie c=…",
    )


def test_list_of_addresses_is_judged_line_by_line() -> None:
    """Comments and empty lines are left out; method and expectation may be there or not; nonsense is denied."""
    lines = [
        "# header",
        "",
        "allow GET https://a.org/x   # a comment",
        "deny post https://a.org/x",
        "https://a.org/#part",
        "a.org",
        "allow HEAD https://a.org/",
        "https://a.org/../x",
        "ftp://a.org/",
    ]
    checked = check_urls("- {host: a.org, methods: [GET]}", "g.yaml", MAIN, lines, NOW)
    assert isinstance(checked, tuple)
    assert [(each.explanation.method, each.explanation.is_allowed, each.is_as_expected) for each in checked] == [
        ("GET", True, True),
        ("POST", False, True),
        ("GET", True, True),
        ("GET", True, True),
        ("HEAD", False, False),
        ("GET", False, True),
        ("GET", False, True),
    ]
    assert isinstance(check_urls("- hots: a.org", "g.yaml", MAIN, lines, NOW), list)


@pytest.mark.parametrize("url", ["https://a.org:99999/", "https://u@a.org/", "https://a.org/%zz", "https:///x", ""])
def test_address_that_no_agent_could_ask_for_is_none(url: str) -> None:
    """A person's address is read by the parser that reads the agents'."""
    with pytest.raises(TargetRefused):
        parse_url(url)


def test_removing_needs_no_secret_and_sending_one_does() -> None:
    """An injection that only takes out goes without a secret; one that puts in does not, nor a secret without one."""
    verdict = judge("- {host: a.org, inject: {remove: X-Other}}", "https://a.org/")
    assert isinstance(verdict, Allow)
    assert "no `secret` is named" in problems_of("- {host: a.org, inject: bearer}")
    assert "does not say how the secret k is sent" in problems_of("- {host: a.org, secret: k, inject: {remove: X-O}}")
