"""An archive of a skill unpacked in memory, whole or not at all. Pure.

Nothing is written while it is read, and no path of the archive's choosing is followed: the answer is a mapping from
checked names to contents. Refused whole are absolute names and `..`, links, devices, sparse and encrypted members,
names that stand twice, and more than a skill may hold (`content.py`), counted while it is unpacked and not as the
archive says.
"""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator

from runtime.skills.content import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_FILES,
    MAX_PATH_CHARS,
    SkillFile,
    SkillRefused,
    check_size,
    is_left_out,
)

MAX_ARCHIVE_BYTES = 64 << 20
MAX_TAR_BYTES = MAX_BYTES + (MAX_FILES << 11)
"""With the heads and the padding of as many members; an unpacked tar beyond is a bomb."""
_PIECE_BYTES = 1 << 20
_READABLE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1


def unpack(archive: bytes) -> dict[str, SkillFile]:
    """Return what a tar, a tar.gz or a zip holds; raises SkillRefused."""
    if len(archive) > MAX_ARCHIVE_BYTES:
        raise SkillRefused(f"the archive is larger than {MAX_ARCHIVE_BYTES >> 20} MiB")
    try:
        if archive.startswith(b"PK"):
            members = _zip_members(archive)
        else:
            members = _tar_members(_gunzip(archive) if archive.startswith(b"\x1f\x8b") else archive)
        return _collect(members)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, ValueError, RecursionError) as error:
        raise SkillRefused(f"it is no sound tar, tar.gz or zip: {error}"[:300]) from error
    except NotImplementedError as error:
        raise SkillRefused(f"it is packed in a way that is not read here: {error}"[:300]) from error


def check_path(name: str) -> str:
    """Return a member's name as a path from the skill's folder; raises SkillRefused for one that leads elsewhere."""
    shown = ascii(name[:80])
    parts = [part for part in name.removesuffix("/").split("/") if part != "."]
    if name.startswith("/") or "\\" in name or (len(name) > 1 and name[1] == ":"):
        raise SkillRefused(f"{shown} is no path within a folder")
    if ".." in parts:
        raise SkillRefused(f"{shown} leads out of its folder")
    if "" in parts or any(ord(char) < 0x20 or ord(char) == 0x7F or 0xD800 <= ord(char) < 0xE000 for char in name):
        raise SkillRefused(f"{shown} is no name that a file should have")
    if len(name) > MAX_PATH_CHARS or len(parts) > MAX_DEPTH + 1:
        raise SkillRefused(f"{shown}… is longer than {MAX_PATH_CHARS} characters or more than {MAX_DEPTH} folders deep")
    return "/".join(parts)


def _collect(members: Iterator[tuple[str, SkillFile | None]]) -> dict[str, SkillFile]:
    tree: dict[str, SkillFile] = {}
    folders: set[str] = set()
    seen_bytes = 0
    for count, (name, file) in enumerate(members, 1):
        check_size(count, 0)
        path = check_path(name)
        if file is None or is_left_out(path):
            continue
        if path in tree:
            raise SkillRefused(f"{path!a} stands in it twice")
        seen_bytes += len(file.content)
        check_size(0, seen_bytes)
        tree[path] = file
        folders.update(path[:at] for at, char in enumerate(path) if char == "/")
    if clash := sorted(folders & tree.keys()):
        raise SkillRefused(f"{clash[0]!a} is a file and a folder in it")
    if not tree:
        raise SkillRefused("it holds no file")
    return tree


def _gunzip(packed: bytes) -> bytes:
    """Return what it holds, never more than may be: a tar's reader takes its heads into memory as long as they say."""
    stream = zlib.decompressobj(wbits=31)
    plain = stream.decompress(packed, MAX_TAR_BYTES + 1)
    if len(plain) > MAX_TAR_BYTES:
        raise SkillRefused(f"it holds more than {MAX_BYTES >> 20} MiB")
    if not stream.eof:
        raise SkillRefused("it is cut off")
    return plain


def _tar_members(archive: bytes) -> Iterator[tuple[str, SkillFile | None]]:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
        for member in tar:
            if member.isdir():
                yield f"{member.name.removesuffix('/')}/", None
                continue
            if member.issym() or member.islnk():
                raise SkillRefused(f"{member.name[:80]!a} is a link")
            if member.issparse() or member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
                raise SkillRefused(f"{member.name[:80]!a} is a device, a pipe or another thing that is no file")
            body = tar.extractfile(member)
            content = b"" if body is None else body.read(MAX_BYTES + 1)
            if len(content) != member.size:
                raise SkillRefused(f"{member.name[:80]!a} is cut off")
            yield member.name, SkillFile(content=content, is_executable=bool(member.mode & 0o111))


def _zip_members(archive: bytes) -> Iterator[tuple[str, SkillFile | None]]:
    with zipfile.ZipFile(io.BytesIO(archive)) as packed:
        check_size(len(packed.infolist()), 0)
        room_bytes = MAX_BYTES
        for member in packed.infolist():
            mode = member.external_attr >> 16
            if member.orig_filename != member.filename:  # cut at a zero byte, or with other separators
                raise SkillRefused(f"{member.orig_filename[:80]!a} is no name that a file should have")
            if stat.S_ISLNK(mode):
                raise SkillRefused(f"{member.filename[:80]!a} is a link")
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise SkillRefused(f"{member.filename[:80]!a} is a device, a pipe or another thing that is no file")
            if member.is_dir():
                yield member.filename, None
                continue
            if member.flag_bits & _ENCRYPTED:
                raise SkillRefused(f"{member.filename[:80]!a} is encrypted")
            if member.compress_type not in _READABLE:
                raise SkillRefused(f"{member.filename[:80]!a} is packed in another way than deflate")
            content = _read_zipped(packed, member, room_bytes)
            room_bytes -= len(content)
            yield member.filename, SkillFile(content=content, is_executable=bool(mode & 0o111))


def _read_zipped(packed: zipfile.ZipFile, member: zipfile.ZipInfo, room_bytes: int) -> bytes:
    pieces: list[bytes] = []
    with packed.open(member) as file:
        while piece := file.read(_PIECE_BYTES):
            room_bytes -= len(piece)
            check_size(0, MAX_BYTES - room_bytes)
            pieces.append(piece)
    return b"".join(pieces)
