"""One run of the agent with both of its sides written down, and the same run again.

What it takes in is recorded and comes again: the task with its ids and its time, what the host says and when, the
model's answers and where they were cut. What it gives out has to be the same, byte for byte: each frame, in its order
with the host's, and each question to the model. Besides these it has the clock and chance, which only pace it
(heartbeats, which are left out, and pauses before another try), and its tools, which run again in an equal place and
have to say the same.

`python -m tests.agents.recorded_run` makes the recordings anew, where the agent is meant to ask or say something else.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from protocol.frames import FrameDecoder, encode_frame
from protocol.ids import FileId
from protocol.link import (
    AGENT_FRAMES,
    Ack,
    Answered,
    Ask,
    Assignment,
    FileAccepted,
    FileChunk,
    FileOffer,
    FileStored,
    Finished,
    Hello,
    Steer,
    SteerMessage,
    StepTaken,
    Welcome,
)
from protocol.record import replace as replaced
from protocol.task import ModelRoute
from protocol.tools import left_out
from tests.agents.conftest import Api, root_folder, start_agent
from tests.agents.scripted_host import assignment
from twins.http_server import Exchange, Request, serve_http
from twins.models.recording import Recorder, Replayer, dump_recording, load_recording
from twins.models.script import parse_script
from twins.models.server import Fault, serve_models

RECORDINGS = Path(__file__).parent / "recordings"
APIS: tuple[Api, ...] = ("anthropic", "openai", "responses")
PATIENCE_S = 30.0
SHOWN_CHARS = 300
_HEARTBEAT = b'{"type":"heartbeat"'

OTHER_TOOLS = left_out(("ask_user", "send_file", "shell", "write_file"))
"""The recorded agent does not have them: what another tool's card says is its own business."""
SCRIPT = {
    "rules": [
        {
            "when": "^write it down",
            "turns": [
                {
                    "think": "First the file, then what is in it: größer ☾",
                    "text": "I write it.",
                    "calls": [
                        {"tool": "write_file", "arguments": {"path": "note.txt", "content": "yard ☾\n"}},
                        {"tool": "shell", "arguments": {"command": "tr a-z A-Z < note.txt; echo gone >&2; exit 3"}},
                    ],
                }
            ],
        },
        {
            "when": "^and send it",
            "turns": [
                {
                    "calls": [
                        {"tool": "send_file", "arguments": {"paths": ["note.txt"], "caption": "here"}},
                        {"tool": "ask_user", "arguments": {"question": "More?", "options": ["Yes", "No"]}},
                        {"tool": "shell", "raw": "[1]"},
                    ]
                },
                {"text": "Written, sent, and that was all.", "pace_s": 0.005, "cached": 100},
            ],
        },
    ]
}

Sender = Literal["agent", "host"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What went over the agent's two sockets."""

    frames: Sequence[tuple[Sender, str]]
    """Bodies of frames, in the order in which the host saw them."""
    model: Sequence[dict[str, Any]]

    def dump(self) -> str:
        return json.dumps({"frames": self.frames, "model": self.model}, indent=1) + "\n"


def load_run(text: str) -> Run:
    value = json.loads(text)
    return Run(frames=[(sender, body) for sender, body in value["frames"]], model=value["model"])


# -- recording ------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class RecordingHost:
    """Hands the task over, stores all, says something as the first tool begins, answers what it is asked."""

    task: Assignment
    frames: list[tuple[Sender, str]] = field(default_factory=list)
    is_steered: bool = False
    has_ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for body in _bodies(reader):
            self.frames.append(("agent", body.decode()))
            for answer in self._answers(AGENT_FRAMES.decode(body)):
                data = encode_frame(answer)
                self.frames.append(("host", data[4:].decode()))
                writer.write(data)
        writer.close()
        self.has_ended.set()

    def _answers(self, frame: object) -> list[object]:
        match frame:
            case Hello():
                return [Welcome(protocol="1.1", nonce="n", heartbeat_s=0.05, host_absence_s=30.0), self.task]
            case StepTaken(seq=seq, step=step) if step.kind == "tool_started" and not self.is_steered:
                self.is_steered = True  # before the ack: the agent goes on only when it has both
                return [Steer(messages=(SteerMessage(message_id="m2", text="and send it"),)), Ack(seq=seq)]
            case StepTaken(seq=seq) | Finished(seq=seq):
                return [Ack(seq=seq)]
            case FileOffer(call_id=call_id):
                return [FileAccepted(call_id=call_id, file_id=FileId("f1"))]
            case FileChunk(file_id=file_id, last=True):
                return [FileStored(file_id=file_id)]
            case Ask(call_id=call_id):
                return [Answered(call_id=call_id, answer="No")]
        return []


@contextmanager
def agent_process(root: Path) -> Iterator[None]:
    """Run the agent's program in a place like the container's."""
    with start_agent(root) as process:
        try:
            yield
        finally:
            process.kill()


async def record(api: Api) -> Run:
    """Let the agent work for the model twin, and write down what goes over its sockets."""
    thinks: Literal["adaptive", "effort"] = "adaptive" if api == "anthropic" else "effort"
    model = ModelRoute(route="main", api=api, model="scripted", thinks=thinks, effort="low")
    given = assignment("write it down", api=api)
    host = RecordingHost(replaced(given, model=model, without=OTHER_TOOLS))
    async with serve_models() as (port, twin):
        twin.scripts["scripted"] = parse_script(json.dumps(SCRIPT))
        twin.faults += [Fault(kind="delay", times=2), Fault(kind="half_stream")]
        recorder = Recorder(upstream=f"http://127.0.0.1:{port}")
        with root_folder() as root:
            async with _sockets(root, host.serve, recorder.handle), _running(agent_process(root)):
                async with asyncio.timeout(PATIENCE_S):
                    await host.has_ended.wait()
    return Run(frames=host.frames, model=dump_recording(recorder.recorded))


# -- and again ------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class ReplayingHost:
    """Says what the host said then, each thing as soon as it has heard what it had heard then."""

    frames: Sequence[tuple[Sender, str]]
    differences: list[str] = field(default_factory=list)
    has_ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        bodies = _bodies(reader)
        for number, (sender, was) in enumerate(self.frames, start=1):
            if sender == "host":
                data = was.encode()
                writer.write(len(data).to_bytes(4, "big") + data)
                continue
            body = await anext(bodies, b"(the end)")
            if body.decode() != was:
                self._note(number, was, body.decode())
                break
        else:
            async for body in bodies:
                self._note(len(self.frames) + 1, "(the end)", body.decode())
        writer.close()
        self.has_ended.set()

    def _note(self, number: int, was: str, now: str) -> None:
        self.differences.append(f"frame {number} was\n  {was[:SHOWN_CHARS]}\nand is\n  {now[:SHOWN_CHARS]}")


async def replay(
    run: Run, root: Path, agent: Callable[[Path], AbstractContextManager[None]] = agent_process
) -> list[str]:
    """Have the agent in `root` do it again; return what was different."""
    host = ReplayingHost(run.frames)
    model = Replayer(recorded=load_recording(list(run.model)))
    async with _sockets(root, host.serve, model.handle), _running(agent(root)):
        async with asyncio.timeout(PATIENCE_S):
            await host.has_ended.wait()
    if model.asked < len(run.model) and not model.differences:
        host.differences.append(f"{model.asked} questions were asked, and {len(run.model)} then")
    return [*model.differences, *host.differences]


@asynccontextmanager
async def _sockets(
    root: Path,
    host: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    model: Callable[[Request, Exchange], Awaitable[None]],
) -> AsyncIterator[None]:
    async def route(request: Request, exchange: Exchange) -> None:
        """As the proxy does: `/m/<route>/v1/…` is the service's `/v1/…`."""
        await model(replace(request, path="/" + request.path.split("/", 3)[3]), exchange)

    folder = root / "run/yard"
    server = await asyncio.start_unix_server(host, folder / "host.sock")
    async with server, serve_http(route, path=folder / "proxy.sock"):
        for name in ("host.sock", "proxy.sock"):
            (folder / name).chmod(0o777)
        yield


@asynccontextmanager
async def _running(agent: AbstractContextManager[None]) -> AsyncIterator[None]:
    await asyncio.to_thread(agent.__enter__)
    try:
        yield
    finally:
        await asyncio.to_thread(agent.__exit__, None, None, None)


async def _bodies(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Yield the bodies of the agent's frames but the heartbeats."""
    decoder = FrameDecoder()
    while chunk := await reader.read(1 << 16):
        for body in decoder.feed(chunk):
            if not bytes(body).startswith(_HEARTBEAT):
                yield bytes(body)


async def main() -> None:
    RECORDINGS.mkdir(exist_ok=True)
    for api in APIS:
        run = await record(api)
        (RECORDINGS / f"{api}.json").write_text(run.dump(), "utf-8")
        print(f"{api}: {len(run.frames)} frames, {len(run.model)} questions")


if __name__ == "__main__":
    asyncio.run(main())
