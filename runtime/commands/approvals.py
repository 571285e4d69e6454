"""The commands of decisions and constraints: what waits, yes, no, and what is always asked first."""

from __future__ import annotations

from protocol.ids import PersonKey
from runtime.access import DIRECT_ONLY
from runtime.approvals.cards import build_buttons
from runtime.approvals.constraint_terms import USAGE
from runtime.approvals.desk import ApprovalDesk
from runtime.approvals.records import Scope
from runtime.approvals.scopes import parse_scope
from runtime.approvals.views import constraints_text, decision_text, list_text, whole_text
from runtime.commands.desk import Answer, Given, HandlerTable
from runtime.refusal import OperationRefused


def approval_handlers(desk: ApprovalDesk) -> HandlerTable:
    """Return the handlers of the commands of approvals and constraints."""

    async def approvals(given: Given) -> Answer:
        is_direct = given.message.inbound.chat_kind == "direct"
        if given.command.rest:
            found = await desk.approvals.find(given.command.rest.split()[0])
            if not is_direct:
                raise OperationRefused("direct_only", DIRECT_ONLY.removesuffix("."))
            if not await desk.approvals.may_see(found, _by(given)):
                raise OperationRefused("approval_not_theirs", f"{found.approval_id} is not yours to see")
            return Answer(text=whole_text(found), buttons=build_buttons(found) if found.is_open else ())
        waiting = await desk.approvals.waiting(_by(given))
        if waiting and not is_direct:
            return Answer(text=f"{len(waiting)} of yours to decide. /approvals in a direct chat with me shows them.")
        return Answer(text=list_text(waiting, desk.zone_name()))

    async def approve(given: Given) -> Answer:
        code, rest = _code_of(given, "/approve CODE [command, folder, host, tool] [hour, day, tonight, week, always]")
        if desk.approvals.has_choice((await desk.approvals.find(code)).kind):
            chosen = await desk.approvals.decide(code, _by(given), is_yes=True, choice=rest)
            return Answer(text=decision_text(chosen))
        words, has_words, edited = rest.partition("=")
        word, until = parse_scope(words)
        # A reach without a time holds until tonight: the narrowest that makes it worth saying.
        scope = Scope(word=word or "exact", until=until or ("tonight" if word is not None else "once"))
        decision = await desk.approvals.decide(
            code, _by(given), is_yes=True, remember=scope, edited=edited.strip() if has_words else None
        )
        return Answer(text=decision_text(decision))

    async def deny(given: Given) -> Answer:
        code, because = _code_of(given, "/deny CODE [why not]")
        return Answer(
            text=decision_text(await desk.approvals.decide(code, _by(given), is_yes=False, because=because.strip()))
        )

    async def constraint(given: Given) -> Answer:
        group_id = await desk.group_of(given.message.inbound.chat)
        word, _, rest = given.command.rest.partition(" ")
        if word == "add":
            made = await desk.add_constraint(group_id, rest, _by(given))
            return Answer(text=f"`{made.constraint_id}` holds for {group_id} from the next task on.")
        if word == "remove":
            await desk.remove_constraint(group_id, rest.strip(), _by(given))
            return Answer(text=f"`{rest.strip()}` does not hold any more.")
        if word:
            raise OperationRefused("wrong_constraint", f"{word[:40]!r} is neither add nor remove", USAGE)
        return Answer(text=constraints_text(group_id, desk.book.of(group_id), desk.book.added_to(group_id).keys()))

    return {"approvals": approvals, "approve": approve, "deny": deny, "constraint": constraint}


def _by(given: Given) -> PersonKey:
    return given.message.inbound.person


def _code_of(given: Given, usage: str) -> tuple[str, str]:
    """Return the code that a command names, and what stands after it."""
    code, _, rest = given.command.rest.partition(" ")
    if not code:
        raise OperationRefused("no_approval_named", "that names no approval", f"{usage}; /approvals lists them")
    return code, rest
