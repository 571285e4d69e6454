"""What connecting a channel asks of its platform and of the vault. Imported by the verbs that need it: asyncio is dear.

The token passes through here once, from the keyboard to the credential proxy, and is kept nowhere.
"""

from __future__ import annotations

import asyncio

from cli.problem import CliProblem
from cli.vault_link import ask_proxy
from credproxy.admin_client.link import ProxyRefused


def secret_of(name: str) -> str:
    """Return what a channel's token is called in the vault."""
    return f"{name[:26]}-token"


def set_up_telegram(name: str, token: str, url: str) -> str:
    """Check the token with Telegram, put it into the vault; return the bot's name. CliProblem where either fails."""
    from channels.telegram.client import check_token
    from channels.telegram.failures import TokenRefused, Unreachable

    try:
        bot = asyncio.run(check_token(token, url))
    except TokenRefused as error:
        text = "Telegram does not know this token; nothing was stored"
        raise CliProblem(text, "ask @BotFather for the bot's token: /token") from error
    except Unreachable as error:
        raise CliProblem(f"{error}; nothing was stored", "check the network, then try again") from error
    ask_proxy(lambda proxy: proxy.secret_add(secret_of(name), token, "channel", replace=True))
    return bot


def forget_secret(name: str) -> None:
    """Take a channel's token out of the vault, if it is there."""
    try:
        ask_proxy(lambda proxy: proxy.secret_remove(name))
    except CliProblem as problem:
        if not isinstance(problem.__cause__, ProxyRefused):
            raise
