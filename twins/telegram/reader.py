"""What the readers of marked-up text stand on: a source, a result that grows, the entities found. Pure."""

from __future__ import annotations

from typing import Any

from twins.telegram.entities import Entity
from twins.telegram.links import checked_link, user_of_link

SPACE = " \t\r\n\0\v"


class CannotParse(Exception):
    """The text is not what its parse mode says; the words are the server's."""


class Reader:
    """What all three share: the source, the result that grows, and how much of it there is."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.kept: list[str] = []
        self.offset = 0
        self.entities: list[Entity] = []

    def peek(self, ahead: int = 0) -> str:
        """Return the character there, or nothing behind the end."""
        return self.text[self.at + ahead : self.at + ahead + 1]

    def keep(self, character: str) -> None:
        self.kept.append(character)
        self.offset += 2 if ord(character) > 0xFFFF else 1

    def bytes_before(self, at: int) -> int:
        return len(self.text[:at].encode())

    def add(self, kind: str, offset: int, **details: Any) -> None:
        if self.offset > offset:
            self.entities.append({"type": kind, "offset": offset, "length": self.offset - offset, **details})

    def add_link(self, offset: int, url: str) -> None:
        """Add what a link is: to a person, or to a page; what is no address is no entity."""
        person = user_of_link(url)
        if person is not None:
            self.add("text_mention", offset, user={"id": person})
        elif checked := checked_link(url):
            self.add("text_link", offset, url=checked)

    def read_language(self) -> str:
        """Read what follows the three marks of a code block: the language if there is one, and a line break."""
        end = self.at
        while self.text[end : end + 1] not in ("", "`", *SPACE):
            end += 1
        language = ""
        if end > self.at and self.text[end : end + 1] not in ("", "`"):
            language, self.at = self.text[self.at : end], end
        if self.peek() in ("\n", "\r"):
            self.at += 2 if self.peek(1) in ("\n", "\r") and self.peek(1) != self.peek() else 1
        return language
