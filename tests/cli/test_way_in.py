"""`./nightyard` itself on machines that lack something: what it installs, how it says what it cannot, what mends it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.stub_system import SUDO, StubSystem

TOOLS = ("id", "date", "sleep", "cmp", "cut", "grep", "tail", "readlink", "cp", "mv", "dirname")
NOBODY = 65534
ROOT = Path(__file__).parents[2]
PYTHON = """case "$*" in
*ensurepip*) [ -z "$NO_VENV" ] || [ -e "${0%/*}/has-venv" ] || exit 1;;
*realpath*) echo "$0"; exit 0;;
*"-m venv "*) mkdir -p "$3/bin"
    printf '#!/bin/sh\\ncase "$*" in *pip*) %s;; *) echo ran "$@";; esac\\n' "$PIP" >"$3/bin/python"
    chmod +x "$3/bin/python"; exit 0;;
esac
exit 0
"""
"""A Python whose environments hold a stub: its pip does what PIP says. NO_VENV: it has no venv at first."""


class WayIn:
    """A checkout of nothing but `./nightyard` and a lock, on a stub system."""

    def __init__(self) -> None:
        self.system = StubSystem()
        for name in TOOLS:
            found = shutil.which(name, path="/usr/bin:/bin")
            assert found, f"{name} is missing on this machine"
            (self.system.programs / name).symlink_to(found)
        self.checkout = self.system.folder / "checkout"
        self.checkout.mkdir()
        shutil.copy(ROOT / "nightyard", self.checkout / "nightyard")
        (self.checkout / "requirements.lock").write_text("one==1\n")

    def type(self, *arguments: str, user: int | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
        """Type `./nightyard …`, without a terminal."""
        return subprocess.run(
            ["./nightyard", *arguments],
            cwd=self.checkout,
            env={"PIP": "exit 0", "PATH": str(self.system.programs), "HOME": str(self.system.folder), **variables},
            user=user,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def anybodys(self) -> None:
        """Let a normal user write the checkout."""
        self.checkout.chmod(0o777)


@pytest.fixture
def way_in() -> Iterator[WayIn]:
    made = WayIn()
    yield made
    shutil.rmtree(made.system.folder)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="acting as another user needs root")


def test_venv_is_installed_and_the_command_runs(way_in: WayIn) -> None:
    """A Python without venv gets it from apt, which waits for whoever else uses it; then the command is carried out."""
    if os.geteuid() != 0:
        way_in.system.program("sudo", SUDO)
    way_in.system.program("apt-get", 'case "$*" in *install*) touch "${0%/*}/has-venv";; esac')
    way_in.system.program("python3", PYTHON)
    typed = way_in.type("status", "--json", NO_VENV="1")
    assert typed.returncode == 0, typed.stderr
    assert typed.stdout == "ran -P -m cli.main status --json\n"
    update, install = way_in.system.calls("apt-get")
    assert update == "apt-get update"
    assert "DPkg::Lock::Timeout" in install
    assert install.endswith(" python3-venv")
    assert "installing python3-venv with apt" in typed.stderr
    assert not (way_in.checkout / ".venv.log").exists()


def test_what_dpkg_was_interrupted_in_is_finished(way_in: WayIn) -> None:
    """A set-up that was ended in the middle of dpkg does not stop the next one."""
    if os.geteuid() != 0:
        way_in.system.program("sudo", SUDO)
    way_in.system.program("dpkg", 'touch "${0%/*}/has-venv"')
    interrupted = "E: dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct the problem."
    way_in.system.program(
        "apt-get",
        f'case "$*" in *install*) [ -e "${{0%/*}}/has-venv" ] || {{ echo "{interrupted}"; exit 100; }};; esac',
    )
    way_in.system.program("python3", PYTHON)
    typed = way_in.type("status", NO_VENV="1")
    assert typed.returncode == 0, typed.stderr
    assert way_in.system.calls("dpkg") == ["dpkg --configure -a"]


@needs_root
@pytest.mark.parametrize(("sudo", "mend"), [("", "su -c 'apt-get install python3-venv'"), ("exit 1", "sudo apt-get")])
def test_a_user_who_may_not_install_is_told_what_to_type(way_in: WayIn, sudo: str, mend: str) -> None:
    """Without sudo, or with one that wants a password that nobody can type, one command is named."""
    way_in.system.program("python3", PYTHON)
    way_in.system.program("apt-get")
    if sudo:
        way_in.system.program("sudo", sudo)
    way_in.anybodys()
    typed = way_in.type("up", user=NOBODY, NO_VENV="1")
    assert typed.returncode == 1
    assert "python3-venv must be installed" in typed.stderr
    assert f"mend: {mend}" in typed.stderr


@needs_root
def test_a_checkout_that_cannot_be_written_is_named(way_in: WayIn) -> None:
    """Somebody else's checkout is no place for an environment: a clone of one's own is."""
    way_in.system.program("python3", PYTHON)
    typed = way_in.type("up", "--yes", user=NOBODY)
    assert typed.returncode == 1
    assert f"{way_in.checkout} cannot be written" in typed.stderr
    assert f"mend: git clone {way_in.checkout} ~/nightyard && ~/nightyard/nightyard up --yes" in typed.stderr


@needs_root
def test_an_environment_of_another_users_is_named(way_in: WayIn) -> None:
    """What `sudo ./nightyard` left is not taken for a fault of the shell's."""
    way_in.system.program("python3", PYTHON)
    way_in.anybodys()
    (way_in.checkout / ".venv").mkdir()
    typed = way_in.type("up", user=NOBODY)
    assert typed.returncode == 1
    assert f"{way_in.checkout / '.venv'} cannot be written" in typed.stderr
    assert "mend: sudo chown -R nobody" in typed.stderr


@pytest.mark.parametrize(
    ("pip", "mend"),
    [
        ("echo OSError: [Errno 28] No space left on device; exit 1", "make room on this disk: df -h"),
        ("echo no matching distribution; exit 1", "check the network or the package index"),
    ],
)
def test_packages_that_cannot_be_installed(way_in: WayIn, pip: str, mend: str) -> None:
    """The last words of pip, what to see to, the command once more; and nothing half-made is trusted afterwards."""
    way_in.system.program("python3", PYTHON)
    typed = way_in.type("up", "--yes", PIP=pip)
    assert typed.returncode == 1
    assert pip.removeprefix("echo ").removesuffix("; exit 1") in typed.stderr
    assert mend in typed.stderr
    assert typed.stderr.endswith("then: ./nightyard up --yes\n")
    assert way_in.type("up").returncode == 0


def test_a_python_that_the_lock_was_tried_on_comes_first(way_in: WayIn) -> None:
    """A newer default is taken only where there is no other; a Python that was named is taken before all."""
    newer = 'case "$*" in *version_info*) [ "${3:-99}" = 99 ] || exit 1;; esac\n' + PYTHON
    way_in.system.program("python3", newer)
    assert "/python3" in way_in.type("up").stderr
    way_in.system.program("python3.12", PYTHON)
    shutil.rmtree(way_in.checkout / ".venv")
    before = len(way_in.system.calls("python3"))
    assert way_in.type("up").returncode == 0
    assert any("venv" in call for call in way_in.system.calls("python3.12")[-4:])
    shutil.rmtree(way_in.checkout / ".venv")
    named = way_in.type("up", NIGHTYARD_PYTHON=str(way_in.system.programs / "python3"))
    assert named.returncode == 0, named.stderr
    assert len(way_in.system.calls("python3")) > before + 1
