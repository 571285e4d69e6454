"""Proposals: from what was asked for to grants that allow that, and little else."""

from __future__ import annotations

from cli.grants_edit import Wish, add_grant
from cli.grants_proposals import propose
from credproxy.admin_client.policy import Seen
from credproxy.policy.check import judge_url
from credproxy.policy.explain import Explanation
from protocol.ids import GroupId

MAIN = GroupId("main")
FILE = "groups/main/grants.yaml"


def seen(method: str, url: str, times: int = 1) -> Seen:
    return Seen(method=method, url=url, code="host_not_granted", times=times)


def test_few_pages_are_proposed_as_they_are_and_many_as_folders() -> None:
    """Up to three paths stand for themselves; more become their folders; pages all over a host become the host."""
    few = propose([seen("GET", "https://a.org/x"), seen("HEAD", "https://a.org/y", 5)])
    assert few == [Wish(host="a.org", methods=("GET", "HEAD"), paths=("/x", "/y"))]
    many = propose([seen("GET", f"https://a.org/docs/{number}") for number in range(9)])
    assert many[0].paths == ("/docs/**",)
    assert propose([seen("GET", f"https://a.org/{number}/x") for number in range(9)])[0].paths == ()


def test_writing_is_proposed_by_exact_path_and_apart_from_reading() -> None:
    """No pair of a writing method and a path is proposed that was not asked for."""
    wishes = propose(
        [seen("POST", f"https://a.org/api/{number}") for number in range(5)] + [seen("GET", "https://a.org/")]
    )
    assert wishes[0].methods == ("POST",)
    assert wishes[0].paths == tuple(f"/api/{number}" for number in range(5))
    assert wishes[1] == Wish(host="a.org", methods=("GET",), paths=("/",))


def test_agent_does_not_choose_how_much_is_proposed() -> None:
    """A star, or a path that servers read in two ways, is not proposed: only a grant for more could allow it."""
    odd = [seen("POST", f"https://a.org/{path}") for path in ("**", "*/x", "a;b", "a%2Fb", "a//b")]
    assert propose(odd) == []
    (wish,) = propose([*odd, seen("POST", "https://a.org/b")])
    assert wish.paths == ("/b",)
    (tunnel,) = propose([seen("CONNECT", "https://a.org:8443")])
    assert tunnel == Wish(host="a.org", port=8443, methods=("GET", "HEAD"))
    assert propose([seen("GET", "nonsense")]) == []


def test_proposals_allow_what_was_asked_for() -> None:
    """Written into a file, they allow each request that they came from."""
    asked = [
        seen("GET", "https://a.org/x"),
        seen("POST", "https://a.org/api/1"),
        seen("GET", "http://b.org:8080/deep/er"),
        seen("DELETE", "https://a.org/its/last"),
        seen("GET", "https://[2001:db8::1]/"),
    ]
    text = ""
    for wish in propose(asked):
        text = add_grant(text, wish, MAIN, FILE)
    for each in asked:
        told = judge_url(text, FILE, MAIN, each.method, each.url, 0.0)
        assert isinstance(told, Explanation)
        assert told.is_allowed, each
