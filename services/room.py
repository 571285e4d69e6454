"""A room of the host as the wiring sees it: its verbs, its commands, and what of it runs."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from runtime.commands.desk import Handler, HandlerTable
from runtime.control.verb import Verb, VerbTable

_NO_VERBS: Mapping[str, Verb] = {}
_NO_HANDLERS: Mapping[str, Handler] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Put together in a file of its own, so that the host's file only lists rooms."""

    verbs: VerbTable = field(default_factory=lambda: _NO_VERBS)
    handlers: HandlerTable = field(default_factory=lambda: _NO_HANDLERS)
    parts: tuple[Callable[[], Coroutine[Any, Any, None]], ...] = ()
    """Each runs until cancelled."""
    wake: Callable[[], None] = lambda: None
    """Says that its rows changed in another room. Returns at once."""
