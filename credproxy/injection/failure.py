"""Why a credential was not put in: then the request is not sent. Pure."""

from __future__ import annotations


class InjectionFailed(Exception):
    """The credential could not be put into this request; nothing of it may go out. Never says a value.

    Codes: `credential_unfit` (the secret is not of the kind that the grant's `inject` needs: the owner mends it),
    `signing_refused` and `request_unfit` (the agent's request is not of the form that it needs), `body_not_whole`
    (the body is too large to be signed or changed).
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(code, sentence)
        self.code = code
        self.sentence = sentence
