"""The bot's own address, to which its updates are brought instead of waiting to be asked for."""

from __future__ import annotations

from dataclasses import dataclass, field

from twins.telegram.chats import Json


@dataclass(slots=True, kw_only=True)
class Webhook:
    url: str
    secret_token: str
    ip_address: str
    has_certificate: bool
    max_connections: int
    last_error_date: int = 0
    last_error_message: str = ""
    gone_since: float | None = None
    """When it first said 410, if it has said nothing else since."""
    busy: set[str] = field(default_factory=set)
    """The chats whose update is on its way, or waits for its next try."""

    def as_json(self) -> Json:
        about: Json = {
            "url": self.url,
            "has_custom_certificate": self.has_certificate,
            "max_connections": self.max_connections,
            "ip_address": self.ip_address,
        }
        if self.last_error_message:
            about |= {"last_error_date": self.last_error_date, "last_error_message": self.last_error_message}
        return about
