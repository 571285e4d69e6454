"""What connecting a channel asks of its platform and of the vault. Imported by the verbs that need it: asyncio is dear.

A token passes through here once, from the keyboard to the credential proxy (or back, for a check), and is kept nowhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass

from channels.registry import UnknownPlatform
from cli.channel_guides import WHERE
from cli.problem import CliProblem
from cli.vault_link import ask_proxy
from credproxy.admin_client.link import ProxyRefused


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a platform says about a token."""

    bot: str
    """The bot's name there."""
    faults: tuple[str, ...] = ()
    """What is switched off or not granted that should be."""
    next_steps: tuple[str, ...] = ()
    """What is still to be done on the platform, in words."""


class _Refused(Exception):
    """The platform does not know the token."""


class _Unusable(Exception):
    """No platform would take this; the text says why."""


class _Unreachable(Exception):
    """No usable answer; the text says why."""


def secret_of(name: str) -> str:
    """Return what a channel's token is called in the vault."""
    return f"{name[:26]}-token"


def check(platform: str, token: str, url: str) -> Checked:
    """Ask the platform whose the token is. CliProblem where that fails."""
    checking = _CHECKS.get(platform)
    if checking is None:
        raise CliProblem(str(UnknownPlatform(platform)), "./nightyard channel add --help")
    try:
        return asyncio.run(checking(token, url))
    except _Refused as error:
        raise CliProblem(f"{platform.capitalize()} does not know this token", WHERE[platform]) from error
    except _Unusable as error:
        raise CliProblem(str(error), WHERE[platform]) from error
    except _Unreachable as error:
        what = "the network and --url" if url else "the network"
        raise CliProblem(str(error), f"check {what}, then try again") from error


def set_up(platform: str, secret: str, token: str, url: str, others: Mapping[str, str]) -> Checked:
    """Check the token with its platform, put it into the vault as `secret`. CliProblem where either fails, or where one
    of the `others`, which are channel → its secret, has that token: each would hear a part of what is said."""
    try:
        checked = check(platform, token, url)
        _refuse_known(token, others)
    except CliProblem as problem:
        raise CliProblem(f"{problem.message}; nothing was stored", problem.mend, problem.exit_code) from problem
    ask_proxy(lambda proxy: proxy.secret_add(secret, token, "channel", replace=True))
    return checked


def _refuse_known(token: str, others: Mapping[str, str]) -> None:
    for channel, secret in others.items():
        try:
            known = _fetch(secret, f"is channel {channel} the same account?")
        except CliProblem as problem:
            if not isinstance(problem.__cause__, ProxyRefused):
                raise
            continue  # that channel has no token: not this one either
        if set(known.split()) & set(token.split()):
            raise CliProblem(f"the channel {channel} has this token already", f"./nightyard channel remove {channel}")


def test(platform: str, name: str, secret: str, url: str) -> Checked:
    """Check the token that is in the vault."""
    return check(platform, _fetch(secret, f"test of channel {name}"), url)


def _fetch(secret: str, purpose: str) -> str:
    return ask_proxy(lambda proxy: proxy.secret_fetch(secret, purpose))


def forget_secret(name: str) -> None:
    """Take a channel's token out of the vault, if it is there."""
    try:
        ask_proxy(lambda proxy: proxy.secret_remove(name))
    except CliProblem as problem:
        if not isinstance(problem.__cause__, ProxyRefused):
            raise


async def _check_telegram(token: str, url: str) -> Checked:
    from channels.telegram.client import check_token
    from channels.telegram.failures import TokenRefused, Unreachable

    try:
        return Checked(bot=await check_token(token, url))
    except TokenRefused as error:
        raise _Refused from error
    except Unreachable as error:
        raise _Unreachable(str(error)) from error


async def _check_discord(token: str, url: str) -> Checked:
    from channels.discord.client import check_token
    from channels.discord.failures import ShutOut, TokenRefused, Unreachable

    try:
        facts = await check_token(token, url)
    except TokenRefused as error:
        raise _Refused from error
    except (ShutOut, Unreachable) as error:
        raise _Unreachable(str(error)) from error
    invite = f"Let it into your server, with just the permissions that it needs: {facts.invite_link}"
    return Checked(bot=facts.name, faults=(facts.missing,) if facts.missing else (), next_steps=(invite,))


async def _check_slack(token: str, url: str) -> Checked:
    from channels.slack.client import check_token
    from channels.slack.failures import SecretMissing, TokenRefused, Unreachable

    try:
        account = await check_token(token, url)
    except TokenRefused as error:
        raise _Refused from error
    except SecretMissing as error:
        raise _Unusable("Slack needs two tokens: the bot's (xoxb-…), and the app's (xapp-…)") from error
    except Unreachable as error:
        raise _Unreachable(str(error)) from error
    invite = "Invite it where it is to listen: /invite and its name, in that channel"
    return Checked(bot=f"{account.bot_name} in {account.team}", faults=account.faults, next_steps=(invite,))


_CHECKS: Mapping[str, Callable[[str, str], Coroutine[object, object, Checked]]] = {
    "telegram": _check_telegram,
    "discord": _check_discord,
    "slack": _check_slack,
}
