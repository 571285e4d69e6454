"""What can go wrong between us and Slack, in our words; `client.py` alone knows the errors of the SDK. Pure."""

from __future__ import annotations

from channels.channel import DeliveryFailed

TOKEN_ERRORS = frozenset(
    (
        "invalid_auth",
        "not_authed",
        "token_revoked",
        "token_expired",
        "account_inactive",
        "not_allowed_token_type",
        "team_access_not_granted",
        "user_removed_from_team",
        "org_login_required",
    )
)
"""Slack's words for a token that is of no use, until somebody gives another one."""
PASSING_ERRORS = frozenset(
    (
        "ratelimited",
        "rate_limited",
        "internal_error",
        "fatal_error",
        "service_unavailable",
        "request_timeout",
        "team_added_to_org",
        "accesslimited",
        "upload_in_progress",
        "file_upload_get_error",
        "no_answer",
    )
)
"""Those that another try may end well. All others are for good."""
DISCONNECTS = {"too_many_websockets": "too many programs have a socket of this app open (Slack takes ten)"}
"""Slack's reasons to end a socket, where they want other words."""
_IN_WORDS = {
    "channel_not_found": "there is no such conversation, or the bot may not see it",
    "not_in_channel": "the bot is not in that channel; invite it: /invite @the-bot",
    "is_archived": "the channel is archived",
    "missing_scope": "the app lacks the scope `{needed}`; add it in its settings and install it again",
    "edit_window_closed": "this workspace lets messages be changed for a while only, and that is over",
    "cant_update_message": "the message is not the bot's own",
    "cant_delete_message": "the message is not the bot's own",
    "restricted_action": "an admin of the workspace does not let the bot write there",
    "msg_too_long": "the text is too long",
}


class TokenRefused(Exception):
    """Slack refuses one of the two tokens: take new ones from the app's settings to `nightyard channel add slack`."""

    def __str__(self) -> str:
        return " ".join((self.__doc__ or "").split())


class Unreachable(Exception):
    """Slack gave no usable answer; the text says why."""


class SecretMissing(Exception):
    """The tokens could not be had, or are not two; the text says why."""


class Lost(Exception):
    """The socket is of no use any more; the text says why."""


class SocketsOff(Exception):
    """Socket Mode is switched off for the app: switch it on in its settings."""


class StoreFailed(Exception):
    """An event could not be stored; the cause says why."""


class Unanswered(DeliveryFailed):
    """Slack was asked and gave no answer that can be read: what was asked for may have been done."""


class Refused(DeliveryFailed):
    """Slack said no, and why: `error` is its word."""

    def __init__(self, method: str, error: str, *, needed: str = "") -> None:
        self.is_token = error in TOKEN_ERRORS
        words = _IN_WORDS.get(error, "").format(needed=needed or "?")
        reason = "token refused" if self.is_token else f"{error}: {words}" if words else f"{error} ({method})"
        is_permanent = not self.is_token and error not in PASSING_ERRORS
        super().__init__(f"Slack: {reason}", permanent=is_permanent)
        self.error = error


def is_for_people(failed: Exception) -> bool:
    """Return whether a connection comes to nothing until somebody mends something: it is not tried again soon."""
    is_token = isinstance(failed, Refused) and failed.is_token
    return is_token or isinstance(failed, (TokenRefused, SocketsOff))


def problem_of(failed: TokenRefused | SocketsOff | DeliveryFailed) -> str:
    """Return in a few words why there is no connection."""
    if isinstance(failed, SocketsOff):
        return str(failed.__doc__)
    if is_for_people(failed):
        return "token refused"
    return str(failed)
