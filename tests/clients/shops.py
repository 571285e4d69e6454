"""What real clients talk to here: a git host, a Python package index, an npm registry. Small, but by their protocols.

Each is a `Serve` for an upstream of the quarter.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile
import zipfile
from pathlib import Path

from tests.clients.quarter import Reply, Serve
from tests.credproxy.street import Arrived


def make_repository(folder: Path) -> Path:
    """Make a bare repository with one commit, which may be pushed to."""
    bare, work = folder / "notes.git", folder / "work"
    _git(folder, "init", "-q", "--bare", "-b", "main", str(bare))
    _git(bare, "config", "http.receivepack", "true")
    _git(folder, "init", "-q", "-b", "main", str(work))
    (work / "readme").write_text("hello from the host\n")
    # More than fits into one read, and nothing that compresses.
    (work / "large").write_bytes(os.urandom(1 << 20))
    _git(work, "add", ".")
    _git(work, "commit", "-q", "-m", "first")
    _git(work, "push", "-q", str(bare), "main")
    return bare


def log_of(bare: Path) -> list[str]:
    """Return the subjects of the commits on main, the newest first."""
    return _git(bare, "log", "--format=%s", "main").splitlines()


def _git(folder: Path, *arguments: str) -> str:
    author = {f"GIT_{who}_{what}": "nobody" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {**os.environ, **author, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


def git_host(folder: Path, *, password: str) -> Serve:
    """git's own server program over the repositories in a folder; who does not show the password is asked for it."""
    expected = base64.b64encode(f"x-access-token:{password}".encode()).decode()

    async def serve(arrived: Arrived) -> Reply:
        if arrived.header("authorization") != [f"Basic {expected}"]:
            return Reply(status=401, headers={"WWW-Authenticate": 'Basic realm="git"'})
        method, target, _ = arrived.line.split(" ")
        path, _, query = target.partition("?")
        variables = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "REMOTE_USER": "agent",
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": "".join(arrived.header("content-type")),
            "CONTENT_LENGTH": str(len(arrived.body)),
            "HTTP_CONTENT_ENCODING": "".join(arrived.header("content-encoding")),
            "HTTP_GIT_PROTOCOL": "".join(arrived.header("git-protocol")),
        }
        pipe = asyncio.subprocess.PIPE
        backend = await asyncio.create_subprocess_exec("git", "http-backend", stdin=pipe, stdout=pipe, env=variables)
        written, _ = await backend.communicate(arrived.body)
        head, _, body = written.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        status = headers.pop("Status", "200").split(" ")[0]
        return Reply(body=body, status=int(status), headers=headers)

    return serve


def make_wheel(name: str, version: str, says: str) -> tuple[str, bytes]:
    """Return a wheel's file name and content: a module whose `word` is what it says."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"word = {says!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},sha256={_digest(text)},{len(text)}\n" for path, text in files.items())
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path, text in {**files, f"{info}/RECORD": record + f"{info}/RECORD,,\n"}.items():
            archive.writestr(path, text)
    return f"{name}-{version}-py3-none-any.whl", content.getvalue()


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def package_index(*wheels: tuple[str, bytes]) -> Serve:
    """The simple API of a Python package index (PEP 503), with these wheels."""
    files = dict(wheels)

    async def serve(arrived: Arrived) -> Reply:
        path = arrived.line.split(" ")[1]
        if path.startswith("/files/") and path.removeprefix("/files/") in files:
            return Reply(body=files[path.removeprefix("/files/")], headers={"Content-Type": "application/zip"})
        name = path.removeprefix("/simple/").strip("/")
        found = [file for file in files if file.split("-")[0] == name]
        links = "".join(
            f'<a href="/files/{file}#sha256={hashlib.sha256(files[file]).hexdigest()}">{file}</a>' for file in found
        )
        page = f"<!DOCTYPE html><html><body>{links}</body></html>".encode()
        return Reply(body=page, status=200 if found else 404, headers={"Content-Type": "text/html"})

    return serve


def make_package(name: str, version: str, says: str) -> bytes:
    """Return the tarball of a package for Node that exports what it says."""
    files = {
        "package/package.json": json.dumps({"name": name, "version": version, "main": "index.js"}),
        "package/index.js": f"module.exports = {json.dumps(says)};\n",
    }
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for path, text in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return content.getvalue()


def npm_registry(name: str, version: str, tarball: bytes) -> Serve:
    """A registry with one package; answers are compressed where that is asked for."""
    file = f"/{name}/-/{name}-{version}.tgz"
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(tarball).digest()).decode()

    async def serve(arrived: Arrived) -> Reply:
        path = arrived.line.split(" ")[1]
        if path == file:
            return Reply(body=tarball, headers={"Content-Type": "application/octet-stream"})
        if path != f"/{name}":
            return Reply(body=b"{}", status=404, headers={"Content-Type": "application/json"})
        place = f"https://{arrived.header('host')[0]}{file}"
        release = {"name": name, "version": version, "dist": {"tarball": place, "integrity": integrity}}
        document = {"name": name, "dist-tags": {"latest": version}, "versions": {version: release}}
        body, headers = json.dumps(document).encode(), {"Content-Type": "application/json"}
        if "gzip" in "".join(arrived.header("accept-encoding")):
            body, headers = gzip.compress(body), {**headers, "Content-Encoding": "gzip"}
        return Reply(body=body, headers=headers)

    return serve
