"""Make the home and the fork's first files, where they are not there yet. Never touches what a person has written."""

from __future__ import annotations

import base64
import os
import shutil
from pathlib import Path

from cli.up_progress import SetupFailed
from runtime.config import SETTINGS_FILE
from runtime.home import Home, SocketPathTooLong

EXAMPLE_SETTINGS = "nightyard.example.yaml"
FOLDERS = ("logs", "run", "groups")
LEAST_FREE_MB = 64
"""For host and proxy to start. Tasks want more: `containers.disk_floor_mb`."""


def make_home(home: Home, least_free_mb: int = LEAST_FREE_MB) -> None:
    """Make the home (0700) and its id; raise SetupFailed. What is there stays."""
    try:
        home.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        home.path.chmod(0o700)
        for name in FOLDERS:
            (home.path / name).mkdir(mode=0o700, exist_ok=True)
        if not home.home_id_file.exists():
            home_id = base64.b32encode(os.urandom(5)).decode("ascii").lower()
            _write_whole(home.home_id_file, f"{home_id}\n")
        _ = home.control_socket
    except SocketPathTooLong as error:
        raise SetupFailed("the home's path is too long", str(error), "export NIGHTYARD_HOME=~/.nightyard") from error
    except OSError as error:
        mend = "NIGHTYARD_HOME=~/.nightyard ./nightyard up"
        why = f"{error.filename}: {error.strerror}"
        raise SetupFailed(f"the home {home.path} could not be made", why, mend) from error
    free_mb = shutil.disk_usage(home.path).free >> 20
    if free_mb < least_free_mb:
        why = f"{free_mb} MB are free, and it starts with no less than {least_free_mb} MB"
        raise SetupFailed(f"the disk of the home {home.path} is full", why, f"df -h {home.path}")


def make_fork(fork: Path, root: Path) -> list[str]:
    """Make nightyard.yaml and groups/main from the examples; return what was made. Raises SetupFailed."""
    made = []
    try:
        fork.mkdir(parents=True, exist_ok=True)
        if not (fork / SETTINGS_FILE).exists():
            _write_whole(fork / SETTINGS_FILE, (root / EXAMPLE_SETTINGS).read_text("utf-8"))
            made.append(SETTINGS_FILE)
        if not (fork / "groups" / "main").exists():
            _copy_whole(root / "groups" / "example", fork / "groups" / "main")
            made.append("groups/main")
        if not (fork / "skills").exists():
            (fork / "skills").symlink_to(root / "skills")
    except OSError as error:
        raise SetupFailed(f"the settings in {fork} could not be made", str(error), f"ls -ld {fork}") from error
    return made


def _write_whole(path: Path, text: str) -> None:
    """Write a file that is either whole or not there."""
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    new.write_text(text, "utf-8")
    new.replace(path)


def _copy_whole(source: Path, target: Path) -> None:
    """Copy a folder that is either whole or not there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f".{target.name}.{os.getpid()}.new")
    shutil.rmtree(new, ignore_errors=True)
    shutil.copytree(source, new)
    new.rename(target)
