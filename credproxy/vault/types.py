"""The types of secrets: which parts each is made of. Pure.

A part is told to nobody, except a public one (an address, a number), which `secret show` shows. What a token's issuer
gave (`access_token`) is stored beside the parts by `Vault.store_token`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from credproxy.vault.secret import BadValue, check_value

VALUE = "value"
"""The one part of a plain key; what is asked for if nothing else is said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    name: str
    what: str
    """In a sentence that asks for it: `the access key's id`."""
    is_needed: bool = True
    is_public: bool = False
    is_asked: bool = True
    """Whether a person is asked for it, where it is not needed."""
    has_lines: bool = False
    """A PEM block: the one thing that may hold line breaks, and that no header is ever made of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretType:
    name: str
    what: str
    parts: tuple[Part, ...]

    @property
    def is_plain(self) -> bool:
        """One value and nothing else: a text is enough to say it."""
        return self.parts[0].name == VALUE

    def find(self, name: str) -> Part | None:
        return next((part for part in self.parts if part.name == name), None)


TYPES: Mapping[str, SecretType] = {
    each.name: each
    for each in (
        SecretType(name="key", what="one value, sent as it is", parts=(Part(name=VALUE, what="the value"),)),
        SecretType(
            name="basic",
            what="a user name and a password",
            parts=(
                Part(name="username", what="the user name"),
                Part(name="password", what="the password"),
            ),
        ),
        SecretType(
            name="aws",
            what="an AWS access key, for signing",
            parts=(
                Part(name="access_key_id", what="the access key's id", is_public=True),
                Part(name="secret_access_key", what="the secret access key"),
                Part(name="session_token", what="the session token", is_needed=False),
            ),
        ),
        SecretType(
            name="hmac",
            what="a key for signing, and its id",
            parts=(
                Part(name=VALUE, what="the signing key"),
                Part(name="key_id", what="the key's id", is_needed=False, is_public=True, is_asked=False),
            ),
        ),
        SecretType(
            name="oauth2-refresh",
            what="a refresh token, from which access tokens are got",
            parts=(
                Part(name="refresh_token", what="the refresh token"),
                Part(
                    name="token_url",
                    what="the address that gives tokens",
                    is_needed=False,
                    is_public=True,
                    is_asked=False,
                ),
                Part(name="client_id", what="the client's id", is_needed=False, is_public=True, is_asked=False),
                Part(name="client_secret", what="the client's secret", is_needed=False),
                Part(name="scope", what="the scope", is_needed=False, is_public=True, is_asked=False),
                Part(name="access_token", what="an access token that is still good", is_needed=False, is_asked=False),
                Part(name="account_id", what="the account's id", is_needed=False, is_public=True, is_asked=False),
            ),
        ),
        SecretType(
            name="client-credentials",
            what="a client's id and secret, from which access tokens are got",
            parts=(
                Part(name="client_id", what="the client's id", is_public=True),
                Part(name="client_secret", what="the client's secret"),
                Part(name="token_url", what="the address that gives tokens", is_public=True),
                Part(name="scope", what="the scope", is_needed=False, is_public=True, is_asked=False),
                Part(name="audience", what="the audience", is_needed=False, is_public=True, is_asked=False),
                Part(name="access_token", what="an access token that is still good", is_needed=False, is_asked=False),
            ),
        ),
        SecretType(
            name="github-app",
            what="a GitHub App, which gives tokens for one installation",
            parts=(
                Part(name="app_id", what="the app's id", is_public=True),
                Part(name="installation_id", what="the installation's id", is_public=True),
                Part(name="private_key", what="the private key (PEM)", has_lines=True),
                Part(name="api_url", what="the API's address", is_needed=False, is_public=True, is_asked=False),
                Part(name="repositories", what="the repositories", is_needed=False, is_public=True, is_asked=False),
                Part(name="permissions", what="the permissions", is_needed=False, is_public=True, is_asked=False),
                Part(name="access_token", what="an access token that is still good", is_needed=False, is_asked=False),
            ),
        ),
    )
}


def check_parts(type_name: str, parts: Mapping[str, str]) -> None:
    """Raise BadValue unless the parts make up a secret of that type. The message never repeats a value."""
    secret_type = TYPES.get(type_name)
    if secret_type is None:
        raise BadValue(f"there is no type {type_name[:40]!r}; the types are {', '.join(TYPES)}")
    unknown = sorted(parts.keys() - {part.name for part in secret_type.parts})
    if unknown:
        known = ", ".join(part.name for part in secret_type.parts)
        raise BadValue(f"a secret of type {type_name} has no part {unknown[0][:40]!r}; its parts are {known}")
    for part in secret_type.parts:
        if part.name in parts:
            _check_part(part, parts[part.name], is_only=secret_type.is_plain and part.name == VALUE)
        elif part.is_needed:
            raise BadValue(f"a secret of type {type_name} needs its part {part.name} ({part.what})")


def _check_part(part: Part, value: str, *, is_only: bool) -> None:
    try:
        check_value(value, has_lines=part.has_lines)
    except BadValue as bad:
        if is_only:
            raise
        raise BadValue(f"{part.name}: {bad.reason}") from None
