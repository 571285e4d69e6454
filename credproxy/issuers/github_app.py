"""GitHub Apps: a token for one installation, asked for with a JWT that the app's key signs. Pure but for the signing.

https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app
"""

from __future__ import annotations

import base64
import datetime
import json

from credproxy.issuers.oauth import parse_retry_after, read_fields
from credproxy.issuers.recipe import BadRecipe, GitHubApp
from credproxy.issuers.token import NoToken, Token, TokenAnswer, TokenRequest
from credproxy.vault.secret import BadValue, Secret

JWT_LIFE_S = 540
"""GitHub takes ten minutes at most."""
CLOCK_SLACK_S = 60
"""Issued a minute ago, as GitHub advises: clocks differ."""


def build_installation_request(app: GitHubApp, now: float) -> TokenRequest:
    """Return the request for a token of the installation; raises BadRecipe if the private key is none."""
    asked: dict[str, object] = {}
    if app.repositories:
        asked["repositories"] = list(app.repositories)
    if app.permissions:
        asked["permissions"] = dict(app.permissions)
    headers = (
        (b"accept", b"application/vnd.github+json"),
        (b"accept-encoding", b"identity"),
        (b"authorization", b"Bearer " + sign_jwt(app, now)),
        (b"content-type", b"application/json"),
        (b"user-agent", b"nightyard"),
        (b"x-github-api-version", b"2022-11-28"),
    )
    return TokenRequest(target=app.target, headers=headers, body=json.dumps(asked).encode("ascii"))


def sign_jwt(app: GitHubApp, now: float) -> bytes:
    """Return the app's statement of who it is; raises BadRecipe."""
    # Rare and heavy: whoever has no GitHub App does not pay for it.
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(app.private_key.reveal().encode("ascii"), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BadRecipe("the private key is no PEM key without a password, as GitHub gives it") from None
    if not isinstance(key, RSAPrivateKey):
        raise BadRecipe("the private key is no RSA key, and GitHub Apps have no other")
    claims = {"iat": int(now) - CLOCK_SLACK_S, "exp": int(now) + JWT_LIFE_S, "iss": app.app_id}
    signed = _encoded({"alg": "RS256", "typ": "JWT"}) + b"." + _encoded(claims)
    return signed + b"." + _base64url(key.sign(signed, PKCS1v15(), SHA256()))


def read_installation_answer(app: GitHubApp, answer: TokenAnswer, name: str, now: float) -> Token | NoToken:
    """Return what an answer gives."""
    fields = read_fields(answer) or {}
    if answer.status == 201 or (answer.status == 200 and "token" in fields):
        try:
            token = Secret(name, fields["token"])
            expires_at = datetime.datetime.fromisoformat(str(fields["expires_at"]).replace("Z", "+00:00")).timestamp()
        except (KeyError, ValueError, TypeError, OverflowError, OSError, BadValue):
            return NoToken(code="issuer_refused", sentence="GitHub's answer holds no token", is_for_good=True)
        # Its clock and ours may differ: what counts is how long the token lives, from now on by ours.
        theirs = _read_date(answer.date)
        life_s = max(0.0, expires_at - (theirs if theirs is not None else now))
        return Token(access_token=token, issued_at=now, expires_at=now + life_s)
    return _read_refusal(app, answer, str(fields.get("message", ""))[:120], now)


def _read_refusal(app: GitHubApp, answer: TokenAnswer, message: str, now: float) -> NoToken:
    said = "".join(char if " " <= char <= "~" else " " for char in message) or "no reason given"
    retry_after_s = parse_retry_after(answer.retry_after)
    is_limited = answer.status == 429 or (answer.status == 403 and ("rate limit" in said or retry_after_s is not None))
    if is_limited or answer.status >= 500:
        sentence = f"GitHub cannot give a token now ({answer.status}: {said})"
        return NoToken(code="issuer_unavailable", sentence=sentence, is_for_good=False, retry_after_s=retry_after_s)
    sentence = {
        401: f"GitHub does not accept the app's key ({said}); do app_id and private_key belong together?",
        404: f"GitHub knows no installation {app.target.path.split('/')[-2]} of the app {app.app_id[:40]}",
        403: f"GitHub refuses the installation a token ({said}); is it suspended?",
        422: f"GitHub cannot narrow the token so ({said}); the app must have the repositories and permissions itself",
    }.get(answer.status, f"GitHub refused ({answer.status}: {said})")
    theirs = _read_date(answer.date)
    if answer.status == 401 and theirs is not None and abs(theirs - now) > CLOCK_SLACK_S:
        sentence = f"GitHub does not accept the app's key ({said}): this machine's clock is {now - theirs:+.0f} s off"
        return NoToken(code="issuer_unavailable", sentence=sentence, is_for_good=False)
    return NoToken(code="issuer_refused", sentence=sentence, is_for_good=True)


def _read_date(text: str) -> float | None:
    from email.utils import parsedate_to_datetime  # a whole mail package behind it

    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError, OSError):
        return None


def _encoded(value: object) -> bytes:
    return _base64url(json.dumps(value, separators=(",", ":")).encode("ascii"))


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
