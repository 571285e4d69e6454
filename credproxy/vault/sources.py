"""Values that live elsewhere: an environment variable of the proxy, a file, what a command prints (1Password's `op`,
Bitwarden's `bws`, `pass`). What was read is kept in memory for its cache time, and nowhere else.

A command is run without a shell, once at a time, with a deadline; what it says on standard error is for the owner.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from credproxy.vault.errors import LooseKeyFile
from credproxy.vault.files import refuse_loose
from credproxy.vault.rows import SecretValue, Source
from credproxy.vault.secret import BadValue, Secret
from credproxy.vault.types import TYPES, VALUE, check_parts

log = logging.getLogger(__name__)

COMMAND_TIMEOUT_S = 30.0
"""A password manager may have to ask its server."""
FAILED_CACHE_S = 5.0
"""A command that failed is not run again for each request of an agent that tries and tries."""
MAX_OUTPUT_BYTES = 64 << 10


class SourceFailed(Exception):
    """A value could not be read from where it is; the texts say no value."""

    def __init__(self, name: str, reason: str, mend: str = "") -> None:
        super().__init__(name, reason, mend)
        self.name = name
        self.reason = reason
        self.mend = mend

    def __str__(self) -> str:
        return f"the secret {self.name} cannot be read: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """What was read last, or why it could not be."""

    name: str
    until: float
    parts: Mapping[str, Secret]
    failure: SourceFailed | None = None


class Sources:
    """Reads values from elsewhere, and keeps them for their cache time."""

    def __init__(
        self, environment: Mapping[str, str] | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._environment = os.environ if environment is None else environment
        self._clock = clock
        self._kept: dict[tuple[int, int], _Kept] = {}
        self._locks: dict[tuple[int, int], asyncio.Lock] = {}

    async def read(self, value: SecretValue) -> Mapping[str, Secret]:
        """Return a value's parts: its own, or those that its source has now. Raises SourceFailed."""
        if value.source is None:
            return value.parts
        key = (value.value_id, value.revision)
        kept = self._find(key)
        if kept is None:
            async with self._locks.setdefault(key, asyncio.Lock()):
                kept = self._find(key) or await self._read_and_keep(key, value, value.source)
        if kept.failure is not None:
            raise SourceFailed(kept.name, kept.failure.reason, kept.failure.mend)
        return kept.parts

    def kept(self, value: SecretValue) -> Mapping[str, Secret]:
        """Return what was last read and is still kept, empty if nothing is: what must not come back in a response."""
        kept = self._find((value.value_id, value.revision))
        return {} if kept is None else kept.parts

    def forget(self, name: str) -> None:
        """Read a secret's values again at their next use: it was changed, or a service refused what was kept."""
        self._kept = {key: kept for key, kept in self._kept.items() if kept.name != name}

    def _find(self, key: tuple[int, int]) -> _Kept | None:
        kept = self._kept.get(key)
        return kept if kept is not None and self._clock() < kept.until else None

    async def _read_and_keep(self, key: tuple[int, int], value: SecretValue, source: Source) -> _Kept:
        try:
            parts = _parts_of(value, source, await self._read_text(value.name, source))
            kept = _Kept(name=value.name, until=self._clock() + source.cache_s, parts=parts)
        except SourceFailed as failure:
            log.warning("%s", failure, extra={"action": "secret_source_failed", "secret": value.name})
            kept = _Kept(name=value.name, until=self._clock() + FAILED_CACHE_S, parts={}, failure=failure)
        now = self._clock()
        self._kept = {each: older for each, older in self._kept.items() if now < older.until}
        self._kept[key] = kept
        self._locks = {each: lock for each, lock in self._locks.items() if lock.locked()}
        return kept

    async def _read_text(self, name: str, source: Source) -> str:
        if source.kind == "env":
            text = self._environment.get(source.place, "")
            if not text:
                raise SourceFailed(name, f"the proxy's environment has no variable {source.place}", "nightyard up")
            return text
        if source.kind == "file":
            return await asyncio.to_thread(_read_file, name, Path(source.place))
        return await self._run(name, source.command)

    async def _run(self, name: str, command: tuple[str, ...]) -> str:
        """Return what a command prints; it and its children are gone when this returns, whatever happens."""
        program = command[0]
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=dict(self._environment),
                start_new_session=True,
            )
        except OSError as error:
            raise SourceFailed(name, f"{program} cannot be run: {error.strerror}") from error
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT_S), asyncio.TaskGroup() as group:
                reading = [group.create_task(_read_capped(process, pipe)) for pipe in (process.stdout, process.stderr)]
                await process.wait()
        except TimeoutError:
            raise SourceFailed(name, f"{program} did not end within {COMMAND_TIMEOUT_S:g} s") from None
        finally:
            _kill(process)
        output, errors = (each.result() for each in reading)
        if len(output) > MAX_OUTPUT_BYTES:
            raise SourceFailed(name, f"{program} printed more than {MAX_OUTPUT_BYTES >> 10} KiB")
        if process.returncode != 0:
            said = errors.decode("utf-8", "replace").strip().splitlines()
            log.warning(
                "the command of the secret %s ended with %s and said: %s",
                name,
                process.returncode,
                ascii(said[-1][:200]) if said else "nothing",
                extra={"action": "secret_command_failed", "secret": name},
            )
            raise SourceFailed(name, f"{program} ended with {process.returncode}", "nightyard logs credproxy")
        return _decode(name, output)


async def _read_capped(process: asyncio.subprocess.Process, pipe: asyncio.StreamReader | None) -> bytes:
    """Return all of a pipe; one that says too much is ended."""
    found = b""
    while pipe is not None and (piece := await pipe.read(MAX_OUTPUT_BYTES)):
        found += piece
        if len(found) > MAX_OUTPUT_BYTES:
            _kill(process)
            break
    return found


def _kill(process: asyncio.subprocess.Process) -> None:
    """End a command with all that it started: they are a session of their own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _read_file(name: str, path: Path) -> str:
    try:
        refuse_loose(path)
        with path.open("rb") as file:
            return _decode(name, file.read(MAX_OUTPUT_BYTES))
    except LooseKeyFile as loose:
        raise SourceFailed(name, f"others could read {path} (mode {loose.mode:04o})", f"chmod 600 {path}") from None
    except OSError as error:
        raise SourceFailed(name, f"{path} cannot be read: {error.strerror}") from error


def _decode(name: str, found: bytes) -> str:
    try:
        return found.decode("ascii")
    except UnicodeDecodeError:
        raise SourceFailed(name, "what was read holds letters beyond ASCII") from None


def _parts_of(value: SecretValue, source: Source, text: str) -> Mapping[str, Secret]:
    """Return the parts that a text stands for: a plain key's first line, or a JSON object of parts."""
    secret_type = TYPES[value.type]
    found: object = _pick(value.name, text, source.field) if source.field else text.strip()
    if secret_type.is_plain and isinstance(found, str):
        parts: dict[str, str] = {VALUE: found.partition("\n")[0].strip()}
    else:
        parts = _texts(value.name, found if source.field else _load(value.name, text))
    try:
        check_parts(value.type, parts)
    except BadValue as bad:
        raise SourceFailed(value.name, bad.reason) from None
    return {
        part.name: Secret(value.name, parts[part.name], has_lines=part.has_lines)
        for part in secret_type.parts
        if part.name in parts
    }


def _pick(name: str, text: str, field: str) -> object:
    found = _load(name, text)
    for member in field.split("."):
        if not isinstance(found, dict) or member not in found:
            raise SourceFailed(name, f"what was read has no member {field}")
        found = found[member]
    return found


def _load(name: str, text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise SourceFailed(name, "what was read is not JSON") from None


def _texts(name: str, found: object) -> dict[str, str]:
    if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
        raise SourceFailed(name, "what was read is no JSON object of texts")
    return found
