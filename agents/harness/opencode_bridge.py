"""Speaks with an OpenCode server over stdin and stdout: `python3 -I /opt/agent opencode`.

`opencode serve` is the only one of its modes that says what each model call used and when a message that came
meanwhile was taken in. It speaks HTTP and server-sent events over loopback, the frame speaks lines; this small process
stands between. A line in is a request, `{"id", "method", "path", "body"}`; a line out is an event as it came, the
answer to a request, `{"answer": id, "status", "body"}`, or `{"up": true}` once the server is there. It decides nothing.
"""

import base64
import http.client
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator

PROGRAM = "/usr/local/bin/opencode"
_LISTENS = re.compile(rb"listening on http://127\.0\.0\.1:(\d+)")
_TIMEOUT_S = 120
_MAX_LINE_BYTES = 64 << 20

_writing = threading.Lock()


def main(program: str = PROGRAM) -> None:
    """Run a server until it ends or stdin does, and end with its exit code."""
    password = os.urandom(16).hex()
    server = subprocess.Popen(
        [program, "serve", "--hostname", "127.0.0.1", "--port", "0", "--pure"],
        env={**os.environ, "OPENCODE_SERVER_PASSWORD": password},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    threading.Thread(target=_carry, args=(server, f"opencode:{password}"), daemon=True).start()
    os._exit(server.wait())


def _carry(server: "subprocess.Popen[bytes]", login: str) -> None:
    """Carry requests and events as long as there are any; the server does not outlive that."""
    try:
        port = _read_port(server)
        headers = {
            "authorization": f"Basic {base64.b64encode(login.encode()).decode()}",
            "content-type": "application/json",
        }
        events = _open_events(port, headers)
        _say({"up": True})
        threading.Thread(target=_carry_requests, args=(server, port, headers), daemon=True).start()
        for data in events:
            _write(data)
    except (OSError, ValueError, http.client.HTTPException) as error:
        print(f"the server's events ended: {error!r}", file=sys.stderr)
    server.terminate()


def _read_port(server: "subprocess.Popen[bytes]") -> int:
    """Return where the server listens; what else it says is passed over, then and later."""
    assert server.stdout is not None  # asked for above
    for line in server.stdout:
        if found := _LISTENS.search(line):
            threading.Thread(target=server.stdout.read, daemon=True).start()
            return int(found.group(1))
    raise ValueError("it does not listen")


def _open_events(port: int, headers: dict[str, str]) -> Iterator[bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/event", headers=headers)
    answer = connection.getresponse()
    if answer.status != 200:
        raise ValueError(f"/event is answered with {answer.status}")

    def events() -> Iterator[bytes]:
        while line := answer.readline(_MAX_LINE_BYTES):
            if line.startswith(b"data:"):
                yield line[5:].strip()

    return events()


def _carry_requests(server: "subprocess.Popen[bytes]", port: int, headers: dict[str, str]) -> None:
    for line in sys.stdin.buffer:
        request = json.loads(line)
        # Each on a connection of its own: the server closes those that wait.
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
        try:
            connection.request(request["method"], request["path"], json.dumps(request.get("body")), headers)
            answer = connection.getresponse()
            _say({"answer": request["id"], "status": answer.status, "body": _parsed(answer.read())})
        except (OSError, http.client.HTTPException) as error:
            _say({"answer": request["id"], "status": 0, "body": {"message": repr(error)}})
        finally:
            connection.close()
    server.terminate()


def _parsed(data: bytes) -> object:
    try:
        return json.loads(data) if data else None
    except ValueError:
        return {"message": data[:2000].decode("utf-8", "replace")}


def _say(value: dict[str, object]) -> None:
    _write(json.dumps(value).encode())


def _write(data: bytes) -> None:
    with _writing:
        sys.stdout.buffer.write(data + b"\n")
        sys.stdout.buffer.flush()
