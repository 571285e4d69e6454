"""Where the bot wants its updates to be brought, instead of coming for them."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from twins.telegram.arguments import Arguments, Upload
from twins.telegram.chats import Json
from twins.telegram.refusal import Refusal, bad_request
from twins.telegram.webhook import Webhook
from twins.telegram.world import World

PORTS = (443, 80, 88, 8443)
LOOPBACK = ("127.0.0.1", "::1", "localhost")
MAX_SECRET = 256
MAX_CONNECTIONS = 40


def set_webhook(world: World, arguments: Arguments) -> bool:
    url = arguments.text("url").strip()
    if not url:
        return delete_webhook(world, arguments)
    secret = arguments.text("secret_token")
    if len(secret) > MAX_SECRET:
        raise bad_request("secret token is too long")
    if not re.fullmatch(r"[A-Za-z0-9_-]*", secret):
        raise bad_request("secret token contains unallowed characters")
    _check_address(url)
    if world.clock.now() < world.next_set_webhook:
        raise Refusal(429, "Too Many Requests: retry after 1", retry_after=1)
    world.next_set_webhook = world.clock.now() + 1
    if arguments.boolean("drop_pending_updates"):
        world.updates.clear()
    world.updates.allow(arguments.structure("allowed_updates"))
    world.webhook = Webhook(
        url=url,
        secret_token=secret,
        ip_address=arguments.text("ip_address") or "127.0.0.1",
        has_certificate=isinstance(arguments.file("certificate"), Upload),
        max_connections=arguments.integer("max_connections") or MAX_CONNECTIONS,
    )
    world.log.note("webhook_set", url=url)
    return True


def _check_address(url: str) -> None:
    """Raise the Refusal for an address that cannot be one; plain HTTP and any port only on this machine, as the open
    server has it when it is run with --local."""
    parts = urlsplit(url)
    try:
        host, port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise bad_request("bad webhook: invalid URL port specified") from None
    if not host:
        raise bad_request("invalid webhook URL specified")
    if host in LOOPBACK and parts.scheme in ("http", "https"):
        return
    if parts.scheme != "https":
        raise bad_request("bad webhook: An HTTPS URL must be provided for webhook")
    if port not in PORTS:
        raise bad_request("bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443")


def delete_webhook(world: World, arguments: Arguments) -> bool:
    if arguments.boolean("drop_pending_updates"):
        world.updates.clear()
    world.webhook = None
    world.log.note("webhook_set", url="")
    return True


def get_webhook_info(world: World, arguments: Arguments) -> Json:
    del arguments
    return {
        **(world.webhook.as_json() if world.webhook else {"url": "", "has_custom_certificate": False}),
        "pending_update_count": len(world.updates.numbers()),
        **world.updates.as_json(),
    }


METHODS: dict[str, Any] = {
    "setwebhook": set_webhook,
    "deletewebhook": delete_webhook,
    "getwebhookinfo": get_webhook_info,
}
