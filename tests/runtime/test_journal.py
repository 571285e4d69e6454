"""The chain of the journal."""

from __future__ import annotations

import dataclasses
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.journal import FIRST_PREVIOUS, JournalKind, SealedEntry, payload_digest, refs_text, seal, why_broken

KEY = b"k" * 32
ANY_TEXT = st.text(st.characters())
"""Half characters, control characters and quotes too."""


def chain(length: int) -> list[SealedEntry]:
    entries: list[SealedEntry] = []
    for seq in range(1, length + 1):
        previous = entries[-1].hash if entries else FIRST_PREVIOUS
        refs = refs_text({"message": f"msg_{seq}"})
        entries.append(seal(KEY, seq=seq, at=f"t{seq}", kind="message_queued", refs=refs, digest="", previous=previous))
    return entries


def first_fault(entries: list[SealedEntry], key: bytes = KEY) -> str | None:
    expected_seq, previous = 1, FIRST_PREVIOUS
    for entry in entries:
        reason = why_broken(key, entry, expected_seq=expected_seq, expected_previous=previous)
        if reason is not None:
            return reason
        expected_seq, previous = entry.seq + 1, entry.hash
    return None


def test_a_chain_as_it_was_written_is_whole() -> None:
    """Each entry follows from the one before it."""
    assert first_fault(chain(5)) is None


@pytest.mark.parametrize("field", ["at", "kind", "refs", "digest", "hash", "previous"])
def test_a_changed_entry_is_seen(field: str) -> None:
    """Any field of an entry that was changed afterwards breaks the chain there."""
    entries = chain(5)
    entries[2] = dataclasses.replace(entries[2], **{field: "changed"})  # type: ignore[arg-type]  # one of its text fields
    assert first_fault(entries) is not None


def test_a_missing_entry_is_seen() -> None:
    """An entry taken out of the middle is missed by number."""
    entries = chain(5)
    del entries[2]
    assert first_fault(entries) == "entry 3 is missing"


def test_a_chain_written_without_the_key_is_seen() -> None:
    """Whoever has the file but not the key cannot write entries that follow."""
    assert first_fault(chain(1), key=b"other") == "entry 1 was changed after it was written"


@given(st.text(), st.text())
def test_digests_tell_texts_apart_and_need_the_key(first: str, second: str) -> None:
    """Two texts have one digest only if they are one text, and a digest is another one under another key."""
    assert (payload_digest(KEY, first) == payload_digest(KEY, second)) == (first == second)
    assert payload_digest(KEY, first) != payload_digest(b"other", first)


@given(st.dictionaries(st.text(), st.text()))
def test_ids_have_one_spelling(refs: dict[str, str]) -> None:
    """The order in which ids are given does not change the entry."""
    assert refs_text(refs) == refs_text(dict(reversed(list(refs.items()))))
    assert refs_text(refs).isascii()


def spelled(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


@given(st.integers(min_value=1), ANY_TEXT, st.sampled_from(JournalKind), ANY_TEXT, ANY_TEXT, ANY_TEXT)
def test_an_entry_is_sealed_as_json_writes_it(
    seq: int, at: str, kind: JournalKind, refs: str, digest: str, previous: str
) -> None:
    """The hash is over what `json.dumps` makes of the fields, whatever is in them: old chains must still verify."""
    entry = seal(KEY, seq=seq, at=at, kind=kind, refs=refs, digest=digest, previous=previous)
    fields = b"entry\0" + spelled([seq, at, str(kind), refs, digest, previous]).encode("ascii")
    assert entry.hash == hmac.digest(KEY, fields, "sha256").hex()


@given(st.dictionaries(ANY_TEXT, ANY_TEXT))
def test_ids_are_spelled_as_json_writes_them(refs: dict[str, str]) -> None:
    """Sorted, without spaces, in ASCII."""
    assert refs_text(refs) == spelled(refs)


def test_a_chain_of_an_earlier_version_verifies() -> None:
    """These two entries were sealed when the fields still went through `json.dumps`."""
    entries = [
        SealedEntry(seq=1, at="2026-01-31T09:00:00.000000Z", kind="message_queued",
                    refs='{"group":"main","message":"msg_\\u00e9\\"1"}', digest="d" * 64, previous="",
                    hash="a8f522c6069d2c5f6bc994c38fee8a370deb197f18acb5951714e01442054542"),
        SealedEntry(seq=2, at="2026-01-31T09:00:00.000001Z", kind="task_started", refs='{"task":"task_1"}', digest="",
                    previous="a8f522c6069d2c5f6bc994c38fee8a370deb197f18acb5951714e01442054542",
                    hash="4401cdef19fb5406129034f590f2145d3ade9ef2d012051086fddf73cf5fd61e"),
    ]  # fmt: skip
    assert first_fault(entries) is None
