"""What a log holds, and what it never holds."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.log_setup import FILES_KEPT, LineFormatter, hide, scrub, set_up_logging


@pytest.fixture
def root_logger() -> Iterator[None]:
    """The root logger as it was, afterwards."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for handler in list(root.handlers):
        root.removeHandler(handler)
        if handler not in handlers:
            handler.close()
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level)
    logging.captureWarnings(False)


@pytest.mark.parametrize(
    "line",
    [
        "GET https://api.telegram.org/bot12345678:{}/getMe",
        "Authorization: Bearer {}",
        "authorization: basic {}",
        "x-api-key: {}",
        "https://h/?api_key={}&x=1",
        "https://h/?token={}",
        "https://user:{}@host/",
        "key sk-ant-{}",
        "ghp_{}",
        "xoxb-{}",
        "AIza{}",
    ],
)
def test_what_looks_like_a_secret_is_removed(line: str) -> None:
    """Known shapes of tokens and keys do not reach a handler, wherever they stand."""
    secret = "AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"
    assert secret not in scrub(line.format(secret))


@pytest.mark.parametrize(
    "token",
    [
        "7123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw-",
        "MTE5ODYyMjQ4MzQ3MTkyNTI0.GxYz1A.Zn-CjmXV_W7vRze4b7Cq4se7kKWs1u9VtQ5Rd0",
        "MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWs",
        "xoxb-17653672481-19874698323-pdFZKVeTuE8sk7oOcHrzqqgy",
        "xapp-1-A0123456789-1234567890123-0a1b2c3d4e5f60718293a4b5c6d7e8f9",
        "xoxe.xoxp-1-Mi0yLTE3NjUzNjcyNDgxLTE5",
    ],
)
@pytest.mark.parametrize(
    "line",
    [
        "{}",
        "POST https://h/api/{}/sendMessage",
        "headers: {{'Authorization': 'Bot {}'}}",
        "token={}&x=1",
        "refused '{}', and so on",
        "b'{}'",
        '{{"token":"{}"}}',
        "secret\n{}\nend",
    ],
)
def test_a_platforms_token_is_known_by_its_shape(token: str, line: str) -> None:
    """Telegram's, Discord's and Slack's, wherever a library puts one."""
    shown = scrub(line.format(token))
    assert not any(part in shown for part in token.replace(":", ".").split(".") if len(part) > 12)


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ("wss://wss-primary.slack.com/link/?ticket=0a1b2c3d&app_id=A1", "0a1b2c3d"),
        ("POST /api/v10/webhooks/123456789012345678/aW50ZXJhY3Rpb246MTE5ODYyMjQ4MzQ3MTky", "aW50ZXJh"),
        ("/interactions/123456789012345678/aW50ZXJhY3Rpb246MTE5ODYyMjQ4MzQ3MTky/callback", "aW50ZXJh"),
    ],
)
def test_an_address_that_lets_in_is_taken_out(line: str, secret: str) -> None:
    """Who has it needs no token."""
    assert secret not in scrub(line)


def test_a_secret_that_the_process_was_given_is_known_whatever_its_shape() -> None:
    """A channel's token, and each of the two that Slack's has; what is too short to be one hides no words."""
    words = "said: horse-battery-staple and whsec/shape-of-no-one"
    assert scrub(words) == words
    assert (
        hide("horse-battery-staple whsec/shape-of-no-one said:") == "horse-battery-staple whsec/shape-of-no-one said:"
    )
    assert scrub(words) == "said: [removed] and [removed]"


def test_ordinary_words_stay() -> None:
    """Ids, times, paths and addresses are what a log is for."""
    for words in (
        f"sha256 {'a' * 64}",
        "discord.gateway.KeepAliveHandler 1.2.3",
        "https://h/a-long-name-of-a-page.v2.html",
    ):
        assert scrub(words) == words
    line = "task_dnmrqjwn5hjnhlqv at 2026-01-31T09:00:00Z in /home/x/run/c/abc: http://127.0.0.1:8080/m/route 12345:67"
    assert scrub(line) == line


def test_a_record_is_one_line_with_its_facts(capsys: pytest.CaptureFixture[str]) -> None:
    """Text, action and ids; a line end in a value starts no new line."""
    record = logging.LogRecord("here", logging.INFO, "f", 1, "it %s\nso", ("is",), None)
    record.action, record.task_id = "did", "t\n1"
    line = LineFormatter().format(record)
    assert line.endswith("INFO    here: it is\\nso action=did task_id=t\\n1")


def test_a_traceback_is_scrubbed_too() -> None:
    """An exception's text is as public as any other."""
    try:
        raise ValueError("Bearer abcdefghijklmnop")
    except ValueError as error:
        record = logging.LogRecord("x", logging.ERROR, "f", 1, "broke", (), (ValueError, error, error.__traceback__))
    line = LineFormatter().format(record)
    assert "Traceback" in line
    assert "abcdefghijklmnop" not in line


def test_the_file_is_private_and_capped(tmp_path: Path, root_logger: None) -> None:
    """Mode 0600; when it is full the next begins, and only so many are kept."""
    set_up_logging(tmp_path / "logs", "host", file_bytes=2_000)
    log = logging.getLogger("flood")
    for number in range(100):
        log.info("line %s %s", number, "x" * 100)
    files = sorted((tmp_path / "logs").iterdir())
    assert len(files) == FILES_KEPT + 1
    assert (tmp_path / "logs" / "host.log").stat().st_mode & 0o077 == 0
    assert all(file.stat().st_size <= 2_000 for file in files)
