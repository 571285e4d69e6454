"""Fuzzing that is led by what the code has not done yet, where its engine is installed; for a bounded time."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
RUN_S = 2
LONG_RUN_S = 120
SEEDS: dict[str, tuple[bytes, ...]] = {
    "target": (b"https://a.test:8443/x/%2e/y?q=1#f", b"[::1]:443", b"a.test:443", b"/m/r/v1?x=%41", b"/a/..;/b//"),
    "head": (
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
    ),
    "plain": (
        b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    ),
    "chunks": (
        b"\x035\r\nhello\r\n0\r\n\r\n",
        b"\x01A;x=1\r\n0123456789\r\n0\r\nX: y\r\n\r\n",
        b"\x0200001\r\na\r\n000\r\n\r\n",
    ),
    "summary": (
        b'\x00{"to":"bob","n":[1,2.5e3,null]}',
        b"\x01a=b&c=%41",
        b"\x02--b\r\nContent-Type: x\r\n\r\nz\r\n--b--",
    ),
    "tokens": (
        b'\x00{"access_token":"abcdefghij","x":{"refresh_token":"zyxwvuts"}}',
        b"\x01access_token=abcdefghij&b=c",
    ),
    "usage": (
        b'\x01data: {"type":"message_start","message":{"model":"m","usage":{"input_tokens":5,"output_tokens":1}}}\n\n',
        b'\x00{"model":"a","usage":{"prompt_tokens":1e400,"completion_tokens":-4}}',
    ),
    "frames": (b"\x81\x05hello", b"\x01\x03abc\x89\x00\x80\x7e\x00\x05hello"),
    "search": (b"\x07xx canary-Zm9v/YmFy+1234567890abcdef", b"\x02Y2FuYXJ5LVptOXYvWW1GeSsxMjM0NTY3ODkwYWJjZGVm"),
}
"""What each begins with: a pattern in one call of the regular expressions' engine shows no new path by itself."""
TARGETS = tuple(SEEDS)
SCRIPT = """
import sys
import atheris
with atheris.instrument_imports(include=["credproxy"], enable_loader_override=False):
    from credproxy.approvals.held import HeldRequest
    from credproxy.approvals.summary import summarise
    from credproxy.audit.model_use import ModelUseReader
    from credproxy.issuers import capture
    from credproxy.pipeline.frame_search import FrameSearcher
    from credproxy.pipeline.scrub import Reflected, Searcher, needles_of
    from credproxy.wire.heads import BadHead, head_end
    from credproxy.wire.plain import ChunksBroken, PlainChunks, read_plain_request, read_plain_response
    from credproxy.wire.target import TargetRefused, parse_absolute, parse_connect, parse_path
    from credproxy.wire.websocket import BadFrames

NEEDLES = needles_of(["canary-Zm9v/YmFy+1234567890abcdef"])

def target(data):
    text = data.decode("latin-1")
    for parse in (parse_absolute, parse_connect, parse_path):
        try:
            found = parse(text)
        except TargetRefused:
            continue
        if parse is parse_path:
            assert not {".", ".."} & set(found.path.split("/")) and "\\\\" not in found.path

def head(data):
    try:
        end = head_end(data)
    except BadHead:
        return
    assert end == 0 or data[:end].endswith(b"\\r\\n\\r\\n") and b"\\n" not in data[:end].replace(b"\\r\\n", b"")

def plain(data):
    try:
        end = head_end(data)
    except BadHead:
        return
    if end:
        read_plain_response(data[:end])
        found = read_plain_request(data[:end])
        assert found is None or found.body_bytes >= 0 and " " not in found.target

def chunks(data):
    # What is read of a body is the same however it is cut, and never more than what arrived.
    size, wire = 1 + data[0] % 16 if data else 1, data[1:]
    ends = []
    for step in (len(wire) + 1, size):
        reader, body, rest, is_broken = PlainChunks(), b"", b"", False
        try:
            for at in range(0, len(wire), step):
                piece, rest = reader.read(rest + wire[at : at + step])
                body += piece
        except ChunksBroken:
            is_broken = True
        ends.append((reader.has_ended, reader.is_odd, is_broken, body, rest))
    (ended, odd, broken, body, rest), cut = ends
    assert len(body) + len(rest) <= len(wire) and not (ended and odd)
    assert cut[:3] == (ended, odd, broken) and (broken or cut[3:] == (body, rest))

def search(data):
    size = 1 + data[0] % 16 if data else 1
    searcher, passed = Searcher(NEEDLES), b""
    try:
        for at in range(0, len(data), size):
            passed += searcher.feed(data[at : at + size])
        passed += searcher.end()
    except Reflected:
        assert NEEDLES.holds(data)
    assert not NEEDLES.holds(passed) and data.startswith(passed)

TYPES = ["application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "text/plain", ""]

def summary(data):
    media_type, body = TYPES[data[0] % len(TYPES)] if data else "", data[1:]
    held = HeldRequest(
        group_id="g", task_id="t", attempt_id="a", door_id="d", call_id="c", method="POST", rule="g:1",
        target=parse_absolute("http://a.test/x"), headers=((b"content-type", media_type.encode()),), body=body,
    )
    assert all(line.isprintable() for full in (False, True) for line in summarise(held, is_full=full))

def tokens(data):
    media_type, body = TYPES[data[0] % len(TYPES)] if data else "", data[1:]
    capture.read_ask(body, media_type)
    capture.read_basic([(b"authorization", b"Basic " + body)])
    page = capture.read_page(body, media_type)
    found = [token for login in capture.find_logins(page) for token in login.tokens.values()] if page else []
    if found:
        capture.write_page(page, dict.fromkeys(found, "placeholder"))

def usage(data):
    reader = ModelUseReader(is_event_stream=bool(data) and data[0] % 2 == 1)
    for at in range(1, len(data), 50):
        reader.feed(data[at : at + 50])
    use = reader.use(status=200, request_bytes=10, asked_model="m")
    assert 0 <= use.input_tokens < 1e15 and 0 <= use.output_tokens < 1e15

def frames(data):
    searcher = FrameSearcher(NEEDLES)
    try:
        assert not NEEDLES.holds(b"".join(searcher.feed(data[at : at + 7]) for at in range(0, len(data), 7)))
    except (BadFrames, Reflected):
        return

atheris.Setup([sys.argv[0], *sys.argv[2:]], globals()[sys.argv[1]])
atheris.Fuzz()
"""


def fuzz(target: str, run_s: int, folder: Path) -> None:
    script = folder / "fuzz.py"
    script.write_text(SCRIPT)
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(SEEDS[target]):
        (corpus / str(number)).write_bytes(seed)
    limits = [f"-max_total_time={run_s}", "-max_len=400", "-verbosity=0"]
    command = [sys.executable, str(script), target, *limits, str(corpus)]
    environment = {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=run_s + 60, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]


needs_engine = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None,
    reason="atheris is not installed: its wheels exist for Linux on x86-64 and Python 3.11 to 3.13",
)


@needs_engine
@pytest.mark.parametrize("target", TARGETS)
def test_parser_holds_for_a_while(tmp_path: Path, target: str) -> None:
    """Led by coverage, no input is found that breaks what the parsers and the search promise (7, 9, 18, 24, 31)."""
    fuzz(target, RUN_S, tmp_path)


@needs_engine
@pytest.mark.long
@pytest.mark.timeout(LONG_RUN_S * 2)
@pytest.mark.parametrize("target", TARGETS)
def test_parser_holds_for_longer(tmp_path: Path, target: str) -> None:
    """Nor in minutes (7, 9, 18, 24, 31)."""
    fuzz(target, LONG_RUN_S, tmp_path)
