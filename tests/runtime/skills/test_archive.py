"""Archives that strangers made: what is taken, and what is refused whole."""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.skills.archive import MAX_TAR_BYTES, check_path, unpack
from runtime.skills.content import MAX_BYTES, MAX_DEPTH, MAX_FILES, SkillFile, SkillRefused, hash_tree

SKILL = b"---\nname: a\ndescription: d\n---\n"
Member = tuple[tarfile.TarInfo, bytes]


def member(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, mode: int = 0o644) -> Member:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.linkname, info.size = kind, mode, "elsewhere", len(content)
    return info, content


def tar(*members: Member) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def zipped(*members: tuple[str, bytes], mode: int = 0, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, content in members:
            info = zipfile.ZipInfo(name)
            info.external_attr, info.compress_type = mode << 16, method
            archive.writestr(info, content)
    return packed.getvalue()


def test_each_kind_of_archive_gives_the_same_files() -> None:
    """A tar, a tar.gz and a zip of one folder hold the same, in whatever order; the hash is over names and contents."""
    plain = tar(member("a/run.sh", b"#!/bin/sh\n", mode=0o755), member("a/SKILL.md", SKILL), member("./a/", kind=b"5"))
    tree = unpack(plain)
    assert tree == {
        "a/SKILL.md": SkillFile(content=SKILL),
        "a/run.sh": SkillFile(content=b"#!/bin/sh\n", is_executable=True),
    }
    assert unpack(gzip.compress(plain)) == tree
    from_zip = unpack(zipped(("a/", b""), ("a/SKILL.md", SKILL), ("a/run.sh", b"#!/bin/sh\n")))
    assert hash_tree(from_zip) == hash_tree(tree)


def test_what_desktops_leave_is_left_out() -> None:
    """Version control and desktop files are no part of a skill."""
    tree = unpack(
        zipped(("SKILL.md", SKILL), ("__MACOSX/._SKILL.md", b"x"), (".git/config", b"x"), ("a/.DS_Store", b""))
    )
    assert set(tree) == {"SKILL.md"}


@pytest.mark.parametrize(
    "name", ["../x", "a/../../x", "a/..", "/etc/x", "a\\..\\x", "C:x", "a//b", "a\nb", "", "a/\x1b[0m"]
)
def test_names_that_lead_elsewhere_refuse_the_whole(name: str) -> None:
    """One such name among sound ones, and nothing of the archive is taken."""
    with pytest.raises(SkillRefused, match=r"path|leads|name"):
        check_path(name)
    if name and "\n" not in name:
        with pytest.raises(SkillRefused):
            unpack(tar(member("SKILL.md", SKILL), member(name, b"x")))
        with pytest.raises(SkillRefused):
            unpack(zipped(("SKILL.md", SKILL), (name, b"x")))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (tarfile.SYMTYPE, "is a link"),
        (tarfile.LNKTYPE, "is a link"),
        (tarfile.CHRTYPE, "is a device"),
        (tarfile.BLKTYPE, "is a device"),
        (tarfile.FIFOTYPE, "is a device"),
        (tarfile.CONTTYPE, "is a device"),
        (b"Z", "is a device"),
    ],
)
def test_links_and_devices_in_a_tar_refuse_the_whole(kind: bytes, words: str) -> None:
    """A skill holds files and folders only."""
    with pytest.raises(SkillRefused, match=words):
        unpack(tar(member("SKILL.md", SKILL), member("odd", kind=kind)))


@pytest.mark.parametrize(
    ("mode", "words"), [(stat.S_IFLNK, "a link"), (stat.S_IFIFO, "a device"), (stat.S_IFCHR, "a device")]
)
def test_links_and_devices_in_a_zip_refuse_the_whole(mode: int, words: str) -> None:
    """A zip says what its members are in their attributes."""
    with pytest.raises(SkillRefused, match=words):
        unpack(zipped(("SKILL.md", b"/etc/passwd"), mode=mode | 0o644))


def test_bombs_are_refused_before_they_are_unpacked() -> None:
    """Counted is what comes out, not what the archive says: a tar.gz, a zip, and a zip that lies about its sizes."""
    bomb = bytes(MAX_BYTES + 1)
    with pytest.raises(SkillRefused, match="more than 64 MiB"):
        unpack(gzip.compress(tar(member("SKILL.md", bomb)), 1))
    with pytest.raises(SkillRefused, match="more than 64 MiB"):
        unpack(gzip.compress(bytes(MAX_TAR_BYTES + 1), 1))
    packed = zipped(("SKILL.md", bomb))
    with pytest.raises(SkillRefused, match="more than 64 MiB"):
        unpack(packed)
    half = bytes(MAX_BYTES // 2 + 1)
    with pytest.raises(SkillRefused, match="more than 64 MiB"):
        unpack(zipped(("SKILL.md", half), ("b", half)))


def test_a_head_that_claims_gigabytes_takes_no_memory() -> None:
    """A tar whose extended head or file says that it is huge is cut off, not waited for."""
    head = tarfile.TarInfo("pax")
    head.type, head.size = tarfile.XHDTYPE, 8 << 30
    with pytest.raises(SkillRefused):
        unpack(gzip.compress(head.tobuf(tarfile.GNU_FORMAT) + bytes(10_240)))
    file = tarfile.TarInfo("SKILL.md")
    file.size = 8 << 30
    with pytest.raises(SkillRefused, match=r"cut off|no sound"):
        unpack(file.tobuf(tarfile.GNU_FORMAT) + bytes(10_240))


def test_too_many_too_deep_and_too_long() -> None:
    """The count, the depth and the length of names have an end; exactly so much is taken."""
    names = [(f"f{number}", b"") for number in range(MAX_FILES)]
    assert len(unpack(zipped(*names))) == MAX_FILES
    with pytest.raises(SkillRefused, match=f"more than {MAX_FILES} files"):
        unpack(zipped(*names, ("SKILL.md", SKILL)))
    with pytest.raises(SkillRefused, match=f"more than {MAX_FILES} files"):
        unpack(tar(*(member(f"d{number}/", kind=tarfile.DIRTYPE) for number in range(MAX_FILES + 1))))
    assert check_path("/".join(["d"] * (MAX_DEPTH + 1)))
    with pytest.raises(SkillRefused, match="folders deep"):
        check_path("/".join(["d"] * (MAX_DEPTH + 2)))
    with pytest.raises(SkillRefused, match="longer than"):
        check_path("d" * 241)


def test_a_name_that_stands_twice_is_refused() -> None:
    """Shown would be one file and taken the other; a file that is also a folder is no better."""
    with pytest.raises(SkillRefused, match="twice"):
        unpack(tar(member("SKILL.md", SKILL), member("./SKILL.md", b"other")))
    with pytest.raises(SkillRefused, match="a file and a folder"):
        unpack(tar(member("SKILL.md", SKILL), member("a", b"x"), member("a/b", b"x")))


def test_what_cannot_be_read_is_refused() -> None:
    """Encrypted, packed in another way, cut off, empty, or no archive at all."""
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with pytest.raises(SkillRefused, match="another way"):
            unpack(zipped(("SKILL.md", SKILL), method=method))
    encrypted = bytearray(zipped(("SKILL.md", SKILL)))
    encrypted[encrypted.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(SkillRefused, match="encrypted"):
        unpack(bytes(encrypted))
    sound = gzip.compress(tar(member("SKILL.md", SKILL)))
    for broken in (b"", b"PK", b"words", sound[:-20], zipped(("SKILL.md", SKILL))[:-30], tar(), zipped()):
        with pytest.raises(SkillRefused):
            unpack(broken)


@given(st.binary(max_size=600), st.sampled_from([b"", b"PK\x03\x04", b"\x1f\x8b\x08"]))
def test_no_bytes_break_the_reader(content: bytes, start: bytes) -> None:
    """Whatever is given, the answer is files or a reason."""
    try:
        unpack(start + content)
    except SkillRefused as refused:
        assert str(refused)


@given(st.data())
def test_a_changed_byte_breaks_nothing(data: st.DataObject) -> None:
    """A sound archive with bytes changed is taken or refused, and names stay within the folder."""
    sound = data.draw(st.sampled_from([tar(member("a/SKILL.md", SKILL)), zipped(("a/SKILL.md", SKILL))]))
    changed = bytearray(sound)
    for _ in range(3):
        changed[data.draw(st.integers(0, len(sound) - 1))] = data.draw(st.integers(0, 255))
    try:
        names = list(unpack(bytes(changed)))
    except SkillRefused:
        return
    assert all(check_path(name) == name for name in names)
