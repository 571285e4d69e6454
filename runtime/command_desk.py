"""Carries out the commands of chats: asks operations.py, puts the words of commands.py into the outbox."""

from __future__ import annotations

from credproxy.admin_client.link import ProxyError
from protocol.message import OutboundMessage
from runtime.commands import (
    HELP,
    Command,
    build_freeze_answer,
    build_greeting,
    build_new_answer,
    build_status_answer,
    build_stop_answer,
    build_unfreeze_answer,
    parse_command,
)
from runtime.operations import OperationRefused, Operations
from runtime.store.records import StoredMessage
from runtime.store.store import Store


class CommandDesk:
    """Gives every stored command exactly one answer, also after a restart in the middle."""

    def __init__(self, operations: Operations, store: Store) -> None:
        self._operations = operations
        self._store = store

    async def perform(self, message: StoredMessage) -> None:
        """Carry out a message of state COMMAND, answer it, and mark it done. Doing it twice answers once.

        The caller wakes the delivery. A command is harmless to repeat: what is stopped is stopped, and a second `/new`
        ends an empty conversation.
        """
        command = parse_command(message.inbound.text)
        if command is not None:
            try:
                text = await self._carry_out(command, message)
            except OperationRefused as refused:
                text = f"{refused.message}." if not refused.mend else f"{refused.message}. What helps: {refused.mend}"
            except ProxyError as error:
                text = f"Still frozen: {error}. What helps: ./nightyard status"
            answer = OutboundMessage(chat=message.inbound.chat, text=text, reply_to=message.inbound.platform_message_id)
            await self._store.put_outbound(f"{message.message_id}:command", answer)
        await self._store.end_command(message.message_id)

    async def _carry_out(self, command: Command, message: StoredMessage) -> str:
        chat = message.inbound.chat
        match command.name:
            case "stop":
                stopped = await self._operations.stop_chat(chat)
                return build_stop_answer(len(stopped.tasks), stopped.messages)
            case "new":
                await self._operations.new(chat)
                return build_new_answer((await self._operations.chat_status(chat)).is_working)
            case "status":
                return build_status_answer(await self._operations.chat_status(chat))
            case "freeze":
                frozen = await self._operations.freeze(message.inbound.person)
                return build_freeze_answer(len(frozen.tasks), frozen.egress)
            case "unfreeze":
                return build_unfreeze_answer(await self._operations.unfreeze(message.inbound.person))
            case "start":
                status = await self._operations.chat_status(chat)
                return build_greeting(status.group, is_rehearsal=status.is_rehearsal)
            case "help":
                return HELP
