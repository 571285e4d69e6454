"""The README's command where systemd is PID 1: what it asks of systemd, and what is left of that after a reboot."""

from __future__ import annotations

from collections.abc import Iterator

import docker
import pytest

from tests.machines.systemd_machine import SystemdMachine, boot

pytestmark = [pytest.mark.engine, pytest.mark.long, pytest.mark.timeout(900)]
USER = "ann"
RIGHT = f"user:{USER}:rw-"


@pytest.fixture
def machine() -> Iterator[SystemdMachine]:
    """A machine with a normal user who has sudo and a clone; neither engine nor venv."""
    client = docker.from_env(timeout=300)
    try:
        with boot(client) as booted:
            booted.make_user(USER)
            booted.clone_project(USER)
            yield booted
    finally:
        client.close()


def test_a_normal_users_engine_is_systemds(machine: SystemdMachine) -> None:
    """docker.io is enabled through systemctl; the right to its socket outlasts the socket and a reboot; `down` leaves
    the engine alone."""
    first = machine.run("cd nightyard && echo 'make a file' | ./nightyard up", user=USER)
    assert first.code == 0, first.text
    assert "Hello from inside the container" in first.text
    print(f"first up {first.took_s:.0f} s")
    assert machine.must("systemctl is-enabled docker.service docker.socket").split() == ["enabled", "enabled"]
    assert RIGHT in machine.must("getfacl -p /run/docker.sock")

    machine.must("systemctl restart docker.socket docker.service")
    assert RIGHT in machine.must("getfacl -p /run/docker.sock")

    machine.reboot()
    assert RIGHT in machine.must("getfacl -p /run/docker.sock")
    again = machine.run('cd nightyard && echo "what\'s in my workspace?" | ./nightyard up', user=USER)
    assert again.code == 0, again.text
    assert "hello.txt" in again.text

    assert machine.must("cd nightyard && ./nightyard down", user=USER).endswith("Down.\n")
    assert machine.must("systemctl is-active docker.service").strip() == "active"
