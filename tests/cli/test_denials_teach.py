"""The command that a denial names: typed as it is, it allows that request."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from cli.verb_group import run
from credproxy.policy.check import judge_url
from credproxy.policy.explain import Explanation
from protocol.ids import GroupId

MAIN = GroupId("main")
KEYED = "- {host: a.org, methods: [GET], paths: [/a], secret: k, inject: {header: X-Key}}\n"


def judged(path: Path, method: str, url: str) -> Explanation:
    told = judge_url(path.read_text(), "grants.yaml", MAIN, method, url, 1_800_000_000.0)
    assert isinstance(told, Explanation), told
    return told


@pytest.mark.parametrize(
    ("grants", "method", "url"),
    [
        ("", "GET", "https://a.org/x"),
        ("", "POST", "http://a.org:8080/x"),
        ("", "GET", "https://10.0.0.1/"),
        ("", "GET", "https://[2001:db8::1]:8443/"),
        ("- {host: a.org, methods: [GET]}", "DELETE", "https://a.org/x"),
        ("- {host: a.org, methods: [GET], paths: [/a]}", "DELETE", "https://a.org/x"),
        ("- {host: '*.a.org', methods: [GET]}", "PUT", "https://b.a.org/x"),
        ("- {host: a.org, paths: [/a/**]}", "GET", "https://a.org/$(reboot)&'x',y"),
        ("- {host: a.org, paths: [/a/**]}", "GET", "https://a.org/%20%C3%A9"),
        (KEYED, "GET", "https://a.org/b"),
        (KEYED, "POST", "https://a.org/a"),
        ("- web_read: true", "POST", "https://a.org/form"),
    ],
)
def test_named_command_allows_what_was_denied(
    grants: str, method: str, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command works as it stands, gives the key only where the nearest grant does, and nothing wider: another
    method or path of the host stays denied where it was a matter of those."""
    path = tmp_path / "groups" / "main" / "grants.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(grants)
    monkeypatch.setenv("NIGHTYARD_FORK", str(tmp_path))
    monkeypatch.setenv("NIGHTYARD_HOME", str(tmp_path / "home"))
    before = judged(path, method, url)
    assert not before.is_allowed
    words = shlex.split(before.grant_with)
    assert words[0] == "nightyard"
    assert run([*words[1:], "--yes"]) == 0
    after = judged(path, method, url)
    assert after.is_allowed
    assert after.secret == ("k" if grants == KEYED else "")
    assert not judged(path, "PATCH", url).is_allowed
    if before.code == "path_not_granted":
        assert not judged(path, method, "https://a.org/elsewhere").is_allowed
