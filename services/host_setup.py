"""What the host's wiring goes by, made of settings and home: channels, the engine, the agent image, the home's id."""

from __future__ import annotations

import base64
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from channels.channel import Channel
from channels.registry import UnknownPlatform, build_channel
from channels.terminal.channel import TerminalChannel
from channels.webhook.hook import Hook
from credproxy.admin_client.link import ProxyAdmin
from protocol.ids import ChannelId
from runtime.channel_house import MakeChannel
from runtime.config import TERMINAL, WEBHOOK, ChannelSettings, channel_platform
from runtime.container_engine import ContainerEngine
from runtime.home import Home
from runtime.settings_file import load_settings
from services.log_setup import hide

ROOT = Path(__file__).resolve().parent.parent
MB = 1 << 20


@asynccontextmanager
async def open_engine(fork: Path) -> AsyncIterator[ContainerEngine]:
    """The engine that the settings name, or whichever answers; not asked anything yet."""
    named = load_settings(fork).settings.containers.engine
    engine = ContainerEngine((named,) if named else None)
    try:
        yield engine
    finally:
        engine.close()


def make_channels(
    terminal: TerminalChannel, proxy: ProxyAdmin, kept: Path, hooks: Callable[[], Mapping[str, Hook]]
) -> MakeChannel:
    """Return how a channel of the settings is made; its token is fetched from the proxy at each connection. `kept`: a
    folder in which each has a file of its own; `hooks`: those of the groups, by name."""

    def make(channel_id: ChannelId, settings: ChannelSettings) -> Channel:
        platform = channel_platform(channel_id, settings)
        if platform == TERMINAL:
            if channel_id != TERMINAL:
                raise ValueError("there is one terminal channel, and it is called `terminal`")
            return terminal
        if platform == WEBHOOK:
            from channels.webhook.channel import WebhookChannel  # late: it brings h11

            return WebhookChannel(channel_id, settings.url, hooks, partial(_fetch, proxy, channel_id))
        secret = settings.secret
        if secret is None:
            raise ValueError(f"it names no secret; `nightyard channel add {platform}` stores a token and names it")
        try:
            fetch = partial(_fetch, proxy, channel_id, secret)
            return build_channel(channel_id, platform, fetch, settings.url, kept / f"{channel_id}.json")
        except UnknownPlatform as error:
            raise ValueError(str(error)) from error

    return make


async def _fetch(proxy: ProxyAdmin, channel_id: ChannelId, secret: str) -> str:
    return hide(await proxy.secret_fetch(secret, f"channel {channel_id}"))


def home_id(home: Home) -> str:
    """Return the id that labels this home's containers, made at its first start."""
    try:
        return home.home_id_file.read_text("ascii").strip()
    except FileNotFoundError:
        made = base64.b32encode(os.urandom(5)).decode("ascii").lower()
        home.home_id_file.write_text(f"{made}\n", "ascii")
        return made


def agent_image(home: Home) -> str:
    """Return the image that `nightyard up` noted; without its note, the one that this checkout would make."""
    try:
        noted = (home.run / "image").read_text("ascii").strip()
    except FileNotFoundError:
        noted = ""
    if noted:
        return noted
    from cli.image import image_reference  # late: it brings the whole engine client along

    return image_reference(ROOT)
