"""Takes previous values off the disk when their overlap is over. They are not used by then: `Vault.values` looks at the
clock; this is so that nothing lies about that nobody needs.
"""

from __future__ import annotations

import asyncio
import logging

from credproxy.vault.errors import VaultError
from credproxy.vault.vault import Vault

log = logging.getLogger(__name__)

LOOK_EVERY_S = 600.0


async def forget_ended(vault: Vault, *, every_s: float = LOOK_EVERY_S) -> None:
    """Look now and then, until cancelled."""
    while True:
        await asyncio.sleep(every_s)
        if vault.has_ended_values():
            try:
                await asyncio.to_thread(vault.forget_ended)
            except VaultError as error:
                log.warning("old values stay in the vault for now: %s", error, extra={"action": "vault_upkeep"})
