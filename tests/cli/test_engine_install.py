"""Having an engine: installed, started and allowed on systems of stub programs that write down how they were called."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator

import pytest

from cli.engine_install import ensure_engine
from cli.up_progress import SetupFailed, no_progress
from tests.cli.scripted_engine import ScriptedEngine, engine_once_started
from tests.cli.stub_system import SUDO, StubSystem

NOBODY = 65534
"""A user that every Linux has."""


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> Iterator[StubSystem]:
    stubs = StubSystem()
    monkeypatch.setenv("PATH", str(stubs.programs))
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    yield stubs
    stubs.remove()


def yes(question: str) -> bool:
    return True


def no(question: str) -> bool:
    return False


def never(question: str) -> bool:
    raise AssertionError(f"nothing is to be asked: {question}")


def with_apt(system: StubSystem) -> None:
    """A Debian without an engine; installing docker.io brings the daemon."""
    system.program("apt-get")
    system.program("dockerd", f"touch {system.folder}/started", installed_by="apt-get")


def test_an_engine_that_answers_is_taken_as_it_is(system: StubSystem) -> None:
    """Nothing is called, nothing asked."""
    machine = system.machine()
    engine = ScriptedEngine(machine.engine_socket)
    try:
        assert ensure_engine("", never, no_progress, machine).detail == "Docker 27.1 (API 1.46)"
    finally:
        engine.close()
    assert system.calls() == []


def test_without_systemd_the_engine_is_installed_and_started_as_a_daemon(system: StubSystem) -> None:
    """Debian's docker.io, then dockerd in a session of its own with its log; root needs no right to the socket."""
    with_apt(system)
    machine = system.machine()
    with engine_once_started(machine, system.folder / "started"):
        assert ensure_engine("", yes, no_progress, machine).answers
    assert system.calls() == [
        "apt-get -q -o DPkg::Lock::Timeout=300 install -y --no-install-recommends docker.io",
        "dockerd ",
    ]
    assert machine.daemon_log.exists()


@pytest.mark.parametrize(
    ("enabled", "parser", "installed"),
    [("Y", False, "docker.io apparmor"), ("Y", True, "docker.io"), ("N", False, "docker.io")],
)
def test_apparmors_parser_is_installed_where_the_kernel_has_apparmor(
    enabled: str, parser: bool, installed: str, system: StubSystem
) -> None:
    """Without it Docker starts, and no container does."""
    with_apt(system)
    machine = system.machine()
    machine.apparmor.write_text(f"{enabled}\n")
    if parser:
        system.program("apparmor_parser")
    with engine_once_started(machine, system.folder / "started"):
        assert ensure_engine("", yes, no_progress, machine).answers
    assert system.calls("apt-get")[0].endswith(f" --no-install-recommends {installed}")


def test_under_systemd_its_units_are_enabled_and_no_daemon_is_started_by_hand(system: StubSystem) -> None:
    """What systemd keeps, systemd starts, now and at every boot."""
    system.program("apt-get")
    system.program("dockerd", installed_by="apt-get")
    system.program("systemctl", f"touch {system.folder}/started")
    machine = system.machine(systemd=True)
    with engine_once_started(machine, system.folder / "started"):
        assert ensure_engine("", yes, no_progress, machine).answers
    assert system.calls("systemctl", "dockerd") == ["systemctl enable --now docker.socket docker.service"]


def test_an_installed_engine_that_is_down_is_started_without_a_question(system: StubSystem) -> None:
    """Nothing is installed, so there is nothing to agree to."""
    system.program("apt-get")
    system.program("dockerd", f"touch {system.folder}/started")
    machine = system.machine()
    with engine_once_started(machine, system.folder / "started"):
        assert ensure_engine("", never, no_progress, machine).answers
    assert system.calls() == ["dockerd "]


def test_a_normal_user_gets_a_right_that_outlasts_the_socket(system: StubSystem) -> None:
    """Everything by sudo; setfacl now, and a drop-in of docker.socket that repeats it whenever the socket is made."""
    user = pwd.getpwuid(NOBODY).pw_name
    system.program("sudo", SUDO)
    system.program("apt-get")
    system.program("dockerd", installed_by="apt-get")
    system.program("setfacl", installed_by="apt-get")
    system.program("systemctl", f'case "$1" in enable) touch {system.folder}/started;; esac')
    machine = system.machine(uid=NOBODY, systemd=True)
    with engine_once_started(machine, system.folder / "started"):
        assert ensure_engine("", yes, no_progress, machine).answers
    setfacl = system.programs / "setfacl"
    drop_in = machine.socket_drop_ins / f"nightyard-{user}.conf"
    assert drop_in.read_text() == f"[Socket]\nExecStartPost={setfacl} -m u:{user}:rw {machine.engine_socket}\n"
    assert system.calls("apt-get", "systemctl", "setfacl") == [
        "apt-get -q -o DPkg::Lock::Timeout=300 install -y --no-install-recommends docker.io acl",
        "systemctl enable --now docker.socket docker.service",
        "systemctl daemon-reload",
        f"setfacl -m u:{user}:rw {machine.engine_socket}",
    ]
    assert all(" -n " in f"{line} " for line in system.calls("sudo")), "sudo may never wait for a password here"


@pytest.mark.skipif(os.geteuid() != 0, reason="acting as another user needs root")
def test_a_socket_that_another_may_not_use_is_opened_to_that_user_alone(system: StubSystem) -> None:
    """An engine that runs is neither installed nor started again: only the right is given."""
    system.program("sudo", SUDO)
    system.program("apt-get")
    system.program("dockerd")
    machine = system.machine(uid=NOBODY)
    system.program("setfacl", f"chmod 0666 {machine.engine_socket}")
    engine = ScriptedEngine(machine.engine_socket)
    machine.engine_socket.chmod(0o600)
    try:
        os.seteuid(NOBODY)
        try:
            asked = ensure_engine("", never, no_progress, machine)
        finally:
            os.seteuid(0)
    finally:
        engine.close()
    assert asked.answers
    assert system.calls("apt-get", "dockerd") == []
    assert len(system.calls("setfacl")) == 1


@pytest.mark.parametrize(
    ("os_release", "command"),
    [
        ("ID=debian\n", "sudo apt-get update && sudo apt-get install -y docker.io acl"),
        ("ID=fedora\n", "sudo dnf install -y podman"),
        ("ID=manjaro\nID_LIKE=arch\n", "sudo pacman -S --needed docker acl"),
        ("ID=void\n", "DOCKER_HOST=unix:///path ./nightyard up"),
    ],
)
def test_where_there_is_no_apt_the_systems_own_commands_are_named(
    system: StubSystem, os_release: str, command: str
) -> None:
    """The failure ends with exit code 1, says what was tried, and names commands to type and then `up` again."""
    (system.folder / "os-release").write_text(os_release)
    with pytest.raises(SetupFailed) as failed:
        ensure_engine("", never, no_progress, system.machine())
    assert failed.value.exit_code == 1
    assert command in failed.value.mend
    assert failed.value.mend.endswith("./nightyard up")
    assert "nobody listens" in failed.value.why
    assert "no apt" in failed.value.why
    assert system.calls() == []


def test_a_user_who_may_not_become_root_is_told_what_to_type(system: StubSystem) -> None:
    """Without sudo, or with one that refuses, nothing is tried half."""
    with_apt(system)
    for refusing in (False, True):
        if refusing:
            system.program("sudo", "exit 1")
        with pytest.raises(SetupFailed, match="no container engine answers") as failed:
            ensure_engine("", yes, no_progress, system.machine(uid=NOBODY))
        assert "needs root, or sudo" in failed.value.why
        assert "sudo apt-get install -y docker.io acl" in failed.value.mend
    assert system.calls("apt-get") == []


def test_a_no_is_taken_for_a_no(system: StubSystem) -> None:
    """Nothing is installed, and the way to do it by hand is shown."""
    with_apt(system)
    with pytest.raises(SetupFailed) as failed:
        ensure_engine("", no, no_progress, system.machine())
    assert "you chose not to" in failed.value.why
    assert system.calls() == []


def test_stale_package_lists_are_read_afresh_once(system: StubSystem) -> None:
    """An install that fails is tried again after an update; then its own last words are the reason."""
    system.program("apt-get", 'case "$*" in *install*) echo "E: 404 Not Found"; exit 100;; esac')
    with pytest.raises(SetupFailed) as failed:
        ensure_engine("", yes, no_progress, system.machine())
    assert "404 Not Found" in failed.value.why
    assert failed.value.mend == "apt-get install docker.io"
    assert [line.split()[4] for line in system.calls("apt-get")] == ["install", "update", "install"]


def test_a_machine_without_package_lists_reads_them_first(system: StubSystem) -> None:
    """As a fresh server or container image has none."""
    with_apt(system)
    system.has_read_lists(read=False)
    machine = system.machine()
    with engine_once_started(machine, system.folder / "started"):
        ensure_engine("", yes, no_progress, machine)
    assert [line.split()[4] for line in system.calls("apt-get")] == ["update", "install"]


def test_a_daemon_that_ends_at_once_gives_its_last_words(system: StubSystem) -> None:
    """The end of its log is the reason, and the log is named."""
    system.program("dockerd", 'echo "failed to start daemon: no cgroup"; exit 1')
    machine = system.machine(engine_start_s=0.1)
    with pytest.raises(SetupFailed, match="does not answer") as failed:
        ensure_engine("", never, no_progress, machine)
    assert "failed to start daemon: no cgroup" in failed.value.why
    assert failed.value.mend == f"tail {machine.daemon_log}"


def test_a_named_engine_is_never_replaced_by_an_installed_one(system: StubSystem) -> None:
    """Who names an engine wants that one: nothing is installed or started in its stead."""
    with_apt(system)
    with pytest.raises(SetupFailed, match="the named container engine does not answer"):
        ensure_engine(f"{system.folder}/other.sock", never, no_progress, system.machine())
    assert system.calls() == []
