"""A newcomer: a fresh clone, an empty home, the README's commands."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import docker
import pytest

from client.processes import read_state
from tests.doors.installation import Installation

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]

CANARY = "sk-ant-canary-0123456789abcdefghijklmnop"


def containers_of(client: docker.DockerClient, installation: Installation) -> int:
    label = f"nightyard.home={installation.home_id()}"
    return len(client.containers.list(all=True, filters={"label": label}, ignore_removed=True))


def files_with(folder: Path, needle: bytes) -> list[str]:
    """Regular files under a folder that hold these bytes."""
    found = []
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and needle in path.read_bytes():
            found.append(str(path))
    return found


def test_the_first_evening(installation: Installation, engine_client: docker.DockerClient) -> None:
    """From nothing to a tool call seen to its end, again in an instant, and down to nothing but the engine."""
    first = installation.type("up")
    assert first.code == 0, first.text
    assert "REHEARSAL" in first.err
    assert (installation.clone / "groups" / "main" / "AGENTS.md").exists()
    assert installation.home.stat().st_mode & 0o777 == 0o700

    talked = installation.type("up", stdin="make a file\nwhat's in my workspace?\n")
    assert talked.code == 0, talked.text
    assert "Hello from inside the container" in talked.out
    assert talked.out.count("hello.txt") >= 2
    assert "REHEARSAL" in talked.err
    made = installation.home / "groups" / "main" / "workspace" / "hello.txt"
    assert made.read_text() == "Hello from inside the container.\n"

    again = installation.type("up")
    assert again.code == 0, again.text
    print(f"first up {first.took_s:.1f} s, again {again.took_s:.2f} s, two messages {talked.took_s:.1f} s")

    status = installation.type("status")
    assert status.code == 0, status.text
    assert "rehearsal" in status.out.lower()

    down = installation.type("down")
    assert down.code == 0, down.text
    assert installation.processes() == []
    assert containers_of(engine_client, installation) == 0
    assert engine_client.ping()
    assert "Nothing was running" in installation.type("down").out


def test_without_a_terminal_no_key_is_touched_and_with_model_it_is_kept_in_the_vault(
    installation: Installation,
) -> None:
    """A key in the environment is used only for the model that was named, and then it is nowhere in clear."""
    key = {"ANTHROPIC_API_KEY": CANARY}
    settings = installation.clone / "nightyard.yaml"
    assert installation.type("up", environment=key).code == 0
    before = settings.read_text()
    assert "anthropic" not in installation.type("secret", "list").out

    keyless = installation.type("up", "--model", "anthropic/claude-test")
    assert keyless.code == 0, keyless.text
    assert "./nightyard secret add anthropic" in keyless.err

    named = installation.type("up", "--model", "anthropic/claude-test", environment=key)
    try:
        assert named.code == 0, named.text
        assert "REHEARSAL" not in named.err
        assert "anthropic" in installation.type("secret", "list").out
        assert CANARY not in named.text
        assert files_with(installation.home, CANARY.encode()) == []
        assert files_with(installation.clone / "groups", CANARY.encode()) == []
        assert CANARY not in settings.read_text()
        # A process that outlives `up` must not carry the key in its environment either.
        for pid in installation.processes():
            assert CANARY.encode() not in Path(f"/proc/{pid}/environ").read_bytes()
    finally:
        installation.type("secret", "remove", "anthropic")
        installation.type("down", "--now")
        settings.write_text(before)


def test_a_fault_in_the_settings_is_named_and_nothing_is_started(installation: Installation) -> None:
    """File, line, key and the nearest known key; the next `up` with a mended file goes on."""
    assert installation.type("up").code == 0
    installation.type("down", "--now")
    settings = installation.clone / "nightyard.yaml"
    before = settings.read_text()
    line = before.count("\n") + 1
    settings.write_text(f"{before}atachments_mb: 5\n")
    try:
        refused = installation.type("up")
        assert refused.code == 1
        for word in ("nightyard.yaml", str(line), "atachments_mb", "attachments_mb"):
            assert word in refused.err
        assert installation.processes() == []
    finally:
        settings.write_text(before)
    assert installation.type("up").code == 0


def test_down_works_when_half_of_it_is_dead(installation: Installation, engine_client: docker.DockerClient) -> None:
    """With the supervisor and the host killed, `down` ends the rest, and the next `up` starts anew."""
    assert installation.type("up", stdin="hello\n").code == 0
    noted = read_state(installation.home)
    assert noted is not None
    host = noted.process("host")
    assert host is not None
    for pid in (noted.supervisor.pid, host.pid):
        assert pid > 0
        os.kill(pid, signal.SIGKILL)
    down = installation.type("down")
    assert down.code == 0, down.text
    assert installation.processes() == []
    assert containers_of(engine_client, installation) == 0
    again = installation.type("up", stdin="hello\n")
    assert again.code == 0, again.text
    assert "rehearsal" in again.out


def test_two_at_once_start_one(installation: Installation) -> None:
    """Two people (or a person and a script) typing `up` at the same moment get one host, and both are told it is up."""
    command = ["./nightyard", "up"]
    both = [
        subprocess.Popen(
            command,
            cwd=installation.clone,
            env=installation.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=200)[1].decode() for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert all("Nightyard is up" in text for text in said)
    assert len(installation.processes()) == 4  # supervisor, rehearsal, credproxy, host


def test_a_half_made_environment_is_made_again(installation: Installation) -> None:
    """An environment without its stamp was interrupted: it is not trusted."""
    installation.type("--help")
    (installation.clone / ".venv" / "requirements.installed").unlink()
    (installation.clone / ".venv" / "lib").rename(installation.clone / ".venv" / "half")
    mended = installation.type("--help")
    assert mended.code == 0, mended.text
    assert not (installation.clone / ".venv" / "half").exists()
    began = time.monotonic()
    assert installation.type("--help").code == 0
    print(f"--help {time.monotonic() - began:.3f} s")


def test_a_rehearsal_on_all_platforms_never_touches_the_real_home(installation: Installation) -> None:
    """The product against the platforms' twins: paired, asked, answered with a tool call. The real home stays."""
    settings = installation.clone / "nightyard.yaml"
    before = settings.read_text() if settings.exists() else None
    elsewhere = installation.home_folder / "real"
    environment = {"NIGHTYARD_HOME": str(elsewhere)}
    platforms = "telegram,discord,slack"
    played = installation.type("up", "--rehearse", platforms, stdin="make a file\n", environment=environment)
    assert played.code == 0, played.text
    assert "TELEGRAM, DISCORD, SLACK REHEARSAL" in played.out
    for platform in platforms.split(","):
        heard = [part for part in played.out.split("bot on ") if part.startswith(f"{platform}: ")]
        assert any("Hello from inside the container" in part for part in heard), platform
    assert not elsewhere.exists()
    assert (settings.read_text() if settings.exists() else None) == before
    assert installation.processes() == []
