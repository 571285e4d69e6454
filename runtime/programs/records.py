"""The nouns of programs: who may submit, and what is known of a submission besides its task. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass

from protocol.codec import Json
from protocol.ids import AttemptId, GroupId, SubmissionId, TaskId

CLI = "cli"
"""Who submits from the command line, in the words of submissions."""
_TOKEN = re.compile(r"nyp_[a-z2-7]{52}")
_TOKEN_LETTERS = b"abcdefghijklmnopqrstuvwxyz234567" * 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """Something that submits tasks by itself, under a name."""

    name: str
    groups: tuple[GroupId, ...]
    """Where it may submit."""
    is_attended: bool
    """A person waits for its answers, so it is not paid from the purse for background work."""
    has_token: bool
    added_at: str
    added_by: str
    revoked_at: str | None = None

    @property
    def submitter(self) -> str:
        return submitter_of(self.name)

    @property
    def is_operator(self) -> bool:
        """Whether this is the owner at the machine, who may submit everywhere and sees everybody's work."""
        return not self.name


OPERATOR = Program(name="", groups=(), is_attended=True, has_token=False, added_at="", added_by="")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramTask:
    """What was noted when a program submitted something."""

    submission_id: SubmissionId
    program: str
    group_id: GroupId
    skill: str
    skill_sha256: str
    """Of its folder when the last attempt began; until there is one, when it was submitted."""
    input_sha256: str
    mode: str
    """The group's, then."""
    submitted_at: str = ""

    @property
    def submitter(self) -> str:
        return submitter_of(self.program)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramEvent:
    """Something that happened to a program's submission, at its place in the journal."""

    seq: int
    kind: str
    at: str
    submission_id: SubmissionId
    task_id: TaskId | None
    attempt_id: AttemptId | None


def submitter_of(name: str) -> str:
    """Return who submits, in the words of submissions; without a name it is the owner at the machine."""
    return f"program:{name}" if name else CLI


def make_token(random_bytes: bytes) -> str:
    """Return a program's token out of 52 random bytes: 260 random bits."""
    return f"nyp_{random_bytes[:52].translate(_TOKEN_LETTERS).decode('ascii')}"


def is_token(text: str) -> bool:
    return _TOKEN.fullmatch(text) is not None


def hash_token(token: str) -> str:
    """Return what is kept of a token. No salt and no slow hash: nobody guesses 260 random bits."""
    return hashlib.sha256(token.encode()).hexdigest()


def canonical(value: Json) -> str:
    """Return a JSON value as its one text."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def sha256_of(value: Json) -> str:
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def prompt_of(value: Json) -> str:
    """Return the prompt that a program's input makes: a text is one already, anything else is shown as JSON."""
    if isinstance(value, str):
        return value
    shown = json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False)
    return f"The input, as JSON:\n\n```json\n{shown}\n```"
