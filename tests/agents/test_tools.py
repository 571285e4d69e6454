"""Each tool with real files and processes, through the toolbox."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.descendants import living_descendants, reap_orphans
from agents.host_link import HostLink
from agents.interrupt import Interrupt, Interrupted
from agents.places import Places
from agents.refusals import Refusals
from agents.tools.tool import cut_in_the_middle
from agents.tools.toolbox import Toolbox
from protocol.frames import MAX_FRAME_BYTES, encode_frame
from protocol.link import StepTaken
from protocol.transcript import Step, ToolCall, ToolOutput


@pytest.fixture
def interrupt() -> Interrupt:
    return Interrupt()


@pytest.fixture
def refusals() -> Refusals:
    return Refusals()


@pytest.fixture
def toolbox(places: Places, interrupt: Interrupt, refusals: Refusals) -> Iterator[Toolbox]:
    here, there = socket.socketpair()
    link = HostLink(
        socket_path=places.host_socket, descriptor=here.detach(), interrupt=interrupt, on_stop=interrupt.trip
    )
    skill_names = frozenset({"tour", "gone"})
    yield Toolbox(places=places, link=link, interrupt=interrupt, refusals=refusals, skill_names=skill_names)
    there.close()
    link.close()
    link.run()


def run(toolbox: Toolbox, tool: str, **arguments: object) -> ToolOutput:
    return toolbox.run(ToolCall(call_id="c", name=tool, arguments=arguments))


# -- shell ----------------------------------------------------------------------------------------------------------


def test_shell_gives_both_outputs_and_the_exit_code(toolbox: Toolbox) -> None:
    """Standard output and error come in order; a failure is an error with its code."""
    output = run(toolbox, "shell", command="echo out; echo err >&2; echo more; exit 3")
    assert output.is_error
    assert output.text == "out\nerr\nmore\n\n[exit code 3]"


def test_shell_tells_what_the_proxy_refused(toolbox: Toolbox, refusals: Refusals) -> None:
    """A refusal that the command has not shown itself is added to its output, with what would allow it, once."""
    error = '{"error": {"message": "No grant for a.example.", "grant_with": "nightyard x", "retry": false}}'
    answer = f"HTTP/1.1 403 No\r\nx-nightyard: host_not_granted\r\n\r\n{error}".encode()
    refusals.note(answer)
    refusals.note(answer)
    output = run(toolbox, "shell", command="echo 403; exit 56").text
    told = "[No grant for a.example. The owner would allow it with: nightyard x. Trying again does not help.]"
    assert output == f"403\n\n{told}\n[exit code 56]"
    assert run(toolbox, "shell", command="echo 403").text == "403\n"
    refusals.note(answer)
    assert run(toolbox, "shell", command="echo 'No grant for a.example.'").text == "No grant for a.example.\n"


def test_shell_without_output_says_so(toolbox: Toolbox) -> None:
    """Silence is told as such, for models take an empty text for a fault."""
    assert run(toolbox, "shell", command="cat").text == "(no output)"


def test_shell_stops_at_its_time(toolbox: Toolbox) -> None:
    """A command over its time is killed with all it started, and what it said so far is kept."""
    began = time.monotonic()
    before = living_descendants()
    output = run(toolbox, "shell", command="echo begun; sleep 100 & sleep 100", timeout_s=1)
    assert output.is_error and output.text == "begun\n\n[stopped: it ran longer than 1 s]"
    assert time.monotonic() - began < 50
    assert living_descendants() == before


def test_shell_that_closes_its_output_is_still_waited_for(toolbox: Toolbox, root: Path) -> None:
    """The end of the output is not the end of the command."""
    run(toolbox, "shell", command="exec >&- 2>&-; sleep 0.2; touch done")
    assert (root / "workspace/done").exists()


def test_background_process_goes_on_after_the_call(toolbox: Toolbox, root: Path) -> None:
    """What is started in the background neither holds the call up nor ends with it."""
    began = time.monotonic()
    output = run(toolbox, "shell", command="mkfifo go; (read x < go; echo $x > heard) & echo started")
    assert output.text.startswith("started\n")
    assert time.monotonic() - began < 50
    (root / "workspace/go").write_text("word\n")
    while not (root / "workspace/heard").exists():
        assert time.monotonic() - began < 60
        os.sched_yield()
    reap_orphans()


def test_interrupt_ends_a_command(toolbox: Toolbox, interrupt: Interrupt) -> None:
    """A stop ends the command at once; the loop sees Interrupted."""
    threading.Timer(0.2, interrupt.trip, ("stop",)).start()
    began = time.monotonic()
    with pytest.raises(Interrupted):
        run(toolbox, "shell", command="sleep 100")
    assert time.monotonic() - began < 20


def test_shell_survives_odd_output_and_odd_limits(toolbox: Toolbox) -> None:
    """Bytes that are no text are replaced; a limit out of range is moved into it."""
    assert run(toolbox, "shell", command="printf '\\xff\\xfe ok'", timeout_s=-5).text == "\ufffd\ufffd ok"
    assert run(toolbox, "shell", command="true", timeout_s="soon").is_error
    assert run(toolbox, "shell", command="x" * 5_000_000).text.startswith("the command could not be started")


def test_shell_in_a_workspace_that_is_gone(toolbox: Toolbox, root: Path) -> None:
    """A command that cannot start is an error for the model."""
    (root / "workspace").rmdir()
    assert "could not be started" in run(toolbox, "shell", command="true").text
    (root / "workspace").mkdir()


# -- files ----------------------------------------------------------------------------------------------------------


def test_write_read_edit(toolbox: Toolbox, root: Path) -> None:
    """The three file tools work on the same file; folders are made."""
    assert not run(toolbox, "write_file", path="a/b/c.txt", content="one\ntwö\nthree\n").is_error
    assert run(toolbox, "read_file", path="a/b/c.txt").text == "one\ntwö\nthree\n"
    assert run(toolbox, "read_file", path="/" + str(root / "workspace/a/b/c.txt").lstrip("/")).text.startswith("one")
    assert not run(toolbox, "edit_file", path="a/b/c.txt", old="twö\n", new="2\n").is_error
    assert (root / "workspace/a/b/c.txt").read_text() == "one\n2\nthree\n"
    assert [path.name for path in (root / "workspace/a/b").iterdir()] == ["c.txt"]


def test_edit_must_be_exact_and_unique(toolbox: Toolbox, root: Path) -> None:
    """Nothing is changed where the passage is missing, repeated or empty."""
    (root / "workspace/f").write_text("a b a")
    for old, problem in (("a", "2 times"), ("A", "not in the file"), ("", "empty")):
        output = run(toolbox, "edit_file", path="f", old=old, new="x")
        assert output.is_error and problem in output.text
    assert (root / "workspace/f").read_text() == "a b a"


def test_edit_keeps_mode_bits_and_bytes(toolbox: Toolbox, root: Path) -> None:
    """An edit of a script leaves it executable, and leaves bytes that are no text as they were."""
    script = root / "workspace/run.sh"
    script.write_bytes(b"#!/bin/sh\r\necho \xff old\r\n")
    script.chmod(0o755)
    run(toolbox, "edit_file", path="run.sh", old="old", new="new")
    assert script.read_bytes() == b"#!/bin/sh\r\necho \xff new\r\n"
    assert script.stat().st_mode & 0o777 == 0o755


def test_reading_some_lines(toolbox: Toolbox, root: Path) -> None:
    """Lines are chosen by number, and the model is told that there are more."""
    (root / "workspace/f").write_text("".join(f"line {number}\n" for number in range(1, 5001)))
    assert run(toolbox, "read_file", path="f", first_line=4999).text == "line 4999\nline 5000\n"
    assert run(toolbox, "read_file", path="f", first_line=10, lines=2).text.startswith("line 10\nline 11\n\n[… cut")
    assert run(toolbox, "read_file", path="f").text.count("\n") <= 2002
    assert "fewer than 6000" in run(toolbox, "read_file", path="f", first_line=6000).text
    (root / "workspace/no_end").write_text("x")
    assert run(toolbox, "read_file", path="no_end").text == "x"


@given(lines=st.lists(st.text("ab", max_size=4), max_size=12), first=st.integers(1, 14), count=st.integers(1, 14))
def test_line_choice_agrees_with_a_plain_model(lines: list[str], first: int, count: int) -> None:
    """Whatever is asked for, the lines given are those that a slice of all lines gives."""
    from agents.tools.read_file import lines_of

    data = "\n".join(lines).encode()
    whole = data.decode().splitlines(keepends=True)
    reader, writer = os.pipe()
    os.write(writer, data)
    os.close(writer)
    try:
        taken, more = lines_of(reader, first, count, Interrupt())
    finally:
        os.close(reader)
    assert taken.decode() == "".join(whole[first - 1 : first - 1 + count])
    assert more == (len(whole) > first - 1 + count)


def test_file_that_is_large_or_no_text(toolbox: Toolbox, root: Path) -> None:
    """A huge line is cut, a binary file is refused, an empty one is called so."""
    (root / "workspace/long").write_text("x" * 3_000_000)
    text = run(toolbox, "read_file", path="long").text
    assert len(text) < 31_000 and "cut" in text
    (root / "workspace/binary").write_bytes(b"\x7fELF\0\0")
    assert "not text" in run(toolbox, "read_file", path="binary").text
    (root / "workspace/none").touch()
    assert run(toolbox, "read_file", path="none").text == "(the file is empty)"


@pytest.mark.parametrize(
    "path", ["", "a\0b", "x/" * 3000, "/etc/passwd", "../outside", "~/../../etc", "/proc/self/mem"]
)
@pytest.mark.parametrize("tool", ["read_file", "write_file", "edit_file", "send_file"])
def test_paths_outside_are_refused(toolbox: Toolbox, root: Path, tool: str, path: str) -> None:
    """No tool leaves its folders, whatever the path looks like."""
    (root / "outside").write_text("secret")
    output = run(toolbox, tool, path=path, content="evil", old="secret", new="evil")
    assert output.is_error
    assert "secret" not in output.text
    assert (root / "outside").read_text() == "secret"


@pytest.mark.parametrize("tool", ["read_file", "write_file", "edit_file", "send_file"])
def test_links_that_lead_outside_are_refused(toolbox: Toolbox, root: Path, tool: str) -> None:
    """A link in the workspace is no way out, to a file or through a folder."""
    (root / "outside").mkdir()
    (root / "outside/f").write_text("secret")
    (root / "workspace/file").symlink_to(root / "outside/f")
    (root / "workspace/folder").symlink_to(root / "outside")
    (root / "workspace/circle").symlink_to(root / "workspace/circle")
    for path in ("file", "folder/f", "folder/new", "circle"):
        assert run(toolbox, tool, path=path, content="evil", old="secret", new="evil").is_error
    assert [file.name for file in (root / "outside").iterdir()] == ["f"]
    assert (root / "outside/f").read_text() == "secret"


def test_link_that_is_swapped_while_it_is_opened(toolbox: Toolbox, root: Path) -> None:
    """A process that turns a file into a link at the worst moment does not get another file read."""
    target, spare = root / "workspace/f", root / "workspace/spare"
    (root / "outside").write_text("secret")
    over = threading.Event()

    def swap() -> None:
        while not over.is_set():
            spare.write_text("plain")
            spare.rename(target)
            spare.symlink_to(root / "outside")
            spare.rename(target)

    swapper = threading.Thread(target=swap)
    swapper.start()
    texts = {run(toolbox, "read_file", path="f").text for _ in range(3000)}
    over.set()
    swapper.join()
    assert "plain" in texts
    assert "secret" not in texts


def test_link_inside_is_followed(toolbox: Toolbox, root: Path) -> None:
    """A link that stays inside is written through, and stays a link."""
    (root / "workspace/real").write_text("a")
    (root / "workspace/link").symlink_to("real")
    run(toolbox, "write_file", path="link", content="b")
    assert (root / "workspace/real").read_text() == "b"
    assert (root / "workspace/link").is_symlink()


def test_things_that_are_no_files(toolbox: Toolbox, root: Path) -> None:
    """A folder, a pipe and a missing file are errors at once, none of them waits."""
    os.mkfifo(root / "workspace/pipe")
    for path in ("pipe", ".", "missing"):
        assert run(toolbox, "read_file", path=path).is_error
    assert "is a folder" in run(toolbox, "write_file", path=".", content="").text
    (root / "workspace/plain").write_text("")
    assert run(toolbox, "write_file", path="plain/below", content="").is_error


# -- skills ---------------------------------------------------------------------------------------------------------


def test_skill_puts_its_folder_where_other_products_do(toolbox: Toolbox, root: Path) -> None:
    """A skill that was made elsewhere finds its own files."""
    (root / "skills/tour").mkdir(parents=True)
    (root / "skills/tour/SKILL.md").write_text("{baseDir}/a ${CLAUDE_SKILL_DIR}/b")
    folder = root / "skills/tour"
    assert run(toolbox, "skill", name="tour").text == f"{folder}/a {folder}/b"


def test_skill_opens_its_own_files_only(toolbox: Toolbox, root: Path) -> None:
    """SKILL.md by default, another file by name; never another skill, never outside."""
    (root / "skills/tour/references").mkdir(parents=True)
    (root / "skills/tour/SKILL.md").write_text("# Tour")
    (root / "skills/tour/references/more.md").write_text("more")
    (root / "skills/other").mkdir()
    (root / "skills/other/SKILL.md").write_text("other")
    assert run(toolbox, "skill", name="tour").text == "# Tour"
    assert run(toolbox, "skill", name="tour", file="references/more.md").text == "more"
    for name, file in (
        ("other", "SKILL.md"),
        ("../tour", "SKILL.md"),
        ("tour", "../other/SKILL.md"),
        ("tour", "/etc/passwd"),
        ("tour", "missing.md"),
        ("gone", "SKILL.md"),
    ):
        assert run(toolbox, "skill", name=name, file=file).is_error


def test_a_long_file_of_a_skill_is_shown_to_a_line(toolbox: Toolbox, root: Path) -> None:
    """Its beginning, with where the rest is; a file of another size than can be shown is never taken for the whole."""
    (root / "skills/tour").mkdir(parents=True)
    for lines in (4_000, 40_000):
        (root / "skills/tour/SKILL.md").write_text("123456789\n" * lines)
        text = run(toolbox, "skill", name="tour").text
        assert text.startswith("123456789\n" * 3_000) and text.count("123456789\n") == 3_000
        where = f"{root}/skills/tour/SKILL.md"
        assert text.endswith(f"[… cut in line 3001 of a file of {10 * lines} bytes: the rest is in {where}]")
        assert run(toolbox, "read_file", path=where, first_line=3_001, lines=1).text.startswith("123456789\n")


def test_every_output_fits_a_frame(toolbox: Toolbox, root: Path) -> None:
    """The worst characters at the greatest length are still a frame that the host takes."""
    (root / "workspace/worst").write_bytes(b"\x01" * 200_000)
    for output in (
        run(toolbox, "read_file", path="worst"),
        run(toolbox, "shell", command="cat worst"),
        run(toolbox, "\x01" * 500_000),
    ):
        step = Step(index=0, kind="tool_finished", output=output)
        assert len(encode_frame(StepTaken(seq=1, step=step))) < MAX_FRAME_BYTES / 2


@given(text=st.text(max_size=200), limit=st.integers(2, 100))
def test_cut_keeps_both_ends(text: str, limit: int) -> None:
    """What is cut keeps its beginning and its end and says how much is missing."""
    cut = cut_in_the_middle(text, limit)
    if len(text) <= limit:
        assert cut == text
    else:
        assert cut.startswith(text[: limit // 2]) and cut.endswith(text[-(limit // 2) :])
        assert f"{len(text) - 2 * (limit // 2)} characters left out" in cut
