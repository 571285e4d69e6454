"""What owners may do about chats: which agents answer there, and how; what becomes of a chat that wants one.

One async method for each verb of control.sock and each chat command.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Literal

from protocol.codec import Json
from protocol.ids import ChatKey, GroupId, PersonKey
from runtime.approvals.records import Approval
from runtime.people.desk import HostFacts, People
from runtime.people.new_group import make_group
from runtime.people.pattern import check_pattern
from runtime.people.records import AccessRequest, BindingChange
from runtime.people.views import view_binding
from runtime.refusal import OperationRefused
from runtime.store import access_rows, admit_rows, people_rows
from runtime.store.decision_rows import CarryOut
from runtime.store.inbound_rows import parent_chat
from runtime.store.records import ROLES, Binding, Role
from runtime.store.store import Store

MAX_AGENTS_IN_CHAT = 20
MAX_WHOM_NAMES = 100
GUESTS_TOO: tuple[Role, ...] = ("admin", "member", "guest")
"""Whom an agent answers in a chat that it was given at a stranger's wish."""
MOST_STICKY_MINUTES = 24 * 60


class Chats:
    """The chats' desk."""

    def __init__(
        self,
        store: Store,
        host: HostFacts,
        people: People,
        fork: Path,
    ) -> None:
        self._store = store
        self._host = host
        self._people = people
        self._fork = fork

    async def list_all(self, group: GroupId | None = None, chat: ChatKey | None = None) -> Json:
        """Return the bindings: all, or those of an agent, or those that hold in a chat."""
        found = await self.of_chat(chat) if chat is not None else await self._store.bindings(group)
        chosen = [each for each in found if group in (None, each.group_id)]
        if group is not None and not chosen:  # one that is gone may still be bound
            self._host.groups.checked(group)
        return {"bindings": [view_binding(each) for each in chosen]}

    async def everywhere(self) -> tuple[Binding, ...]:
        """Return all bindings."""
        return await self._store.bindings()

    async def of_chat(self, chat: ChatKey) -> tuple[Binding, ...]:
        """Return the agents that answer in a chat or thread, the default one first."""
        own = await self._store.read(people_rows.bindings_of, chat)
        return own or await self._store.read(people_rows.bindings_of, parent_chat(chat))

    async def bind(
        self,
        where: str,
        group: GroupId,
        change: BindingChange,
        by: str,
        *,
        kind: Literal["direct", "many"] | None = None,
    ) -> Json:
        """Give a chat an agent, or change how it has it. `where` is the chat's key or the code of its request.

        The first agent of a chat is its default one; another becomes it only if it is said.
        """
        request = await self._request_for(where)
        binding = await self._bound(request, where, group, change, by, kind)
        await self._people.grant(request, await self._connecting(binding, request, by), by)
        bound = await self._store.read(people_rows.bindings_of, binding.chat)
        return view_binding(next((each for each in bound if each.group_id == binding.group_id), binding))

    async def _bound(
        self,
        request: AccessRequest | None,
        where: str,
        group: GroupId,
        change: BindingChange,
        by: str,
        kind: Literal["direct", "many"] | None = None,
    ) -> Binding:
        """Return the binding that this makes of the one that there is, or a fresh one."""
        chat = parent_chat(request.chat) if request is not None else self._people.checked_chat(where)
        group_id = self._people.chosen_group(group, chat)
        found = await self._store.read(people_rows.bindings_of, chat)
        before = next((each for each in found if each.group_id == group_id), None)
        if before is None and len(found) >= MAX_AGENTS_IN_CHAT:
            raise OperationRefused("too_many_agents", f"the chat {chat} has {MAX_AGENTS_IN_CHAT} agents already")
        base = before or await self._fresh(chat, group_id, kind, is_first=not found)
        if request is not None and before is None and await self._is_guest(request, group_id):
            base = replace(base, whom="roles", whom_names=GUESTS_TOO)
        return await self._changed(base, change, by)

    async def _connecting(self, binding: Binding, request: AccessRequest | None, by: str) -> CarryOut:
        is_guest = request is not None and await self._is_guest(request, binding.group_id)
        guest = request if is_guest else None
        return lambda transaction: admit_rows.connect(transaction, binding, guest, by)

    async def _is_guest(self, request: AccessRequest, group_id: GroupId) -> bool:
        """Return whether who asked for an agent in a chat may ask it nothing anywhere else."""
        found = await self._store.read(people_rows.people_with, (request.person,), group_id)
        return request.person not in found or found[request.person].role == "guest"

    async def choose(self, approval: Approval, choice: str, by: str) -> CarryOut:
        """Return what a yes to a chat's request does: `AGENT`, the only one if unsaid, or `new NAME`."""
        request = await self._people.request(approval.approval_id, "chat")
        match choice.lower().split():
            case ["new", name]:
                group_id = await self._make(name, by)
            case [name]:
                group_id = GroupId(name)
            case [] if len(self._people.choices(request.chat)) == 1:
                group_id = self._people.choices(request.chat)[0]
            case _:
                known = ", ".join(self._people.choices(request.chat)) or "none"
                mend = f"/approve {request.code} AGENT · /approve {request.code} new NAME"
                raise OperationRefused("usage", f"which agent answers there? (known: {known})", mend)
        binding = await self._bound(request, request.chat, group_id, BindingChange(), by)
        return await self._connecting(binding, request, by)

    async def _make(self, name: str, by: str) -> GroupId:
        group_id = await asyncio.to_thread(make_group, self._fork, name)
        await self._host.reload(by, group_id)
        return group_id

    async def _request_for(self, where: str) -> AccessRequest | None:
        if ":" not in where:
            return await self._people.request(where, "chat")
        return await self._store.read(admit_rows.find_request, "", where)

    async def _fresh(
        self, chat: ChatKey, group_id: GroupId, kind: Literal["direct", "many"] | None, *, is_first: bool
    ) -> Binding:
        """Return a binding as it begins: in a chat of many the agent answers who mentions it, thread by thread."""
        known = await self._store.read(access_rows.chat_kind_of, chat)
        known = known or await self._store.read(access_rows.chat_kind_of, parent_chat(chat)) or kind
        if known is None:
            text = f"nothing has come from the chat {chat[:80]} yet, so say whether many people are in it"
            raise OperationRefused("unknown_chat", text, f"./nightyard bind {chat[:80]} {group_id} --many")
        if known == "direct":
            return Binding(chat=chat, chat_kind="direct", group_id=group_id, is_default=is_first)
        return Binding(
            chat=chat, chat_kind="many", group_id=group_id, when="mention", session="thread", is_default=is_first
        )

    async def _changed(self, base: Binding, change: BindingChange, by: str) -> Binding:
        """Return a binding with a change, if that makes sense; OperationRefused."""
        given = {name: value for name in _FIELDS if (value := getattr(change, name)) is not None}
        binding = replace(base, **given, added_by=by)
        if change.default is not None:
            binding = replace(binding, is_default=change.default or base.is_default)
        if change.pattern is not None and change.when is None:
            binding = replace(binding, when="pattern")
        if binding.when == "pattern" and (problem := check_pattern(binding.pattern)) is not None:
            raise OperationRefused("wrong_pattern", f"the pattern {binding.pattern[:60]!r} cannot be used: {problem}")
        if not 1 <= binding.sticky_minutes <= MOST_STICKY_MINUTES:
            raise OperationRefused("wrong_minutes", f"an agent follows for 1 to {MOST_STICKY_MINUTES} minutes")
        return replace(binding, whom_names=await self._whom_names(binding))

    async def _whom_names(self, binding: Binding) -> tuple[str, ...]:
        if binding.whom == "known":
            return ()
        names = tuple(dict.fromkeys(binding.whom_names))
        if not names or len(names) > MAX_WHOM_NAMES:
            text = f"say whom the agent answers: 1 to {MAX_WHOM_NAMES} {binding.whom}"
            raise OperationRefused("wrong_whom", text)
        if binding.whom == "persons":
            return tuple([(await self._people.known(PersonKey(name))).person.person for name in names])
        for name in names:
            if name not in ROLES:
                raise OperationRefused("wrong_role", f"{name[:20]!r} is no role (known: {', '.join(reversed(ROLES))})")
        return names

    async def unbind(self, chat: ChatKey, group: GroupId | None, by: str) -> Json:
        """Take an agent, or every agent, from a chat."""
        del by
        if not await self._store.unbind(chat, group):
            what = f"the agent {group} is" if group else "no agent is"
            text = f"{what} not bound to the chat {chat[:80]!r}" if group else f"{what} bound to the chat {chat[:80]!r}"
            raise OperationRefused("unknown_chat", text, "./nightyard bindings")
        return {"chat": chat, "group": group}

    async def connect_new(self, code: str, name: str, by: str) -> Json:
        """Make a new agent and give it the chat of a request."""
        request = await self._people.request(code, "chat")
        await self._people.check_vote(request, by)
        return await self.bind(code, await self._make(name, by), BindingChange(), by)


_FIELDS = ("when", "pattern", "sticky_minutes", "whom", "whom_names", "rest", "session", "mode")
