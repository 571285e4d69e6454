"""`python -m twins.models [--port N] [--script FILE] [--require-key KEY]`: run the twin alone.

`--record FILE --upstream URL`: write down what goes to a real service and comes from it; `--replay FILE`: answer as was
answered then, to the very same questions.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path

from twins.http_server import serve_http
from twins.models.recording import Recorder, Replayer, load_recording
from twins.models.server import serve_models


async def run(options: argparse.Namespace) -> None:
    if options.record:
        handler = Recorder(upstream=options.upstream, file=options.record).handle
    elif options.replay:
        handler = Replayer(recorded=load_recording(json.loads(options.replay.read_text("utf-8")))).handle
    else:
        async with serve_models(port=options.port, script=options.script, required_key=options.require_key) as (
            bound,
            _,
        ):
            await _say_where(bound)
        return
    async with serve_http(handler, port=options.port) as bound:
        await _say_where(bound)


async def _say_where(port: int) -> None:
    print(f"model twin on http://127.0.0.1:{port}", flush=True)
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m twins.models", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--script", type=Path)
    parser.add_argument("--require-key")
    parser.add_argument("--record", type=Path)
    parser.add_argument("--upstream", help="the service that is recorded, up to before /v1")
    parser.add_argument("--replay", type=Path)
    options = parser.parse_args()
    if options.record and not options.upstream:
        parser.error("--record needs --upstream: which service to record")
    try:
        asyncio.run(run(options))
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    main()
