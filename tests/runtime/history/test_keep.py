"""The history of a group's folders: kept before a task, put back byte for byte."""

from __future__ import annotations

import os
import random
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.history import keep, tree
from runtime.history.keep import Keep
from runtime.history.manifest import Change, parse_manifest, plan_restore
from runtime.history.tree import TreeRefused


@pytest.fixture
def group(tmp_path: Path) -> Path:
    for name in ("workspace", "memory", "home"):
        (tmp_path / "group" / name).mkdir(parents=True)
    return tmp_path / "group"


@pytest.fixture
def history(group: Path, tmp_path: Path) -> Keep:
    return Keep(group, tmp_path / "history" / "main")


def picture(group: Path) -> dict[str, tuple[str, int, bytes]]:
    """Return all that the two folders hold, in a form to compare."""
    seen = {}
    for top in ("workspace", "memory"):
        for folder, folders, files in os.walk(group / top):
            for name in [*folders, *files]:
                path = Path(folder) / name
                mode = stat.S_IMODE(path.lstat().st_mode)
                if path.is_symlink():
                    seen[os.fsdecode(path.relative_to(group))] = ("link", 0, os.fsencode(path.readlink()))
                elif path.is_dir():
                    seen[os.fsdecode(path.relative_to(group))] = ("folder", mode, b"")
                else:
                    seen[os.fsdecode(path.relative_to(group))] = ("file", mode, path.read_bytes())
    return seen


def fill(group: Path) -> None:
    (group / "workspace" / "notes.md").write_text("one\n")
    (group / "workspace" / "deep" / "er").mkdir(parents=True)
    (group / "workspace" / "deep" / "er" / "data").write_bytes(bytes(range(256)) * 5_000)
    (group / "workspace" / "empty").mkdir(mode=0o750)
    (group / "workspace" / "run.sh").write_text("#!/bin/sh\n")
    (group / "workspace" / "run.sh").chmod(0o755)
    (group / "workspace" / "link").symlink_to("notes.md")
    (group / "workspace" / os.fsdecode(b"odd\xff\n name")).write_text("odd")
    (group / "memory" / "people.md").write_text("Anna\n")


def test_everything_comes_back(group: Path, history: Keep) -> None:
    """Files changed, removed, added, replaced by other kinds, and modes: all is again as it was, byte for byte."""
    fill(group)
    before = picture(group)
    kept = history.take()
    (group / "workspace" / "notes.md").write_text("two\n")
    (group / "workspace" / "run.sh").chmod(0o600)
    (group / "workspace" / "deep" / "er" / "data").unlink()
    (group / "workspace" / "deep" / "er").rmdir()
    (group / "workspace" / "deep").rmdir()
    (group / "workspace" / "deep").write_text("a file now")
    (group / "workspace" / "empty" / "more").mkdir()
    (group / "workspace" / "empty" / "more" / "file").write_text("more")
    (group / "workspace" / "link").unlink()
    (group / "workspace" / "link").mkdir()
    (group / "memory" / "people.md").unlink()
    (group / "memory" / "people.md").symlink_to("/etc/passwd")
    history.restore(kept)
    assert picture(group) == before
    assert history.plan(kept) == ()


def test_only_workspace_and_memory_have_a_history(group: Path, history: Keep) -> None:
    """The agent's own home is left as it is."""
    (group / "home" / "cache").write_text("one")
    kept = history.take()
    (group / "home" / "cache").write_text("two")
    history.restore(kept)
    assert (group / "home" / "cache").read_text() == "two"


def test_an_unchanged_file_is_not_read_again(group: Path, history: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second look costs no reading: what the kernel says of a file is enough."""
    fill(group)
    for path in (group / "workspace" / "notes.md", group / "workspace" / "deep" / "er" / "data"):
        os.utime(path, ns=(1, 1))
    first = history.take()
    stamps = {blob: blob.stat().st_ctime_ns for blob in history._blobs()}
    assert history.take() == first
    assert {blob: blob.stat().st_ctime_ns for blob in history._blobs()} == stamps


def test_a_change_that_hides_its_time_is_seen(group: Path, history: Keep) -> None:
    """A file with other bytes of the same size and the old time stamp is another file."""
    path = group / "workspace" / "notes.md"
    path.write_text("one\n")
    os.utime(path, ns=(5, 5))
    first = history.take()
    path.write_text("two\n")
    os.utime(path, ns=(5, 5))
    assert history.take() != first
    history.restore(first)
    assert path.read_text() == "one\n"


def test_links_are_never_followed(group: Path, history: Keep, tmp_path: Path) -> None:
    """A link out of the folders is kept as a link: what it leads to is neither read nor written nor removed."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (group / "workspace" / "out").mkdir()
    (group / "workspace" / "out" / "secret").write_text("mine")
    kept = history.take()
    (group / "workspace" / "out" / "secret").unlink()
    (group / "workspace" / "out").rmdir()
    (group / "workspace" / "out").symlink_to(outside)
    now = history.take()
    assert not any(blob.read_bytes() == b"secret" for blob in history._blobs())
    history.restore(kept)
    assert (group / "workspace" / "out" / "secret").read_text() == "mine"
    history.restore(now)
    assert (group / "workspace" / "out").is_symlink()
    assert (outside / "secret").read_text() == "secret"


def test_pipes_and_sockets_are_not_made_again(group: Path, history: Keep) -> None:
    """A named pipe holds nobody up; one that is gone is among what a restore does not bring back, what came since is
    removed."""
    pipe = group / "workspace" / "pipe"
    before = history.take()
    os.mkfifo(pipe)
    kept = history.take()
    assert (history.plan(kept), history.lost(kept)) == ((), ())
    assert history.plan(before) == (Change("workspace/pipe", "remove"),)
    pipe.unlink()
    assert history.plan(kept) == ()
    assert history.lost(kept) == ("workspace/pipe was a pipe, and is not made again.",)
    os.mkfifo(pipe)
    assert history.restore(before) == (Change("workspace/pipe", "remove"),)
    assert not pipe.exists()


def test_names_of_one_file_come_back_as_files_and_that_is_said(group: Path, history: Keep) -> None:
    """The bytes are what they were under each name; that they were one file is lost where any was written anew."""
    one, two = group / "workspace" / "one", group / "workspace" / "two"
    one.write_text("said")
    os.link(one, two)
    kept = history.take()
    assert history.lost(kept) == ()
    two.unlink()
    two.write_text("said")
    (line,) = history.lost(kept)
    assert line.startswith("workspace/one, workspace/two were names of one file")
    assert history.plan(kept) == ()
    two.unlink()
    os.link(one, two)
    one.write_text("other")
    assert history.lost(kept) == (line,)
    assert len(history.restore(kept)) == 2
    assert (one.read_text(), two.read_text()) == ("said", "said")
    assert one.stat().st_ino != two.stat().st_ino


def test_a_file_too_large_to_keep_is_said(group: Path, history: Keep) -> None:
    """A file beyond the limit is noted; when it changed, the plan says that it cannot be had back."""
    path = group / "workspace" / "disk.img"
    with path.open("wb") as file:
        file.truncate(keep.MAX_FILE_BYTES + 1)
    kept = history.take()
    assert history.held_bytes() == 0
    assert history.plan(kept) == ()
    path.write_bytes(b"small")
    assert [(change.path, change.kind) for change in history.plan(kept)] == [("workspace/disk.img", "cannot")]
    history.restore(kept)
    assert path.read_bytes() == b"small"


def test_a_tree_without_end_is_refused(group: Path, history: Keep) -> None:
    """Folders nested too deep have no history, and say so."""
    path = group / "workspace"
    for _ in range(tree.MAX_DEPTH + 1):
        path = path / "d"
        path.mkdir()
    with pytest.raises(TreeRefused, match="nested"):
        history.take()


def test_locked_folders_come_back(group: Path, history: Keep) -> None:
    """Folders and files without any right for their owner are kept and restored with their modes."""
    inner = group / "workspace" / "locked"
    inner.mkdir()
    (inner / "file").write_text("one")
    (inner / "file").chmod(0)
    inner.chmod(0o500)
    kept = history.take()
    inner.chmod(0o700)
    (inner / "file").unlink()
    (inner / "other").write_text("x")
    inner.chmod(0)
    history.restore(kept)
    assert stat.S_IMODE(inner.stat().st_mode) == 0o500
    assert stat.S_IMODE((inner / "file").stat().st_mode) == 0
    (inner / "file").chmod(0o400)
    assert (inner / "file").read_text() == "one"
    assert [path.name for path in inner.iterdir()] == ["file"]


def test_pruning_keeps_what_is_wanted(group: Path, history: Keep) -> None:
    """What only dropped moments name goes from the disk; a wanted moment is whole."""
    path = group / "workspace" / "notes.md"
    moments = []
    for text in ("one", "two", "three"):
        path.write_text(text)
        moments.append(history.take())
    held = history.held_bytes()
    history.prune({moments[1]})
    assert history.held_bytes() < held
    history.restore(moments[1])
    assert path.read_text() == "two"
    with pytest.raises(KeyError):
        history.plan(moments[0])


def test_a_broken_manifest_is_noticed(group: Path, history: Keep, tmp_path: Path) -> None:
    """A manifest that is not what was written is never restored from."""
    fill(group)
    kept = history.take()
    path = tmp_path / "history" / "main" / "manifests" / kept
    path.write_text(path.read_text().replace("notes.md", "other.md"))
    with pytest.raises(OSError, match="not what was written"):
        history.restore(kept)
    assert (group / "workspace" / "notes.md").exists()


names = st.sampled_from(["a", "b", "c", "d"])
kinds = st.sampled_from(["file", "folder", "link", "gone"])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 2**32))
def test_any_tree_becomes_any_other(tmp_path_factory: pytest.TempPathFactory, first: int, second: int) -> None:
    """From any content to any earlier one: what is there is then exactly what was there."""
    base = tmp_path_factory.mktemp("any")
    group = base / "group"
    (group / "workspace").mkdir(parents=True)
    history = Keep(group, base / "history")
    grow(group / "workspace", random.Random(first), 3)
    before = picture(group)
    kept = history.take()
    for path in (group / "workspace").iterdir():
        with tree.opened_folder(group / "workspace") as root:
            if random.Random(second ^ hash(path.name)).random() < 0.7:
                tree.remove(root, path.name)
    grow(group / "workspace", random.Random(second), 3)
    history.restore(kept)
    assert picture(group) == before


def grow(folder: Path, chance: random.Random, depth: int) -> None:
    for name in "abcd":
        path = folder / name
        if path.is_symlink() or path.exists():
            continue
        what = chance.choice(["file", "folder", "link", "none"])
        if what == "file":
            path.write_bytes(chance.randbytes(chance.randrange(50)))
            path.chmod(chance.choice([0o600, 0o644, 0o755, 0o444]))
        elif what == "link":
            path.symlink_to(chance.choice(["a", "../b", "/nowhere"]))
        elif what == "folder" and depth:
            path.mkdir()
            grow(path, chance, depth - 1)
            path.chmod(chance.choice([0o700, 0o755, 0o555]))


def test_a_manifest_of_another_version_is_refused() -> None:
    """Only what this version wrote is read."""
    with pytest.raises(ValueError, match="version"):
        parse_manifest('{"version": 99}\n')
    assert plan_restore({}, {}) == ()
