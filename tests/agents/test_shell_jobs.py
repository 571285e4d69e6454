"""Commands in the background: looked at, waited for, ended; and what people see of a command that takes its time."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agents.descendants import kill_descendants, living_descendants
from agents.host_link import HostLink
from agents.interrupt import Interrupt, Interrupted
from agents.places import Places
from agents.refusals import Refusals
from agents.tools.last_lines import EVERY_S, FIRST_AFTER_S, LastLines
from agents.tools.shell_jobs import MAX_RUNNING, Jobs
from agents.tools.tool import ToolError
from agents.tools.toolbox import Toolbox
from protocol.link import Progress
from protocol.transcript import ToolCall, ToolOutput
from tests.agents.conftest import Agent
from tests.agents.scripted_host import ScriptedHost, assignment
from tests.agents.scripted_model import ScriptedModel, calls, says


@pytest.fixture
def interrupt() -> Interrupt:
    return Interrupt()


@pytest.fixture
def link(places: Places, interrupt: Interrupt) -> Iterator[HostLink]:
    here, there = socket.socketpair()
    link = HostLink(
        socket_path=places.host_socket, descriptor=here.detach(), interrupt=interrupt, on_stop=interrupt.trip
    )
    yield link
    there.close()
    link.close()
    link.run()


@pytest.fixture
def toolbox(places: Places, interrupt: Interrupt, link: HostLink) -> Iterator[Toolbox]:
    yield Toolbox(places=places, link=link, interrupt=interrupt, refusals=Refusals(), skill_names=frozenset())
    kill_descendants()
    until(lambda: not any(thread.name.startswith("job") for thread in threading.enumerate()))


def shell(toolbox: Toolbox, command: str, **arguments: object) -> ToolOutput:
    return toolbox.run(ToolCall(call_id="c", name="shell", arguments={"command": command, **arguments}))


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_job_is_looked_at_while_it_runs(toolbox: Toolbox, root: Path) -> None:
    """Each look gives what is new since the last; the whole is a file that it names."""
    (root / "workspace").mkdir(exist_ok=True)
    os.mkfifo(root / "workspace" / "go")
    begun = shell(toolbox, "echo one; read x < go; echo two; read x < go", background=True)
    assert "[job 1 runs, since " in begun.text
    assert not begun.is_error
    path = Path(begun.text.split(" is in ")[1].split("]")[0])
    until(lambda: path.read_text() == "one\n")
    assert (begun.text + shell(toolbox, "output", job=1).text).count("one\n") == 1
    assert shell(toolbox, "output", job=1).text.startswith("[job 1 runs, since ")
    assert "; nothing new; all of it is in " in shell(toolbox, "output", job=1).text
    (root / "workspace" / "go").write_text("on\n")
    until(lambda: path.read_text() == "one\ntwo\n")
    assert shell(toolbox, "output", job=1).text.startswith("two\n[job 1 runs")
    assert shell(toolbox, "echo beside").text == "beside\n"


def test_a_job_is_waited_for(toolbox: Toolbox) -> None:
    """Up to its end, with what it wrote until then; one that failed is an error, as if it had run in front."""
    shell(toolbox, "sleep 0.5; echo done", background=True)
    assert shell(toolbox, "wait", job=1).text.startswith("done\n[job 1 has ended: exit code 0; ")
    shell(toolbox, "sleep 0.5; echo bad; exit 3", background=True)
    failed = shell(toolbox, "wait", job=2)
    assert failed.is_error
    assert failed.text.startswith("bad\n[job 2 has ended: exit code 3; ")


def test_a_wait_has_an_end(toolbox: Toolbox) -> None:
    """The job goes on after it."""
    shell(toolbox, "sleep 100", background=True)
    assert "[job 1 runs" in shell(toolbox, "wait", job=1, timeout_s=1).text
    assert "[job 1 runs" in shell(toolbox, "output", job=1).text


def test_a_job_is_ended_with_all_that_it_started(toolbox: Toolbox) -> None:
    """Also what ignores being asked; other jobs go on."""
    before = living_descendants()
    shell(toolbox, "trap '' TERM; sleep 100 & sleep 100 & while true; do wait; done", background=True)
    shell(toolbox, "sleep 100", background=True)
    assert "[job 1 has ended: exit code -9" in shell(toolbox, "end", job=1).text
    assert "[job 2 runs" in shell(toolbox, "output", job=2).text
    assert "[job 2 has ended: exit code -15" in shell(toolbox, "end", job=2).text
    assert living_descendants() == before


def test_a_job_outlives_the_time_out_of_another_command(toolbox: Toolbox, root: Path) -> None:
    """With what it starts meanwhile: only what the other command has started is ended, and counted as left."""
    os.mkfifo(root / "workspace" / "go")
    shell(toolbox, "read x < go; sleep 100 & wait; echo lost", background=True)
    timed_out = shell(toolbox, "echo on > go; sleep 100 & sleep 100", timeout_s=1)
    assert "[stopped: it ran longer than 1 s]" in timed_out.text
    assert shell(toolbox, "sleep 0.5; echo x").text == "x\n"
    assert "; nothing new; " in shell(toolbox, "output", job=1).text


def test_a_job_that_ends_beside_another_command_keeps_its_exit_code(toolbox: Toolbox) -> None:
    """Also while something that it has started still holds its output."""
    shell(toolbox, "sleep 2 & sleep 0.5; exit 3", background=True)
    shell(toolbox, "sleep 1")
    assert "[job 1 has ended: exit code 3" in shell(toolbox, "wait", job=1).text


def test_a_command_that_cannot_run_is_known_soon(toolbox: Toolbox) -> None:
    """It has ended by the first look or the next, and says why."""
    begun = shell(toolbox, "nonesuch", background=True).text
    until(lambda: "[job 1 has ended: exit code 127; " in shell(toolbox, "output", job=1).text)
    assert "not found" in begun or "runs" in begun


def test_a_long_output_shows_both_ends(toolbox: Toolbox) -> None:
    """And says what was left out."""
    shell(toolbox, "seq 1 200000", background=True)
    shown = shell(toolbox, "wait", job=1)
    begun = shell(toolbox, "seq 1 200000; sleep 0.6", background=True)
    assert "bytes left out …]" in begun.text + shown.text
    assert len(begun.text) < 31_000


def test_what_there_is_not_is_said(toolbox: Toolbox) -> None:
    """A job, a word, and room for one more."""
    assert "there is no job 7 (there is: none)" in shell(toolbox, "output", job=7).text
    for _ in range(MAX_RUNNING):
        shell(toolbox, "sleep 100", background=True)
    assert f"{MAX_RUNNING} jobs run already (1, 2, 3" in shell(toolbox, "sleep 100", background=True).text
    assert "the command is `output`, `wait` or `end`, and not 'ls'" in shell(toolbox, "ls", job=1).text
    assert "must be a number" in shell(toolbox, "output", job="one").text
    assert "zero byte" in shell(toolbox, "a\0b", background=True).text


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_jobs_without_number_hold_no_files_without_number(toolbox: Toolbox) -> None:
    """The oldest that is all over is forgotten, and said to be; one that runs is kept however old it is."""
    jobs, context = Jobs(most_kept=3), toolbox.context("c")
    jobs.start("sleep 300", context)
    before = open_files()
    for number in range(2, 8):
        jobs.start("true", context)
        assert "exit code 0" in jobs.act(number, "wait", 10, context)
        until(lambda: sum(thread.name.startswith("job") for thread in threading.enumerate()) == 1)
    assert open_files() <= before + 3
    assert "job 1 runs" in jobs.act(1, "output", 1, context)
    with pytest.raises(ToolError, match=r"there is no job 2 .* it ended long ago"):
        jobs.act(2, "output", 1, context)
    with pytest.raises(ToolError, match=r"there is no job 9 .* jobs end with the container"):
        jobs.act(9, "output", 1, context)


def test_a_stop_ends_a_wait(toolbox: Toolbox, interrupt: Interrupt) -> None:
    """At once."""
    shell(toolbox, "sleep 100", background=True)
    threading.Timer(0.2, interrupt.trip, ("enough",)).start()
    began = time.monotonic()
    with pytest.raises(Interrupted):
        shell(toolbox, "wait", job=1)
    assert time.monotonic() - began < 10


def test_the_last_lines_are_told_every_so_often() -> None:
    """Nothing of a quick command; then the newest lines, not more often than every two seconds, and each news once."""
    said: list[Progress] = []
    lines = LastLines(said.append, 100.0)
    lines.add(b"one\ntwo\nthree\nfour\n")
    lines.tell(100.0 + FIRST_AFTER_S - 0.1)
    assert said == []
    lines.tell(100.0 + FIRST_AFTER_S)
    lines.add(b"10 %\r20 %\r" + "ü".encode()[:1])
    lines.tell(100.0 + FIRST_AFTER_S + EVERY_S - 0.1)
    lines.tell(100.0 + FIRST_AFTER_S + EVERY_S)
    lines.tell(100.0 + FIRST_AFTER_S + 2 * EVERY_S)
    assert [each.text for each in said] == ["two\nthree\nfour", "10 %\n20 %\n\ufffd"]
    assert {(each.kind, each.tool) for each in said} == {("output", "shell")}


def test_a_flood_of_output_is_a_few_lines_for_people(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """However much a command writes; the same of a job that is waited for."""
    flood = "for i in 1 2 3 4 5; do yes | head -c 20000000; sleep 0.5; done"
    model.will(
        calls("shell", {"command": flood}),
        calls("shell", {"command": f"sleep 0.4; {flood}", "background": True}, "toolu_2"),
        calls("shell", {"command": "wait", "job": 1}, "toolu_3"),
        says("Done."),
    )
    agent.start(assignment())
    assert host.result().text == "Done."
    told = [frame.text for frame in host.all(Progress) if frame.kind == "output"]
    assert 2 <= len(told) < 20
    assert all(len(text) < 400 for text in told)
    assert told[0] == "y\ny\ny"
