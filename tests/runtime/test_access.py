"""Who may speak, and what becomes of what they say."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.ids import ChannelId, ChatKey, GroupId, MessageId, PersonKey, PlatformMessageId
from protocol.message import InboundMessage, PendingFile
from runtime.access import (
    DIRECT_ONLY,
    FOR_HEARD_GUESTS,
    LOCKED_OUT,
    NOT_BOUND,
    NOT_KNOWN,
    OWNERS_ONLY,
    RATE,
    REFUSAL_EVERY,
    SPENT,
    STRANGER,
    WHOM,
    WRONG_CODE,
    Admission,
    TryCode,
    decide_access,
    decide_after_code,
    wants_spent,
)
from runtime.commands.table import COMMANDS
from runtime.money.payers import Payer, PayerDay
from runtime.money.records import PurseRow, UsedSum
from runtime.store.records import (
    Asked,
    Binding,
    Followed,
    MessageState,
    Original,
    Person,
    PersonLimits,
    Role,
    Said,
    SenderFacts,
    Whom,
)

NOW = datetime(2026, 1, 31, 9, tzinfo=UTC)
MAIN = GroupId("main")
GROUPS = {MAIN: PersonLimits()}
CHAT = ChatKey("telegram:100")
ANNA = PersonKey("telegram:7")
DIRECT = Binding(chat=CHAT, chat_kind="direct", group_id=MAIN)
ON_MENTION = Binding(chat=CHAT, chat_kind="many", group_id=MAIN, when="mention")
WITH_CONTEXT = replace(ON_MENTION, rest="context")
FILE = PendingFile(reference="r", name="n", media_type="text/plain", size=1)


def said(text: str = "hi", **more: Any) -> InboundMessage:
    values: dict[str, Any] = {
        "channel_id": ChannelId("telegram"),
        "event_id": "1",
        "chat": CHAT,
        "chat_kind": "direct",
        "person": ANNA,
        "sender_name": "Anna",
        "text": text,
        "sent_at": "",
        "platform_message_id": PlatformMessageId("1"),
    }
    return InboundMessage(**{**values, **more})


def facts(role: Role | None, binding: Binding | None = DIRECT, *, code: bool = False, told: str = "") -> SenderFacts:
    person = Person(person=ANNA, name="Anna", role=role, added_at="", added_by="cli") if role else None
    bindings = (binding,) if binding else ()
    return SenderFacts(person=person, bindings=bindings, pairing_pending=code, refused_at=told or None)


def decided(inbound: InboundMessage, known: SenderFacts) -> Admission | TryCode:
    return decide_access(inbound, known, now=NOW, groups=GROUPS)


def state_of(inbound: InboundMessage, known: SenderFacts) -> str:
    decision = decided(inbound, known)
    assert isinstance(decision, Admission)
    return decision.state


@pytest.mark.parametrize("role", ["owner", "admin", "member"])
def test_known_persons_are_heard(role: Role) -> None:
    """Owners, admins and members may ask in a bound chat."""
    assert decided(said(), facts(role)) == Admission(state=MessageState.QUEUED, group_id=MAIN)


@pytest.mark.parametrize("text", ["hi", "/stop", "/help", ""])
@pytest.mark.parametrize("binding", [None, DIRECT, ON_MENTION, WITH_CONTEXT])
def test_strangers_are_refused_whatever_they_say(text: str, binding: Binding | None) -> None:
    """Somebody without a role gets nothing done, not even a command, nor into an agent's context."""
    assert state_of(said(text), facts(None, binding)) == "refused"


def test_a_stranger_is_told_once_an_hour() -> None:
    """A stranger in a direct chat is told no, but not again within the hour."""
    just_told = (NOW - REFUSAL_EVERY + timedelta(seconds=1)).isoformat()
    long_ago = (NOW - REFUSAL_EVERY).isoformat()
    notices = [decided(said(), facts(None, told=told)) for told in ("", just_told, long_ago)]
    assert [notice.notice for notice in notices if isinstance(notice, Admission)] == [NOT_KNOWN, "", NOT_KNOWN]


def test_strangers_in_a_chat_of_many_are_told_only_if_they_speak_to_us() -> None:
    """Nobody is told no for what they say to others."""
    for mentions_me, notice in ((False, ""), (True, NOT_KNOWN)):
        decision = decided(said(chat_kind="many", mentions_me=mentions_me), facts(None, ON_MENTION))
        assert isinstance(decision, Admission)
        assert decision.notice == notice


def test_the_terminal_is_the_owner() -> None:
    """Whoever can open the control socket owns the home."""
    inbound = said(channel_id=ChannelId("terminal"), person=PersonKey("terminal:owner"))
    assert state_of(inbound, facts(None)) == "queued"


@pytest.mark.parametrize(
    ("binding", "more", "state"),
    [
        (DIRECT, {}, "queued"),
        (ON_MENTION, {}, "refused"),
        (ON_MENTION, {"mentions_me": True}, "queued"),
        (ON_MENTION, {"kind": "press"}, "queued"),
        (ON_MENTION, {"kind": "edit", "mentions_me": True}, "refused"),
        (WITH_CONTEXT, {}, "context"),
        (WITH_CONTEXT, {"mentions_me": True}, "queued"),
        (DIRECT, {"kind": "edit"}, "context"),
        (DIRECT, {"text": " \n"}, "refused"),
        (DIRECT, {"text": "", "pending_files": (FILE,)}, "queued"),
        (WITH_CONTEXT, {"text": ""}, "refused"),
    ],
)
def test_a_binding_says_what_is_meant_for_the_agent(binding: Binding, more: dict[str, Any], state: str) -> None:
    """What is meant for the agent is queued; the rest is kept or dropped as the binding says; emptiness is dropped."""
    assert state_of(said(**more), facts("member", binding)) == state


@pytest.mark.parametrize("kind", ["reaction", "joined", "left"])
@pytest.mark.parametrize(
    ("binding", "about", "state"),
    [
        (DIRECT, None, "context"),
        (WITH_CONTEXT, None, "context"),
        (ON_MENTION, None, "refused"),
        (ON_MENTION, Said(text="mine", by=MAIN), "context"),
        (ON_MENTION, Said(text="somebody's"), "refused"),
        (None, None, "refused"),
    ],
)
def test_what_happens_beside_the_talk_decides_nothing(
    kind: str, binding: Binding | None, about: Said | None, state: str
) -> None:
    """A reaction, a coming or going is kept where an agent hears the rest or is meant, and is never a task, a
    command, a code or a request, whatever its text; nobody is answered."""
    for role in ("owner", "guest"):
        known = replace(facts(role, binding, code=True), about=about)
        for text in ("👍", "/freeze", "ABCD-EFGH", "main: go"):
            decision = decided(said(text, kind=kind, mentions_me=True), known)
            assert isinstance(decision, Admission)
            assert (decision.state, decision.notice, decision.asks, decision.refusal) == (state, "", None, "")
    assert state_of(said("👍", kind=kind), replace(facts(None, binding), about=about)) == "refused"


@pytest.mark.parametrize("text", ["/freeze", "/unfreeze"])
@pytest.mark.parametrize(("role", "state"), [("owner", "command"), ("admin", "refused"), ("member", "refused")])
def test_only_owners_freeze(role: Role, state: str, text: str) -> None:
    """What reaches every chat is an owner's; who else tries is told so each time and starts nothing."""
    just_told = (NOW - timedelta(seconds=1)).isoformat()
    decision = decided(said(text), facts(role, told=just_told))
    assert isinstance(decision, Admission)
    assert decision.state == state
    assert decision.notice == ("" if role == "owner" else OWNERS_ONLY)


def test_guests_are_overheard_only() -> None:
    """A guest's messages start nothing; they are context where that is kept."""
    assert state_of(said(mentions_me=True), facts("guest", WITH_CONTEXT)) == "context"
    assert state_of(said(), facts("guest", DIRECT)) == "refused"
    assert state_of(said("/stop"), facts("guest", DIRECT)) == "refused"


@pytest.mark.parametrize(
    ("text", "more", "state"),
    [
        ("/stop", {}, "command"),
        ("/status please", {}, "command"),
        ("/new", {"kind": "press"}, "command"),
        ("/unknown", {}, "queued"),
        ("please /stop", {}, "queued"),
        ("/stop", {"chat_kind": "many"}, "command"),
        ("/stop@other_bot", {"chat_kind": "many"}, "queued"),
        ("/stop@our_bot", {"chat_kind": "many", "mentions_me": True}, "command"),
    ],
)
def test_command_words_are_commands(text: str, more: dict[str, Any], state: str) -> None:
    """A known person's command words pass the queue by; another bot's are not ours."""
    assert state_of(said(text, **more), facts("member")) == state


def test_commands_work_in_an_unbound_chat() -> None:
    """Help and status are given where no agent is yet; about anything else the owner is asked."""
    assert state_of(said("/help"), facts("owner", None)) == "command"
    decision = decided(said(), facts("owner", None))
    assert isinstance(decision, Admission)
    assert (decision.state, decision.asks, decision.notice) == ("refused", "chat", NOT_BOUND)


def test_a_group_that_is_gone_is_named() -> None:
    """A chat whose group was removed gets a word instead of silence."""
    gone = replace(DIRECT, group_id=GroupId("gone"))
    decision = decided(said(), facts("member", gone))
    assert isinstance(decision, Admission)
    assert (decision.state, "`gone`" in decision.notice) == ("refused", True)


def test_a_code_is_tried_only_while_one_waits_in_a_direct_chat() -> None:
    """What looks like a code is one only for a pending pairing, said directly."""
    assert decided(said("7k3m-9qxa"), facts(None, code=True)) == TryCode(code="7K3M9QXA")
    assert decided(said("7k3m-9qxa"), facts("member", code=True)) == TryCode(code="7K3M9QXA")
    assert state_of(said("7k3m-9qxa"), facts("member")) == "queued"
    assert state_of(said("7k3m-9qxa", chat_kind="many"), facts(None, code=True)) == "refused"
    assert state_of(said("my code is 7k3m-9qxa"), facts("member", code=True)) == "queued"


@pytest.mark.parametrize(("outcome", "notice"), [("wrong", WRONG_CODE), ("locked", LOCKED_OUT), ("silent", "")])
def test_a_wrong_code_of_a_stranger_is_answered(outcome: str, notice: str) -> None:
    """Who typed a code wrong is told so, and when pairing is locked, that, once."""
    decision = decide_after_code(outcome, said("7k3m-9qxa"), facts(None, code=True), now=NOW, groups=GROUPS)
    assert (decision.state, decision.notice) == ("refused", notice)


def test_what_a_known_person_says_is_no_failed_code() -> None:
    """A word of eight letters from a known person goes to the agent."""
    decision = decide_after_code("wrong", said("BREAKFAST"[:8]), facts("member", code=True), now=NOW, groups=GROUPS)
    assert decision.state is MessageState.QUEUED


@pytest.mark.parametrize(
    ("whom", "names", "role", "state"),
    [
        ("known", (), "member", "queued"),
        ("known", (), "guest", "refused"),
        ("roles", ("admin",), "admin", "queued"),
        ("roles", ("admin",), "member", "refused"),
        ("roles", ("admin",), "owner", "queued"),
        ("roles", ("guest",), "guest", "queued"),
        ("persons", (ANNA,), "member", "queued"),
        ("persons", (ANNA,), "guest", "queued"),
        ("persons", ("telegram:8",), "admin", "refused"),
        ("persons", (ANNA,), None, "refused"),
        ("roles", ("guest",), None, "refused"),
    ],
)
def test_a_binding_says_whom_it_answers(whom: Whom, names: tuple[str, ...], role: Role | None, state: str) -> None:
    """Everybody with the right to ask, some roles or some persons; owners always, strangers never."""
    binding = replace(ON_MENTION, whom=whom, whom_names=names)
    decision = decided(said(chat_kind="many", mentions_me=True), facts(role, binding))
    assert isinstance(decision, Admission)
    assert decision.state == state
    if state == "refused":
        assert decision.refusal == (STRANGER if role is None else WHOM)


def test_commands_are_for_those_whom_the_agent_answers() -> None:
    """Who is not among them stops nothing there, but is told who they are."""
    binding = replace(ON_MENTION, whom="persons", whom_names=("telegram:8",))
    for text, state in (("/stop", "refused"), ("/whoami", "command")):
        assert state_of(said(text, chat_kind="many"), facts("member", binding)) == state


@pytest.mark.parametrize("text", [f"/{spec.name}" for spec in COMMANDS])
def test_a_guest_who_is_answered_gives_few_commands(text: str) -> None:
    """They may stop and see what they began; nothing that lasts is made at their word, and it goes to no model."""
    binding = replace(ON_MENTION, whom="roles", whom_names=("guest",))
    spec = next(spec for spec in COMMANDS if f"/{spec.name}" == text)
    may = spec.least == "guest" or spec.name in FOR_HEARD_GUESTS
    decision = decided(said(text, chat_kind="many"), facts("guest", binding))
    assert isinstance(decision, Admission)
    assert decision.state is (MessageState.COMMAND if may else MessageState.REFUSED)
    assert may or decision.notice


def test_a_role_with_one_agent_counts_where_it_is_more() -> None:
    """A guest who is a member with this agent may ask it; an owner is no less for being a member with it."""
    assert state_of(said(), replace(facts("guest"), roles={MAIN: "member"})) == "queued"
    assert state_of(said(), replace(facts("guest"), roles={GroupId("other"): "member"})) == "refused"
    assert state_of(said("/freeze"), replace(facts("owner"), roles={MAIN: "member"})) == "command"


@pytest.mark.parametrize("name", ["person", "chat", "access", "link"])
def test_what_lets_people_in_is_said_in_direct_chats(name: str) -> None:
    """Commands that let in, or show who was refused, are not given where others read along."""
    decision = decided(said(f"/{name}", chat_kind="many"), facts("owner", ON_MENTION))
    assert isinstance(decision, Admission)
    assert (decision.state, decision.notice) == ("refused", DIRECT_ONLY)
    assert state_of(said(f"/{name}"), facts("owner")) == "command"


LIMITED = PersonLimits(per_minute=3, per_hour=30, per_day=300, model_calls_per_day=9, cost_usd_per_day=0.5)


def day_of(role: Role, used: UsedSum, *, own: PersonLimits | None = None, group: GroupId = MAIN) -> PayerDay:
    payer = Payer(person=ANNA, mark="0123456789", name="Anna", role=role, limits=own or PersonLimits())
    return PayerDay(payer=payer, by_group={group: used})


@pytest.mark.parametrize(
    ("asked", "spent", "refusal"),
    [
        (Asked(minute=2, hour=29, day=299), UsedSum(model_calls=8, cost_usd=0.49), ""),
        (Asked(minute=3), UsedSum(), RATE),
        (Asked(hour=30), UsedSum(), RATE),
        (Asked(day=300), UsedSum(), RATE),
        (Asked(), UsedSum(model_calls=9), SPENT),
        (Asked(), UsedSum(cost_usd=0.5), SPENT),
    ],
)
def test_a_person_has_limits(asked: Asked, spent: UsedSum, refusal: str) -> None:
    """What is beyond a limit is refused, told, and counted; an owner has only limits of their own."""
    known = replace(facts("member"), asked=asked, spent=day_of("member", spent))
    decision = decide_access(said(), known, now=NOW, groups={MAIN: LIMITED})
    assert isinstance(decision, Admission)
    assert (decision.refusal, bool(decision.notice)) == (refusal, bool(refusal))
    owner = replace(facts("owner"), asked=asked, spent=day_of("owner", spent))
    assert decide_access(said(), owner, now=NOW, groups={MAIN: LIMITED}) == Admission(
        state=MessageState.QUEUED, group_id=MAIN
    )
    own = replace(owner, limits=LIMITED, spent=day_of("owner", spent, own=LIMITED))
    decision = decide_access(said(), own, now=NOW, groups=GROUPS)
    assert isinstance(decision, Admission)
    assert decision.refusal == refusal


def test_what_was_used_of_another_agent_counts_for_ones_own_limits_only() -> None:
    """An agent's limit is on what a person uses of that agent; their own is on all together, with what was raised."""
    other, much = GroupId("other"), UsedSum(model_calls=9)
    elsewhere = replace(facts("member"), spent=day_of("member", much, group=other))
    assert isinstance(decision := decide_access(said(), elsewhere, now=NOW, groups={MAIN: LIMITED}), Admission)
    assert decision.state is MessageState.QUEUED
    own = PersonLimits(model_calls_per_day=9)
    day = day_of("member", much, own=own, group=other)
    known = replace(facts("member"), limits=own, spent=day)
    assert isinstance(decision := decide_access(said(), known, now=NOW, groups={MAIN: PersonLimits()}), Admission)
    assert decision.refusal == SPENT
    row = PurseRow(day="2026-01-01", purse="person:0123456789", state="open", raises=1, calls_raises=1)
    known = replace(known, spent=replace(day, rows={row.purse: row}))
    assert isinstance(decision := decide_access(said(), known, now=NOW, groups={MAIN: PersonLimits()}), Admission)
    assert decision.state is MessageState.QUEUED


def test_ones_own_limits_go_before_the_agents() -> None:
    """A person's own limit counts in place of the agent's, higher or lower; what is not set is the agent's."""
    known = replace(facts("member"), asked=Asked(minute=5, hour=5), limits=PersonLimits(per_minute=10))
    assert isinstance(decision := decide_access(said(), known, now=NOW, groups={MAIN: LIMITED}), Admission)
    assert decision.state is MessageState.QUEUED
    known = replace(known, limits=PersonLimits(per_minute=10, per_hour=5))
    assert isinstance(decision := decide_access(said(), known, now=NOW, groups={MAIN: LIMITED}), Admission)
    assert decision.refusal == RATE


def test_commands_are_not_limited() -> None:
    """However much somebody has asked, they can stop it."""
    known = replace(facts("member"), asked=Asked(minute=99, hour=99, day=9999))
    decision = decide_access(said("/stop"), known, now=NOW, groups={MAIN: LIMITED})
    assert isinstance(decision, Admission)
    assert decision.state is MessageState.COMMAND


@pytest.mark.parametrize("refusal", [RATE, SPENT])
def test_a_command_that_asks_a_model_is_limited_as_a_message_is(refusal: str) -> None:
    """Who has asked or used as much as they may is refused /compact, told why, and counted."""
    asked, calls = (Asked(minute=3), 0) if refusal == RATE else (Asked(), 9)
    known = replace(facts("member"), asked=asked, spent=day_of("member", UsedSum(model_calls=calls)))
    assert isinstance(decision := decide_access(said("/compact"), known, now=NOW, groups={MAIN: LIMITED}), Admission)
    assert (decision.state, decision.refusal) == ("refused", refusal)
    assert decision.notice
    free = decide_access(said("/compact"), facts("member"), now=NOW, groups={MAIN: LIMITED})
    assert isinstance(free, Admission) and free.state is MessageState.COMMAND


@pytest.mark.parametrize(
    ("limits", "own", "wanted"),
    [(PersonLimits(), None, False), (LIMITED, None, True), (PersonLimits(), PersonLimits(cost_usd_per_day=1), True)],
)
def test_spending_is_looked_up_only_where_it_is_limited(
    limits: PersonLimits, own: PersonLimits | None, wanted: bool
) -> None:
    """Nobody waits for sums that decide nothing."""
    known = replace(facts("member"), limits=own)
    assert wants_spent(said(), known, {MAIN: limits}) == wanted
    assert not wants_spent(said(), replace(known, spent=day_of("member", UsedSum())), {MAIN: limits})
    assert not wants_spent(said(), facts("owner"), {MAIN: limits})


def about(state: MessageState, person: PersonKey = ANNA) -> Original:
    return Original(
        message_id=MessageId("msg_1"),
        state=state,
        person=person,
        group_id=MAIN,
        session_id=None,
        task_id=None,
        text="before",
    )


@pytest.mark.parametrize(
    ("before", "state", "edit", "delete"),
    [
        (MessageState.QUEUED, "command", "replace", "withdraw"),
        (MessageState.CLAIMED, "context", "tell", "tell"),
        (MessageState.ANSWERED, "context", "keep", "keep"),
        (MessageState.CONTEXT, "context", "keep", "keep"),
        (MessageState.DEAD, "context", "keep", "keep"),
        (MessageState.REFUSED, "refused", "", ""),
        (MessageState.COMMAND, "refused", "", ""),
    ],
)
def test_edits_and_deletions_reach_what_they_are_about(
    before: MessageState, state: str, edit: str, delete: str
) -> None:
    """What waits is replaced or taken back, what runs is told, what was answered keeps them as context."""
    known = replace(facts("member"), original=about(before))
    for kind, text, change in (("edit", "after", edit), ("delete", "", delete)):
        decision = decided(said(text, kind=kind), known)
        assert isinstance(decision, Admission)
        assert (decision.state, decision.change) == (state, change)


def test_nobody_edits_what_others_wrote() -> None:
    """An edit under another id changes nothing that waits; a command that was edited in is none."""
    known = replace(facts("member", ON_MENTION), original=about(MessageState.QUEUED, PersonKey("telegram:8")))
    assert state_of(said("after", kind="edit"), known) == "refused"
    mine = replace(facts("owner"), original=about(MessageState.ANSWERED))
    assert state_of(said("/freeze", kind="edit"), mine) == "context"


def test_a_stranger_may_take_back_but_not_edit() -> None:
    """Who has lost their rights can still withdraw what waits, and say nothing new."""
    known = replace(facts(None), original=about(MessageState.QUEUED))
    assert state_of(said("", kind="delete"), known) == "command"
    assert state_of(said("after", kind="edit"), known) == "refused"


def test_owners_are_asked_about_strangers_and_chats() -> None:
    """About who writes to us directly, and about a chat without an agent where we are mentioned; about nothing else."""
    cases = (
        (said(), facts(None), "person"),
        (said(), facts(None, None), "person"),
        (said(chat_kind="many", mentions_me=True), facts(None, None), "chat"),
        (said(chat_kind="many", mentions_me=True), facts("member", None), "chat"),
        (said(chat_kind="many", mentions_me=True), facts(None, ON_MENTION), None),
        (said(chat_kind="many"), facts("owner", None), None),
        (said(), facts("owner", None), "chat"),
        (said(kind="edit"), facts(None), None),
    )
    for inbound, known, asks in cases:
        decision = decided(inbound, known)
        assert isinstance(decision, Admission)
        assert (decision.state, decision.asks) == ("refused", asks), inbound


ROLES_OR_NONE: st.SearchStrategy[Role | None] = st.sampled_from([None, "guest", "member", "admin", "owner"])
GROUP_IDS = st.sampled_from([MAIN, GroupId("books"), GroupId("gone")])
TEXTS = st.sampled_from(["hi", "", "main: hi", "@books hi", "/stop", "/freeze", "/person", "invoice", "7k3m-9qxa"])


@st.composite
def bindings_of(draw: st.DrawFn, kind: Literal["direct", "many"]) -> tuple[Binding, ...]:
    made = []
    for number, group_id in enumerate(draw(st.lists(GROUP_IDS, unique=True, max_size=3))):
        whom = draw(st.sampled_from(["known", "roles", "persons"]))
        names = {"known": (), "roles": ("guest", "member"), "persons": (ANNA,)}[whom]
        made.append(
            Binding(
                chat=CHAT,
                chat_kind=kind,
                group_id=group_id,
                when=draw(st.sampled_from(["always", "mention", "pattern", "sticky"])),
                pattern="invoice",
                whom=whom,  # type: ignore[arg-type]  # one of the three
                whom_names=names,
                rest=draw(st.sampled_from(["drop", "context"])),
                is_default=number == 0,
            )
        )
    return tuple(made)


@st.composite
def situations(draw: st.DrawFn) -> tuple[InboundMessage, SenderFacts]:
    kind: Literal["direct", "many"] = draw(st.sampled_from(["direct", "many"]))
    inbound = said(
        draw(TEXTS),
        chat_kind=kind,
        kind=draw(st.sampled_from(["message", "press", "edit", "delete"])),
        mentions_me=draw(st.booleans()),
        pending_files=draw(st.sampled_from([(), (FILE,)])),
    )
    bindings = draw(bindings_of(kind))
    followed = [Followed(group_id=each.group_id, spoken_at=NOW.isoformat()) for each in bindings]
    original = draw(st.sampled_from([None, *MessageState]))
    known = replace(
        facts(draw(ROLES_OR_NONE), None, code=draw(st.booleans()), told=draw(st.sampled_from(["", NOW.isoformat()]))),
        bindings=bindings,
        followed=tuple(followed if draw(st.booleans()) else ()),
        asked=draw(st.sampled_from([Asked(), Asked(minute=50, hour=50, day=50)])),
        original=None if original is None else about(original),
        roles=draw(st.dictionaries(GROUP_IDS, st.sampled_from(["guest", "member", "admin"]), max_size=2)),
    )
    return inbound, known


EVERY_GROUP = {MAIN: LIMITED, GroupId("books"): PersonLimits()}


@given(situations())
@settings(max_examples=600)
def test_no_stranger_reaches_an_agent(situation: tuple[InboundMessage, SenderFacts]) -> None:
    """Whatever a stranger says, wherever: it becomes no task and no command, nor does what they take back."""
    inbound, known = situation
    stranger = replace(known, person=None, roles={})
    decision = decide_access(inbound, stranger, now=NOW, groups=EVERY_GROUP)
    if isinstance(decision, TryCode):
        assert inbound.chat_kind == "direct"
        decision = decide_after_code("wrong", inbound, stranger, now=NOW, groups=EVERY_GROUP)
    assert decision.state is not MessageState.QUEUED
    if decision.state is not MessageState.REFUSED:
        assert inbound.kind == "delete"
        assert decision.change in ("withdraw", "tell", "keep")
        assert known.original is not None
    else:
        assert decision.refusal or inbound.kind == "delete"


@given(situations())
@settings(max_examples=600)
def test_rights_of_a_direct_chat_never_widen(situation: tuple[InboundMessage, SenderFacts]) -> None:
    """What is admitted in a chat of many needs an agent that was given to that very chat and a person whom its binding
    means, and would be admitted in a direct chat with the same agents too."""
    inbound, known = situation
    many, direct = replace(inbound, chat_kind="many"), replace(inbound, chat_kind="direct")
    known = replace(known, pairing_pending=False)
    decision = decide_access(many, known, now=NOW, groups=EVERY_GROUP)
    assert isinstance(decision, Admission)
    if decision.state is MessageState.QUEUED:
        assert any(each.group_id == decision.group_id for each in known.bindings)
        assert known.person is not None
        assert decide_access(direct, known, now=NOW, groups=EVERY_GROUP) == decision
    elif decision.state is MessageState.COMMAND:
        in_direct = decide_access(direct, known, now=NOW, groups=EVERY_GROUP)
        assert isinstance(in_direct, Admission)
        assert in_direct.state is MessageState.COMMAND
    unbound = decide_access(many, replace(known, bindings=(), roles={}), now=NOW, groups=EVERY_GROUP)
    assert isinstance(unbound, Admission)
    assert unbound.state is not MessageState.QUEUED


@given(situations())
@settings(max_examples=400)
def test_less_of_a_role_is_never_admitted_to_more(situation: tuple[InboundMessage, SenderFacts]) -> None:
    """What a person with a role may ask, an owner may."""
    inbound, known = situation
    known = replace(known, pairing_pending=False, roles={}, asked=Asked())
    decision = decide_access(inbound, known, now=NOW, groups=EVERY_GROUP)
    assert isinstance(decision, Admission)
    if decision.state in (MessageState.QUEUED, MessageState.COMMAND) and not decision.change:
        owner = replace(known, person=Person(person=ANNA, name="", role="owner", added_at="", added_by=""))
        as_owner = decide_access(inbound, owner, now=NOW, groups=EVERY_GROUP)
        assert isinstance(as_owner, Admission)
        assert as_owner.state == decision.state
