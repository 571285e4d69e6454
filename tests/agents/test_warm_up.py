"""What a waiting agent does to be quick later: all of it, and nothing that stays."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.host_link import HostLink
from agents.interrupt import Interrupt
from agents.providers import anthropic, openai
from agents.providers.provider import ToolCard
from agents.warm_up import warm_up
from protocol.frames import PROTOCOL_VERSION, FrameDecoder, encode_frame
from protocol.link import AGENT_FRAMES, Ack, Delta, Finished, Heartbeat, Hello, StepTaken, Welcome
from protocol.task import TaskResult, TaskStatus
from protocol.transcript import Entry, Step
from tests.agents.conftest import Agent
from tests.agents.scripted_host import NONCE, STOP, ScriptedHost, assignment
from tests.agents.scripted_model import ScriptedModel, says

CARD = ToolCard(name="shell", description="Run it.", schema={"type": "object", "properties": {}})


def test_both_apis_are_gone_through() -> None:
    """Each provider builds a request with the tools in it, and reads an answer to its end."""
    called: set[tuple[str, str]] = set()

    def note(frame: object, kind: str, _: object) -> None:
        code = getattr(frame, "f_code", None)
        if kind == "call" and code is not None:
            called.add((Path(code.co_filename).stem, code.co_name))

    sys.setprofile(note)
    try:
        warm_up((CARD,))
    finally:
        sys.setprofile(None)
    for provider in (anthropic, openai):
        stem = provider.__name__.rpartition(".")[2]
        assert {(stem, name) for name in ("request", "reader", "take", "turn")} <= called


def test_nothing_leaves_the_process(root: Path) -> None:
    """No connection is made and no file is opened or made."""
    seen: list[str] = []
    is_over = False

    def note(event: str, _: tuple[object, ...]) -> None:
        if not is_over and event in ("open", "socket.connect", "socket.__new__", "subprocess.Popen", "os.mkdir"):
            seen.append(event)

    warm_up((CARD,))  # what is imported late is imported now
    before = sorted((root / "workspace").iterdir())
    sys.addaudithook(note)
    try:
        warm_up((CARD,))
    finally:
        is_over = True
    assert seen == []
    assert sorted((root / "workspace").iterdir()) == before


def test_a_spare_that_has_warmed_up_does_its_task_as_any_other(
    agent: Agent, host: ScriptedHost, model: ScriptedModel
) -> None:
    """Nothing of the warm-up is in its request, its steps begin with the first, and the host has heard nothing."""
    model.will(says("hello"))
    agent.start()
    for _ in range(8):  # 0.4 s: longer than an agent waits before it warms up
        assert host.next_beat().doing == "waiting"
    assert {type(frame) for frame in host.frames} == {type(host.hellos[0]), Heartbeat}
    model.wait_connections(1)  # made before there is a question
    host.send(assignment("hi"))
    request = model.next_request()
    assert host.result().text == "hello"
    assert b"warm" not in request.body
    assert model.connections == 1
    assert [(frame.seq, frame.step.index) for frame in host.all(StepTaken)] == [(1, 0)]
    assert agent.exit_code() == 0


def test_a_spare_that_has_warmed_up_can_be_stopped(agent: Agent, host: ScriptedHost) -> None:
    """It ends at once, without a word."""
    agent.start()
    for _ in range(8):
        host.next_beat()
    host.send(STOP)
    assert agent.exit_code() == 0


def test_a_held_step_goes_with_the_last_word(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """A host that was away in that moment gets both, once, in order, and the agent ends when both are stored."""
    host.acks = False
    model.will(says("hello"))
    agent.start(assignment())
    assert host.result().text == "hello"
    host.hang_up()
    host.wait_welcomed()
    assert host.result().status is TaskStatus.REPLY
    host.acks = True
    host.hang_up()
    host.wait_welcomed()
    assert host.result().text == "hello"
    assert agent.exit_code() == 0
    steps = [frame.seq for frame in host.all(StepTaken)]
    assert steps == [1, 1, 1]
    assert host.stored_seq == 2


class Peer:
    """The host's end of a link, by hand."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._decoder = FrameDecoder()
        self._frames: list[object] = []

    def next(self) -> object:
        while not self._frames:
            data = self.connection.recv(1 << 16)
            assert data, "the agent hung up"
            self._frames += [AGENT_FRAMES.decode(body) for body in self._decoder.feed(data)]
        return self._frames.pop(0)

    def welcome(self) -> None:
        self.connection.settimeout(10)
        welcome = Welcome(protocol=PROTOCOL_VERSION, nonce=NONCE, heartbeat_s=1.0, host_absence_s=10.0, stored_seq=0)
        self.connection.sendall(encode_frame(welcome))


STEP = Step(index=0, kind="model_turn", entry=Entry(role="assistant", text="hello"))
LAST_WORD = TaskResult(status=TaskStatus.REPLY, text="hello")


@pytest.fixture
def linked(root: Path) -> Iterator[tuple[HostLink, Peer]]:
    near, far = socket.socketpair()
    path = str(root / "run/yard/host.sock")
    link = HostLink(socket_path=path, descriptor=near.detach(), interrupt=Interrupt(), on_stop=lambda _: None)
    reading = threading.Thread(target=link.run)
    reading.start()
    with far:
        peer = Peer(far)
        peer.welcome()
        assert link.wait_connected(10) is not None
        yield link, peer
        link.close()
    reading.join(10)


def test_a_held_step_waits_for_the_next_that_is_kept(linked: tuple[HostLink, Peer]) -> None:
    """Words for a person who looks now go past it; the last word takes it along, and it goes first."""
    link, peer = linked
    link.hold_step(STEP)
    link.say(Delta(text="h"))
    assert peer.next() == Delta(text="h")
    assert link.finish(LAST_WORD) == 2
    assert peer.next() == StepTaken(seq=1, step=STEP)
    assert peer.next() == Finished(seq=2, result=LAST_WORD)
    peer.connection.sendall(encode_frame(Ack(seq=2)))
    link.wait_acked(1)
    link.wait_acked(2)
    assert link.close() == b""


def test_a_held_step_is_sent_once_to_a_host_that_comes_meanwhile(linked: tuple[HostLink, Peer], root: Path) -> None:
    """The new connection gets what is kept, the held step too; the last word comes after it, alone."""
    link, peer = linked
    link.hold_step(STEP)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "run/yard/host.sock"))
        listener.listen()
        listener.settimeout(10)
        peer.connection.shutdown(socket.SHUT_RDWR)
        connection, _ = listener.accept()
    with connection:
        again = Peer(connection)
        again.welcome()
        assert isinstance(again.next(), Hello)
        assert again.next() == StepTaken(seq=1, step=STEP)
        link.finish(LAST_WORD)
        assert again.next() == Finished(seq=2, result=LAST_WORD)
        link.close()


def test_a_held_step_is_in_what_a_lost_agent_leaves_behind(linked: tuple[HostLink, Peer]) -> None:
    """The host reads it with the last word when it finds the container ended."""
    link, _ = linked
    link.hold_step(STEP)
    hello, step = (AGENT_FRAMES.decode(body) for body in FrameDecoder().feed(link.close()))
    assert isinstance(hello, Hello)
    assert step == StepTaken(seq=1, step=STEP)
