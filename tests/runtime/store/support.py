"""Words for the store's tests: messages, bindings, and a store that is walked to some point."""

from __future__ import annotations

import itertools

from credproxy.admin_client.audit import ModelUseRow
from protocol.ids import ChannelId, ChatKey, DoorId, GroupId, PersonKey, PlatformMessageId
from protocol.message import InboundMessage, OutboundMessage
from protocol.task import TaskResult, TaskStatus
from protocol.transcript import Entry, Step, ToolCall, ToolOutput
from runtime.store.records import Claim, FiledState, MessageState, NewOutbound, StoredMessage
from runtime.store.store import Store

MAIN = GroupId("main")
CHANNEL = ChannelId("telegram")
CHAT = ChatKey("telegram:100")
ANNA = PersonKey("telegram:7")
REPLY = TaskResult(status=TaskStatus.REPLY, text="Hello, Anna")

_events = itertools.count(1)


def said(text: str = "hi", *, chat: ChatKey = CHAT, person: PersonKey = ANNA, **more: object) -> InboundMessage:
    """Return a decoded message of a new event."""
    number = next(_events)
    values: dict[str, object] = {
        "channel_id": CHANNEL,
        "event_id": f"event-{number}",
        "chat": chat,
        "chat_kind": "direct",
        "person": person,
        "sender_name": "Anna",
        "text": text,
        "sent_at": "2026-01-31T09:00:00Z",
        "platform_message_id": PlatformMessageId(f"p{number}"),
    }
    return InboundMessage(**{**values, **more})  # type: ignore[arg-type]  # the caller's words, checked at run time


async def filed(
    store: Store, inbound: InboundMessage, state: FiledState = MessageState.QUEUED, group: GroupId | None = MAIN
) -> StoredMessage:
    """Return a message that has come in and was filed."""
    update = await store.store_raw(inbound.channel_id, inbound.event_id, b"raw")
    assert update is not None
    return (await store.file_message(update.raw_id, inbound, state=state, group_id=group)).message


def used(
    day: str, task: str = "", group: str = MAIN, *, model: str = "m", calls: int = 1, cost: float | None = 0.5
) -> ModelUseRow:
    """Return what a task has used of a model on a day; `cost` None: its price is not known."""
    return ModelUseRow(
        task=task,
        group=group,
        day=day,
        model=model,
        model_calls=calls,
        input_tokens=100 * calls,
        output_tokens=10 * calls,
        cost_usd=cost or 0.0,
        calls_without_price=calls if cost is None else 0,
    )


async def claimed(store: Store, *texts: str) -> Claim:
    """Return a task made of messages with these texts."""
    messages = [await filed(store, said(text)) for text in texts or ("hi",)]
    return await store.claim_messages([message.message_id for message in messages])


async def running(store: Store) -> Claim:
    """Return a task whose first attempt runs in a container."""
    claim = await claimed(store)
    await store.attempt_running(claim.attempt.attempt_id, door_id=DoorId("door_1"), container_id="c1")
    return claim


async def answered(store: Store, text: str = "Hello, Anna") -> Claim:
    """Return a task that has ended with a reply in the outbox."""
    claim = await running(store)
    await store.finish_task(claim.task.task_id, REPLY, outbound=[reply(text)])
    return claim


def reply(text: str = "Hello, Anna", *, chat: ChatKey = CHAT, step: str = "reply") -> NewOutbound:
    return NewOutbound(step=step, message=OutboundMessage(chat=chat, text=text))


def model_turn(index: int, text: str = "thinking") -> Step:
    return Step(index=index, kind="model_turn", entry=Entry(role="assistant", text=text))


def tool_started(index: int, name: str = "shell") -> Step:
    return Step(index=index, kind="tool_started", call=ToolCall(call_id="call_1", name=name, arguments={"a": 1}))


def tool_finished(index: int) -> Step:
    return Step(index=index, kind="tool_finished", output=ToolOutput(call_id="call_1", text="done"))
