"""Who gave a command, and to which agent: what handlers ask before they do what not everybody may."""

from __future__ import annotations

from protocol.ids import GroupId
from runtime.access import role_of
from runtime.commands.desk import Given
from runtime.people.roles import reaches
from runtime.refusal import OperationRefused
from runtime.store.records import Role
from runtime.store.store import Store


async def role_here(store: Store, given: Given) -> Role:
    """Return how far the sender is trusted with the agent of the chat; a guest where nobody knows them any more."""
    inbound = given.message.inbound
    facts = await store.sender_facts(inbound.person, inbound.chat)
    here = facts.roles.get(given.message.group_id) if given.message.group_id else None
    return role_of(inbound, facts.person, here) or "guest"


async def demand(store: Store, given: Given, least: Role, what: str) -> None:
    """Raise OperationRefused unless the sender has a role's rights. `what` they wanted, as in `to change that`."""
    if not reaches(await role_here(store, given), least):
        raise OperationRefused("role", f"Only {'an owner' if least == 'owner' else f'an {least} or owner'} may {what}")


async def group_here(store: Store, given: Given) -> GroupId:
    """Return the agent that a command is for; OperationRefused in a chat without one."""
    if given.message.group_id is not None:
        return given.message.group_id
    binding = await store.binding_of(given.message.inbound.chat)
    if binding is None:
        raise OperationRefused("unknown_chat", "No agent is bound to this chat", "/chat")
    return binding.group_id
