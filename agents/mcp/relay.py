"""The process that a harness starts for our tools, `python3 -I /opt/agent mcp`: it carries lines, and decides nothing.

What it reads goes to the agent's process over the socket that NIGHTYARD_MCP names, and what comes back it writes. Only
built-in modules: it waits as long as the harness does, and each has one.
"""

import _socket
import os
import select
import sys

VARIABLE = "NIGHTYARD_MCP"
"""Holds the socket's path and, after a space, the word that opens it."""
_PIECE_BYTES = 64 << 10


def main() -> None:
    """Relay until either side ends, and end the process."""
    path, _, word = os.environ.get(VARIABLE, "").rpartition(" ")
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        connection.connect(path)
        connection.sendall(f"{word}\n".encode())
        _relay(connection)
    except OSError as error:
        print(f"nightyard mcp: the agent's process is not there: {error}", file=sys.stderr)
        os._exit(1)
    os._exit(0)


def _relay(connection: _socket.socket) -> None:
    """Carry bytes both ways. What waits to be written blocks the rest: both sides read all the time."""
    poll = select.poll()
    poll.register(0, select.POLLIN)
    poll.register(connection.fileno(), select.POLLIN)
    while True:
        for descriptor, _ in poll.poll():
            piece = os.read(descriptor, _PIECE_BYTES)
            if not piece:
                return
            target = 1 if descriptor == connection.fileno() else connection.fileno()
            while piece:
                piece = piece[os.write(target, piece) :]
