"""A grant's conditions: what each key means, and what is said about a wrong one."""

from __future__ import annotations

import pytest

from credproxy.policy.bundles import bundle_names, bundle_title, read_bundle
from credproxy.policy.verdict import Approval
from tests.credproxy.policy.judging import MAIN, allowed, judge, problems_of, rules_of


def test_conditions_are_read() -> None:
    """Every key has its meaning."""
    (rule,) = rules_of(
        "- host: a.org\n  secret: k\n  inject: bearer\n  must_carry: true\n  rate: 30/m\n  burst: 5\n  daily: 200\n"
        "  approval: {deadline: 5m, who: [ada, bob]}\n  expires: 2027-02-01T12:30Z\n  body_cap: 64KB\n"
        "  idempotency: true\n"
    ).rules
    allow = rule.allow
    assert allow.must_carry
    assert allow.quota is not None
    assert (allow.quota.per_s, allow.quota.burst, allow.quota.daily) == (0.5, 5, 200)
    assert allow.approval == Approval(deadline_s=300.0, who=("ada", "bob"))
    assert allow.expires_at == 1_801_485_000.0
    assert allow.body_bytes == 65_536
    assert allow.idempotency_header == "idempotency-key"
    assert rules_of("- {host: a.org, approval: true}").rules[0].allow.approval == Approval(deadline_s=600.0)
    assert rules_of("- {host: a.org, approval: false}").rules[0].allow.approval is None
    assert rules_of("- {host: a.org, idempotency: X-Key}").rules[0].allow.idempotency_header == "x-key"
    assert rules_of("- {host: a.org, body_cap: 0}").rules[0].allow.body_bytes == 0


def test_grants_without_conditions_have_none() -> None:
    """The defaults leave a request as it is."""
    allow = rules_of("- host: a.org").rules[0].allow
    assert (allow.quota, allow.approval, allow.expires_at, allow.body_bytes, allow.must_carry) == (
        None, None, None, None, False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- {host: a.org, rate: 30}", "rate: expected a number per s, m, h or d"),
        ("- {host: a.org, rate: 0/m}", "rate: expected a number per"),
        ("- {host: a.org, rate: 5/fortnight}", "rate: expected a number per"),
        ("- {host: a.org, burst: 5}", "burst: goes with `rate`"),
        ("- {host: a.org, daily: -1}", "daily: expected a whole number"),
        ("- {host: a.org, must_carry: yes}", "must_carry: must be true or false"),
        ("- {host: a.org, must_carry: true}", "no `secret` is named"),
        ("- {host: a.org, approval: maybe}", "approval: must be true or false"),
        ("- {host: a.org, approval: {deadline: 1s}}", "deadline: expected a time from 10s"),
        ("- {host: a.org, approval: {by: ada}}", "by: is not a known key"),
        ("- {host: a.org, expires: soon}", "expires: expected a day"),
        ("- {host: a.org, expires: 2027-02-30}", "expires: expected a day"),
        ("- {host: a.org, body_cap: lots}", "body_cap: expected a size"),
        ("- {host: a.org, body_cap: 5GB}", "body_cap: expected a size"),
        ("- {host: a.org, idempotency: 'a b'}", "idempotency: must be true"),
        ("- {host: a.org, twin: localhost}", "twin: must be a twin's address"),
        ("- {host: a.org, twin: 'ftp://localhost'}", "twin: must be a twin's address"),
        ("- bundle: pyhton", "did you mean python?"),
        ("- {bundle: python, host: a.org}", "host: does not go with `bundle`"),
        ("- {bundle: python, secret: k}", "secret: does not go with `bundle`"),
        ("- {web_read: true, paths: [/]}", "paths: does not go with `web_read`"),
        ("- {web_read: perhaps}", "web_read: must be true or false"),
        ("- {web_read: {pages: 5}}", "pages: is not a known key"),
        ("- web_read: true\n- web_read: true", "g.yaml:2: web_read: is there already"),
        ("- {host: '*.github.io'}", "`*.github.io` is too wide"),
        ("- {host: '*.co.uk'}", "too wide"),
        ("- {secret: k}", "host: is missing"),
    ],
)
def test_wrong_conditions_are_explained(text: str, expected: str) -> None:
    """Each mistake names file, line and key, and the file then grants nothing."""
    assert expected in problems_of(text)


def test_quota_stays_with_what_it_grants() -> None:
    """Moving a grant within the file, or adding one above it, gives no quota back; another grant has its own."""
    one = rules_of("- {host: a.org, daily: 5}").rules[0].allow.quota
    moved = rules_of("- host: b.org\n\n- {daily: 5, host: A.org}").rules[1].allow.quota
    other = rules_of("- {host: a.org, daily: 5, methods: [GET]}").rules[0].allow.quota
    assert one is not None
    assert moved is not None
    assert other is not None
    assert one.key == moved.key
    assert one.key != other.key


@pytest.mark.parametrize("name", bundle_names())
def test_each_bundle_is_whole(name: str) -> None:
    """Every bundle says what it is for, grants something, changes nothing out there, and names no key."""
    assert len(bundle_title(name)) > 10
    rules = rules_of(f"- bundle: {name}")
    assert rules.rules
    for rule in rules.rules:
        assert rule.secret is None
        is_git_read = rule.paths is not None and {glob.text for glob in rule.paths} == {"/*/*/git-upload-pack"}
        assert rule.methods <= {"GET", "HEAD"} or is_git_read
        assert rule.name.startswith(f"{MAIN}:1/{name}.")
    assert read_bundle("../bundles/" + name) is None


def test_bundle_takes_its_conditions_as_one() -> None:
    """A bundle's quota is one for all its hosts, and it ends as a whole."""
    rules = rules_of("- {bundle: debian, daily: 10, expires: 2027-02-01}").rules
    assert len({rule.allow.quota.key for rule in rules if rule.allow.quota is not None}) == 1
    assert all(rule.allow.quota is not None and rule.allow.expires_at for rule in rules)


def test_web_read_has_limits_without_being_told() -> None:
    """The open web is never without quotas; each can be set."""
    allow = allowed(judge("- web_read: true", "https://any.example/"))
    assert allow.quota is not None
    assert allow.quota.per_s
    assert allow.quota.daily
    assert allow.quota.daily_bytes
    assert allow.quota.daily_url_chars
    text = (
        "- web_read: {rate: 2/s, burst: 3, daily: 4, daily_bytes: 5MB, daily_url_chars: 600, answer_cap: 1MB}\n"
        "  expires: 2028-01-01"
    )
    own = allowed(judge(text, "https://any.example/"))
    assert own.quota is not None
    assert own.web_read is not None
    assert (own.quota.per_s, own.quota.burst, own.quota.daily, own.quota.daily_bytes) == (2.0, 3, 4, 5 << 20)
    assert own.web_read.max_answer_bytes == 1 << 20
    assert own.expires_at is not None
    assert rules_of("- web_read: false").web_read is None
