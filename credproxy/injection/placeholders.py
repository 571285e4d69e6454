"""Placeholders: what an agent's tools hold in place of a key, and what is found where it does not belong. Pure.

A placeholder looks like a key of its provider, so that tools which check their keys start; it is worth nothing. Each
holds the home's tag, so that one search of a request finds any of them; which one it is, is looked up only then.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import urllib.parse
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from credproxy.injection.kinds import VALUE
from credproxy.injection.placeholder_form import make_tag, write_placeholder
from credproxy.injection.presets import placeholder_form
from credproxy.wire.heads import Headers
from credproxy.wire.target import Target
from protocol.ids import GroupId

MIN_KEY_BYTES = 32
_STANDARD = bytes.maketrans(b"-_", b"+/")
_NO_BASE64 = bytes(
    byte for byte in range(256) if not (chr(byte).isascii() and (chr(byte).isalnum() or byte in b"-_+/"))
)
"""Servers are lenient about a pair's base64: both alphabets, with or without its end, other signs between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tripped:
    """A placeholder that was found in a request, and whose it is."""

    group_id: GroupId
    secret: str
    part: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceholderName:
    """What one placeholder stands for."""

    group_id: GroupId
    secret: str
    preset: str = ""
    part: str = VALUE


class Placeholders:
    """Makes and finds the placeholders of one home: the same key gives the same ones, whenever asked."""

    def __init__(self, key: bytes) -> None:
        if len(key) < MIN_KEY_BYTES:
            raise ValueError("the placeholders' key is too short")
        self._key = key
        self._tag = make_tag(hmac.digest(key, b"tag", "sha256"))
        self._tags = (self._tag.encode("ascii"), self._tag.upper().encode("ascii"))
        self._list_watched: Callable[[], Iterable[PlaceholderName]] = tuple
        self._given: set[PlaceholderName] = set()
        self._known: dict[bytes, PlaceholderName] | None = None
        """Both, as they are written; made when a tag was found, and then kept."""
        self._is_idle = True
        """There is none to be found."""

    def of(self, group_id: GroupId, secret: str, preset: str = "", part: str = VALUE) -> str:
        """Return the placeholder of a group's secret, in the form of the preset's keys; found from now on."""
        name = PlaceholderName(group_id=group_id, secret=secret, preset=preset, part=part)
        if name not in self._given:
            self._given.add(name)
            self._known, self._is_idle = None, False
        return self._write(name)

    def watch(self, list_names: Callable[[], Iterable[PlaceholderName]]) -> None:
        """Find these from now on too: those of the policy in force, in place of the last. Beyond the first they are
        listed only when one may have been found."""
        self._list_watched = list_names
        self._known = None
        self._is_idle = not self._given and next(iter(list_names()), None) is None

    def find(self, texts: Iterable[bytes]) -> Tripped | None:
        """Return a placeholder that stands in the texts, None if none does."""
        return next(self.all_in(texts), None)

    def find_misplaced(
        self,
        texts: Iterable[bytes],
        group_id: GroupId,
        secret: str | None,
        *,
        belongs: Callable[[str], bool] | None = None,
    ) -> Tripped | None:
        """Return a placeholder that does not belong: of another group, or of another secret than the request's unless
        `belongs` says of its name that it does."""
        for found in self.all_in(texts):
            is_own = found.group_id == group_id
            if not is_own or (found.secret != secret and not (belongs is not None and belongs(found.secret))):
                return found
        return None

    def is_carried(self, texts: Iterable[bytes], group_id: GroupId, secret: str) -> bool:
        """Whether the group's own placeholder of that secret stands in the texts."""
        return any(found.group_id == group_id and found.secret == secret for found in self.all_in(texts))

    def may_be_in(self, texts: Iterable[bytes]) -> bool:
        """Whether any of them may stand there: nearly always not, and then nothing else need be asked."""
        if self._is_idle:
            return False
        tag, upper = self._tags
        for text in texts:  # noqa: SIM110  # half of what `any` costs
            if tag in text or upper in text:
                return True
        return False

    def all_in(self, texts: Iterable[bytes]) -> Iterator[Tripped]:
        """Yield each placeholder that stands in the texts, maybe more than once. Each is looked for once in a text,
        however often the tag stands there: whoever writes it a thousand times must not hold up the proxy."""
        for text in texts:
            if self.may_be_in((text,)):
                yield from self._in_text(text)

    def _in_text(self, text: bytes) -> Iterator[Tripped]:
        plain = urllib.parse.unquote_to_bytes(text) if b"%" in text else text
        for written, name in self._all_known().items():
            if written in text or written in plain:
                yield Tripped(group_id=name.group_id, secret=name.secret, part=name.part)

    def _all_known(self) -> dict[bytes, PlaceholderName]:
        if self._known is None:
            self._known = {self._write(name).encode("ascii"): name for name in (*self._list_watched(), *self._given)}
        return self._known

    def _write(self, name: PlaceholderName) -> str:
        seed = "\0".join(("placeholder", name.group_id, name.secret, name.preset, name.part)).encode("utf-8")
        return write_placeholder(
            placeholder_form(name.preset, name.part), hmac.digest(self._key, seed, "sha256"), self._tag
        )


def searched_texts(target: Target, headers: Headers, body: bytes | None = None) -> Iterator[bytes]:
    """Yield what of a request may hold a placeholder: path and query, header values, Basic's pair, the body.

    Bodies of model calls are not searched: an agent that lists its environment sends them to its model, and no harm.
    """
    wire = target.wire.encode("ascii")
    yield urllib.parse.unquote_to_bytes(wire) if b"%" in wire else wire
    yield b"\n".join([value for _name, value in headers])
    for name, value in headers:
        if name in (b"authorization", b"proxy-authorization") and value[:6].lower() == b"basic ":
            pair = value[6:].translate(_STANDARD, _NO_BASE64)
            with suppress(binascii.Error):  # of a length that no bytes make
                yield base64.b64decode(pair + b"=" * (-len(pair) % 4))
    if body:
        yield body
