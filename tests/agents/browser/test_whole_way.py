"""The browser over the whole way: from `browser: true` in group.yaml to a form on a server behind the proxy.

In the long mode: the image is half a gigabyte.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from bench.installation import installation
from tests.faults.house import talk, write_group

pytestmark = [pytest.mark.engine, pytest.mark.long]

HOST = "127.0.0.2"
"""No name of the container's own, and of this machine."""
FORM = b"<title>Order</title><form method=post>Name <input name=who><button>Send</button></form>"
SPIN = b"<title>Spin</title><button onclick='while (true) {}'>Spin</button>"


class Site(ThreadingHTTPServer):
    posted: bytes = b""


class Handler(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        self._answer(SPIN if self.path == "/spin" else FORM)

    def do_POST(self) -> None:
        self.server.posted = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(b"<title>Thanks</title>It has come.")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def site() -> Iterator[Site]:
    with Site((HOST, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def script(address: str) -> dict[str, Any]:
    def call(tool: str, **arguments: object) -> dict[str, Any]:
        return {"calls": [{"tool": f"browser_{tool}", "arguments": arguments}]}

    order = [call("open", url=f"{address}/"), call("type", ref=1, text="Ann"), call("screenshot"), call("click", ref=2)]
    return {
        "rules": [
            {"when": "^order", "turns": [*order, {"text": "{output}"}]},
            {"when": "^spin", "turns": [call("open", url=f"{address}/spin"), call("click", ref=1), {"text": "over"}]},
            {"when": "^tools", "recall": '"name": ?"(browser_[a-z]+)"', "turns": [{"text": "have {recalled}"}]},
            {"when": "", "turns": [{"text": "ok"}]},
        ]
    }


async def test_a_group_with_a_browser_fills_in_a_form(browser_image: str) -> None:
    """Its agents have the tools, and others have not; what they send is seen by the site; a stop ends a page that does
    not let go."""
    with site() as server:
        port = server.server_address[1]
        grant = f"- {{host: {HOST}, scheme: http, port: {port}, addresses: [{HOST}], methods: [GET, POST]}}\n"
        async with installation(grants=grant, script=script(f"http://{HOST}:{port}")) as home, talk(home) as chat:
            assert await chat.ask("tools") == "have "
            write_group(home, "main", "browser: true\n")
            assert await home.control.request("reload") == {"problems": []}
            told = await chat.ask("tools")
            assert set(told.removeprefix("have ").split(",")) == {
                f"browser_{each}" for each in ("open", "read", "click", "type", "back", "screenshot")
            }
            assert "It has come." in await chat.ask("order")
            assert server.posted == b"who=Ann"
            await chat.say("spin")
            await chat.until("progress", "browser_click")
            await chat.say("/stop")
            await chat.until("message", "topped")
            assert "It has come." in await chat.ask("order")
