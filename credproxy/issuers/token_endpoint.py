"""Which requests may bring fresh tokens, or a client's secret. Pure, and small: every POST is asked about, and few
homes need the rest.

What such a request and its answer say is read in `capture.py`.
"""

from __future__ import annotations

import re

from credproxy.wire.target import Target

_ENDPOINT = re.compile(
    r"/(?:o?auth2?[./])?"
    r"(?:token|tokens|access_token|access_tokens|accesstoken|get_token|gettoken|refresh_token|refreshtoken"
    r"|token\.oauth2|token\.php|create_api_key"
    r"|oauth\.access|oauth\.v2\.access|oauth\.v2\.exchange|openid\.connect\.token|tooling\.tokens\.rotate)/?",
    re.IGNORECASE,
)
_REGISTRATION = re.compile(r"/(?:register|registration|reg)/?$", re.IGNORECASE)
_SEGMENT_END = re.compile(r"(?:;|%3B)[^/]*")
_ASKED = re.compile(r"(?:^|[&;])(?:grant_type|client_secret|client_assertion|refresh_token|code|device_code)=")
_ASKING_METHODS = frozenset(("POST", "PUT", "PATCH"))


def is_registration(method: str, target: Target, media_type: bytes) -> bool:
    """Whether a client may register itself (RFC 7591). Many a site has such a path: what is asked decides
    (`capture.asks_to_register`)."""
    if method != "POST" or b"json" not in media_type.lower() or target.is_ambiguous:
        return False
    return _REGISTRATION.search(target.path) is not None


def is_token_endpoint(method: str, target: Target) -> bool:
    """Whether what comes back may be fresh tokens. By the path's last part: every host may be an issuer. Whatever a
    server may take for that path counts as it: slashes behind it, `;` and what follows. A GET counts where its query
    asks as a token request does."""
    if method == "GET":
        if target.query is None or _ASKED.search(target.query) is None:
            return False
    elif method not in _ASKING_METHODS:
        return False
    path = target.path.rstrip("/")
    if target.is_ambiguous:
        path = _SEGMENT_END.sub("", path.replace("%2F", "/")).rstrip("/")
    return _ENDPOINT.fullmatch(path[path.rfind("/") :]) is not None
