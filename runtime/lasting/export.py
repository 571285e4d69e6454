"""Export: what people decided, what happened, and what is kept of one person, page by page for whoever writes files."""

from __future__ import annotations

from protocol.codec import Json
from protocol.ids import PersonKey
from runtime.refusal import OperationRefused
from runtime.store import export_rows, people_rows
from runtime.store.store import Store

PAGE = 500


class ExportDesk:
    """Gives pages. A page that is not full is the last."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def decided(self, name: str, offset: int) -> Json:
        """Return a page of what people decided in chats and on the machine."""
        if name not in export_rows.DECIDED:
            text = f"there is nothing to export by the name {name[:40]!r} (known: {', '.join(export_rows.DECIDED)})"
            raise OperationRefused("unknown_name", text)
        return _page(await self._store.read(export_rows.decided, name, max(0, offset), PAGE))

    async def journal(self, after_seq: int) -> Json:
        """Return a page of the journal, chained as it stands."""
        return _page(await self._store.read(export_rows.journal, after_seq, PAGE))

    async def person(self, person: PersonKey, after_seq: int) -> Json:
        """Return a page of what a person said, under all their identities, and was answered."""
        keys = await self._store.read(people_rows.keys_of, person)
        return _page(await self._store.read(export_rows.said_by, keys, after_seq, PAGE))


def _page(rows: tuple[export_rows.Row, ...]) -> Json:
    return {"rows": [dict(row) for row in rows], "is_last": len(rows) < PAGE, "names": list(export_rows.DECIDED)}
