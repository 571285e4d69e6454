"""Making the home and the fork's first files."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.up_home import make_fork, make_home
from cli.up_progress import SetupFailed
from runtime.home import Home


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout with examples."""
    checkout = tmp_path / "checkout"
    (checkout / "groups" / "example").mkdir(parents=True)
    (checkout / "skills").mkdir()
    (checkout / "groups" / "example" / "AGENTS.md").write_text("You are helpful.")
    (checkout / "nightyard.example.yaml").write_text("model: rehearsal/guide\n")
    return checkout


def test_a_home_is_private_and_keeps_its_id(tmp_path: Path) -> None:
    """The home has mode 0700, whatever the umask, and its id stays for good."""
    home = Home(tmp_path / "home")
    make_home(home)
    home_id = home.home_id_file.read_text()
    assert len(home_id.strip()) == 8
    home.path.chmod(0o755)
    make_home(home)
    assert home.path.stat().st_mode & 0o777 == 0o700
    assert home.home_id_file.read_text() == home_id


def test_a_home_with_too_long_a_path_is_refused(tmp_path: Path) -> None:
    """Sockets live in the home; the kernel's limit is named before anything is built."""
    with pytest.raises(SetupFailed) as failed:
        make_home(Home(tmp_path / ("x" * 120)))
    assert "NIGHTYARD_HOME" in failed.value.text()


def test_a_home_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    """A file in the way is named."""
    (tmp_path / "home").write_text("")
    with pytest.raises(SetupFailed) as failed:
        make_home(Home(tmp_path / "home"))
    assert str(tmp_path / "home") in failed.value.text()


def test_a_full_disk_is_named_before_anything_starts(tmp_path: Path) -> None:
    """What is free, what is needed, and where to look."""
    with pytest.raises(SetupFailed) as failed:
        make_home(Home(tmp_path), least_free_mb=1 << 40)
    assert "is full" in failed.value.what
    assert failed.value.mend == f"df -h {tmp_path}"


def test_settings_come_from_the_examples_once(tmp_path: Path, root: Path) -> None:
    """What a person changed is never made again."""
    fork = tmp_path / "fork"
    assert make_fork(fork, root) == ["nightyard.yaml", "groups/main"]
    (fork / "groups" / "main" / "AGENTS.md").write_text("Mine.")
    assert make_fork(fork, root) == []
    assert (fork / "groups" / "main" / "AGENTS.md").read_text() == "Mine."
    assert (fork / "skills").resolve() == root / "skills"


def test_a_half_made_group_is_not_taken_for_one(tmp_path: Path, root: Path) -> None:
    """A copy that was interrupted leaves nothing that looks finished."""
    (root / "groups" / ".main.1.new").mkdir()
    assert "groups/main" in make_fork(root, root)
    assert (root / "groups" / "main" / "AGENTS.md").exists()
