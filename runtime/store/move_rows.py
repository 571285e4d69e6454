"""Giving a chat its new key: everything that knew it by the former one, in one transaction.

Which columns hold keys of chats is read from the schema, so that no room's table is left out. Payloads are left as they
are: what a message's row says of its chat goes before what its payload says. Each function is one job.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from protocol.ids import ChatKey
from runtime.journal import JournalKind
from runtime.store.database import Transaction
from runtime.store.forget_rows import Schema
from runtime.store.inbound_rows import file_nothing
from runtime.store.journal_rows import append

APART = frozenset({"moved_chats", "raw_updates"})
"""Former keys stand in the one; the other holds what platforms call their updates."""


def move_chat(transaction: Transaction, raw_id: int, former: ChatKey, chat: ChatKey) -> bool:
    """Have all that was a chat's be another key's; file the update that said so. False: nothing was left to do."""
    known = transaction.one("chat_now", chat=former, parent=former)
    file_nothing(transaction, raw_id)
    if former == chat or (known is not None and known["chat"] == chat):
        return False
    now = transaction.now_text()
    transaction.connection.execute("PRAGMA defer_foreign_keys = ON")
    transaction.run("retire_before_move", former=former, chat=chat, ended_at=now)
    _rename(transaction, former, chat)
    transaction.run("drop_move", chat=chat)
    transaction.run("insert_move", former=former, chat=chat, moved_at=now)
    append(transaction, JournalKind.CHAT_MOVED, f"{former} {chat}", raw=str(raw_id))
    return True


def moved_chats(transaction: Transaction) -> Mapping[ChatKey, ChatKey]:
    """Return what each former key is now."""
    return {ChatKey(row["former"]): ChatKey(row["chat"]) for row in transaction.all("moved_chats")}


def _rename(transaction: Transaction, former: ChatKey, chat: ChatKey) -> None:
    """Put the new key in the place of the former wherever that stands, as a key or in front of a thread's. Where a row
    of the new key is there already, that one stays and the former one goes."""
    connection = transaction.connection
    whole = re.compile(rf"(?<![\w.-]){re.escape(former)}(?![\w-])")
    connection.create_function("moved", 1, lambda text: whole.sub(lambda _: chat, text), deterministic=True)
    schema = Schema(connection)
    tables = {table: columns for table, columns in schema.texts.items() if table not in APART}
    for table, columns in tables.items():
        for column in columns:
            connection.execute(
                f"""UPDATE OR IGNORE {table} SET {column} = moved({column})
                    WHERE instr({column}, :former) > 0 AND moved({column}) <> {column}""",
                {"former": former},
            )
    for table, columns in tables.items():
        for column in columns & {"chat", "subject"}:
            connection.execute(f"DELETE FROM {table} WHERE {column} = ?", (former,))
    connection.execute("UPDATE payloads SET subject = ? WHERE subject = ?", (chat, former))
    connection.execute("UPDATE moved_chats SET chat = moved(chat)")
