"""/undo: shows what going back to before a task would change, with a button that does it."""

from __future__ import annotations

from collections import Counter

from protocol.ids import TaskId
from protocol.message import Button
from protocol.plain_text import escape
from runtime.commands.desk import Answer, Given, HandlerTable
from runtime.history.undo import UndoDesk, Undoing
from runtime.refusal import OperationRefused
from runtime.store.store import Store

MAX_FILES = 8
_WORDS = {
    "restore": "as it was",
    "recreate": "there again",
    "remove": "removed",
    "cannot": "stays as it is: it was too large to keep",
}


def history_handlers(desk: UndoDesk, store: Store) -> HandlerTable:
    """Return the handler of /undo. Only tasks of the chat itself can be undone in it."""

    async def undo(given: Given) -> Answer:
        inbound = given.message.inbound
        named, *words = given.command.rest.split() or [""]
        binding = await store.binding_of(inbound.chat)
        if binding is None:
            raise OperationRefused("unknown_chat", "No agent is bound to this chat")
        reference = named or await desk.last_of(binding.group_id, inbound.chat)
        row = await store.task(TaskId(reference))
        if row is None or row.chat != inbound.chat:
            text = f"There is no task `{escape(reference[:40])}` of this chat"
            raise OperationRefused("unknown_task", text, "/undo")
        if "yes" not in words:
            return _offer(await desk.plan(reference))
        done = await desk.undo(reference, with_later="later" in words, by=inbound.person)
        return Answer(text=f"Undone.\n{_list(done)}\n\nTo take that back: `nightyard undo {done.undo_id}`")

    return {"undo": undo}


def _offer(plan: Undoing) -> Answer:
    if not any(change.kind != "cannot" for change in plan.changes):
        return Answer(text=f"{plan.reference} has left no change in the files.\n{_list(plan)}".strip())
    later = " later" if plan.later else ""
    also = f"\nChanged since then, and undone with it: {', '.join(plan.later[:5])}" if plan.later else ""
    buttons = (Button(label="Undo", value=f"/undo {plan.reference} yes{later}"),)
    return Answer(text=f"Going back to before {plan.reference}:\n{_list(plan)}{also}", buttons=buttons)


def _list(undoing: Undoing) -> str:
    lines = [f"- `{escape(change.path)}`: {_WORDS[change.kind]}" for change in undoing.changes[:MAX_FILES]]
    left = Counter(change.kind for change in undoing.changes[MAX_FILES:])
    lines += [f"- {count} more: {_WORDS[kind]}" for kind, count in left.items()]
    if undoing.lasting:
        lines += ["", "What cannot be undone:", *(f"- {escape(line)}" for line in undoing.lasting)]
    return "\n".join(lines)
