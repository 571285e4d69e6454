"""What the verbs of people and access answer. Pure. docs/control.md describes the keys."""

from __future__ import annotations

from protocol.codec import Json
from protocol.ids import GroupId, PersonKey
from runtime.access import REASONS
from runtime.people.cards import shown_code
from runtime.people.records import AccessRequest, Destination, KnownPerson, Refusals
from runtime.store.records import Asked, Binding, PersonLimits, Spent


def view_person(known: KnownPerson) -> dict[str, Json]:
    person = known.person
    return {
        "person": person.person,
        "name": person.name,
        "role": person.role,
        "roles": dict(known.roles),
        "identities": list(known.identities),
        "limits": None if known.limits is None else view_limits(known.limits),
        "added_at": person.added_at,
        "added_by": person.added_by,
    }


def view_limits(limits: PersonLimits) -> dict[str, Json]:
    return {
        "per_minute": limits.per_minute,
        "per_hour": limits.per_hour,
        "per_day": limits.per_day,
        "model_calls_per_day": limits.model_calls_per_day,
        "cost_usd_per_day": limits.cost_usd_per_day,
    }


def view_used(asked: Asked, spent: Spent) -> dict[str, Json]:
    return {
        "per_minute": asked.minute,
        "per_hour": asked.hour,
        "per_day": asked.day,
        "model_calls_per_day": spent.model_calls,
        "cost_usd_per_day": round(spent.cost_usd, 6),
    }


def view_request(request: AccessRequest) -> dict[str, Json]:
    return {
        "code": shown_code(request.code),
        "kind": request.kind,
        "person": request.person,
        "name": request.name,
        "chat": request.chat,
        "state": request.state,
        "asked_at": request.created_at,
        "expires_at": request.expires_at,
    }


def view_refusals(refusals: Refusals) -> dict[str, Json]:
    return {
        "refusals": [
            {
                "person": each.person,
                "name": each.name,
                "chat": each.chat,
                "code": each.code,
                "why": REASONS.get(each.code, each.code),
                "count": each.count,
                "first_at": each.first_at,
                "last_at": each.last_at,
            }
            for each in refusals.lines
        ],
        "totals": [
            {"code": code, "why": REASONS.get(code, code), "count": count, "last_at": last_at}
            for code, count, last_at in refusals.by_code
        ],
        "requests": [view_request(each) for each in refusals.requests],
    }


def view_binding(binding: Binding) -> dict[str, Json]:
    return {
        "chat": binding.chat,
        "kind": binding.chat_kind,
        "group": binding.group_id,
        "when": binding.when,
        "pattern": binding.pattern,
        "sticky_minutes": binding.sticky_minutes,
        "whom": binding.whom,
        "whom_names": list(binding.whom_names),
        "rest": binding.rest,
        "session": binding.session,
        "mode": binding.mode,
        "default": binding.is_default,
        "added_at": binding.added_at,
        "added_by": binding.added_by,
    }


def view_destination(destination: Destination) -> dict[str, Json]:
    return {
        "group": destination.group_id,
        "name": destination.name,
        "chat": destination.chat,
        "added_at": destination.added_at,
        "added_by": destination.added_by,
    }


def view_admitted(person: PersonKey, role: str, group_id: GroupId | None) -> dict[str, Json]:
    return {"person": person, "role": role, "group": group_id}
