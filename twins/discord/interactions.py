"""Interactions: a press or a command of a person's, to be answered within 3 s; its token lives 15 minutes. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from twins.discord.refusal import Refusal

Json = dict[str, Any]

FIRST_ANSWER_S = 3.0
TOKEN_LIFE_S = 15 * 60.0

PING, COMMAND, COMPONENT, AUTOCOMPLETE, MODAL = 1, 2, 3, 4, 5


@dataclass(slots=True, kw_only=True)
class Interaction:
    id: str
    token: str
    type: int
    user_id: str
    channel_id: str
    asked_at: float
    message_id: str | None = None
    """Of a component: the message under which it stands."""
    command_name: str | None = None
    opened_by: str | None = None
    """Of a form that was sent: the interaction that showed it."""
    owners: Json = field(default_factory=dict)
    acknowledged_as: int | None = None
    """The callback type it was answered with."""
    original_id: str | None = None
    """The message that is `@original`."""
    shown: Json = field(default_factory=dict)
    """What the person was shown that is no message: choices, a modal."""
    message_ids: list[str] = field(default_factory=list)
    """Everything said with its token."""

    def take_answer(self, callback_type: int, now_s: float) -> None:
        """Acknowledge it; raise Refusal for one that came too late or twice."""
        if self.acknowledged_as is not None:
            raise Refusal(40060)
        if now_s - self.asked_at > FIRST_ANSWER_S:
            raise Refusal(10062)
        self.acknowledged_as = callback_type

    def is_alive(self, now_s: float) -> bool:
        return now_s - self.asked_at <= TOKEN_LIFE_S

    def state(self, now_s: float) -> str:
        """Say how it stands for the person: `waiting`, `answered`, or `failed` ("This interaction failed")."""
        if self.acknowledged_as is not None:
            return "answered"
        return "waiting" if now_s - self.asked_at <= FIRST_ANSWER_S else "failed"


@dataclass(slots=True)
class Interactions:
    by_token: dict[str, Interaction] = field(default_factory=dict)

    def add(self, interaction: Interaction) -> None:
        self.by_token[interaction.token] = interaction

    def to_answer(self, interaction_id: str, token: str) -> Interaction:
        """Return the one to be acknowledged; raise Refusal 10062 for none."""
        interaction = self.by_token.get(token)
        if interaction is None or interaction.id != interaction_id:
            raise Refusal(10062)
        return interaction

    def by_webhook(self, token: str, now_s: float) -> Interaction:
        """Return the one whose token a follow-up uses; raise Refusal where it is unknown or over."""
        interaction = self.by_token.get(token)
        if interaction is None or interaction.acknowledged_as is None:
            raise Refusal(10015)
        if not interaction.is_alive(now_s):
            raise Refusal(50027)
        return interaction
