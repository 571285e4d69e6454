"""The first connection to the host, made before anything else is imported.

Only built-in modules here: the host works on the Hello while this process imports the rest. Everything after the
Hello is `host_link.py`'s business.
"""

import _socket
import time

from agents import VERSION

HELLO_BODY = b'{"type":"hello","protocol":"1.1","agent_version":"%s"}' % VERSION.encode("ascii")
"""What `encode_frame(Hello(...))` would give; a test holds the two together."""

_RETRY_S = 0.02


def greet(socket_path: str, patience_s: float = 30.0) -> int:
    """Connect, send Hello and return the socket's file descriptor; raise OSError after `patience_s` of trying."""
    deadline = time.monotonic() + patience_s
    while True:
        connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        try:
            connection.connect(socket_path)
            connection.send(len(HELLO_BODY).to_bytes(4, "big") + HELLO_BODY)
            return connection.detach()
        except OSError:
            connection.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_S)
