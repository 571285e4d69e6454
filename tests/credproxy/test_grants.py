"""Grants: what a file means, and what is said about a wrong one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credproxy.injection.kinds import Bearer, SetHeader
from credproxy.policy.decide import decide
from credproxy.policy.grants import parse_grants
from credproxy.policy.path_glob import PathGlob
from credproxy.policy.rules import GroupRules, Policy
from credproxy.policy.verdict import Allow, Ask, Deny
from credproxy.wire.target import Authority, make_target, parse_path
from protocol.ids import AttemptId, GroupId, TaskId
from protocol.task import Effects, Lease, Limits

MAIN = GroupId("main")
NOW = 1_800_000_000.0
LEASE = Lease(
    task_id=TaskId("t"), attempt_id=AttemptId("a"), group_id=MAIN, effects=Effects.LIVE, limits=Limits(), routes=()
)


def rules_of(text: str) -> GroupRules:
    rules = parse_grants(text, MAIN, "g.yaml")
    assert isinstance(rules, GroupRules), [str(problem) for problem in rules]
    return rules


def judge(grants: str, method: str, host: str, path: str = "/", *, port: int = 443) -> Allow | Deny:
    policy = Policy(groups={MAIN: rules_of(grants)})
    target = make_target("https", Authority(host=host, port=port), parse_path(path))
    return decide(Ask(method=method, target=target), LEASE, policy, NOW)


def test_full_grant_is_read() -> None:
    """Every key has its meaning."""
    (rule,) = rules_of(
        "- {host: API.Example.org, port: 8443, methods: [GET, POST], paths: [/a/**], addresses: [10.0.0.0/8],"
        " secret: k, inject: {header: X-Key}}"
    ).rules
    assert (rule.host, rule.port, rule.secret) == ("api.example.org", 8443, "k")
    assert rule.methods == {"GET", "POST"}
    assert rule.injection == SetHeader(name="x-key")
    assert rule.name == "main:1"
    assert rules_of("- {host: a.org, secret: k, inject: bearer}").rules[0].injection == Bearer()


@pytest.mark.parametrize("text", ["", "# nothing\n", "null", "[]"])
def test_empty_file_grants_nothing(text: str) -> None:
    """No grants is a valid wish."""
    assert rules_of(text).rules == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- hots: a.org", "g.yaml:1: hots: is not a known key (known: host, "),
        ("- port: 443", "g.yaml:1: host: is missing: a grant names its host"),
        ("- host: a.org\n- host: b.org\n  port: 0", "g.yaml:3: port: expected a whole number from 1 to 65535"),
        ("- host: a.org:8080", "the port is a key of its own"),
        ("- host: http://a.org", "g.yaml:1: host: "),
        ("- host: no", "expected a text"),
        ("- host: '127.1'", "four plain decimals"),
        ("- host: '*.com'", "at least two labels"),
        ("- host: a*.org", "g.yaml:1: host: "),
        ("- {host: a.org, methods: [get]}", "`get` is not one of"),
        ("- {host: a.org, methods: [TRACE]}", "`TRACE` is not one of"),
        ("- {host: a.org, methods: [GTE]}", "did you mean GET?"),
        ("- {hots: a.org}", "did you mean host?"),
        ("- {host: a.org, paths: [a]}", "`a` is not a path"),
        ("- {host: a.org, paths: [/a/../b]}", "is not a path"),
        ("- {host: a.org, secret: k}", "inject: is missing"),
        ("- {host: a.org, inject: bearer}", "no `secret` is named"),
        ("- {host: a.org, secret: k, inject: {header: Host}}", "`Host` cannot carry a secret"),
        ("- {host: a.org, secret: k, inject: {header: 'A: b'}}", "cannot carry a secret"),
        ("- {host: a.org, secret: k, inject: cookie}", "neither bearer, basic, aws nor a preset"),
        ("- {host: a.org, secret: 'sk-ABCDEF_1', inject: bearer}", "never its value"),
        ("- {host: a.org, secret: k, inject: bearer, scheme: http}", "never goes over plain http"),
        ("- {host: '*.a.org', secret: k, inject: bearer}", "never goes to a wildcard host"),
        ("- {host: a.org, host: b.org}", "is given twice"),
        ("- {host: a.org, addresses: [10.0.0.1/8]}", "is not an address or a network"),
        ("host: a.org", "expected a list"),
        ("- a.org", "expected `key: value` lines"),
        ("- {host: a.org", "g.yaml:1: not YAML"),
    ],
)
def test_wrong_file_is_explained(text: str, expected: str) -> None:
    """Each mistake names file, line and key, and the file then grants nothing."""
    problems = parse_grants(text, MAIN, "g.yaml")
    assert isinstance(problems, list)
    assert expected in "\n".join(map(str, problems))


@given(st.text(max_size=80))
def test_no_text_breaks_the_parser(text: str) -> None:
    """Any text is rules or problems, never an exception."""
    assert isinstance(parse_grants(text, MAIN, "g.yaml"), (GroupRules, list))


@pytest.mark.parametrize(
    ("glob", "taken", "refused"),
    [
        ("/a", ["/a"], ["/", "/a/", "/ab", "/a/b"]),
        ("/a/**", ["/a", "/a/", "/a/b/c"], ["/ab", "/b"]),
        ("/**", ["/", "/a/b"], []),
        ("/a/*/c", ["/a/b/c", "/a//c"], ["/a/b/d/c", "/a/c"]),
        ("/a/**/c", ["/a/b/d/c"], ["/a/b"]),
        ("/a.b", ["/a.b"], ["/axb"]),
    ],
)
def test_globs(glob: str, taken: list[str], refused: list[str]) -> None:
    """A star stays in its segment, two go below, and all else stands for itself."""
    pattern = PathGlob(glob)
    assert all(pattern.fits(path) for path in taken)
    assert not any(pattern.fits(path) for path in refused)


def test_first_grant_that_fits_decides() -> None:
    """Order in the file is order of judgement; what fits none is refused with its reason."""
    grants = (
        "- {host: a.org, methods: [GET], paths: [/x], secret: k, inject: bearer}\n"
        "- {host: a.org, methods: [GET]}\n- {host: '*.b.org'}\n"
    )
    first, second = judge(grants, "GET", "a.org", "/x"), judge(grants, "GET", "a.org", "/y//z")
    assert isinstance(first, Allow)
    assert isinstance(second, Allow)
    assert (first.secret, second.secret) == ("k", None)
    assert isinstance(judge(grants, "GET", "x.y.b.org"), Allow)
    codes = [
        judge(grants, "POST", "a.org", "/x"),
        judge(grants, "GET", "b.org"),
        judge(grants, "GET", "xb.org"),
        judge(grants, "GET", "a.org", port=444),
        judge("- {host: a.org, paths: [/x]}", "GET", "a.org", "/y"),
        judge("- {host: a.org, paths: ['/**']}", "GET", "a.org", "/y;z"),
    ]
    assert [code.code for code in codes if isinstance(code, Deny)] == [
        "method_not_granted",
        "host_not_granted",
        "host_not_granted",
        "host_not_granted",
        "path_not_granted",
        "path_ambiguous",
    ]


def test_other_groups_grants_do_not_count() -> None:
    """A lease is judged by its own group's file alone."""
    policy = Policy(groups={GroupId("other"): rules_of("- host: a.org")})
    target = make_target("https", Authority(host="a.org", port=443), parse_path("/"))
    assert isinstance(decide(Ask(method="GET", target=target), LEASE, policy, NOW), Deny)
