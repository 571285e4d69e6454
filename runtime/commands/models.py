"""/model: which model answers here, and who chose it; with buttons to choose another."""

from __future__ import annotations

from datetime import datetime

from protocol.message import Button
from protocol.plain_text import escape
from runtime.commands.asker import demand, group_here, role_here
from runtime.commands.desk import Answer, Given, HandlerTable
from runtime.config import REHEARSAL, REHEARSAL_NOTICE
from runtime.model_book import Answering, ModelBook
from runtime.people.roles import reaches
from runtime.refusal import OperationRefused
from runtime.store.model_rows import WHOLE_GROUP
from runtime.store.store import Store

USAGE = "/model · /model ROUTE/NAME · /model ROUTE/NAME everywhere · /model default · /model default everywhere"
DEFAULT = "default"
EVERYWHERE = "everywhere"
MAX_VALUE_BYTES = 64


def model_handlers(book: ModelBook, store: Store) -> HandlerTable:
    """Return the handler of /model."""

    async def model(given: Given) -> Answer:
        group_id, chat = await group_here(store, given), given.message.inbound.chat
        match given.command.rest.split():
            case []:
                may_choose = reaches(await role_here(store, given), "admin")
                answering = book.answering(group_id, chat)
                buttons = model_buttons(book, answering) if may_choose else ()
                return Answer(text=build_model(answering, book, may_choose=may_choose), buttons=buttons)
            case [name]:
                place = chat
            case [name, word] if word == EVERYWHERE:
                place = WHOLE_GROUP
            case _:
                raise OperationRefused("usage", f"what I understand: {USAGE}")
        await demand(store, given, "admin", "choose the model")
        by = given.message.inbound.person
        answering = await book.choose(group_id, place or None, "" if name == DEFAULT else name, by)
        return Answer(text=build_chosen(answering, is_everywhere=place == WHOLE_GROUP))

    return {"model": model}


def build_model(answering: Answering, book: ModelBook, *, may_choose: bool) -> str:
    lines = [f"Here answers `{answering.model}`{_chosen_by(answering)}."]
    if answering.model.startswith(f"{REHEARSAL}/"):
        lines.append(REHEARSAL_NOTICE)
    if may_choose:
        routes = ", ".join(book.routes())
        lines += ["", f"Another: /model ROUTE/NAME (routes: {routes}), with `everywhere` behind it for all chats."]
    return "\n".join(lines)


def build_chosen(answering: Answering, *, is_everywhere: bool) -> str:
    where = "in all chats without a choice of their own" if is_everywhere else "here"
    return f"From the next message on `{answering.model}` answers {where}."


def model_buttons(book: ModelBook, answering: Answering) -> tuple[Button, ...]:
    """Return a button for each model that is offered, besides the one that answers."""
    offered = [(model, f"/model {model}") for model in book.offered() if model != answering.model]
    if answering.choice is not None:
        offered.append(("as the settings say", f"/model {DEFAULT}"))
    return tuple(Button(label=label, value=value) for label, value in offered if len(value.encode()) <= MAX_VALUE_BYTES)


def _chosen_by(answering: Answering) -> str:
    choice = answering.choice
    if choice is None:
        return ", as the settings say"
    where = "" if choice.chat else " for all chats"
    return f", chosen{where} by {escape(choice.chosen_by)} on {datetime.fromisoformat(choice.chosen_at):%Y-%m-%d}"
