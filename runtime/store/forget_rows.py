"""Taking words and names out of the store, and leaving its shape, its chain and its counts.

Which tables hold texts and keys is read from the schema, so that no room's table is left out. Each function is one job.
"""

from __future__ import annotations

import hmac
import json
import re
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from protocol.ids import ChatKey, GroupId, PersonKey, TaskId, mint
from protocol.message import InboundMessage, OutboundMessage
from runtime.journal import JournalKind
from runtime.outbound_files import files_of
from runtime.store import archive_rows, space_rows
from runtime.store.blank import blank_body
from runtime.store.database import Transaction, time_text
from runtime.store.inbound_rows import sealed_event
from runtime.store.journal_rows import append
from runtime.store.payload_text import from_text
from runtime.store.people_rows import remove_person
from runtime.store.session_rows import drop_compactions

UNTOUCHED = frozenset({"journal", "payloads", "forgotten"})
"""The journal holds ids and digests only; payloads are rewritten by what they say."""
SHOWN_NAMES = frozenset({"name", "sender_name"})
"""Columns with what somebody calls themselves."""
PERSON_COLUMNS = frozenset({"person", "subject"})


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenWork:
    """What of a person's is still under way: it must end before they can be forgotten."""

    messages: int
    tasks: tuple[TaskId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file that somebody sent or was sent."""

    group_id: GroupId
    name: str
    """Its name in the group's inbox, or its whole path if an agent sent it."""
    is_beginning: bool = False
    """It is what the names of some files begin with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What of somebody's is outside the store."""

    files: tuple[StoredFile, ...]
    tasks: Mapping[GroupId, frozenset[TaskId]]
    since: Mapping[GroupId, str]
    """When the first of these tasks was made."""
    shared: tuple[str, ...] = ()
    """What these tasks have written into spaces, or could have, and is still there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """What was taken out."""

    forget_id: str
    messages: int
    tasks: int
    turns: int
    """Of conversations: those that a model would have been shown."""
    texts: int
    rows: int
    chats: tuple[ChatKey, ...]
    """Those that were theirs alone."""


def open_work(transaction: Transaction, keys: Collection[PersonKey]) -> OpenWork:
    messages, tasks = 0, []
    for key in keys:
        found = transaction.one("open_work_of", person=key)
        messages += found["open"] if found else 0
    for task_id in _tasks(transaction, keys):
        task = transaction.one("task_to_forget", task_id=task_id)
        if task is not None and task["state"] in ("running", "suspended"):
            tasks.append(task_id)
    return OpenWork(messages=messages, tasks=tuple(tasks))


def _tasks(transaction: Transaction, keys: Iterable[PersonKey]) -> tuple[TaskId, ...]:
    """Return the tasks of somebody's messages, submissions and schedules, and those that they asked of other agents."""
    found = {TaskId(row["task_id"]): None for key in keys for row in transaction.all("tasks_with_person", person=key)}
    new = list(found)
    while new:
        asked = [TaskId(row["task_id"]) for task in new for row in transaction.all("tasks_asked_by", task_id=task)]
        new = [task for task in dict.fromkeys(asked) if task not in found]
        found.update(dict.fromkeys(new))
    return tuple(found)


def outside(transaction: Transaction, keys: Collection[PersonKey]) -> Found:
    """Return what of a person's is outside the store. It can be found as long as they are not forgotten."""
    tasks = _tasks(transaction, keys)
    of_group: defaultdict[GroupId, list[TaskId]] = defaultdict(list)
    since: dict[GroupId, str] = {}
    for task in tasks:
        row = transaction.one("task_to_forget", task_id=task)
        if row is not None:
            group_id = GroupId(row["group_id"])
            of_group[group_id].append(task)
            since[group_id] = min(since.get(group_id, row["created_at"]), row["created_at"])
    return Found(
        files=_files(transaction, keys, tasks),
        tasks={group_id: frozenset(found) for group_id, found in of_group.items()},
        since=since,
        shared=space_rows.files_of(transaction, tasks),
    )


def forget(transaction: Transaction, keys: Sequence[PersonKey]) -> Forgotten:
    """Take a person's words, names and keys out of every table. Their work must have ended."""
    archive_rows.unpack_all(transaction)
    tasks = _tasks(transaction, keys)
    messages = sum(len(transaction.all("files_of_person", person=key)) for key in keys)
    names = dict(keys_and_chats(transaction, keys))
    turns = _drop_conversation(transaction, tasks)
    space_rows.blank_of(transaction, tasks)
    texts = _blank(transaction, _payloads_of_tasks(transaction, tasks), names)
    for key in keys:
        own = (row["payload_id"] for row in transaction.all("payloads_of_subject", subject=key))
        texts += _blank(transaction, own, names)
    for chat in names:
        told = (row["payload_id"] for row in transaction.all("told_in_chat", chat=chat))
        texts += _blank(transaction, told, names)
    texts += _blank(transaction, _cards(transaction, keys, tasks), names)
    _seal_events(transaction, keys, names)
    for key in keys:
        remove_person(transaction, key)
    for chat in names:
        transaction.run("drop_direct_binding", chat=chat)
    rows = _rename(transaction, names)
    forget_id = mint("forget")
    digests = [hmac.digest(transaction.key, b"person\0" + key.encode(), "sha256").hex() for key in keys]
    receipt = {"messages": messages, "tasks": len(tasks), "texts": turns + texts, "rows": rows}
    transaction.insert(
        "insert_forgotten",
        forget_id=forget_id,
        digests=json.dumps(digests),
        receipt=json.dumps(receipt),
        forgotten_at=transaction.now_text(),
    )
    append(transaction, JournalKind.PERSON_FORGOTTEN, json.dumps(digests), forget=forget_id)
    return Forgotten(
        forget_id=forget_id,
        messages=messages,
        tasks=len(tasks),
        turns=turns,
        texts=texts,
        rows=rows,
        chats=tuple(map(ChatKey, names)),
    )


def keys_and_chats(transaction: Transaction, keys: Iterable[PersonKey]) -> Iterable[tuple[str, str]]:
    """Yield each key of the person, and each chat that was theirs alone, with a name that says nothing."""
    for key in dict.fromkeys(keys):
        yield key, mint("forgotten")
        for row in transaction.all("direct_chats_of", person=key):
            if row["chat"] != key:
                yield ChatKey(row["chat"]), mint("forgotten")


def blank_next(transaction: Transaction, before: str, limit: int) -> int:
    """Take the words out of the oldest messages and tasks that still have theirs and ended before a time, at most so
    many of each; return how many there were."""
    seq = _mark(transaction, "blank_messages")
    messages = transaction.all("old_messages", seq=seq, before=before, limit=limit, last=1 << 62)
    _blank(transaction, (row["payload_id"] for row in messages), {})
    if messages:
        _set_mark(transaction, "blank_messages", messages[-1]["seq"])
    after = time_text(datetime.fromtimestamp(0, UTC) + timedelta(microseconds=_mark(transaction, "blank_tasks")))
    rows = transaction.all("ended_tasks", after=after, before=before, limit=limit)
    tasks = [TaskId(row["task_id"]) for row in rows]
    for task in tasks:
        archive_rows.unpack_of_task(transaction, task)
    _drop_conversation(transaction, tasks)
    _blank(transaction, _payloads_of_tasks(transaction, tasks), {})
    if rows:
        ended = datetime.fromisoformat(rows[-1]["ended_at"]) - datetime.fromtimestamp(0, UTC)
        _set_mark(transaction, "blank_tasks", ended // timedelta(microseconds=1))
    return len(messages) + len(rows)


def _mark(transaction: Transaction, name: str) -> int:
    """Return how far something has come."""
    row = transaction.one("flag", name=name)
    return int(row["value"]) if row else 0


def _set_mark(transaction: Transaction, name: str, value: int) -> None:
    transaction.run("set_flag", name=name, value=value, set_by="retention", set_at=transaction.now_text())


def _files(transaction: Transaction, keys: Iterable[PersonKey], tasks: Iterable[TaskId]) -> tuple[StoredFile, ...]:
    files = []
    for key in keys:
        for row in transaction.all("files_of_person", person=key):
            stored = json.loads(row["body"])
            inbound = from_text(InboundMessage, json.dumps(stored["inbound"]))
            group_id = GroupId(row["group_id"])
            files += [StoredFile(group_id=group_id, name=each.stored_name) for each in inbound.attachments]
            files.append(StoredFile(group_id=group_id, name=f"{row['message_id']}.txt"))
    for task in tasks:
        known = transaction.one("task_to_forget", task_id=task)
        if known is None:
            continue
        group_id = GroupId(known["group_id"])
        for sent in transaction.all("outbox_of_task", task_id=task):
            message = from_text(OutboundMessage, sent["body"])
            files += [StoredFile(group_id=group_id, name=each.path) for each in files_of(message) if each.path]
        if known["submission_id"]:  # a long text of it is a file
            files.append(StoredFile(group_id=group_id, name=f"{known['submission_id']}.txt"))
        for handed in transaction.all("handed_files_of_task", task_id=task):
            files.append(StoredFile(group_id=group_id, name=handed["file_id"]))
        for asked in transaction.all("delegations_of_task", task_id=task):
            for group in (asked["from_group"], asked["to_group"]):
                name = f"{asked['delegation_id']}-"
                files.append(StoredFile(group_id=GroupId(group), name=name, is_beginning=True))
    return tuple(dict.fromkeys(files))


def _payloads_of_tasks(transaction: Transaction, tasks: Iterable[TaskId]) -> list[int]:
    """Return the texts that stand in any table in a row of one of these tasks."""
    found: list[int] = []
    schema = Schema(transaction.connection)
    columns = [(table, column) for table, column in schema.payload_columns if "task_id" in schema.texts[table]]
    for task in tasks:
        for table, column in columns:
            found += schema.payloads_of(table, column, "task_id", task)
        row = transaction.one("task_to_forget", task_id=task)
        if row is not None and row["submission_id"] is not None:
            found += schema.payloads_of("submissions", "spec_id", "submission_id", row["submission_id"])
    return list(dict.fromkeys(found))


def _cards(transaction: Transaction, keys: Iterable[PersonKey], tasks: Iterable[TaskId]) -> list[int]:
    """Return what others were shown, to decide on, of somebody or of their tasks."""
    found = [row["payload_id"] for task in tasks for row in transaction.all("cards_of_task", task_id=task)]
    found += [row["payload_id"] for key in keys for row in transaction.all("cards_about", person=key)]
    return list(dict.fromkeys(found))


def _drop_conversation(transaction: Transaction, tasks: Iterable[TaskId]) -> int:
    """Take the tasks' turns out of their conversations: a model is shown no turns without words."""
    count = 0
    for task in tasks:
        count += drop_compactions(transaction, task)
        for row in transaction.all("entries_of_task", task_id=task):
            transaction.run("drop_entry", session_id=row["session_id"], position=row["position"])
            count += transaction.run("drop_payload", payload_id=row["payload_id"])
    return count


def _blank(transaction: Transaction, payload_ids: Iterable[int], names: Mapping[str, str]) -> int:
    count = 0
    for payload_id in payload_ids:
        row = transaction.one("payload", payload_id=payload_id)
        if row is None:
            continue
        body = blank_body(row["body"])
        for key, name in names.items():
            for prefix in ("", "person:"):
                body = body.replace(_quoted(f"{prefix}{key}"), _quoted(f"{prefix}{name}"))
        subject = names.get(row["subject"], row["subject"])
        transaction.run("rewrite_payload", payload_id=payload_id, body=body, subject=subject)
        count += 1
    return count


def _rename(transaction: Transaction, names: Mapping[str, str]) -> int:
    """Put names that say nothing in the place of the keys, in every text column of every table."""
    schema = Schema(transaction.connection)
    transaction.connection.execute("PRAGMA defer_foreign_keys = ON")
    changed = 0
    for table, columns in schema.texts.items():
        for key in names:
            for shown in columns & SHOWN_NAMES:
                schema.clear(table, shown, columns & PERSON_COLUMNS, key)
        changed += sum(schema.rename(table, column, names) for column in columns)
    schema.rename("payloads", "body", names)
    return changed


def _seal_events(transaction: Transaction, keys: Iterable[PersonKey], names: Iterable[str]) -> None:
    """Take what their platform called their updates, which may name them, out of the store; one that comes again is
    still known."""
    seal = partial(sealed_event, transaction.key)
    connection = transaction.connection
    connection.create_function("sealed", 2, seal, deterministic=True)
    of_person = "raw_id IN (SELECT m.raw_id FROM messages AS m WHERE m.person = ?)"
    for whose, values in ((of_person, keys), ("instr(event_id, ?) > 0", names)):
        statement = f"UPDATE raw_updates SET event_id = sealed(channel_id, event_id) WHERE {whose}"
        connection.executemany(f"{statement} AND event_id NOT LIKE 'forgotten:%'", [(each,) for each in values])


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


class Schema:
    """The tables as they are in the file, and what is done to any of them alike. Names come from the schema alone."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        self.texts: dict[str, frozenset[str]] = {
            table: frozenset(
                row[0]
                for row in connection.execute("SELECT name FROM pragma_table_info(?) WHERE type = 'TEXT'", (table,))
            )
            for table in tables
            if table not in UNTOUCHED and not table.startswith("sqlite_")
        }
        self.payload_columns = [
            (table, row[0])
            for table in self.texts
            for row in connection.execute(
                'SELECT "from" FROM pragma_foreign_key_list(?) WHERE "table" = \'payloads\'', (table,)
            )
        ]

    def payloads_of(self, table: str, column: str, by: str, value: str) -> list[int]:
        """Return the payloads that a column refers to, in the rows with a value in another."""
        statement = f"SELECT {column} FROM {table} WHERE {by} = ? AND {column} IS NOT NULL"
        return [row[0] for row in self._connection.execute(statement, (value,))]

    def clear(self, table: str, column: str, by: Iterable[str], key: str) -> None:
        """Empty a column in the rows that are about a key."""
        for each in by:
            self._connection.execute(f"UPDATE {table} SET {column} = '' WHERE {each} = ?", (key,))

    def rename(self, table: str, column: str, names: Mapping[str, str]) -> int:
        """Put names in the place of keys, wherever one stands as a whole: alone, in a longer key, in a sentence."""
        spellings = {text: name for key, name in names.items() for text in (key, _quoted(key)[1:-1])}
        longest_first = sorted(spellings, key=len, reverse=True)
        pattern = re.compile(rf"(?<![\w.-])(?:{'|'.join(map(re.escape, longest_first))})(?![\w-])")
        self._connection.create_function(
            "renamed", 1, lambda text: pattern.sub(lambda found: spellings[found[0]], text), deterministic=True
        )
        changed = 0
        for text in spellings:
            statement = f"""UPDATE {table} SET {column} = renamed({column})
                WHERE instr({column}, :text) > 0 AND renamed({column}) <> {column}"""
            changed += self._connection.execute(statement, {"text": text}).rowcount
        return changed
