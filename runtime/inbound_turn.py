"""Which messages wait their turn in a chat, and which go past what waits there. Pure."""

from __future__ import annotations

from protocol.message import InboundMessage
from runtime.commands.table import Command, parse_command


def is_stop(inbound: InboundMessage) -> bool:
    """Return whether a message stops what came before it: it is heard at once, and carried out in its turn."""
    command = _command_of(inbound)
    return command is not None and command.name == "stop"


def is_urgent(inbound: InboundMessage) -> bool:
    """Return whether a message must not wait behind a file that is being fetched."""
    command = _command_of(inbound)
    return command is not None and not command.spec.in_turn


def has_turn(inbound: InboundMessage) -> bool:
    """Return whether what is said after a message must wait for it."""
    return is_stop(inbound) or not is_urgent(inbound)


def _command_of(inbound: InboundMessage) -> Command | None:
    return parse_command(inbound.text) if inbound.kind in ("message", "press") else None
