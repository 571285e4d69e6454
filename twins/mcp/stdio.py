"""An MCP server that knows a little of everything; alone in this file, so that a container runs it with any Python 3.

    python3 stdio.py [--page-size N] [--version V] [--marks FILE]

What it answers is `McpTwin`'s, and the same over HTTP. `--marks` names a file that gets a line for each start, for each
request, and for each call that was taken back.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Message = dict[str, Any]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
"""A PNG of one point."""
VERSIONS = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")


def _tool(name: str, description: str, /, **properties: str) -> Message:
    shape = {each: {"type": kind} for each, kind in properties.items()}
    return {"name": name, "description": description, "inputSchema": {"type": "object", "properties": shape}}


TOOLS = (
    _tool("echo", "Says it back.", text="string"),
    _tool("add", "Adds two numbers.", a="number", b="number"),
    _tool("picture", "Shows a picture."),
    _tool("links", "Names a file, and gives another."),
    _tool("fail", "Fails."),
    _tool("refuse", "Refuses."),
    _tool("slow", "Takes its time.", steps="integer", pause_s="number"),
    _tool("variable", "Tells a variable of its environment.", name="string"),
    _tool("grow", "Learns another tool."),
    _tool("big", "Says a lot.", chars="integer"),
    _tool("hang", "Never answers."),
    _tool("die", "Ends itself.", code="integer"),
    _tool("ask back", "Asks the client for what it should not have."),
)


class McpTwin:
    """One server; `say` sends what is no answer."""

    def __init__(self, *, page_size: int = 100, version: str = "") -> None:
        self.tools = list(TOOLS)
        self.page_size = page_size
        self.version = version
        self.taken_back: set[Any] = set()
        self.answers: queue.Queue[Message] = queue.Queue()
        """What clients have answered to our own requests."""
        self.initialized = 0

    def take(self, message: Message) -> Iterator[Message]:
        """Yield what is said to a message; the last is the answer, if it is a request."""
        method, number, params = message.get("method"), message.get("id"), message.get("params") or {}
        if method is None:
            self.answers.put(message)
        elif number is None:
            self.taken_back |= {params.get("requestId")} if method == "notifications/cancelled" else set()
            self.initialized += method == "notifications/initialized"
        elif method == "tools/call":
            yield from self._call(number, params)
        else:
            yield self._answer(method, number, params)

    def _answer(self, method: str, number: Any, params: Message) -> Message:
        if method == "initialize":
            wanted = params.get("protocolVersion")
            capabilities = {"tools": {"listChanged": True}, "resources": {}, "logging": {}}
            info = {"name": "twin", "version": "1"}
            version = self.version or (wanted if wanted in VERSIONS else VERSIONS[1])
            return _result(number, {"protocolVersion": version, "capabilities": capabilities, "serverInfo": info})
        if method == "ping":
            return _result(number, {})
        if method == "tools/list":
            start = int(params.get("cursor") or 0)
            rest = self.tools[start + self.page_size :]
            page: Message = {"tools": self.tools[start : start + self.page_size]}
            return _result(number, {**page, "nextCursor": str(start + self.page_size)} if rest else page)
        if method == "resources/list":
            return _result(number, {"resources": [{"uri": "twin://note", "name": "note", "mimeType": "text/plain"}]})
        if method == "resources/read" and params.get("uri") == "twin://note":
            return _result(number, {"contents": [{"uri": "twin://note", "text": "what the note says"}]})
        return _error(number, -32601, f"there is no {method} here")

    def _call(self, number: Any, params: Message) -> Iterator[Message]:
        tool, given, token = (
            params.get("name"),
            params.get("arguments") or {},
            (params.get("_meta") or {}).get("progressToken"),
        )
        match tool:
            case "echo":
                yield _texts(number, str(given.get("text")))
            case "add":
                total = given["a"] + given["b"]
                yield _result(number, {"content": [_text(str(total))], "structuredContent": {"total": total}})
            case "picture":
                image = {"type": "image", "data": PIXEL, "mimeType": "image/png"}
                yield _result(number, {"content": [_text("Look:"), image]})
            case "links":
                link = {"type": "resource_link", "uri": "twin://note", "name": "note", "description": "a note"}
                inner = {"type": "resource", "resource": {"uri": "twin://other", "text": "what the other says"}}
                yield _result(number, {"content": [link, inner]})
            case "fail":
                yield _result(number, {"content": [_text("it did not work")], "isError": True})
            case "slow":
                yield from self._slowly(number, given, token)
            case "variable":
                yield _texts(number, os.environ.get(given["name"], "(unset)"))
            case "grow":
                self.tools.append(_tool("grown", "Was not there before."))
                yield {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}
                yield _texts(number, "grown")
            case "grown":
                yield _texts(number, "so it is")
            case "big":
                yield _texts(number, "x" * given["chars"])
            case "hang":
                return
            case "die":
                print("the twin dies as it was told", file=sys.stderr, flush=True)
                os._exit(given.get("code", 1))
            case "ask back":
                yield from self._ask_back(number)
            case _:
                yield _error(number, -32602, f"there is no tool {tool}")

    def _slowly(self, number: Any, given: Message, token: Any) -> Iterator[Message]:
        for step in range(given["steps"]):
            if number in self.taken_back:
                return
            if token is not None:
                params = {"progressToken": token, "progress": step, "message": f"step {step} \x1b[2J"}
                yield {"jsonrpc": "2.0", "method": "notifications/progress", "params": params}
            time.sleep(given["pause_s"])
        yield _texts(number, "done")

    def _ask_back(self, number: Any) -> Iterator[Message]:
        yield {"jsonrpc": "2.0", "id": "ours-1", "method": "sampling/createMessage", "params": {}}
        yield {"jsonrpc": "2.0", "id": "ours-2", "method": "ping"}
        found = [self.answers.get(timeout=10), self.answers.get(timeout=10)]
        said = {each["id"]: each.get("error", {}).get("code", each.get("result")) for each in found}
        yield _texts(number, json.dumps(said))


def _text(text: str) -> Message:
    return {"type": "text", "text": text}


def _texts(number: Any, text: str) -> Message:
    return _result(number, {"content": [_text(text)]})


def _result(number: Any, value: Message) -> Message:
    return {"jsonrpc": "2.0", "id": number, "result": value}


def _error(number: Any, code: int, message: str) -> Message:
    return {"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": message}}


def serve_lines(twin: McpTwin, mark: Callable[[str], None]) -> None:
    """Serve on standard input and output until the input ends: each request in a thread of its own."""
    lock = threading.Lock()

    def answer(message: Message) -> None:
        for said in twin.take(message):
            with lock:
                print(json.dumps(said), flush=True)

    mark("started")
    for line in sys.stdin:
        message = json.loads(line)
        mark(message.get("method", "answer"))
        threading.Thread(target=answer, args=(message,), daemon=True).start()


def main(words: list[str]) -> None:
    """Serve as the arguments say."""
    given = dict(zip(words[::2], words[1::2], strict=True))
    marks = given.get("--marks")

    def mark(word: str) -> None:
        if marks:
            with Path(marks).open("a") as file:
                file.write(f"{word}\n")

    serve_lines(McpTwin(page_size=int(given.get("--page-size", 100)), version=given.get("--version", "")), mark)


if __name__ == "__main__":
    main(sys.argv[1:])
