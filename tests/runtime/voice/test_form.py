"""The form that a service for transcriptions is sent, and what is taken of its answer."""

from __future__ import annotations

import json

import pytest

from runtime.voice.form import MAX_WORDS_CHARS, OddTranscript, build_form, mark_words, read_words
from twins.models.transcription import read_form


@pytest.mark.parametrize(
    ("media_type", "stored", "name"),
    [
        ("audio/ogg", "in-1-0.oga", "voice.ogg"),
        ("audio/ogg; codecs=opus", "in-1-0", "voice.ogg"),
        ("AUDIO/MP4", "in-1-0.bin", "voice.m4a"),
        ("application/octet-stream", "in-1-0.mp3", "voice.mp3"),
        ("application/octet-stream", "in-1-0.exe", "voice.ogg"),
        ('audio/x"\r\nx: y', "in-1-0", "voice.ogg"),
    ],
)
def test_a_form_has_the_recording_under_a_name_of_the_hosts(media_type: str, stored: str, name: str) -> None:
    """A service that reads forms finds model and recording, byte for byte; nothing of the sender's stands in a head."""
    recording = bytes(range(256)) * 3 + b"\r\n--"
    form = build_form("gpt-4o-transcribe", media_type, stored, "voice_abc")
    found = read_form(form.content_type, form.head + recording + form.tail)
    assert found == ("gpt-4o-transcribe", name, recording)


def test_a_model_that_none_is_called_is_not_asked() -> None:
    """Its name would end a field of the form."""
    with pytest.raises(OddTranscript):
        build_form('x"\r\n', "audio/ogg", "in-1-0.ogg", "b")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"text": 7}', b'{"error": {}}', b"[" * 100_000])
def test_an_answer_without_words_is_odd(body: bytes) -> None:
    """A gateway's page, another shape, a number."""
    with pytest.raises(OddTranscript):
        read_words(body)


def test_words_are_taken_and_marked() -> None:
    """Cut at a length that nobody speaks; silence is said to be that."""
    assert read_words(json.dumps({"text": "  buy milk \n"}).encode()) == "buy milk"
    assert len(read_words(json.dumps({"text": "x" * 2 * MAX_WORDS_CHARS}).encode())) == MAX_WORDS_CHARS
    assert mark_words("buy milk", "r/m") == "[voice note, transcribed by r/m]\nbuy milk"
    assert mark_words("", "r/m") == "[voice note: r/m heard no words in it]"
