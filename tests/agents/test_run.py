"""The life of the agent's process: stops, lost and absent hosts, crashes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from agents.greeting import HELLO_BODY, greet
from agents.run import LAST_FRAMES_NAME
from protocol.frames import PROTOCOL_VERSION, FrameDecoder, encode_frame
from protocol.link import AGENT_FRAMES, Delta, FileOffer, Finished, Heartbeat, Hello, Progress, StepTaken, Welcome
from protocol.task import TaskResult, TaskStatus
from tests.agents.conftest import REPOSITORY, Agent
from tests.agents.scripted_host import NONCE, STOP, ScriptedHost, assignment
from tests.agents.scripted_model import (
    CHUNKED,
    Line,
    ScriptedModel,
    calls,
    chunked,
    closing,
    head,
    opening,
    says,
    text_events,
)


def wait_until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 15
    while not holds():
        assert time.monotonic() < deadline, f"waited in vain for: {what}"
        os.sched_yield()


def last_frames(root: Path) -> list[object]:
    data = (root / "run/yard/out" / LAST_FRAMES_NAME).read_bytes()
    return [AGENT_FRAMES.decode(body) for body in FrameDecoder().feed(data)]


def stop_and_measure(host: ScriptedHost) -> tuple[TaskResult, float]:
    began = time.monotonic()
    host.send(STOP)
    return host.result(), time.monotonic() - began


# -- Stop -----------------------------------------------------------------------------------------------------------


def test_stop_during_the_stream(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """A stop ends the model's stream and the task within a second, with the reason given."""
    hung_up = []

    def endless(line: Line) -> None:
        line.send(head(200, CHUNKED) + chunked(opening() + text_events("so"), end=False))
        hung_up.append(line.wait_closed())

    model.will(endless)
    agent.start(assignment())
    host.next(Delta)
    result, took_s = stop_and_measure(host)
    assert (result.status, result.reason) == (TaskStatus.STOPPED, STOP.reason)
    assert took_s < 10
    assert agent.exit_code() == 0
    wait_until(lambda: hung_up == [True], "the model's connection to close")


def test_stop_while_the_model_is_silent(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """A stop does not wait for the model's first word."""
    model.will(lambda line: (line.wait_closed(), None)[1])
    agent.start(assignment())
    model.next_request()
    result, took_s = stop_and_measure(host)
    assert result.status is TaskStatus.STOPPED and took_s < 10


def test_stop_while_waiting_for_the_store(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """A stop does not wait for the ack of a step."""
    host.acks = False
    model.will(calls("shell", {"command": "true"}))
    agent.start(assignment())
    host.next(StepTaken)
    result, took_s = stop_and_measure(host)
    assert result.status is TaskStatus.STOPPED and took_s < 10


def test_stop_kills_every_process_of_a_tool(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """Children in groups and sessions of their own, and orphans, are gone when the stop is answered."""
    command = (
        "sleep 301 & setsid sleep 302 & (setsid bash -c 'trap \"\" TERM HUP INT; sleep 303 & sleep 304' &) ; "
        'python3 -c "import os,time; os.fork() or (os.setsid(), os.fork() and os._exit(0)); time.sleep(305)" & '
        "touch ready; sleep 306"
    )
    model.will(calls("shell", {"command": command, "timeout_s": 600}))
    agent.start(assignment())
    wait_until(lambda: sum(is_asleep(pid) for pid in sleepers(agent.pid)) >= 7, "all the processes to start")
    pids = sleepers(agent.pid)
    result, took_s = stop_and_measure(host)
    assert result.status is TaskStatus.STOPPED and took_s < 10
    wait_until(lambda: not any(is_running(pid) for pid in pids), "all processes to be gone")


@pytest.mark.parametrize("ends", ["stop", "task"])
def test_jobs_end_with_the_task(agent: Agent, host: ScriptedHost, model: ScriptedModel, ends: str) -> None:
    """What was started in the background on purpose is gone with all its children when the task is over, or stopped."""
    seen = threading.Event()

    def answer(line: Line) -> None:
        if ends == "stop":
            line.wait_closed()
        elif seen.wait(15):
            line.send(says("ok"))

    job = "trap '' TERM HUP; setsid sleep 301 & sleep 302 & wait"
    model.will(calls("shell", {"command": job, "background": True}), answer)
    agent.start(assignment())
    wait_until(lambda: sum(is_asleep(pid) for pid in sleepers(agent.pid)) == 2, "the job to start")
    wait_until(lambda: len(model.requests) == 2, "the model to be told of it")
    pids = sleepers(agent.pid)
    seen.set()
    status = stop_and_measure(host)[0].status if ends == "stop" else host.result().status
    assert status is (TaskStatus.STOPPED if ends == "stop" else TaskStatus.REPLY)
    assert agent.exit_code() == 0 and "job 1 runs" in host.outputs()[0]
    wait_until(lambda: not any(is_running(pid) for pid in pids), "the job to be gone")


def sleepers(pid: int) -> set[int]:
    """Return all descendants of a process."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if fields[0] != "Z":
                parents[int(folder.name)] = int(fields[1])
    found: set[int] = set()
    level = {pid}
    while level:
        level = {child for child, parent in parents.items() if parent in level} - found
        found |= level
    return found


def is_asleep(pid: int) -> bool:
    """Whether it is one of the processes that sleep, and not a shell that is to start them."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return command.startswith(b"sleep\0") or b"time.sleep(305)\0" in command


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_stop_before_a_task_ends_the_spare(agent: Agent, host: ScriptedHost) -> None:
    """A spare that is dropped just ends."""
    agent.start()
    host.send(STOP)
    assert agent.exit_code() == 0
    assert host.all(Finished) == []


# -- the link -------------------------------------------------------------------------------------------------------


def test_first_bytes_are_a_hello() -> None:
    """The hand-made first frame is what the codec would make."""
    frame = encode_frame(Hello(protocol=PROTOCOL_VERSION, agent_version="0.1.0"))
    assert frame == len(HELLO_BODY).to_bytes(4, "big") + HELLO_BODY


def test_heartbeats_come_while_a_tool_runs(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """A long tool call is not a hang: the heartbeat goes on and says what is being done."""
    model.will(calls("shell", {"command": "sleep 30"}))
    agent.start(assignment())
    wait_until(
        lambda: len([beat for beat in host.all(Heartbeat) if beat.doing == "tool" and beat.for_s > 0.1]) > 2,
        "heartbeats from the tool",
    )


def test_restarted_host_gets_what_it_has_not_stored(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """After a reconnect with the nonce, unacked frames come again with the same seq, and the task goes on."""
    host.acks = False
    model.will(calls("shell", {"command": "echo once >> log"}), says("done"))
    agent.start(assignment())
    first = host.next(StepTaken)
    host.vanish()
    host.acks = True
    host.listen()
    host.wait_welcomed()
    assert [hello.nonce for hello in host.hellos] == ["", NONCE]
    assert host.next(StepTaken) == first
    assert host.result().text == "done"
    assert (agent.root / "workspace/log").read_text() == "once\n"
    assert [frame.seq for frame in host.all(StepTaken)] == [1, 1, 2, 3, 4]
    assert agent.exit_code() == 0


def test_host_that_stored_but_could_not_say_so(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """`stored_seq` of the Welcome counts as the ack that was lost: nothing is sent again."""
    host.acks = False
    model.will(says("hello"))
    agent.start(assignment())
    seq = host.next(Finished).seq
    host.stored_seq = seq
    host.hang_up()
    assert agent.exit_code() == 0
    assert len(host.all(Finished)) == 1


def test_host_may_restart_in_the_middle_of_a_stream(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """A model call outlives a host's restart; only what was shown meanwhile is lost."""

    def slowly(line: Line) -> None:
        line.send(head(200, CHUNKED) + chunked(opening() + text_events("a"), end=False))
        host.vanish()
        host.listen()
        line.send(chunked(text_events("b", index=1) + closing()))

    model.will(slowly, says("unused"))
    agent.start(assignment())
    assert host.result().text == "ab"
    assert len(model.requests) == 1


def test_file_is_offered_again_after_a_lost_connection(
    agent: Agent, host: ScriptedHost, model: ScriptedModel, root: Path
) -> None:
    """A transfer that the host did not confirm begins again with the same call id."""
    (root / "workspace/a.txt").write_text("content")
    host.takes_files = False
    model.will(calls("send_file", {"path": "a.txt"}, "toolu_f"), says("sent"))
    agent.start(assignment())
    host.next(FileOffer)
    host.takes_files = True
    host.hang_up()
    assert host.result().text == "sent"
    assert {offer.call_id for offer in host.all(FileOffer)} == {"toolu_f"}
    assert list(host.files.values()) == [b"content"]


def test_absent_host_finds_the_last_word(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """The result is written as frames behind a Hello with the nonce, and the agent ends in peace."""
    host.acks = False
    host.host_absence_s = 0.5
    model.will(says("the answer"))
    agent.start(assignment())
    host.next(Finished)
    host.vanish()
    assert agent.exit_code() == 0
    hello, step, finished = last_frames(agent.root)
    assert isinstance(hello, Hello) and hello.nonce == NONCE
    assert isinstance(step, StepTaken) and isinstance(finished, Finished)
    assert finished.result.text == "the answer"
    assert sorted(path.name for path in (agent.root / "run/yard/out").iterdir()) == [LAST_FRAMES_NAME]


def test_absent_host_during_a_tool(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """A tool that runs when the host has been away for too long is killed; what was stored needs no last word."""
    host.host_absence_s = 0.5
    model.will(calls("shell", {"command": "sleep 300"}))
    agent.start(assignment())
    host.next(Progress)
    wait_until(lambda: len(sleepers(agent.pid)) > 0, "the tool to start")
    pids = sleepers(agent.pid)
    host.vanish()
    assert agent.exit_code() == 0
    assert not any(is_running(pid) for pid in pids)
    assert not (agent.root / "run/yard/out" / LAST_FRAMES_NAME).exists()


def test_last_word_does_not_follow_a_planted_link(
    agent: Agent, host: ScriptedHost, model: ScriptedModel, root: Path
) -> None:
    """A link that a tool left in the out folder is replaced, not written through."""
    victim = root / "workspace/victim"
    victim.write_text("mine")
    for name in (LAST_FRAMES_NAME, f"{LAST_FRAMES_NAME}.new"):
        (root / "run/yard/out" / name).symlink_to(victim)
    host.acks = False
    host.host_absence_s = 0.3
    model.will(says("x"))
    agent.start(assignment())
    host.next(Finished)
    host.vanish()
    assert agent.exit_code() == 0
    assert victim.read_text() == "mine"
    assert not (root / "run/yard/out" / LAST_FRAMES_NAME).is_symlink()


def test_spare_without_a_host_ends(agent: Agent, host: ScriptedHost) -> None:
    """A spare whose host stays away leaves nothing behind."""
    host.host_absence_s = 0.2
    agent.start()
    host.vanish()
    assert agent.exit_code() == 0
    assert list((agent.root / "run/yard/out").iterdir()) == []


@pytest.mark.parametrize(
    "garbage",
    [
        b"\xff\xff\xff\xff",
        b"\x00\x00\x00\x03abc",
        b'\x00\x00\x00\x0f{"type":"hello"}'[:19],
        encode_frame(Welcome(protocol="9.0", nonce="n", heartbeat_s=1.0, host_absence_s=1.0)),
    ],
)
def test_host_of_another_language_ends_the_agent(agent: Agent, host: ScriptedHost, garbage: bytes) -> None:
    """Frames that are not of our protocol end the process with a code of its own and a plain line."""
    agent.start()
    host.send_bytes(garbage)
    assert agent.exit_code() == 76
    assert "not of our protocol" in agent.stderr()


@pytest.mark.parametrize("where", ["raise error", "threading.Thread(target=fail).start(); time.sleep(20)"])
def test_crash_leaves_its_traceback(root: Path, where: str) -> None:
    """A bug, in whichever thread, ends the process with code 70 and a capped traceback in the out folder."""
    trace = root / "run/yard/out/stderr.txt"
    script = f"""
import sys; sys.path.insert(0, sys.argv[2])
import threading, time
from agents import crash
crash.watch(sys.argv[1]); crash.watch_threads(sys.argv[1])
error = RuntimeError("a bug" + "!" * 100_000)
def fail(): raise error
{where}
"""
    done = subprocess.run(
        [sys.executable, "-I", "-c", script, str(trace), str(REPOSITORY)], capture_output=True, timeout=20, check=False
    )
    assert done.returncode == 70
    assert trace.read_bytes() == done.stderr
    assert 0 < len(done.stderr) <= 16_000


def test_nobody_at_the_socket(root: Path) -> None:
    """Without a host the greeting gives up with the system's error after its patience."""
    with pytest.raises(FileNotFoundError):
        greet(str(root / "run/yard/host.sock"), patience_s=0.05)


def test_tools_know_neither_the_nonce_nor_the_link(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """No descriptor of the agent is inherited by a tool, and the nonce is in no environment or argument."""
    command = "ls -l /proc/self/fd | grep -c socket; tr '\\0' '\\n' < /proc/$PPID/environ; env"
    model.will(calls("shell", {"command": command}), says("ok"))
    agent.start(assignment())
    host.result()
    (output,) = host.outputs()
    assert output.startswith("0\n")
    assert NONCE not in output


def test_flood_of_output_keeps_memory_flat(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """100 MB from a tool cost the agent nothing and give the model the beginning and the end."""
    peaks = []

    def measure(then: bytes) -> Callable[[Line], None]:
        def reply(line: Line) -> None:
            peaks.append(peak_memory_kb(agent.pid))
            line.send(then)

        return reply

    command = "echo begin; head -c 100000000 /dev/zero | tr '\\0' x; echo; echo end"
    model.will(
        calls("shell", {"command": "head -c 100000 /dev/zero"}, "a"),
        measure(calls("shell", {"command": command}, "b")),
        measure(says("ok")),
    )
    agent.start(assignment())
    assert host.result().text == "ok"
    output = host.outputs()[1]
    assert output.startswith("begin\n") and output.endswith("end\n") and "bytes left out" in output
    assert len(output) < 31_000
    assert peaks[1] - peaks[0] < 2_000


def peak_memory_kb(pid: int) -> int:
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1])


def test_background_process_is_told_and_ends_with_the_task(
    agent: Agent, host: ScriptedHost, model: ScriptedModel
) -> None:
    """What a tool leaves running is told to the model, goes on, and is gone when the task is over."""
    model.will(calls("shell", {"command": "setsid sleep 300 & echo started"}), says("ok"))
    agent.start(assignment())
    host.next(Progress)
    wait_until(lambda: len(sleepers(agent.pid)) > 0, "the tool to start")
    pids = sleepers(agent.pid)
    assert host.result().text == "ok"
    assert host.outputs() == ["started\n\n[1 process(es) go on in the background]"]
    assert agent.exit_code() == 0
    assert not any(is_running(pid) for pid in pids)
