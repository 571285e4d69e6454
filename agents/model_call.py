"""Asks a model one question over the proxy's route, shows the answer as it grows, and asks again where that helps.

What to send and how to read it is the provider's (`providers/`), when to retry is `providers/retry.py`'s.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from agents.activity import Activity
from agents.host_link import HostLink
from agents.http import Answer, Doorstep, HttpFault, Patience, post
from agents.interrupt import Interrupt
from agents.providers import provider_for
from agents.providers.failure import Failure, failure_of_answer, failure_of_connection, misbehaved
from agents.providers.provider import ModelRequest, Question, StreamFault, Turn, TurnReader
from agents.providers.retry import RetryLimits, retry_wait
from agents.sse import EventDecoder, EventTooLarge
from protocol.link import Delta, Progress
from protocol.record import replace
from protocol.task import ModelRoute

MAX_ANSWER_BYTES = 64 << 20
"""Of one streamed answer, framing included; it is not held."""
_MAX_ERROR_BYTES = 16 << 10
_WAIT_WITH_FALLBACK_S = 10.0
"""How long one service may be waited for where another one can answer."""
_HEADERS = {"content-type": "application/json", "accept": "text/event-stream", "anthropic-version": "2023-06-01"}


class ModelFailed(Exception):
    """The model gave no answer, and asking again does not help or has not helped."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


class ModelCall:
    """Asks questions one at a time, on the first of the routes whose service is well."""

    def __init__(
        self,
        *,
        routes: Sequence[ModelRoute],
        doorstep: Doorstep,
        link: HostLink,
        interrupt: Interrupt,
        activity: Activity,
        patience: Patience,
        retry_limits: RetryLimits,
    ) -> None:
        self._route, *self._fallbacks = routes
        self._provider = provider_for(self._route)
        self._doorstep = doorstep
        self._link = link
        self._interrupt = interrupt
        self._activity = activity
        self._patience = patience
        self._limits = retry_limits
        self._is_shown = True
        self.fallback_note = ""
        """Who answers instead of whom, and why; empty while the first route does."""

    @property
    def route(self) -> ModelRoute:
        """Who answers now."""
        return self._route

    def ask(self, question: Question, *, is_shown: bool = True) -> Turn:
        """Return the model's answer; raise ModelFailed, Interrupted. `is_shown`: to people, as it grows."""
        self._is_shown = is_shown
        while True:
            try:
                return self._ask_route(question)
            except ModelFailed as failed:
                if not self._fallbacks or not failed.failure.is_of_the_service:
                    raise
                self._fall_back(failed.failure)

    def _fall_back(self, failure: Failure) -> None:
        self._route = self._fallbacks.pop(0)
        self._provider = provider_for(self._route)
        self.fallback_note = f"{failure.reason}. {self._route.full_name} answers instead."
        self._link.say(Progress(kind="note", text=self.fallback_note))

    def _ask_route(self, question: Question) -> Turn:
        request = self._provider.request(question)
        limits = replace(self._limits, service_s=_WAIT_WITH_FALLBACK_S) if self._fallbacks else self._limits
        tries, waited_s = 0, 0.0
        while True:
            tries += 1
            self._shown = False
            try:
                with self._activity.during("model"):
                    return self._ask_once(request)
            except StreamFault as fault:
                failure = fault.failure
            wait_s = retry_wait(failure, limits, tries=tries, waited_s=waited_s, chance=random.random())
            if wait_s is None:
                raise ModelFailed(failure)
            self._tell(failure, wait_s)
            self._interrupt.wait(wait_s)
            waited_s += wait_s

    def _tell(self, failure: Failure, wait_s: float) -> None:
        """Say that the question is asked again; what was shown of the broken answer no longer holds."""
        discarded = " What came of the answer is dropped." if self._shown else ""
        text = f"{failure.reason}.{discarded} Asking again in {max(1, round(wait_s))} s."
        self._link.say(Progress(kind="retry", text=text))

    def _ask_once(self, request: ModelRequest) -> Turn:
        try:
            with post(
                doorstep=self._doorstep,
                path=request.path,
                body=request.body,
                headers=_HEADERS,
                patience=self._patience,
                interrupt=self._interrupt,
            ) as answer:
                return self._read(answer)
        except HttpFault as fault:
            raise StreamFault(failure_of_connection(self._route.route, fault.kind, fault.detail)) from fault

    def _read(self, answer: Answer) -> Turn:
        if answer.status != 200:
            body = answer.text(_MAX_ERROR_BYTES)
            raise StreamFault(
                failure_of_answer(self._route.route, self._route.model, answer.status, answer.headers, body)
            )
        if "text/event-stream" not in answer.headers.get("content-type", "text/event-stream"):
            raise StreamFault(misbehaved(self._route.route, "an answer that is not a stream of events"))
        reader = self._provider.reader()
        for text in self._texts(answer, reader):
            if self._is_shown:
                self._shown = True
                self._link.say(Delta(text=text))
        if not reader.is_complete():
            raise StreamFault(failure_of_connection(self._route.route, "broken", "the stream ended before the answer"))
        return reader.turn()

    def _texts(self, answer: Answer, reader: TurnReader) -> Iterator[str]:
        """Yield the answer's text, joined as far as it came in one piece."""
        decoder = EventDecoder()
        received_bytes = 0
        for piece in answer.body():
            received_bytes += len(piece)
            try:
                text = "".join([reader.take(event) for event in decoder.feed(piece)])
            except EventTooLarge:
                raise StreamFault(misbehaved(self._route.route, "an event without end")) from None
            if received_bytes > MAX_ANSWER_BYTES:
                raise StreamFault(misbehaved(self._route.route, "an answer without end"))
            if text:
                yield text
