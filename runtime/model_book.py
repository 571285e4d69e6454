"""Which model answers where: what the settings say, and what people chose instead for a chat or a whole group.

A choice is kept with who made it. One whose route is not in the settings any more counts for nothing until it is back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from protocol.ids import ChatKey, GroupId
from protocol.task import ModelRoute
from runtime.config import REHEARSAL, check_model, resolve_model, unknown_route
from runtime.group import Group
from runtime.harnesses import why_unfit
from runtime.refusal import OperationRefused
from runtime.store.model_rows import WHOLE_GROUP, ModelChoice, choose_model, model_choices
from runtime.store.store import Store
from runtime.task_desk import Surroundings

MAX_MODEL_CHARS = 120
MAX_OFFERED = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """Which model answers, and who says so."""

    model: str
    """`route/model-name`."""
    choice: ModelChoice | None
    """None: the settings say so."""


class ModelBook:
    """One for the whole host; `load` before anything starts."""

    def __init__(self, store: Store, around: Surroundings) -> None:
        self._store = store
        self._around = around
        self._choices: Mapping[tuple[GroupId, ChatKey], ModelChoice] = {}

    async def load(self) -> None:
        """Read what the store knows."""
        found = await self._store.read(model_choices)
        self._choices = {(each.group_id, each.chat): each for each in found}

    def model_of(self, group: Group, chat: ChatKey | None) -> ModelRoute:
        """Return the model that answers in a chat of a group."""
        routes = self._around.settings.settings.routes
        for choice in self._chosen(group.group_id, chat):
            found = resolve_model(choice.model, routes)
            if found is not None and not why_unfit(group.harness, found):
                return found
        return group.model

    def answering(self, group_id: GroupId, chat: ChatKey | None) -> Answering:
        """Return which model answers in a chat, for people; OperationRefused for a group that does not run."""
        group = self._around.groups.ready.get(group_id)
        if group is None:
            raise OperationRefused("group_suspended", f"The agent {group_id} does not run now", "/status")
        route = self.model_of(group, chat)
        model = f"{route.route}/{route.model}"
        choice = next((each for each in self._chosen(group_id, chat) if each.model == model), None)
        return Answering(model=model, choice=choice)

    def offered(self) -> tuple[str, ...]:
        """Return the models that the settings, the groups or earlier choices name, of routes that there are."""
        settings = self._around.settings.settings
        groups = (f"{each.model.route}/{each.model.model}" for each in self._around.groups.ready.values())
        named = (settings.model, *groups, *(each.model for each in self._choices.values()))
        known = [model for model in dict.fromkeys(named) if resolve_model(model, settings.routes)]
        return tuple(known[:MAX_OFFERED])

    def routes(self) -> tuple[str, ...]:
        """Return the routes of the settings, the rehearsal's last."""
        return tuple(sorted(self._around.settings.settings.routes, key=lambda name: (name == REHEARSAL, name)))

    async def choose(self, group_id: GroupId, chat: ChatKey | None, model: str, by: str) -> Answering:
        """Have a model answer in a chat, or (None) in all chats of a group without a choice of their own; an empty one:
        the one that the settings name. Work under way goes on with the old one."""
        self.answering(group_id, chat)
        group = self._around.groups.ready[group_id]
        routes = self._around.settings.settings.routes
        wrong = check_model(model) if model else None
        if wrong is not None or len(model) > MAX_MODEL_CHARS or not model.isprintable():
            raise OperationRefused("wrong_model", f"A model {wrong or 'has a short, printable name'}", "/model")
        found = resolve_model(model, routes) if model else None
        if model and found is None:
            raise OperationRefused("unknown_model", f"The model {unknown_route(model, routes)}", "/model")
        if found is not None and (unfit := why_unfit(group.harness, found)):
            raise OperationRefused("unfit_model", f"The model {unfit}", "/model")
        await self._store.write(choose_model, group_id, chat or WHOLE_GROUP, model, by)
        await self.load()
        return self.answering(group_id, chat)

    def _chosen(self, group_id: GroupId, chat: ChatKey | None) -> list[ModelChoice]:
        """Return the choices that count, the nearest first: a thread's, its chat's, the group's."""
        parent = ChatKey(":".join(chat.split(":")[:2])) if chat else WHOLE_GROUP
        places = dict.fromkeys((chat or WHOLE_GROUP, parent, WHOLE_GROUP))
        return [self._choices[group_id, place] for place in places if (group_id, place) in self._choices]
