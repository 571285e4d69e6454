"""A Debian (or Ubuntu: what this machine is) with systemd as PID 1, booted in a container, with an engine of its own.

Made from this machine's apt sources and kept by the hash of its packages, so that the second boot takes a second.
The container's cgroups are its own to divide (v1 or v2, as the kernel has them), so that units, and containers inside
it, are held to limits as on a machine. It may do what root may and shares the kernel: for our own code only.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.models.containers import Container
from docker.types import Mount

from cli.base_image import make_base
from cli.up_progress import no_progress

ROOT = Path(__file__).parents[2]
PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "dbus-user-session", "libpam-systemd", "sudo"),
    *("git", "ca-certificates", "python3", "iproute2", "iptables"),
)
BOOT_S = 60.0
LOOK_EVERY_S = 0.1
AS_ON_A_MACHINE = r"""
# What an engine shows a container read-only or masked is a machine's own.
for place in $(awk '$2 ~ "^/proc/" {print $2}' /proc/mounts | sort -r); do umount "$place" || :; done
for place in $(awk '$3 ~ "^cgroup" {print $2}' /proc/mounts); do mount -o remount,bind,rw "$place"; done
mount --make-rshared /
exec /lib/systemd/systemd
"""
OURS_TO_REACH = ("/etc/ssl/certs", "/usr/local/share/ca-certificates", "/etc/pip.conf", "/etc/apt/apt.conf.d")
"""How this machine reaches its package sources holds for the one inside too."""
ENGINE_FOLDERS = ("/var/lib/docker", "/var/lib/containerd")
"""An engine's layers cannot lie on another engine's: volumes, which go with the container."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a command in the machine answered; both outputs together."""

    code: int
    text: str
    took_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemdMachine:
    """A booted machine."""

    container: Container

    def run(self, script: str, *, user: str = "root") -> Ran:
        """Run a shell script as a user, in their home, without a terminal."""
        began = time.monotonic()
        command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "sh", "-c", script]
        home = "/root" if user == "root" else f"/home/{user}"
        environment = {"HOME": home, "USER": user, "LANG": "C.UTF-8"}
        answer = self.container.exec_run(command, environment=environment, workdir=home)
        assert isinstance(answer.output, bytes) and answer.exit_code is not None  # neither streamed nor detached
        text = answer.output.decode("utf-8", "replace")
        return Ran(code=answer.exit_code, text=text, took_s=time.monotonic() - began)

    def must(self, script: str, *, user: str = "root") -> str:
        """Run what has to work; return its output."""
        ran = self.run(script, user=user)
        assert ran.code == 0, f"{script}\n{ran.text}"
        return ran.text

    def reboot(self) -> None:
        """Shut down and boot again: /run is new, what is on disk is kept, nobody is logged in."""
        self.container.restart(timeout=30)
        self.wait_until_up()

    def wait_until_up(self) -> None:
        """Wait until systemd has started all it has to; it must have failed in nothing."""
        deadline = time.monotonic() + BOOT_S
        while (said := self.run("systemctl is-system-running").text.strip()) != "running":
            if said == "degraded" or time.monotonic() > deadline:
                raise AssertionError(f"systemd is {said}: {self.run('systemctl --failed --no-legend').text}")
            time.sleep(LOOK_EVERY_S)

    def make_user(self, name: str) -> None:
        """Make a normal user who may use sudo without a password."""
        self.must(f"useradd --create-home --shell /bin/bash {name}")
        self.must(f"echo '{name} ALL=(ALL) NOPASSWD:ALL' >/etc/sudoers.d/{name}")

    def clone_project(self, user: str) -> None:
        """Give a user a clone of the project as it is committed, in ~/nightyard."""
        with tempfile.TemporaryDirectory(prefix="ny-clone-") as folder:
            clone, packed = f"{folder}/nightyard", Path(folder) / "clone.tar"
            subprocess.run(["git", "clone", "-q", "--no-hardlinks", str(ROOT), clone], check=True)
            subprocess.run(["tar", "-C", folder, "-cf", str(packed), "nightyard"], check=True)
            with packed.open("rb") as data:
                assert self.container.put_archive(f"/home/{user}", data)
        self.must(f"chown -R {user}:{user} /home/{user}/nightyard")


@contextmanager
def boot(client: docker.DockerClient, packages: Sequence[str] = ()) -> Iterator[SystemdMachine]:
    """Boot a machine with these packages besides the usual ones; afterwards nothing of it is left but its image."""
    image = make_base(client, no_progress, packages=(*PACKAGES, *packages))
    mounts = {place: {"bind": place, "mode": "ro"} for place in OURS_TO_REACH if Path(place).exists()}
    container = client.containers.run(
        image,
        ["/bin/sh", "-ec", AS_ON_A_MACHINE],
        detach=True,
        environment={"container": "docker"},
        # Not privileged: that asks for SYS_RESOURCE too, which the engine's own bounding set may lack.
        cap_add=["ALL"],
        cap_drop=["SYS_RESOURCE"],
        security_opt=["seccomp=unconfined", "apparmor=unconfined"],
        cgroupns="private",
        tmpfs={"/run": "", "/run/lock": "", "/tmp": ""},
        mounts=[Mount(target=place, source=None, type="volume") for place in ENGINE_FOLDERS],
        volumes=mounts,
        stop_signal="SIGRTMIN+3",
    )
    try:
        machine = SystemdMachine(container=container)
        machine.wait_until_up()
        yield machine
    finally:
        container.remove(force=True, v=True)
