"""`nightyard vault`: where the key is that opens all secrets, and another one in its place."""

from __future__ import annotations

import click

from cli.vault_link import ask_proxy
from credproxy.admin_client.secrets import VaultHealth, rekey_vault, vault_health

PLACES = {
    "file": "vault.key in the home, which only its owner may read",
    "systemd": "systemd's credential nightyard.vault-key",
    "keyring": "the desktop's keyring",
}
REKEY_TIMEOUT_S = 60.0


@click.group()
def vault() -> None:
    """See and change the key that opens all secrets."""


@vault.command()
def show() -> None:
    """Tell where the vault's key is kept, and since when it is this one. Never the key."""
    click.echo(_describe(ask_proxy(vault_health)))


@vault.command()
@click.option(
    "--to", "place", type=click.Choice(tuple(PLACES)), help="Keep the new key there; else where the old one is."
)
def rekey(place: str | None) -> None:
    """Seal every secret anew under a new key. The old one opens nothing any more, but older backups."""
    click.echo(_describe(ask_proxy(lambda admin: rekey_vault(admin, place), answer_timeout_s=REKEY_TIMEOUT_S)))


def _describe(state: VaultHealth) -> str:
    since = state.key_made_at[:16].replace("T", " ")
    return (
        f"{state.secrets} secrets, sealed under the key {state.key_id} (since {since}), kept in {PLACES[state.place]}."
    )
