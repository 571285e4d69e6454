"""How often Slack takes which method, as it publishes it: tiers a minute, and a post a second in each channel. Pure."""

from __future__ import annotations

from channels.pace import Pace, Rate

_POSTS = (Rate(calls=3, in_s=3.0, reserve=1),)
"""`chat.postMessage`: one a second in a channel, "short bursts" allowed."""
_ALL_POSTS = (Rate(calls=240, in_s=60.0, reserve=60),)
""""Several hundred a minute" in a workspace."""
_TIERS: dict[str, tuple[Rate, ...]] = {
    "chat.startStream": (Rate(calls=20, in_s=60.0, reserve=2),),
    "chat.stopStream": (Rate(calls=20, in_s=60.0),),
    "chat.appendStream": (Rate(calls=100, in_s=60.0),),
    "chat.update": (Rate(calls=50, in_s=60.0, reserve=15),),
    "chat.delete": (Rate(calls=50, in_s=60.0, reserve=10),),
    "conversations.history": (Rate(calls=50, in_s=60.0),),
    "conversations.replies": (Rate(calls=50, in_s=60.0),),
    "conversations.info": (Rate(calls=50, in_s=60.0),),
    "users.conversations": (Rate(calls=50, in_s=60.0),),
    "users.info": (Rate(calls=100, in_s=60.0),),
    "files.getUploadURLExternal": (Rate(calls=100, in_s=60.0),),
    "files.completeUploadExternal": (Rate(calls=100, in_s=60.0),),
    "files.info": (Rate(calls=100, in_s=60.0),),
    "reactions.add": (Rate(calls=50, in_s=60.0, reserve=5),),
    "reactions.remove": (Rate(calls=50, in_s=60.0, reserve=5),),
    "reactions.get": (Rate(calls=50, in_s=60.0),),
    "assistant.threads.setStatus": (Rate(calls=600, in_s=60.0),),
}
_PER_CHANNEL = ("chat.postMessage",)


class Rates:
    """The paces of one account, one a method. A method that is not listed has only Slack's own word."""

    def __init__(self) -> None:
        self._paces: dict[str, Pace[str]] = {}

    def pace(self, method: str) -> Pace[str]:
        if method not in self._paces:
            posts = _POSTS if method in _PER_CHANNEL else ()
            account = _ALL_POSTS if method in _PER_CHANNEL else _TIERS.get(method, ())
            self._paces[method] = Pace(account, lambda _: posts)
        return self._paces[method]

    def told_to_wait(self, method: str, conversation: str, seconds: float, now: float) -> None:
        """Note Slack's own word: of one channel for posts, of the whole workspace for all others."""
        self.pace(method).told_to_wait(conversation if method in _PER_CHANNEL else None, seconds, now)
