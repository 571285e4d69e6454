"""The ways of putting a credential into a request, as grants name them: nouns only. Pure.

`parse.py` and `presets.py` make them, once, when policy is read; `outgoing.py` carries them out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

VALUE = "value"
"""The part of a credential that is meant if none is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetHeader:
    """`NAME: …VALUE…`, in place of whatever the agent sent under that name."""

    name: str
    """Lower case."""
    template: str = "{}"
    """The header's value; one `{}` stands for the credential."""
    part: str = VALUE
    is_optional: bool = False
    """Left out, instead of failing, for a credential without that part: an account's id beside a token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaceHeader:
    """As SetHeader, but only if the agent sent a header of that name: for services that answer without a key too."""

    name: str
    template: str = "{}"
    part: str = VALUE


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveHeader:
    """The agent's header of that name does not go out."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveQuery:
    """The agent's query parameters of that name do not go out."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListHeader:
    """A header that is a list with commas gets one more item, which is no secret: `anthropic-beta`."""

    name: str
    item: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearer:
    """`Authorization: Bearer VALUE`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Basic:
    """`Authorization: Basic …`, of the credential's user name and password."""

    username: str | None = None
    """The user that a plain value is the password of. None: the credential knows its user, or is `user:password`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A query parameter, in place of all of that name."""

    name: str
    part: str = VALUE


@dataclass(frozen=True, slots=True, kw_only=True)
class PathHole:
    """A part of the path: Telegram's way, `/bot{}/**`."""

    templates: tuple[str, ...]
    """Each with one `{}`, which stands for anything within its segment; `/**` at the end is any rest. The first that
    fits is used; a request that fits none is not sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cookie:
    """The one cookie of that name; the agent's own cookies never go out."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonField:
    """A member of a JSON body, at a pointer (RFC 6901) such as `/auth/token`. What it stands in must be there."""

    pointer: str


HmacAlgorithm = Literal["sha1", "sha256", "sha512"]
TimestampForm = Literal["s", "ms", "iso"]
SignatureEncoding = Literal["hex", "base64"]
KeyEncoding = Literal["text", "base64", "hex"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HmacSigning:
    """A header with a signature of the request; the key itself never goes out."""

    header: str
    """Lower case."""
    message: str = "{body}"
    """What is signed, with fields: timestamp, method, path, query, target, host, key_id, body, body_sha256."""
    template: str = "{}"
    """The header's value: `{}` is the signature; timestamp and key_id may be named too."""
    algorithm: HmacAlgorithm = "sha256"
    encoding: SignatureEncoding = "hex"
    """How the signature is written."""
    key_encoding: KeyEncoding = "text"
    """How the key is written in the vault."""
    timestamp_header: str = ""
    """Where the timestamp is sent besides; empty: nowhere."""
    timestamp_form: TimestampForm = "s"
    key_id_header: str = ""
    """Where the key's public id is sent; empty: nowhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SigV4:
    """AWS Signature Version 4, in headers."""

    service: str = ""
    """Empty: as the host says (`s3.eu-central-1.amazonaws.com`)."""
    region: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ByPrefix:
    """What the value begins with decides how it goes out: a provider's keys and its subscription tokens differ."""

    cases: tuple[tuple[str, Step | Recipe], ...]
    otherwise: Step | Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Several steps in their order, signatures last; and what a group's containers are told of the credential."""

    steps: tuple[Step | ByPrefix, ...]
    preset: str = ""
    """The preset it is of: it says the placeholder's form and the environment's names."""
    variables: tuple[str, ...] = ()
    """Names of the environment that the grant gives, for the placeholder."""


Step = (
    SetHeader
    | ReplaceHeader
    | RemoveHeader
    | RemoveQuery
    | ListHeader
    | Bearer
    | Basic
    | Query
    | PathHole
    | Cookie
    | JsonField
    | HmacSigning
    | SigV4
)
Injection = Step | ByPrefix | Recipe
