"""What a chat is told about a task: that it failed and why, that a message waits. Pure.

Each text says what happened, to which named thing, and the one command or edit that mends it.
"""

from __future__ import annotations

from collections.abc import Sequence

from protocol.task import TaskResult, TaskStatus
from runtime.group import Group
from runtime.session_queue import Place
from runtime.yaml_record import ConfigProblem

MAX_REASON_CHARS = 600
MAX_PROBLEMS_SHOWN = 5
LIMIT_KEYS = {
    "limit_input_tokens": "limits.input_tokens",
    "limit_output_tokens": "limits.output_tokens",
    "limit_cost": "limits.cost_usd",
}
"""The proxy's word for a limit, and the key that sets it."""


def failure_text(result: TaskResult, *, mend: str, group: Group | None, secret: str | None) -> str:
    """Return what the chat reads when a task failed or was stopped. `secret`: what the group's route uses, by name."""
    reason = (result.reason.strip() or "It ended without a reason.")[:MAX_REASON_CHARS].rstrip()
    if reason[-1] not in ".!?…)":
        reason = f"{reason}."
    if result.status is TaskStatus.STOPPED:
        return f"Stopped: {reason}"
    mended = mend or mend_of(result.code, group=group, secret=secret)
    return f"⚠ {reason}\nTo mend it: {mended}" if mended else f"⚠ {reason}"


def mend_of(code: str, *, group: Group | None, secret: str | None) -> str:
    """Return the one command or edit that helps against a failure of the agent's, empty if none does."""
    where = f"groups/{group.group_id}/group.yaml" if group else "group.yaml"
    match code:
        case "model_refused_key" if secret:
            return f"`nightyard secret add {secret} --replace`"
        case "model_refused_key" if group:
            return f"name a `secret` for the route {group.model.route} in nightyard.yaml, and store it"
        case "secret_missing" if secret:
            return f"`nightyard secret add {secret}`"
        case "model_unknown":
            return f"name another `model` in {where} (or in nightyard.yaml), then `nightyard config reload`"
        case "model_rate_limited":
            return "wait a little and send the message again"
        case "upstream_untrusted" | "upstream_timeout":
            return "look at the address of the route in nightyard.yaml, and at `nightyard status`"
        case "route_unknown" | "route_not_leased":
            return f"name a route that is there in {where} or nightyard.yaml, then `nightyard config reload`"
        case "secret_broken" if secret:
            return f"`nightyard secret add {secret} --replace`"
        case "model_unavailable" | "model_silent" | "model_stream_broken" | "upstream_unreachable" | "model_misbehaved":
            return "send the message again; if it stays so, look at `nightyard status`"
        case "proxy_gone":
            return "`nightyard up` starts the proxy again"
        case "frozen":
            return "`nightyard unfreeze`"
        case "conversation_too_long":
            return "/new begins a fresh conversation"
        case "round_limit":
            return f"send “go on”, or raise limits.rounds in {where}, then `nightyard config reload`"
        case "agent_crashed" | "agent_hung" | "agent_misbehaved" | "agent_did_not_start":
            return "`nightyard logs host` tells more"
        case "limit_calls":
            return f"send “go on”, or raise limits.model_calls in {where}, then `nightyard config reload`"
        case "limit_input_tokens" | "limit_output_tokens" | "limit_cost":
            return f"send “go on”, or raise {LIMIT_KEYS[code]} in {where}, then `nightyard config reload`"
        case _:
            return ""


def frozen_text() -> str:
    return "❄ Nightyard is frozen; your message is kept and waits.\nTo mend it: /unfreeze, or `nightyard unfreeze`"


def suspended_text(group_id: str, problems: Sequence[ConfigProblem]) -> str:
    """Return what the chat reads when its group cannot run for its settings."""
    lines = "\n".join(f"- `{problem}`" for problem in problems[:MAX_PROBLEMS_SHOWN])
    more = f"\n- … and {len(problems) - MAX_PROBLEMS_SHOWN} more" if len(problems) > MAX_PROBLEMS_SHOWN else ""
    return (
        f"⚠ {group_id} is suspended, because its settings are wrong; your message is kept and waits.\n{lines}{more}\n"
        "To mend it: correct the file, then `nightyard config reload`"
    )


def paused_text(group_id: str, reasons: Sequence[str], *, is_of_money: bool = False) -> str:
    """Return what the chat reads while its group is held back by a person or for a reason."""
    why = "".join(f" ({reason})" for reason in reasons if reason)
    mend = "an owner may give more with /budget; else it goes on at 00:00 UTC" if is_of_money else "/resume"
    return f"⏸ {group_id} is paused{why}; your message is kept and waits.\nTo mend it: {mend}"


def crash_loop_reason(group_id: str, hold_s: float) -> str:
    """Return why a group is held back whose agents crash again and again, and what mends it."""
    return (
        f"its agent crashed several times in a row and is tried again by itself within {round(hold_s / 60)} min; "
        f"`nightyard logs host` says why, `nightyard resume {group_id}` tries it at once"
    )


def crash_loop_alarm(group_id: str, hold_s: float) -> str:
    """Return what an owner reads when a group's agents crash again and again."""
    return (
        f"⚠ The agent `{group_id}` crashes again and again. Nothing of it starts for {round(hold_s / 60)} min, then it "
        "is tried again, after longer and longer waits; messages are kept. `nightyard logs host` tells more; /resume "
        f"in a chat of its own (or `nightyard resume {group_id}`) tries it at once, /pause holds it back until /resume."
    )


def place_text(group_id: str, place: Place) -> str:
    """Return what the chat reads when others are before it."""
    busy = {
        "session": f"{group_id} is still at what was said before this",
        "group": f"{group_id} is busy in another conversation",
        "machine": "All places on this machine are taken",
    }[place.behind]
    return f"⏳ {busy}; you are {'next' if place.number == 1 else f'number {place.number} in line'}."


def refused_text(waiting: int) -> str:
    return f"⚠ {waiting} messages of this conversation wait already; this one is not taken. /stop drops what waits."


def dropped_text(messages: int) -> str:
    """Return what a chat reads whose waiting messages were ended on the machine."""
    what = "1 message that waited" if messages == 1 else f"{messages} messages that waited"
    return f"⚠ {what} here will not be answered: stopped on the machine."


def no_room_text(message: str, mend: str) -> str:
    return f"⚠ No agent can start now: {message}. Your message is kept and waits.\nTo mend it: {mend}"
