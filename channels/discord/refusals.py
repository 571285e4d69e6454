"""What Discord's refusals mean for a delivery, in words that say what to do. Pure."""

from __future__ import annotations

from channels.channel import DeliveryFailed

PERMANENT = (400, 403, 404, 405, 410, 413)
SLOW_MODE_S = 10.0
_WORDS = {
    10003: "the chat is not there any more",
    10008: "the message is not there any more",
    10014: "Discord knows no such emoji",
    30010: "the message has as many different reactions as Discord takes",
    40005: "the file is too large for Discord",
    50001: "the bot may not see this channel: give it View Channel there",
    50007: "this person takes no direct messages from the bot, or is in no server with it any more",
    50013: "the bot lacks a permission in this channel: see what its invite link asks for",
    50045: "the file is too large for Discord",
    50083: "the thread is archived",
    90001: "this person has blocked the bot",
    160005: "the thread is locked",
}
_LATER = {
    20016: ("the channel's slow mode asks for a pause", SLOW_MODE_S),
    30046: ("too many edits of an old message", 60.0),
}


class Refused(Exception):
    """Discord answered with an error."""

    def __init__(self, *, status: int, code: int, text: str) -> None:
        super().__init__(status, code, text)
        self.status = status
        self.code = code
        self.text = text


def delivery_failed(refused: Refused) -> DeliveryFailed:
    """Return how a delivery failed that Discord answered with this."""
    status, code, text = refused.status, refused.code, refused.text
    if status == 401:
        return DeliveryFailed("Discord: token refused")
    if code in _LATER:
        words, retry_after_s = _LATER[code]
        return DeliveryFailed(f"Discord: {words}", retry_after_s=retry_after_s)
    words = _WORDS.get(code) or " ".join(text.split())[:300] or "no reason given"
    return DeliveryFailed(f"Discord: {words} ({code or status})", permanent=status in PERMANENT)
