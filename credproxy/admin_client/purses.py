"""The day's purses, as the host says them; taken in `admin_server/state.py`."""

from __future__ import annotations

from collections.abc import Sequence

from credproxy.admin_client.link import ProxyAdmin
from protocol.codec import to_json
from protocol.task import Purse


async def put_purses(admin: ProxyAdmin, purses: Sequence[Purse]) -> None:
    """Have these, and no others, hold for who pays from them without a task. Raises ProxyError."""
    await admin.ask("put_purses", {"purses": [to_json(purse) for purse in purses]})
