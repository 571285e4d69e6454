"""A conversation as a Markdown file: what was said, which tools were used, what was answered. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo

from protocol.plain_text import escape
from protocol.task import TaskStatus
from runtime.sessions.records import SessionHead, SessionTurn
from runtime.store.records import StoredMessage

FORGOTTEN_PROMPT = "(its words are not kept any more)"


def build_head(head: SessionHead, zone: tzinfo) -> str:
    """Return how the file begins."""
    return f"# Conversation with {head.group_id}\n\nBegun {_time(head.started_at, zone)} · `{head.session_id}`\n"


def build_turns(turns: Sequence[SessionTurn], zone: tzinfo) -> str:
    """Return a part of the file."""
    return "".join(line for turn in turns for line in _turn(turn, zone))


def file_name(head: SessionHead) -> str:
    return f"conversation-{head.group_id}-{head.started_at[:10]}.md"


def _turn(turn: SessionTurn, zone: tzinfo) -> Iterator[str]:
    task = turn.task
    if turn.is_summary:
        if task.result is not None and task.result.status is TaskStatus.REPLY:
            yield _said("What came before, summed up", task.ended_at or task.created_at, task.result.text, zone)
        return
    for message in turn.messages:
        yield _said(message.inbound.sender_name or message.inbound.person, message.received_at, _text(message), zone)
    if task.submission_id is not None:
        yield _said(task.submitter, task.created_at, task.spec.prompt if task.spec else FORGOTTEN_PROMPT, zone)
    if turn.tools:
        yield f"\n_Used: {', '.join(escape(name) for name in dict.fromkeys(turn.tools))}_\n"
    if task.result is not None:
        yield _said(task.group_id, task.ended_at or task.created_at, _answer(turn), zone)


def _said(who: str, at: str, text: str, zone: tzinfo) -> str:
    # An agent's or person's own headings begin deeper than ours: the file keeps its outline.
    body = "\n".join(f"##{line}" if line.startswith("#") else line for line in text.strip().splitlines())
    return f"\n## {escape(who)} · {_time(at, zone)}\n\n{body}\n"


def _text(message: StoredMessage) -> str:
    files = [f"[file: {escape(file.name)}]" for file in message.inbound.attachments]
    return "\n".join([message.inbound.text, *files]).strip() or "(nothing)"


def _answer(turn: SessionTurn) -> str:
    result = turn.task.result
    assert result is not None  # asked before
    if result.status is TaskStatus.REPLY:
        return result.text
    return f"_({result.status}{f': {escape(result.reason)}' if result.reason else ''})_"


def _time(at: str, zone: tzinfo) -> str:
    return f"{datetime.fromisoformat(at).astimezone(zone):%Y-%m-%d %H:%M %Z}"
