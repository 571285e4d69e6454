"""The clients that the agent's image does not hold, fetched with their own installers, once per version.

They come from where this machine's pip, npm and apt fetch from, into a folder of the user's cache that containers are
shown read-only. Nothing in them is changed.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import docker

from runtime.container_command import FolderMount

PYTHON_CLIENTS = ("requests==2.34.2", "httpx==0.28.1", "aiohttp==3.14.5")
NODE_CLIENTS = ("node@24.21.0", "npm@11.21.2", "undici@8.12.4")
OPENAI = "openai==3.52.0"
SKILL_VALIDATOR = "skills-ref==0.1.1"
MCP_SDK = "mcp==2.3.0"
CLAUDE = "@anthropic-ai/claude-code@2.1.329"
FETCH_TIMEOUT_S = 600


def python_clients(image: str) -> FolderMount:
    """requests, httpx and aiohttp for the image's Python, whichever Python runs the tests."""
    version = _python_of(image)

    def fetch(folder: Path) -> None:
        wanted = ["--python-version", version, "--only-binary=:all:", "--target", str(folder)]
        with tempfile.TemporaryDirectory() as environment:
            _run("python3", "-m", "venv", environment)
            _run(f"{environment}/bin/pip", "install", "-q", *wanted, *PYTHON_CLIENTS)

    return _tool("python-clients", (*PYTHON_CLIENTS, version), fetch)


def openai_client() -> Path:
    """OpenAI's own Python client."""
    return _python_package("openai-client", OPENAI)


def skill_validator() -> Path:
    """The reference validator of the Agent Skills format."""
    return _python_package("skill-validator", SKILL_VALIDATOR)


def mcp_sdk() -> Path:
    """The Model Context Protocol's own Python library, servers and clients."""
    return _python_package("mcp-sdk", MCP_SDK)


def _python_package(name: str, package: str) -> Path:
    """Return the folder of a package for the Python that runs the tests; what it needs comes along."""
    version = ".".join(map(str, sys.version_info[:2]))

    def fetch(folder: Path) -> None:
        with tempfile.TemporaryDirectory() as environment:
            _run(sys.executable, "-m", "venv", environment)
            _run(f"{environment}/bin/pip", "install", "-q", "--only-binary=:all:", "--target", str(folder), package)

    return Path(_tool(name, (package, version), fetch).path)


def _python_of(image: str) -> str:
    """Return the image's Python as `3.11`."""
    engine = docker.from_env()
    try:
        command = ["python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        said: bytes = engine.containers.run(image, command, remove=True, network_mode="none")
    finally:
        engine.close()
    return said.decode().strip()


def node_clients() -> FolderMount:
    """Node itself, npm, and undici as a package."""
    return _tool("node-clients", NODE_CLIENTS, lambda folder: _npm_install(folder, *NODE_CLIENTS))


def claude_client() -> FolderMount:
    """The Claude Code command."""
    return _tool("claude-client", (CLAUDE,), lambda folder: _npm_install(folder, CLAUDE))


def go_client() -> FolderMount:
    """`ask`, the program of `ask.go`, made with this machine's Go, or with the one that its apt has."""
    source = Path(__file__).with_name("ask.go")

    def fetch(folder: Path) -> None:
        with tempfile.TemporaryDirectory() as root:
            compiler = shutil.which("go") or _unpack_go(Path(root))
            settings = {"CGO_ENABLED": "0", "GOCACHE": f"{root}/cache", "GOPATH": f"{root}/path", "GO111MODULE": "off"}
            _run(compiler, "build", "-o", str(folder / "ask"), str(source), variables=settings)

    return _tool("go-client", (source.read_text("utf-8"),), fetch)


def _unpack_go(root: Path) -> str:
    """Fetch what apt calls golang-go, and the packages behind that name, without installing them."""
    no = [f"--no-{what}" for what in ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances")]
    shown = _run("apt-cache", "depends", "--recurse", *no, "golang-go").splitlines()
    _run("apt-get", "download", *(name for name in shown if name.startswith("golang-")), cwd=root)
    for package in root.glob("*.deb"):
        _run("dpkg-deb", "-x", str(package), str(root))
    return str(next(root.glob("usr/lib/go-*/bin/go")))


def _npm_install(folder: Path, *packages: str) -> None:
    # --force: the machine's own Node, which only fetches here, may be older than the package wants.
    _run("npm", "install", "--prefix", str(folder), "--force", "--no-audit", "--no-fund", "--loglevel=error", *packages)


def _tool(name: str, versions: tuple[str, ...], fetch: Callable[[Path], None]) -> FolderMount:
    """Return the folder of a tool, fetched unless it is there in these versions."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nightyard-test-clients"
    digest = hashlib.sha256("\0".join((platform.machine(), *versions)).encode()).hexdigest()
    folder = cache / f"{name}-{digest[:12]}"
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=cache))
        try:
            fetch(fresh)
            fresh.chmod(0o755)
            fresh.rename(folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return FolderMount(name=name, path=str(folder))


def _run(*command: str, cwd: Path | None = None, variables: Mapping[str, str] | None = None) -> str:
    environment = {**os.environ, **(variables or {})}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout
