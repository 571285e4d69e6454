"""What mitmdump runs with in `bench credproxy`: puts the key in, and streams bodies where the yardstick shall."""

from __future__ import annotations

import os
from typing import Any


class Inject:
    """`flow` is mitmproxy's, which is in an environment of its own and never imported by the product."""

    def __init__(self) -> None:
        self._value = f"Bearer {os.environ['BENCH_KEY']}"
        self._streams = os.environ.get("BENCH_STREAMS") == "1"

    def requestheaders(self, flow: Any) -> None:
        flow.request.headers["authorization"] = self._value
        flow.request.stream = self._streams

    def responseheaders(self, flow: Any) -> None:
        flow.response.stream = self._streams


if "BENCH_KEY" in os.environ:
    addons = [Inject()]
