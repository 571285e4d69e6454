"""`nightyard allow`, `secret grant|revoke|why` and `policy` against a real proxy process, as a person types them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.credproxy.process import ROOT, ProxyProcess

START = "# Mine.\n- host: www.example.org  # pages\n  methods: [GET]\n"


@pytest.fixture
def process(short_folder: Path) -> Iterator[ProxyProcess]:
    process = ProxyProcess(short_folder)
    folder = process.fork / "groups" / "main"
    folder.mkdir()
    (folder / "grants.yaml").write_text(START)
    with process.started() as process:
        yield process


def nightyard(process: ProxyProcess, line: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli.main", *line.split()],
        cwd=ROOT,
        env={**os.environ, **process.environment},
        input=given,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def grants(process: ProxyProcess) -> str:
    return (process.fork / "groups" / "main" / "grants.yaml").read_text()


def test_grant_is_shown_written_in_force_and_taken_back(process: ProxyProcess) -> None:
    """The diff is shown, comments stay, the proxy decides by it at once, and revoking leaves the file as it was."""
    before = nightyard(process, "secret why main https://api.github.com/user")
    assert before.returncode == 1
    assert "to allow it  ./nightyard allow host main api.github.com --method GET" in before.stdout
    granted = nightyard(process, "secret grant github main api.github.com --method GET --path /user --yes")
    assert granted.returncode == 0, granted.stderr
    assert "+- host: api.github.com\n+  methods: [GET]\n+  paths: [/user]\n+  secret: github\n" in granted.stdout
    assert "Written, and in force now.\n" in granted.stdout
    assert granted.stdout.endswith("There is no secret github in the vault yet: ./nightyard secret add github\n")
    assert grants(process).startswith(START)
    absent = nightyard(process, "secret why main https://api.github.com/user")
    assert absent.returncode == 1
    assert "put in       header authorization: " in absent.stdout
    assert "the secret github: it is not in the vault" in absent.stdout
    nightyard(process, "secret add github --stdin", given="canary-of-grants-0123456789")
    there = nightyard(process, "secret why main https://api.github.com/user")
    assert (there.returncode, there.stdout.splitlines()[0]) == (0, "allowed: GET https://api.github.com/user")
    assert "rule         main:4" in there.stdout
    again = nightyard(process, "secret grant github main api.github.com --method GET --path /user --yes")
    assert again.stdout == "main may use github there already.\n"
    wider = nightyard(process, "secret grant github main https://API.github.com/repos/** --method GET --yes")
    assert "+  paths: [/user, /repos/**]" in wider.stdout
    revoked = nightyard(process, "secret revoke github main --yes")
    assert revoked.returncode == 0, revoked.stderr
    assert grants(process) == START
    assert nightyard(process, "secret revoke github main --yes").returncode == 1
    assert "canary-of-grants" not in there.stdout + wider.stdout


def test_key_of_a_server_at_home_is_granted_with_its_address(process: ProxyProcess) -> None:
    """A host whose name stands for a private address gets its key where the grant names that address."""
    unsaid = nightyard(process, "secret grant forge main forge.lan --yes")
    assert "mend: the same command with --inject bearer, --header NAME" in unsaid.stderr
    line = "secret grant forge main forge.lan --inject bearer --address 192.168.1.5 --method GET --yes"
    assert nightyard(process, line).returncode == 0
    assert '- host: forge.lan\n  methods: [GET]\n  addresses: ["192.168.1.5"]\n  secret: forge\n' in grants(process)


def test_plain_ways_out_are_allowed_listed_and_removed(process: ProxyProcess) -> None:
    """Hosts, bundles and the open web; what is too wide or unknown is refused and the file left as it is."""
    assert nightyard(process, "allow host main files.example.org --rate 5/m --expires 2099-01-31 --yes").returncode == 0
    assert nightyard(process, "allow bundle main python --yes").returncode == 0
    assert nightyard(process, "allow web-read main --daily 50 --yes").returncode == 0
    assert "- bundle: python\n- web_read: {daily: 50}\n" in grants(process)
    listed = nightyard(process, "allow list main").stdout
    assert "https://files.example.org (limited by rate, expires)" in listed
    assert "bundle python: " in listed
    now = grants(process)
    for line, reason in (
        ("allow host main *.github.io --yes", "too wide"),
        ("allow bundle main everything --yes", "there is no bundle"),
        ("allow host nobody a.org --yes", "there is no group 'nobody'"),
        ("allow host main a.org --rate often --yes", "rate: expected"),
        ("allow host main a.org", "no terminal to ask"),
        ("allow remove main absent.org --yes", "has no grant without a key"),
    ):
        refused = nightyard(process, line)
        assert refused.returncode == 1, line
        assert reason in refused.stderr, line
    assert grants(process) == now
    for what in ("files.example.org", "python", "web-read"):
        assert nightyard(process, f"allow remove main {what} --yes").returncode == 0
    assert grants(process) == START


def test_policy_is_tried_out_and_run_dry(process: ProxyProcess, short_folder: Path) -> None:
    """`check` judges a file by a list with expectations; `dry-run` begins, shows and ends; of nothing, nothing is
    proposed."""
    urls = short_folder / "urls.txt"
    urls.write_text("# what must hold\nallow GET https://www.example.org/\ndeny POST https://www.example.org/\n")
    file = process.fork / "groups" / "main" / "grants.yaml"
    good = nightyard(process, f"policy check {file} {urls} https://other.org/")
    assert good.returncode == 0, good.stderr
    assert [line[:5].strip() for line in good.stdout.splitlines()] == ["allow", "deny", "deny"]
    urls.write_text("allow DELETE https://www.example.org/\n")
    wrong = nightyard(process, f"policy check {file} {urls}")
    assert (wrong.returncode, "(expected: allow)" in wrong.stdout) == (1, True)
    begun = nightyard(process, "policy dry-run main --for 10m")
    assert begun.returncode == 0, begun.stderr
    assert "nothing that a grant could allow is denied to main" in begun.stdout
    assert nightyard(process, "policy dry-run").stdout.startswith("main  until ")
    assert (
        nightyard(process, "policy proposals main").stdout
        == "Nothing that a grant could allow would have been denied.\n"
    )
    assert nightyard(process, "policy dry-run main --off").returncode == 0
    assert nightyard(process, "policy dry-run main --off").returncode == 1
    assert nightyard(process, "policy dry-run main --for 8d").returncode == 2


def test_editing_needs_no_proxy(short_folder: Path) -> None:
    """With the proxy down the file is edited and judged all the same, and it is said what is not known."""
    process = ProxyProcess(short_folder)
    (process.fork / "groups" / "main").mkdir()
    granted = nightyard(process, "secret grant key main api.example.org --header X-Key --yes")
    assert granted.returncode == 0, granted.stderr
    assert "It counts when Nightyard runs" in granted.stdout
    assert grants(process) == "- host: api.example.org\n  secret: key\n  inject: {header: X-Key}\n"
    told = nightyard(process, "secret why main https://api.example.org/v1")
    assert told.returncode == 0
    assert "The proxy does not run" in told.stdout
    assert "put in       header x-key: …" in told.stdout
