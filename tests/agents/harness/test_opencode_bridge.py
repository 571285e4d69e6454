"""The process between OpenCode's server and our lines, before a server that speaks like it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SERVER = """#!{python}
import http.server, os, threading
asked = threading.Event()
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *given): pass
    def do_GET(self):
        self.send_response(200 if "Basic " in self.headers["authorization"] else 401)
        self.end_headers()
        if self.path == "/event":
            self.wfile.write(b'data: {{"type":"server.connected"}}\\n\\n')
            self.wfile.flush()
            asked.wait(20)
            self.wfile.write(b': a remark\\ndata: {{"type":"second"}}\\n\\n')
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(404 if self.path == "/nowhere" else 200)
        self.end_headers()
        self.wfile.write(b"no such page" if self.path == "/nowhere" else body)
        asked.set()
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print("a warning first", flush=True)
print(f"opencode server listening on http://127.0.0.1:{{server.server_port}}", flush=True)
server.serve_forever()
"""
BRIDGE = "import sys; from agents.harness.opencode_bridge import main; main(sys.argv[1])"


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    program = tmp_path / "opencode"
    program.write_text(SERVER.format(python=sys.executable))
    program.chmod(0o755)
    command = [sys.executable, "-c", BRIDGE, str(program)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as started:
        yield started
        started.kill()


def read(bridge: subprocess.Popen[bytes]) -> dict[str, object]:
    assert bridge.stdout is not None
    value: dict[str, object] = json.loads(bridge.stdout.readline())
    return value


def ask(bridge: subprocess.Popen[bytes], **request: object) -> None:
    assert bridge.stdin is not None
    bridge.stdin.write(json.dumps(request).encode() + b"\n")
    bridge.stdin.flush()


def test_events_and_answers_come_as_lines(bridge: subprocess.Popen[bytes]) -> None:
    """It says when the server is up, hands requests over with the server's password, and events as they come."""
    assert read(bridge) == {"up": True}
    assert read(bridge) == {"type": "server.connected"}
    ask(bridge, id="1", method="POST", path="/session", body={"title": "x"})
    said = [read(bridge), read(bridge)]
    assert {"answer": "1", "status": 200, "body": {"title": "x"}} in said
    assert {"type": "second"} in said


def test_an_answer_that_is_no_json_is_told_in_its_words(bridge: subprocess.Popen[bytes]) -> None:
    """Its number too."""
    assert read(bridge) == {"up": True}
    ask(bridge, id="1", method="POST", path="/nowhere", body={})
    answers = [line for line in (read(bridge), read(bridge), read(bridge)) if "answer" in line]
    assert answers == [{"answer": "1", "status": 404, "body": {"message": "no such page"}}]


def test_the_server_ends_with_the_words_to_it(bridge: subprocess.Popen[bytes]) -> None:
    """Nothing is left when its starter is gone."""
    assert read(bridge) == {"up": True}
    assert bridge.stdin is not None
    bridge.stdin.close()
    assert bridge.wait(20) != 0
