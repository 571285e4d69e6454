"""What owners may do about people: see them, let them in, give roles and limits, link identities, keep out.

One async method for each verb of control.sock and each chat command; `by` is `cli` or who gave the command. Chats and
their agents are chats.py's business, the decision on each message access.py's.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from protocol.codec import Json
from protocol.ids import ChannelId, ChatKey, GroupId, PersonKey
from runtime.access import TERMINAL
from runtime.approvals.approvals import Approvals
from runtime.approvals.records import Approval
from runtime.group import Groups
from runtime.people.codes import normalize_code
from runtime.people.command_words import parse_group, parse_role
from runtime.people.limits import merge_limits, person_limits
from runtime.people.pairing import admitted_notice, make_pairing_code
from runtime.people.records import AccessRequest, KnownPerson, Refusals
from runtime.people.views import (
    view_admitted,
    view_limits,
    view_person,
    view_refusals,
    view_request,
    view_used,
)
from runtime.refusal import OperationRefused
from runtime.store import access_rows, admit_rows, decision_rows, people_rows
from runtime.store.decision_rows import CarryOut
from runtime.store.records import ROLES, PersonLimits, Role, SenderFacts
from runtime.store.store import Store

MAX_NAME_CHARS = 60


class HostFacts(Protocol):
    """What people and chats need of the running host."""

    @property
    def groups(self) -> Groups: ...

    def usual_group(self, channel_id: ChannelId) -> GroupId | None:
        """Return the agent that a channel's settings name; None for a channel that there is not."""

    async def reload(self, by: str = ..., made: GroupId | None = ...) -> tuple[str, ...]: ...


class People:
    """The people's desk. What was asked is decided as an approval; `take_up` has the messages that waited for a granted
    request filed anew, `wake` says that something is in the outbox. Both return at once."""

    def __init__(
        self,
        store: Store,
        host: HostFacts,
        approvals: Approvals,
        *,
        take_up: Callable[[AccessRequest], None],
        wake: Callable[[], None],
    ) -> None:
        self._store = store
        self._host = host
        self._approvals = approvals
        self._take_up = take_up
        self._wake = wake

    # --- Looking

    async def list_all(self) -> Json:
        """Return everybody who is known, and who asks to be let in."""
        known = await self._store.read(people_rows.known_people)
        requests = await self._store.read(access_rows.requests)
        return {
            "people": [view_person(each) for each in known],
            "requests": [view_request(each) for each in requests if each.kind == "person"],
        }

    async def show(self, key: PersonKey) -> Json:
        """Return one person with what they have used."""
        known = await self.known(key)
        keys = (known.person.person, *known.identities)
        asked = await self._store.read(people_rows.asked_by, keys)
        spent = await self._store.read(people_rows.spent_by, known.person.person)
        return {**view_person(known), "used": view_used(asked, spent)}

    async def known(self, key: PersonKey) -> KnownPerson:
        """Return somebody known by any of their keys; OperationRefused."""
        person = await self._store.read(people_rows.person, key)
        found = await self._store.read(people_rows.known_people)
        for each in found:
            if person is not None and each.person.person == person.person:
                return each
        raise OperationRefused("unknown_person", f"nobody known has the id {key[:80]!r}", "./nightyard person list")

    async def access_log(self, limit: int) -> Json:
        """Return who was refused, how often and why, and what waits for an owner."""
        return view_refusals(await self.refusals(max(1, limit)))

    async def everybody(self) -> tuple[tuple[KnownPerson, ...], tuple[AccessRequest, ...]]:
        """Return who is known, and what was asked."""
        known = await self._store.read(people_rows.known_people)
        return known, await self._store.read(access_rows.requests)

    async def refusals(self, limit: int) -> Refusals:
        """Return who was refused of late."""
        return await self._store.read(access_rows.refusals, limit)

    def limits_of(self, facts: SenderFacts) -> PersonLimits:
        """Return what a person may use of the default agent of a chat; nobody unknown may use anything."""
        if facts.person is None:
            return PersonLimits()
        groups = self._host.groups.person_limits
        return person_limits(
            facts, groups.get(facts.binding.group_id, PersonLimits()) if facts.binding else PersonLimits()
        )

    def choices(self, chat: ChatKey) -> tuple[GroupId, ...]:
        """Return the agents that there are, the one that a chat's channel names first."""
        usual = self._host.usual_group(ChannelId(chat.partition(":")[0]))
        return tuple(sorted(self._host.groups.person_limits, key=lambda each: (each != usual, each)))

    def free_name(self, chat: ChatKey) -> str:
        """Return a name for a new agent of a chat that no agent has."""
        channel, known = chat.partition(":")[0][:28], self._host.groups.person_limits
        return next(name for number in range(2, 2 + len(known) + 1) if (name := f"{channel}-{number}") not in known)

    async def facts(self, key: PersonKey, chat: ChatKey) -> SenderFacts:
        """Return what is known of who speaks, where."""
        return await self._store.sender_facts(key, chat)

    async def used(self, known: KnownPerson) -> tuple[dict[str, Json], dict[str, Json]]:
        """Return what a person has used, and the limits that are their own."""
        asked = await self._store.read(people_rows.asked_by, (known.person.person, *known.identities))
        spent = await self._store.read(people_rows.spent_by, known.person.person)
        return view_used(asked, spent), view_limits(known.limits or PersonLimits())

    # --- Letting in

    async def approve(self, who: str, role: Role | None, group: GroupId | None, by: str) -> Json:
        """Let somebody in by the code that they were shown, or by their id. Without a role: as owner if there is none
        yet, otherwise as member; without an agent: to the one that their channel's settings name."""
        request = await self._request(who, "person")
        key = request.person if request is not None else self._checked_key(who)
        chosen = role or ("member" if await self._store.read(people_rows.has_owner) else "owner")
        group_id = self.chosen_group(group, key)
        await self.grant(request, self._letting_in(key, request, chosen, group_id, by), by)
        admitted = await self._store.read(people_rows.person, key)
        return view_admitted(admitted.person if admitted else key, chosen, None if chosen == "owner" else group_id)

    def _letting_in(
        self, key: PersonKey, request: AccessRequest | None, role: Role, group_id: GroupId, by: str
    ) -> CarryOut:
        return lambda transaction: admit_rows.let_in(transaction, key, request, role, group_id, by, admitted_notice)

    async def choose(self, approval: Approval, choice: str, by: str) -> CarryOut:
        """Return what a yes to somebody's request does: `[ROLE] [AGENT]`, `member` and the usual agent if unsaid."""
        request = await self.request(approval.approval_id, "person")
        words = choice.lower().split()
        role = parse_role(words.pop(0)) if words and words[0] in ROLES else None
        if len(words) > 1:
            raise OperationRefused("usage", f"{choice[:60]!r} is no choice: [ROLE] [AGENT]")
        role = role or ("member" if await self._store.read(people_rows.has_owner) else "owner")
        group_id = self.chosen_group(parse_group(words), request.person)
        return self._letting_in(request.person, request, role, group_id, by)

    async def grant(self, request: AccessRequest | None, carry_out: CarryOut, by: str) -> None:
        """Do what a yes does: as the decision on what waits, or by itself where nothing does any more."""
        if request is not None and request.state == "pending":
            await self._approvals.decide(request.code, by, is_yes=True, carry_out=carry_out)
            return
        await self._store.write(admit_rows.grant, request, carry_out, by)
        if request is not None:
            self._take_up(request)
        self._wake()

    async def decided(self, approval: Approval) -> None:
        """Hear of the end of what strangers asked; what waited for a yes is answered now."""
        request = await self._store.read(access_rows.request_by_code, approval.approval_id)
        if request is not None and request.state == "granted":
            self._take_up(request)
            self._wake()

    async def deny(self, who: str, by: str) -> Json:
        """Deny what was asked by a code, or about a person or chat: nobody is asked about it again."""
        request = await self._request(who, None)
        if request is None:
            raise self._unknown(who)
        if request.state == "pending":
            await self._approvals.decide(request.code, by, is_yes=False)
        return view_request(request)

    async def check_vote(self, request: AccessRequest, by: str) -> None:
        """Raise OperationRefused unless somebody's yes to a request would count now."""
        if request.state == "pending":
            await self._store.read(decision_rows.check_vote, request.code, by)

    async def request(self, code: str, kind: str) -> AccessRequest:
        """Return what waits under a code; OperationRefused."""
        request = await self._request(code, kind)
        if request is None:
            raise self._unknown(code)
        return request

    async def _request(self, who: str, kind: str | None) -> AccessRequest | None:
        """Return the request that a code or an id means. A code that means none is an OperationRefused."""
        code = normalize_code(who)
        request = await self._store.read(admit_rows.find_request, code or "", who)
        if request is not None and kind not in (None, request.kind):
            about = "a chat: `nightyard bind`" if request.kind == "chat" else "a person: `nightyard person approve`"
            raise OperationRefused("other_kind", f"{who[:40]} is about {about}, or /{request.kind} in a chat")
        if request is None and (code is not None or ":" not in who):
            raise self._unknown(who)
        return request

    def _unknown(self, who: str) -> OperationRefused:
        text = f"nothing waits under {who[:40]!r}: it was decided already, or its hour is over"
        return OperationRefused("unknown_request", text, "./nightyard access log")

    def chosen_group(self, group: GroupId | None, key: str) -> GroupId:
        """Return the agent that was named, or the one that the settings of a person's or chat's channel name."""
        known = self._host.groups.person_limits
        chosen = group or self._host.usual_group(ChannelId(key.partition(":")[0]))
        if chosen is None or chosen not in known:
            named = f"there is no agent {chosen[:40]!r}" if chosen else "which agent?"
            text = f"{named} (known: {', '.join(known) or 'none'})"
            raise OperationRefused("unknown_group", text, "./nightyard group list")
        return chosen

    def checked_chat(self, chat: str) -> ChatKey:
        """Return a chat's key; OperationRefused for one of a channel that there is not."""
        channel, _, rest = chat.partition(":")
        if not rest or self._host.usual_group(ChannelId(channel)) is None:
            text = f"{chat[:80]!r} is no chat of a channel that there is: a chat is CHANNEL:ID"
            raise OperationRefused("unknown_chat", text, "./nightyard bindings")
        return ChatKey(chat)

    def _checked_key(self, key: str) -> PersonKey:
        """Return a key that somebody may have; OperationRefused for a name, or a channel that there is not."""
        channel, _, rest = key.partition(":")
        if not rest or self._host.usual_group(ChannelId(channel)) is None:
            text = f"{key[:80]!r} is nobody's id: an id is CHANNEL:NUMBER, as `nightyard access log` shows it"
            raise OperationRefused("wrong_person", text, "./nightyard access log")
        return PersonKey(key)

    # --- Roles, identities, limits

    async def set_role(self, key: PersonKey, role: Role | None, group: GroupId | None, by: str) -> Json:
        """Give a known person a role: with one agent, or everywhere. No role: with the agent as everywhere."""
        known = await self.known(key)
        person = known.person
        if role is not None and role not in ROLES:
            raise OperationRefused("wrong_role", f"{role[:20]!r} is no role (known: {', '.join(reversed(ROLES))})")
        if group is not None:
            self.chosen_group(group, key)
            if role == "owner":
                raise OperationRefused("wrong_role", "an owner is one everywhere: leave the agent out")
        if role is None:
            if group is None:
                raise OperationRefused("wrong_role", "which role?", f"./nightyard person role {person.person} member")
            await self._store.write(people_rows.drop_role, person.person, group, by)
            return view_admitted(person.person, person.role, group)
        if group is None and person.role == "owner" and role != "owner":
            await self._keep_an_owner(person.person)
        await self._store.write(people_rows.admit_person, person.person, person.name, role, group, by)
        return view_admitted(person.person, role, group)

    async def _keep_an_owner(self, leaving: PersonKey) -> None:
        people = await self._store.people()
        if not any(each.role == "owner" and each.person != leaving for each in people):
            text = f"{leaving} is the only owner: make somebody else one before"
            raise OperationRefused("last_owner", text, "./nightyard pair")

    async def link(self, key: PersonKey, identity: PersonKey, by: str) -> Json:
        """Make an id another identity of somebody known: from now on their rights and limits are this person's."""
        known = await self.known(key)
        self._checked_key(identity)
        other = await self._store.read(people_rows.person, identity)
        if other is not None and other.person == known.person.person:
            raise OperationRefused("linked_already", f"{identity} is {known.person.person} already")
        if other is not None and other.person == identity and other.role == "owner":
            await self._keep_an_owner_but(identity, known)
        await self._store.write(people_rows.link, known.person.person, identity, by)
        return view_person(await self.known(known.person.person))

    async def _keep_an_owner_but(self, identity: PersonKey, into: KnownPerson) -> None:
        if into.person.role != "owner":
            await self._keep_an_owner(identity)

    async def unlink(self, identity: PersonKey, by: str) -> Json:
        """Make an identity a stranger's again."""
        if not await self._store.write(people_rows.unlink, identity, by):
            text = f"{identity[:80]} is linked to nobody"
            raise OperationRefused("not_linked", text, "./nightyard person list")
        return {"identity": identity}

    async def remove(self, key: PersonKey, by: str) -> Json:
        """Take every right from a person, under all their identities."""
        del by
        known = await self.known(key)
        if known.person.role == "owner":
            await self._keep_an_owner(known.person.person)
        await self._store.remove_person(known.person.person)
        return {"person": known.person.person}

    async def limit(self, key: PersonKey, limits: PersonLimits, by: str, *, clear: bool = False) -> Json:
        """Set a person's own limits; those that are not given stay. `clear`: those of their agents hold again."""
        known = await self.known(key)
        new = None if clear else merge_limits(limits, known.limits or PersonLimits())
        await self._store.write(people_rows.set_limits, known.person.person, new, by)
        return await self.show(known.person.person)

    async def make_link_code(self, key: PersonKey, chat: ChatKey) -> tuple[str, datetime]:
        """Return a code that makes whoever sends it, in a direct chat, another identity of this person."""
        if key.startswith(f"{TERMINAL}:"):
            mend = "./nightyard person link PERSON terminal:owner"
            raise OperationRefused("no_person", "a terminal belongs to whoever owns this machine", mend)
        known = await self.known(key)
        binding = await self._store.binding_of(chat)
        code = make_pairing_code(os.urandom(5))
        expires_at = await self._store.add_pairing_code(
            code, binding.group_id if binding else GroupId(""), known.person.person, person=known.person.person
        )
        return code, expires_at
