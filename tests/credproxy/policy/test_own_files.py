"""Providers and bundles that a fork adds: as good as ours, by the proxy and by the command."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from credproxy.injection.presets import load_preset, meant_preset, preset_names
from credproxy.policy.bundles import bundle_names, read_bundle
from credproxy.policy.own_files import own_files, use_own_files
from tests.credproxy.policy.judging import allowed, judge, problems_of
from tests.credproxy.policy.test_grants_cli import nightyard
from tests.credproxy.process import ProxyProcess

FORGE = """\
title: Our forge
hosts:
  forge.example.org: {header: private-token}
placeholders:
  value: "glpat-{20:word}"
environment:
  FORGE_TOKEN: value
"""
OURS = "# What our builds fetch.\n- {host: artifacts.example.org, methods: [GET], paths: [/releases/**]}\n"


@pytest.fixture
def fork(tmp_path: Path) -> Iterator[Path]:
    write(tmp_path, "presets/forge.yaml", FORGE)
    write(tmp_path, "bundles/builds.yaml", OURS)
    yield tmp_path
    use_own_files(tmp_path / "no-fork")


def write(fork: Path, name: str, text: str) -> None:
    (fork / name).parent.mkdir(parents=True, exist_ok=True)
    (fork / name).write_text(text, "utf-8")


def test_what_a_fork_adds_is_known_and_ours_stays(fork: Path) -> None:
    """A grant names the bundle, or a host that the provider's file knows; taken away, both are unknown again."""
    assert use_own_files(fork) == ()
    assert {"forge", "github"} <= set(preset_names())
    assert {"builds", "python"} <= set(bundle_names())
    assert allowed(judge("- bundle: builds", "https://artifacts.example.org/releases/1")).rule == "main:1/builds.1"
    verdict = allowed(judge("- {host: forge.example.org, secret: forge}", "https://forge.example.org/api"))
    assert verdict.injection is not None
    (fork / "presets/forge.yaml").unlink()
    (fork / "bundles/builds.yaml").unlink()
    assert use_own_files(fork) == ()
    assert own_files(fork) == ()
    assert "is not a known bundle" in problems_of("- bundle: builds")
    assert "no preset knows the host" in problems_of("- {host: forge.example.org, secret: forge}")


def test_one_of_the_same_name_or_host_counts_over_ours(fork: Path) -> None:
    """A fork's own `python`, its own `github` and its own way to a host of ours are the ones that count."""
    write(fork, "bundles/python.yaml", "# A mirror.\n- {host: pypi.example.org, methods: [GET]}\n")
    write(fork, "presets/github.yaml", FORGE.replace("Our forge", "GitHub at work"))
    write(fork, "presets/tavily-eu.yaml", FORGE.replace("forge.example.org", "api.tavily.com"))
    (fork / "presets/forge.yaml").unlink()
    assert use_own_files(fork) == ()
    assert "pypi.example.org" in (read_bundle("python") or "")
    github, tavily = load_preset("github"), meant_preset("api.tavily.com")
    assert github is not None
    assert github.title == "GitHub at work"
    assert meant_preset("api.github.com") is None
    assert tavily is not None
    assert tavily.name == "tavily-eu"


def test_what_is_wrong_is_said_and_is_not_there(fork: Path) -> None:
    """File, line and key of each mistake; a file that can be read is taken up beside it."""
    write(fork, "presets/forge.yaml", FORGE.replace("hosts", "hotss"))
    write(fork, "presets/Other One.yaml", FORGE)
    write(fork, "presets/good.yaml", FORGE)
    (fork / "bundles/broken.yaml").write_bytes(b"\xff\xfe")
    write(fork, "bundles/bad.yaml", "- {hots: a.example.org}\n")
    said = "\n".join(use_own_files(fork))
    assert "presets/forge.yaml:2: hotss" in said
    assert "presets/Other One.yaml: a provider's name" in said
    assert "bundles/broken.yaml cannot be read" in said
    assert load_preset("forge") is None
    assert load_preset("good") is not None
    assert "bundles/bad.yaml:1: hots" in problems_of("- bundle: bad")


def test_proxy_and_command_know_them_and_each_change(short_folder: Path) -> None:
    """A running proxy takes a new provider and a changed bundle up with the next command; a mistake is said."""
    process = ProxyProcess(short_folder)
    (process.fork / "groups" / "main").mkdir()
    with process.started():
        write(process.fork, "presets/forge.yaml", FORGE)
        write(process.fork, "bundles/builds.yaml", OURS)
        assert "builds       What our builds fetch." in nightyard(process, "allow bundle main").stdout
        assert "Our forge" in nightyard(process, "secret presets forge").stdout
        assert nightyard(process, "allow bundle main builds --yes").returncode == 0
        assert nightyard(process, "secret grant forge main forge.example.org --method GET --yes").returncode == 0
        why = nightyard(process, "secret why main https://forge.example.org/api").stdout
        assert "put in       header private-token: …" in why
        url = "https://artifacts.example.org/nightly/1"
        assert nightyard(process, f"secret why main {url}").stdout.startswith("denied")
        write(process.fork, "bundles/builds.yaml", OURS.replace("/releases/**", "/nightly/**"))
        assert nightyard(process, f"secret why main {url}").stdout.startswith("allowed")
        write(process.fork, "presets/forge.yaml", FORGE.replace("hosts", "hotss"))
        told = nightyard(process, "secret why main https://forge.example.org/api").stdout
        assert "no preset knows the host" in told
        assert "presets/forge.yaml:2: hotss" in nightyard(process, "config check").stdout
