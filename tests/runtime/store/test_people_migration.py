"""A home from before people had several identities and chats several agents."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from pathlib import Path

from protocol.ids import ChatKey, PersonKey
from runtime.store import people_rows
from runtime.store.migrate import MIGRATIONS, migrate
from runtime.store.records import Binding
from runtime.store.store import open_store

OLD = """
INSERT INTO persons VALUES ('telegram:7', 'Anna', 'owner', '2026-01-01T00:00:00.000000Z', 'cli');
INSERT INTO chats VALUES ('telegram:7', 'telegram', 'direct', '2026-01-01T00:00:00.000000Z');
INSERT INTO chats VALUES ('telegram:-1', 'telegram', 'many', '2026-01-01T00:00:00.000000Z');
INSERT INTO payloads VALUES (1, 'telegram:7', '{}');
INSERT INTO raw_updates VALUES (1, 'telegram', 'e1', x'', 'decoded', '', '2026-01-01T00:00:00.000000Z');
INSERT INTO messages (message_id, raw_id, state, channel_id, chat, person, kind, platform_message_id, payload_id,
    received_at) VALUES ('msg_1', 1, 'answered', 'telegram', 'telegram:7', 'telegram:7', 'message', 'p1', 1,
    '2026-01-01T00:00:00.000000Z');
INSERT INTO bindings VALUES ('telegram:7', 'direct', 'main', 'always', 'drop', 'chat', '2026-01-01T00:00:00.000000Z',
    'telegram:7');
INSERT INTO bindings VALUES ('telegram:-1', 'many', 'main', 'mention', 'context', 'shared',
    '2026-01-01T00:00:00.000000Z', 'cli');
"""


async def test_what_was_set_holds_as_before(tmp_path: Path) -> None:
    """Bindings keep their settings and are their chats' default agents; an owner is found in the chat they used."""
    before = tmp_path / "before"
    before.mkdir()
    for script in sorted(MIGRATIONS.glob("00[12]_*.sql")):
        shutil.copy(script, before)
    path = tmp_path / "store.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        migrate(connection, str(path), before)
        connection.executescript(OLD)
    (tmp_path / "journal.key").write_bytes(b"k" * 32)
    async with open_store(tmp_path) as store:
        direct, many = await store.binding_of(ChatKey("telegram:7")), await store.binding_of(ChatKey("telegram:-1"))
        assert isinstance(direct, Binding)
        assert isinstance(many, Binding)
        assert (direct.when, direct.session, direct.is_default, direct.mode) == ("always", "chat", True, "steer")
        assert (many.when, many.rest, many.session, many.whom) == ("mention", "context", "shared", "known")
        assert await store.read(people_rows.owner_chats) == ("telegram:7",)
        facts = await store.sender_facts(PersonKey("telegram:7"), ChatKey("telegram:7"))
        assert facts.person is not None
        assert facts.person.role == "owner"
