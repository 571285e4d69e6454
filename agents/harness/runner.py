"""Runs a harness's program for one task, in the loop's place.

What the program says becomes steps, deltas and progress on the link, stored by the host as they come; its calls are
asked about where a constraint says so, and what people say meanwhile is written to it. The program's own language is an
adapter's (`frame.py`), having it ready `starter.py`'s, what is kept in HOME `kept.py`'s.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence

from agents.activity import Activity
from agents.constraints import refusal_of
from agents.conversation import MAY_HAVE_HAPPENED, finished_step, resume, started_step, told_step
from agents.harness.fit import storable_call
from agents.harness.frame import (
    Awaits,
    Began,
    Brief,
    Broke,
    Ended,
    Event,
    Noted,
    Opened,
    Prompt,
    Ran,
    Ready,
    Said,
    Took,
    Turned,
    Write,
)
from agents.harness.kept import KeptSession, digest_of
from agents.harness.sent_files import images_of
from agents.harness.starter import NotUp, Started, Starter, events, new_uuid
from agents.harness.words import first_words, words_for_another_model
from agents.host_link import HostLink
from agents.interrupt import Interrupt
from agents.last_word import failed, out_of_rounds, said
from agents.mcp.harness_tools import HarnessTools
from agents.providers.failure import Failure, misbehaved
from agents.refusals import Refusals, add_refusals
from agents.tools.toolbox import Toolbox, failed_output
from protocol.frames import FrameError
from protocol.link import Assignment, Delta, Progress, SteerMessage
from protocol.pre_check import CALL_ID, find_output
from protocol.record import replace
from protocol.task import ModelRoute, TaskResult
from protocol.tool_rules import find_rule
from protocol.tools import is_without
from protocol.transcript import Step, ToolCall, ToolOutput

_STOP_S = 0.35
"""What a program has to end its turn when it is stopped: a Stop is answered within one second."""
_TOO_LONG = "A call of this length cannot be asked about, and a constraint says that it must be. It was not made."


class HarnessRun:
    """One attempt of one task."""

    def __init__(
        self,
        assignment: Assignment,
        *,
        starter: Starter,
        toolbox: Toolbox,
        link: HostLink,
        interrupt: Interrupt,
        activity: Activity,
        refusals: Refusals,
    ) -> None:
        self._assignment = assignment
        self._starter = starter
        self._toolbox = toolbox
        self._link = link
        self._interrupt = interrupt
        self._activity = activity
        self._refusals = refusals
        state = resume(assignment)
        self._open_turn = state.open_turn
        self._uncertain = state.uncertain
        self._rounds = state.rounds
        self._next_index = state.next_index
        self._numbering = threading.Lock()
        self._asking = threading.Lock()
        """An agent has one question open at a time: a call of ours may be one while a constraint asks about another."""
        self._steps = list(assignment.steps)
        self._tools = HarnessTools(
            assignment, toolbox=toolbox, link=link, places=toolbox.places, activity=activity, store=self._store
        )
        task = assignment.task
        self._session_key = task.session_id or task.task_id
        others = () if task.result_schema is not None else assignment.fallbacks
        self._all_routes = (assignment.model, *(each for each in others if each.api == assignment.model.api))
        self._routes = list(self._all_routes)
        self._note = ""
        self._started: Started | None = None
        self._told: dict[str, SteerMessage] = {}
        """Written to the program, and not taken in by its model yet."""
        self._taken: list[SteerMessage] = []
        self._aliases: dict[str, str] = {}
        """The program's id of a call → the id under which an earlier attempt has announced it."""
        self._is_stopping = threading.Event()
        self._is_over = threading.Event()

    def run(self) -> TaskResult:
        """Return how the task ended; raise Interrupted, HostGone."""
        self._activity.begin("loop")
        try:
            return self._pre_check() or self._last_answer() or self._work()
        except FrameError as error:  # more than the host takes, in spite of the caps
            return failed(misbehaved(self._routes[0].route, str(error)))
        except NotUp as error:
            return failed(error.failure)
        except OSError as error:
            reason = f"The program of the harness could not be started: {error.strerror}"
            return failed(Failure(code="harness_missing", reason=reason))
        finally:
            self._is_over.set()

    def stop(self) -> None:
        """Have the program end its turn and keep its session, as far as it does so at once. From another thread."""
        self._is_stopping.set()
        if self._started is not None and self._ask_to_stop(self._started):
            self._is_over.wait(_STOP_S)

    def _ask_to_stop(self, started: Started) -> bool:
        words = started.adapter.stop()
        if words:
            # In a thread: a program that does not read is not waited for.
            threading.Thread(target=started.program.write, args=(words,), name="stop", daemon=True).start()
        return bool(words)

    def poke(self) -> None:
        """Have the run look at what was told. From another thread."""
        if self._started is not None:
            self._started.program.poke()

    # -- the beginning ------------------------------------------------------------------------------------------

    def _pre_check(self) -> TaskResult | None:
        """Run the task's pre-check, unless an earlier attempt did; return the end if there is nothing to do."""
        task = self._assignment.task
        if not task.pre_check or find_output(self._assignment.steps) is not None:
            return None
        from agents.pre_check import run_pre_check  # late: few tasks have one

        with self._activity.during("tool"):
            checked = run_pre_check(task.pre_check, self._toolbox.context(CALL_ID), self._store)
        if isinstance(checked, TaskResult):
            return checked
        self._steps.append(checked)
        return None

    def _last_answer(self) -> TaskResult | None:
        """Return the end that an earlier attempt had come to, and could not say any more."""
        turn = self._open_turn
        return said(turn.text, "end") if turn is not None and not turn.calls else None

    def _work(self) -> TaskResult:
        """Have the program do it; where the service of its model fails for good, the next one's."""
        prompt = ""
        while True:
            try:
                self._started = self._start(self._brief(self._routes))
                is_new = not self._started.brief.session
                ended = self._converse(self._started, prompt or self._first_words(is_new=is_new))
            finally:  # the next task most likely goes on with this session, and asks the first model again
                self._starter.end(self._brief(self._all_routes), self._tools.cards())
            if isinstance(ended, TaskResult):
                return ended
            if len(self._routes) == 1 or not ended.is_of_the_service:
                return failed(self._of_the_proxy(ended))
            self._started.program.kill()
            failed_route = self._routes.pop(0)
            self._note = f"{ended.reason}. {self._routes[0].full_name} answers instead of {failed_route.full_name}."
            self._link.say(Progress(kind="note", text=self._note))
            prompt = words_for_another_model(self._assignment, self._steps)

    def _brief(self, routes: Sequence[ModelRoute]) -> Brief:
        """Return what the program is to be started for, with these models to ask one after another."""
        assignment = self._assignment
        return Brief(
            session=self._kept_session(),
            instructions=assignment.instructions,
            model=routes[0],
            is_last_model=len(routes) == 1,
            skills=assignment.skills,
            servers=tuple(replace(each, tools=None) for each in assignment.mcp),  # it asks them itself
            variables=tuple(sorted(os.environ)) if assignment.mcp else (),
            without=assignment.without,
            has_result=assignment.task.result_schema is not None,
        )

    def _start(self, brief: Brief) -> Started:
        with self._activity.during("model"):
            try:
                return self._starter.take(brief, self._tools.cards(), self._run_own)
            except NotUp:
                if not brief.session:
                    raise
            # The session may be gone from HOME: somebody was forgotten, or files were put back.
            self._starter.kept.forget_session(self._session_key)
            return self._starter.take(replace(brief, session=""), self._tools.cards(), self._run_own)

    def _kept_session(self) -> str:
        kept = self._starter.kept.session(self._session_key)
        return kept.session if kept is not None else ""

    def _first_words(self, *, is_new: bool) -> str:
        caught_up = self._tools.catch_up() if self._assignment.attempt_number > 1 else ""
        names = {card.name for card in self._tools.cards()}
        uncertain = [call for call in self._uncertain if call.name not in names]
        for call in uncertain:
            if call.call_id not in self._assignment.approved:
                self._store(finished_step(0, failed_output(call, MAY_HAVE_HAPPENED)))
        return first_words(
            self._assignment,
            self._steps,
            is_new=is_new,
            notes=self._untold_notes(),
            uncertain=uncertain,
            caught_up=caught_up,
        )

    def _untold_notes(self) -> str:
        """Return the agent's notes where they are others than its session was told."""
        notes = self._assignment.notes
        kept = self._starter.kept.session(self._session_key)
        return "" if kept is not None and kept.notes == digest_of(notes) else notes

    # -- the conversation ---------------------------------------------------------------------------------------

    def _converse(self, started: Started, words: str) -> TaskResult | Failure:
        """Follow the program to the end of its turn; return the task's end, or why the model gave none."""
        # A new id each time: a program that knows it from an earlier attempt would take it for the same prompt.
        prompt = Prompt(
            text=words, message_id=new_uuid(), images=images_of(self._assignment, self._routes[0], self._toolbox.places)
        )
        started.program.write(started.adapter.begin(prompt))
        self._activity.begin("model")
        while True:
            self._tell(started)
            line = started.program.next_line()
            self._interrupt.check()
            if line is None:
                return started.adapter.ended(started.program.exit_code(), started.program.stderr())
            for event in events(started.adapter, line):
                end = self._take(started, event)
                if end is not None:
                    return end
            if self._tools.result is not None:
                return self._tools.result

    def _tell(self, started: Started) -> None:
        """Write what people have said meanwhile."""
        for message in self._link.take_told():
            data = started.adapter.tell(message)
            if data is not None:
                self._told[message.message_id] = message
                started.program.write(data)

    def _take(self, started: Started, event: Event) -> TaskResult | Failure | None:
        match event:
            case Said():
                self._link.say(Delta(text=event.text))
            case Noted():
                self._link.say(Progress(kind=event.kind, text=event.text))
            case Opened():
                notes = digest_of(self._assignment.notes)
                self._starter.kept.keep_session(self._session_key, KeptSession(session=event.session, notes=notes))
            case Turned():
                return self._turned(started, event)
            case Began():
                self._began(started, event)
            case Ran():
                self._activity.begin("model")
                output = event.output
                step = finished_step(0, replace(output, call_id=self._aliases.get(output.call_id, output.call_id)))
                self._store(replace(step, branch=event.branch))
            case Awaits():
                words = add_refusals("", self._refusals.take())
                started.program.write(started.adapter.comment(event.gate, words))
            case Took():
                message = self._told.pop(event.message_id, None)
                if message is not None:
                    self._taken.append(message)
            case Write():
                started.program.write(event.data)
            case Ended():
                self._interrupt_if_stopped()
                return said(event.text, event.stop, self._note)
            case Broke():
                self._interrupt_if_stopped()
                return event.failure
            case Ready():
                pass
        return None

    def _turned(self, started: Started, event: Turned) -> TaskResult | None:
        for message in self._taken:  # now the model has seen it
            self._hold(told_step(0, message))
        self._taken.clear()
        entry = replace(event.entry, calls=tuple(storable_call(call) for call in event.entry.calls))
        step = Step(index=0, kind="model_turn", entry=entry, usage=event.usage, branch=event.branch)
        if not entry.calls:
            self._hold(step)  # the last word goes with it
            return None
        self._store(step)
        if event.branch:
            return None
        self._rounds += 1
        limit = self._assignment.task.limits.rounds
        if self._rounds <= limit:
            return None
        self._ask_to_stop(started)
        return out_of_rounds(limit)

    def _began(self, started: Started, event: Began) -> None:
        call = event.call
        approved = self._approved_before(call)
        if approved is not None:
            self._aliases[call.call_id] = approved
        else:
            self._store(replace(started_step(0, storable_call(call)), branch=event.branch))
        refusal = "" if approved is not None else self._refusal(call)
        if not refusal:
            self._link.say(Progress(kind="tool", text=call.name, tool=call.name))
            self._activity.begin("tool")
        if event.gate:
            started.program.write(started.adapter.answer(event.gate, refusal))

    def _approved_before(self, call: ToolCall) -> str | None:
        """Return the id under which an earlier attempt asked about this very call, if somebody has said yes to it."""
        stored = storable_call(call)
        for before in self._uncertain:
            is_same = before.name == stored.name and before.arguments == stored.arguments
            if before.call_id in self._assignment.approved and is_same:
                self._uncertain = tuple(each for each in self._uncertain if each is not before)
                return before.call_id
        return None

    def _refusal(self, call: ToolCall) -> str:
        """Return why a call of the program's may not be made; asks where a constraint says so."""
        if is_without(call.name, self._assignment.without):
            return f"This agent does not have the tool {call.name}."
        rules = self._assignment.constraints
        if not rules or find_rule(rules, call.name, call.arguments) is None:
            return ""
        if storable_call(call) is not call:
            return _TOO_LONG
        with self._asking, self._activity.during("tool"):
            refused = refusal_of(call, rules, self._link, self._toolbox.places)
        return refused.text if refused is not None else ""

    def _run_own(self, call: ToolCall) -> ToolOutput:
        """Run one of our tools for the program; in a thread of the server's."""
        with self._asking:
            output = self._tools.run(call)
        if self._tools.result is not None:
            self.poke()
        return output

    def _interrupt_if_stopped(self) -> None:
        """Say that the turn is over, if it was ended by a stop: that is the task's end then."""
        if self._is_stopping.is_set():
            self._is_over.set()
            self._interrupt.wait(_STOP_S)

    def _of_the_proxy(self, failure: Failure) -> Failure:
        """Return the failure as the proxy has said it, where it was the proxy that refused the model."""
        for refusal in self._refusals.take():
            if refusal.code and refusal.message and refusal.message[:200] in failure.reason:
                return Failure(code=refusal.code, reason=refusal.message)
        return failure

    # -- steps --------------------------------------------------------------------------------------------------

    def _store(self, step: Step) -> None:
        """Number a step and return when the host has it; from any thread."""
        self._link.wait_acked(self._numbered(step, self._link.send_step))

    def _hold(self, step: Step) -> None:
        self._numbered(step, self._link.hold_step)

    def _numbered(self, step: Step, send: Callable[[Step], object]) -> int:
        """Number a step and send it; steps go in the order of their numbers."""
        with self._numbering:
            sent = send(replace(step, index=self._next_index))
            self._next_index += 1
        return sent if isinstance(sent, int) else 0
