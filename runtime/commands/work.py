"""/tasks and /skills: what goes on here, and what the agent knows how to do."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from protocol.ids import GroupId
from protocol.link import SkillCard
from protocol.message import Button
from protocol.plain_text import escape
from runtime.commands.asker import demand, group_here, role_here
from runtime.commands.desk import Answer, Given, HandlerTable
from runtime.pauses import Pauses
from runtime.people.roles import reaches
from runtime.refusal import OperationRefused
from runtime.sessions.records import TaskLine, WaitingLine
from runtime.skills.catalogue import load_skills
from runtime.store import session_rows
from runtime.store.store import Store
from runtime.task_desk import Surroundings

LAST_ENDED = 5
READ = 40
MAX_WAITING = 20
DESCRIPTION_CHARS = 200
OPEN = ("running", "suspended")


def work_handlers(store: Store, around: Surroundings, fork: Path, pauses: Pauses) -> HandlerTable:
    """Return the handlers of /tasks and /skills."""

    async def tasks(given: Given) -> Answer:
        chat, group_id = given.message.inbound.chat, await group_here(store, given)
        waiting = await store.read(session_rows.waiting_of_group, group_id, READ)
        match given.command.rest.strip():
            case "":
                found = await store.read(session_rows.tasks_of_chat, chat, READ)
                waiting = tuple(each for each in waiting if each.chat == chat)
            case "all":
                await demand(store, given, "admin", "see the tasks of all chats")
                if given.message.inbound.chat_kind != "direct":
                    raise OperationRefused("direct_only", "The tasks of all chats are shown in a direct chat only")
                found = await store.read(session_rows.tasks_of_group, group_id, READ)
            case _:
                raise OperationRefused("usage", "what I understand: /tasks · /tasks all")
        shown = pick_tasks(found)
        may_stop = reaches(await role_here(store, given), "member")
        buttons = stop_buttons(shown) if may_stop else ()
        text = build_tasks(shown, waiting, datetime.now(UTC), pauses.reasons(group_id))
        return Answer(text=text, buttons=buttons)

    async def skills(given: Given) -> Answer:
        group_id = await group_here(store, given)
        return Answer(text=build_skills(group_id, await skills_of(around, fork, group_id)))

    return {"tasks": tasks, "skills": skills}


async def skills_of(around: Surroundings, fork: Path, group_id: GroupId) -> tuple[SkillCard, ...]:
    """Return the cards of a group's skills; OperationRefused for a group that there is not."""
    mounted = around.groups.mounts.get(around.groups.checked(group_id), ())
    found, _ = await asyncio.to_thread(load_skills, fork, group_id, mounted)
    return tuple(skill.card for skill in found)


def pick_tasks(found: Sequence[TaskLine]) -> tuple[TaskLine, ...]:
    """Return those that have not ended, oldest first, and the last ones that have."""
    is_open = [each for each in found if each.state in OPEN]
    ended = [each for each in found if each.state not in OPEN]
    return (*sorted(is_open, key=lambda each: each.created_at), *ended[:LAST_ENDED])


def build_tasks(
    tasks: Sequence[TaskLine], waiting: Sequence[WaitingLine], now: datetime, held_back: Sequence[str] = ()
) -> str:
    lines = [f"- {_state(task)} {_age(task.ended_at or task.created_at, now)} · `{task.task_id}`" for task in tasks]
    waits = [f"- waits {_age(each.since, now)} · `{each.work}`" for each in waiting[:MAX_WAITING]]
    if len(waiting) > MAX_WAITING:
        waits.append(f"- … and {len(waiting) - MAX_WAITING} more that wait")
    held = [f"⏸ Held back: {reason}." for reason in held_back]
    return "\n".join([*held, *waits, *lines]) or "Nothing runs or waits here, and nothing has."


def stop_buttons(tasks: Sequence[TaskLine]) -> tuple[Button, ...]:
    return tuple(
        Button(label=f"Stop …{task.task_id[-6:]}", value=f"/stop {task.task_id}")
        for task in tasks
        if task.state in OPEN
    )


def build_skills(group_id: GroupId, cards: Sequence[SkillCard]) -> str:
    if not cards:
        return f"{group_id} has no skills. An owner names them under `skills` in its group.yaml."
    return "\n".join([f"Skills of {group_id}:", *(f"- **{card.name}**: {_short(card.description)}" for card in cards)])


def _state(task: TaskLine) -> str:
    match task.state:
        case "running":
            return "▶ works since"
        case "suspended":
            return "⏸ waits for a person since"
        case "reply" | "structured":
            return "✓ answered"
        case "nothing_to_say":
            return "✓ had nothing to say"
        case "stopped":
            return "■ stopped"
        case _:
            return f"✗ failed ({escape(task.code)})" if task.code else "✗ failed"


def _age(at: str, now: datetime) -> str:
    minutes = int((now - datetime.fromisoformat(at)).total_seconds() // 60)
    if minutes < 1:
        return "just now"
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} days"


def _short(description: str) -> str:
    text = escape(description)
    return text if len(text) <= DESCRIPTION_CHARS else f"{text[:DESCRIPTION_CHARS]}…"
