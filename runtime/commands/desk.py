"""Carries out the commands of chats: has their room perform them, puts the answer into the outbox."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from credproxy.admin_client.link import ProxyError
from protocol.message import Button, OutboundMessage
from runtime.commands.table import COMMANDS, Command, parse_command
from runtime.refusal import OperationRefused
from runtime.store.errors import StoreError
from runtime.store.records import StoredMessage
from runtime.store.store import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A command that somebody gave."""

    command: Command
    message: StoredMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is answered to it."""

    text: str
    """Markdown."""
    buttons: tuple[Button, ...] = ()
    file_path: str | None = None
    """A host path that the host wrote itself."""
    file_name: str = ""


Handler = Callable[[Given], Awaitable[Answer]]
HandlerTable = Mapping[str, Handler]
"""By a command's name. A handler may raise OperationRefused; it is harmless to call it twice for one message."""


def join_handlers(*tables: HandlerTable) -> HandlerTable:
    """Return all rooms' handlers; ValueError unless each command of the table has exactly one."""
    names = [name for table in tables for name in table]
    wanted = [spec.name for spec in COMMANDS]
    if sorted(names) != sorted(wanted):
        wrong = sorted(set(names) ^ set(wanted)) or sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"commands without one handler each: {', '.join(wrong)}")
    return {name: handler for table in tables for name, handler in table.items()}


def answer_key(message: StoredMessage) -> str:
    """Return the key of a command's answer in the outbox."""
    return f"{message.message_id}:command"


class CommandDesk:
    """Gives every stored command exactly one answer, also after a restart in the middle."""

    def __init__(self, handlers: HandlerTable, store: Store) -> None:
        self._handlers = handlers
        self._store = store

    async def perform(self, message: StoredMessage) -> None:
        """Carry out a message of state COMMAND, answer it, and mark it done. Doing it twice answers once.

        The caller wakes the delivery.
        """
        command = parse_command(message.inbound.text)
        if command is not None:
            answer = await self._answer(Given(command=command, message=message))
            outbound = OutboundMessage(
                chat=message.inbound.chat,
                text=answer.text,
                reply_to=message.inbound.platform_message_id,
                buttons=answer.buttons,
                file_path=answer.file_path,
                file_name=answer.file_name,
            )
            await self._store.put_outbound(answer_key(message), outbound)
        await self._store.end_command(message.message_id)

    async def _answer(self, given: Given) -> Answer:
        try:
            return await self._handlers[given.command.name](given)
        except OperationRefused as refused:
            return Answer(
                text=f"{refused.message}." if not refused.mend else f"{refused.message}. What helps: {refused.mend}"
            )
        except ProxyError as error:
            return Answer(text=f"That was not done: {error}. What helps: ./nightyard status")
        except StoreError:
            raise  # the disk: the message is done again when that is mended
        except Exception:  # a handler's bug must not end the host, and end it again at each start
            log.exception("a command broke", extra={"action": "command_broke", "command": given.command.name})
            return Answer(text=f"/{given.command.name} broke, and may not be done. What helps: ./nightyard logs host")
