"""Deciding beyond place, method and path: effects, twins, expiry, dry runs, the open web, and ten thousand rules."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credproxy.policy.decide import decide, decide_tunnel
from credproxy.policy.explain import parse_url
from credproxy.policy.routes import build_route
from credproxy.policy.rules import FEW, Policy
from credproxy.policy.verdict import Allow, Ask, Deny, Route
from credproxy.wire.target import Authority
from protocol.task import Effects
from tests.credproxy.policy.judging import LEASE, MAIN, NOW, allowed, denied, judge, rules_of

KEYED = "- {host: a.org, secret: k, inject: bearer}"
TWINNED = "- {host: a.org, secret: k, inject: bearer, must_carry: true, twin: 'http://localhost:8081'}"
WEB = "- web_read: {url_chars: 60}\n- {host: a.org, methods: [POST], paths: [/form]}"


def tunnel(grants: str, host: str, port: int = 443, *, now: float = NOW, dry_until: float = 0.0) -> Deny | None:
    """Return why a tunnel for https is refused, None if it is not."""
    policy = Policy(groups={MAIN: rules_of(grants)}, dry_until={MAIN: dry_until} if dry_until else {})
    verdict = decide_tunnel(Authority(host=host, port=port), LEASE, policy, now)
    assert isinstance(verdict, Deny) or "https" in verdict
    return verdict if isinstance(verdict, Deny) else None


@pytest.mark.parametrize(
    ("grants", "port", "speakable"),
    [
        ("- host: a.org", 443, ("https",)),
        ("- {host: a.org, scheme: http}", 80, ("http",)),
        ("- {host: a.org, scheme: http}", 443, ()),
        ("- {host: a.org, scheme: http, port: 443}", 443, ("http",)),
        (
            "- {host: a.org, scheme: http, port: 8080}\n- {host: '*.b.org', port: 8080}\n- {host: a.org, port: 8080}",
            8080,
            ("https", "http"),
        ),
        ("- {host: a.org, scheme: http, expires: 2020-01-01}", 80, ()),
        ("- web_read: true", 80, ("http",)),
        ("- web_read: true", 443, ("https",)),
        ("- web_read: true", 8080, ()),
    ],
)
def test_a_tunnel_is_for_what_is_granted(grants: str, port: int, speakable: tuple[str, ...]) -> None:
    """TLS where https is granted at that port, plain http where that is, and nothing where neither is."""
    verdict = decide_tunnel(Authority(host="a.org", port=port), LEASE, Policy(groups={MAIN: rules_of(grants)}), NOW)
    assert (() if isinstance(verdict, Deny) else verdict) == speakable


def test_a_refused_tunnel_names_the_grant_for_its_usual_scheme() -> None:
    """Whoever asks for a tunnel to port 80 means plain http."""
    for port, scheme in ((80, " --scheme http"), (443, ""), (8080, " --port 8080")):
        verdict = decide_tunnel(Authority(host="a.org", port=port), LEASE, Policy(groups={MAIN: rules_of("")}), NOW)
        assert isinstance(verdict, Deny)
        assert verdict.grant_with == f"nightyard allow host main a.org{scheme}"


def test_shadow_lets_out_reading_without_a_key_only() -> None:
    """In shadow neither a credential nor a writing method goes out; what policy forbids stays forbidden as such."""
    denied(judge(KEYED, "https://a.org/", effects=Effects.SHADOW), "shadow")
    denied(judge("- host: a.org", "https://a.org/", "POST", effects=Effects.SHADOW), "shadow")
    assert allowed(judge("- host: a.org", "https://a.org/", effects=Effects.SHADOW)).secret is None
    denied(judge(KEYED, "https://b.org/", effects=Effects.SHADOW), "host_not_granted")


def test_twin_gets_the_request_without_the_key() -> None:
    """A task on twins goes where the grant says its twin stands, and takes no key there; elsewhere it goes nowhere."""
    verdict = allowed(judge(TWINNED, "https://a.org/x", "POST", effects=Effects.TWIN))
    assert verdict.dial is not None
    assert (verdict.dial.scheme, verdict.dial.host, verdict.dial.port) == ("http", "localhost", 8081)
    assert (verdict.secret, verdict.injection, verdict.must_carry) == (None, None, False)
    assert "127.0.0.0/8" in map(str, verdict.networks)
    nowhere = denied(judge(KEYED, "https://a.org/", effects=Effects.TWIN), "twin")
    assert nowhere.grant_with == "nightyard allow host main a.org --method GET --twin http://127.0.0.1:PORT"
    live = allowed(judge(TWINNED, "https://a.org/x"))
    assert (live.dial, live.secret, live.must_carry) == (None, "k", True)
    assert live.networks == ()


def test_grant_ends_when_it_says() -> None:
    """A grant holds to the end of its day, then it is as if it were not there, but for the reason that is told."""
    grants = "- {host: a.org, expires: 2027-01-15}"
    end = 1_800_057_600.0  # 2027-01-16 00:00 UTC
    assert allowed(judge(grants, "https://a.org/", now=end - 1)).expires_at == end
    told = denied(judge(grants, "https://a.org/", now=end), "grant_expired")
    assert "main:1" in told.sentence
    assert "2027-01-16 00:00 UTC" in told.sentence
    assert tunnel(grants, "a.org", now=end - 1) is None
    refused = tunnel(grants, "a.org", now=end)
    assert refused is not None
    assert refused.code == "grant_expired"
    later = "- {host: a.org, expires: 2027-01-15, secret: k, inject: bearer}\n- {host: a.org, methods: [GET]}"
    assert allowed(judge(later, "https://a.org/", now=end)).secret is None
    assert allowed(judge(later, "https://a.org/", now=NOW)).secret == "k"


def test_dry_run_lets_out_what_a_grant_could_allow_and_nothing_else() -> None:
    """A dry run turns a denial that a grant would change into a note; it gives no key, no private address, no other
    effect, and ends by itself."""
    on = NOW + 60
    verdict = allowed(judge(KEYED, "https://b.org/x", "POST", dry_until=on))
    assert verdict.is_dry
    assert verdict.would_deny is not None
    assert (verdict.would_deny.code, verdict.secret, verdict.networks) == ("host_not_granted", None, ())
    assert not allowed(judge(KEYED, "https://a.org/", dry_until=on)).is_dry
    denied(judge(KEYED, "https://b.org/x", dry_until=NOW), "host_not_granted")
    denied(judge(KEYED, "https://b.org/x", "TRACE", dry_until=on), "method_refused")
    denied(judge(KEYED, "https://b.org/x", "POST", effects=Effects.SHADOW, dry_until=on), "host_not_granted")
    denied(judge(KEYED, "https://b.org/x", effects=Effects.TWIN, dry_until=on), "host_not_granted")
    denied(judge(KEYED, "https://a.org/x", effects=Effects.SHADOW, dry_until=on), "shadow")
    assert tunnel("", "b.org", dry_until=on) is None
    assert tunnel("", "b.org", dry_until=NOW) is not None


def test_dry_run_of_one_group_is_not_anothers() -> None:
    """Only the group that has it is let out."""
    policy = Policy(groups={MAIN: rules_of("")}, dry_until={"other": NOW + 60})  # type: ignore[dict-item]
    ask = Ask(method="GET", target=parse_url("https://b.org/"))
    assert isinstance(decide(ask, LEASE, policy, NOW), Deny)


def test_open_web_may_be_read() -> None:
    """web_read: GET and HEAD to any host on the usual ports, without a key or a body, in short addresses."""
    verdict = allowed(judge(WEB, "https://anything.example/page?q=1"))
    assert verdict.web_read is not None
    assert (verdict.secret, verdict.body_bytes, verdict.networks) == (None, 0, ())
    assert verdict.quota is not None
    assert allowed(judge(WEB, "http://anything.example/", "HEAD")).web_read is not None
    denied(judge(WEB, "https://anything.example/", "POST"), "host_not_granted")
    denied(judge(WEB, "https://anything.example:8443/"), "host_not_granted")
    denied(judge(WEB, "https://anything.example/" + "x" * 60), "url_too_long")
    assert allowed(judge(WEB, "https://a.org/form", "POST")).web_read is None
    assert allowed(judge(WEB, "https://a.org/other")).web_read is not None
    denied(judge(WEB, "https://a.org/other", effects=Effects.TWIN), "twin")
    assert tunnel(WEB, "anything.example") is None
    assert tunnel(WEB, "anything.example", 8443) is not None


def test_no_lease_decides_before_all_else() -> None:
    """Without a task nothing goes out, dry run or none."""
    policy = Policy(groups={MAIN: rules_of("- host: a.org")}, dry_until={MAIN: NOW + 60})
    verdict = decide(Ask(method="GET", target=parse_url("https://a.org/")), None, policy, NOW)
    assert isinstance(verdict, Deny)
    assert verdict.code == "no_lease"


def test_a_route_that_moved_gives_its_key_to_no_earlier_place() -> None:
    """A request that was read under another policy names where the route led then."""
    route = build_route("claude", "anthropic", "https://new.test", "key")
    assert isinstance(route, Route)
    policy, lease = Policy(routes={"claude": route}), replace(LEASE, routes=("claude",))
    for url, code in (
        ("https://new.test/v1/messages", ""),
        ("https://old.test/v1/messages", "route_moved"),
        ("https://new.test:8443/v1/messages", "route_moved"),
        ("http://new.test:443/v1/messages", "route_moved"),
    ):
        verdict = decide(Ask(method="POST", target=parse_url(url), route="claude"), lease, policy, NOW)
        assert (verdict.code if isinstance(verdict, Deny) else "") == code, url


@pytest.mark.parametrize("count", [1, FEW, FEW + 1, 200])
def test_many_grants_of_one_host_decide_as_few_do(count: int) -> None:
    """Order in the file decides with an index and without: the narrow grant before the wide one, and after it."""
    filler = "".join(f"- {{host: a.org, paths: [/filler{number}/**]}}\n" for number in range(count))
    grants = (
        "- {host: a.org, paths: [/v1/*/x], secret: one, inject: bearer}\n"
        + filler
        + "- {host: a.org, paths: [/v1/**], secret: two, inject: bearer}\n"
        "- {host: a.org, methods: [GET], paths: [/, /exact, /v1/a/x]}\n"
    )
    cases = {"/v1/a/x": "one", "/v1/a/y": "two", "/v1": "two", "/exact": None, "/": None, "/filler0/z": None}
    for path, secret in cases.items():
        assert allowed(judge(grants, f"https://a.org{path}")).secret == secret, path
    denied(judge(grants, "https://a.org/exact", "POST"), "path_not_granted")
    denied(judge(grants, "https://a.org/exact/"), "path_not_granted")


SEGMENTS = st.lists(st.sampled_from(["a", "b", "cc", ""]), max_size=4).map(lambda parts: "/" + "/".join(parts))
GLOBS = st.lists(st.sampled_from(["a", "b", "cc", "*", "a*", "**"]), min_size=1, max_size=4).map(
    lambda parts: "/" + "/".join(parts)
)


@given(st.lists(GLOBS, min_size=FEW + 1, max_size=30), SEGMENTS)
def test_index_finds_what_a_walk_finds(globs: list[str], path: str) -> None:
    """For any globs and path, the first rule by the index is the first rule by trying all."""
    rules = rules_of("".join(f"- {{host: a.org, paths: ['{glob}']}}\n" for glob in globs))
    target = parse_url(f"https://a.org{path}")
    (place,) = rules.by_place.values()
    assert place.by_stem is not None
    found = [rule.name for rule in place.candidates(target.path) if rule.covers(target)]
    assert found == [rule.name for rule in rules.rules if rule.covers(target)]


def test_ten_thousand_grants_cost_what_ten_do() -> None:
    """A decision among ten thousand hosts, or ten thousand paths of one, takes no longer than a few times one among
    ten (the measured target is a tenth more; here the machine is busy)."""
    ten = rules_of("".join(f"- {{host: h{number}.org, paths: [/p/**]}}\n" for number in range(10)))
    hosts = rules_of("".join(f"- {{host: h{number}.org, paths: [/p/**]}}\n" for number in range(10_000)))
    paths = rules_of(
        "".join(f"- {{host: h1.org, paths: [/p/{number}/**, /q/*/{number}]}}\n" for number in range(2_000))
    )

    def cost(decide_once: Callable[[], object]) -> float:
        return min(_time_of(decide_once) for _round in range(5))

    few = cost(lambda: _decide(Policy(groups={MAIN: ten}), "https://h7.org/p/x"))
    assert cost(lambda: _decide(Policy(groups={MAIN: hosts}), "https://h7000.org/p/x")) < few * 4
    assert cost(lambda: _decide(Policy(groups={MAIN: paths}), "https://h1.org/p/1999/x")) < few * 8


def _decide(policy: Policy, url: str) -> None:
    ask = Ask(method="GET", target=parse_url(url))
    for _again in range(200):
        assert isinstance(decide(ask, LEASE, policy, NOW), Allow)


def _time_of(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
