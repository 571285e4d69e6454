"""What a chat looks like in a terminal: answers as they grow, one line that says what goes on, a prompt.

Knows nothing of sockets (chat_link.py) or of when an answer ends (chat_turn.py).
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import termios
import threading
import time
from collections.abc import Iterator, Sequence

from cli.markdown_paint import MarkdownPainter
from cli.screen import clean, clean_line, cut, width_of
from cli.style import BOLD, CYAN, DIM, YELLOW, has_colour, paint
from protocol.control import Choice, Shown

FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
FRAME_S = 0.12
ERASE_LINE = "\r\x1b[K"
RESET = "\x1b[0m"


class ChatScreen:
    """Everything is written under one lock, because the reader's thread writes too while the prompt waits."""

    def __init__(self) -> None:
        self._group = "agent"
        self._lock = threading.Lock()
        self._painter = MarkdownPainter(has_colour())
        self._is_named = False
        """The answer being shown has its speaker's name already."""
        self._streamed = ""
        """The answer so far, as it came."""
        self._column_is_0 = True
        self._doing = ""
        self._began = 0.0
        self._shows_doing = False
        self.prompting = False
        self.choices: tuple[Choice, ...] = ()

    def banner(self, group: str, chat: str, model: str, problems: Sequence[str]) -> None:
        """Say whom one talks to, and loudly if no real model answers."""
        self._group = clean_line(group)
        place = "" if chat == f"terminal:{self._group}" else paint(f" · {clean_line(chat)}", DIM)
        self._line(f"{paint('Nightyard', BOLD)} · {paint(self._group, BOLD, CYAN)} · {clean_line(model)}{place}")
        if model.startswith("rehearsal/"):
            self._line(paint("▲ Rehearsal: no real model answers, nothing is spent. Tools and files are real.", YELLOW))
        for problem in problems:
            self._line(paint(f"▲ {clean_line(problem)}", YELLOW))
        self._line(paint("  /help · /file PATH sends a file · Ctrl-C stops the agent · Ctrl-D leaves", DIM))
        self._line("")

    def prompt(self) -> str:
        """Read a line; EOFError at Ctrl-D, KeyboardInterrupt at Ctrl-C."""
        mark = "\x01\x1b[1m\x02›\x01\x1b[0m\x02 " if has_colour() else "› "
        self.prompting = True
        try:
            return input(mark)
        finally:
            self.prompting = False

    def show_above_prompt(self, shown: Shown) -> bool:
        """Show what arrives while the prompt waits; False if it does not: then it is not taken."""
        with self._lock:
            if not self.prompting:
                return False
            if shown.kind in ("message", "file", "notice"):
                import readline

                self._write(ERASE_LINE)
                self._is_named = False
                self._show(shown)
                mark = paint("›", BOLD)
                self._write(f"{mark} {clean(readline.get_line_buffer())}")
        return True

    def begin(self) -> None:
        """Something was said: show that it is on its way."""
        with self._lock:
            self._streamed, self._is_named = "", False
            self._set_doing("sending")

    def show(self, shown: Shown) -> None:
        with self._lock:
            self._show(shown)

    def finish(self) -> None:
        """The answer is complete."""
        with self._lock:
            self._set_doing("")
            self._end_stream()
            self._write("\n")

    def tick(self) -> None:
        """Move the line that says what goes on."""
        with self._lock:
            self._draw_doing()

    def note(self, text: str) -> None:
        """Say something of our own."""
        with self._lock:
            self._erase_doing()
            self._end_stream()
            self._write(f"{paint(clean(text), DIM)}\n")

    def _show(self, shown: Shown) -> None:
        match shown.kind:
            case "accepted":
                self._set_doing("waiting" if self._doing == "sending" else self._doing)
            case "progress":
                self._set_doing(shown.text)
            case "delta":
                self._stream(shown.text)
            case "message":
                self._finish_message(shown)
            case "file":
                self._erase_doing()
                self._end_stream()
                what = clean_line(shown.text) or "a file"
                self._write(f"{paint(self._group, BOLD, CYAN)} sent {what}\n  {paint(clean_line(shown.path), CYAN)}\n")
            case "notice":
                self._erase_doing()
                self._end_stream()
                self._write(f"{paint(clean(shown.text), DIM)}\n")

    def _stream(self, text: str) -> None:
        if not text:
            return
        self._erase_doing()
        if not self._streamed:
            self._begin_answer()
        self._streamed += text
        self._write(self._painter.feed(text))

    def _finish_message(self, shown: Shown) -> None:
        """Show a whole answer, unless it has just been shown as it grew."""
        self._erase_doing()
        if self._streamed.strip() != shown.text.strip():
            self._end_stream()
            self._begin_answer()
            self._write(self._painter.feed(shown.text))
        self._end_stream(force=True)
        self.choices = shown.buttons
        if shown.buttons:
            labels = [f"  {paint(str(at), BOLD)} {clean_line(one.label)}" for at, one in enumerate(shown.buttons, 1)]
            self._write("\n".join(labels) + "\n")

    def _end_stream(self, force: bool = False) -> None:
        if self._streamed or force:
            self._write(self._painter.end())
        self._streamed = ""
        if not self._column_is_0:
            self._write("\n")

    def _begin_answer(self) -> None:
        """Write the speaker's name, once for all that is said in answer to one thing."""
        name = "" if self._is_named else f"{self._group} "
        self._painter = MarkdownPainter(has_colour(), shutil.get_terminal_size().columns, width_of(name))
        if name:
            self._write(f"{paint(self._group, BOLD, CYAN)} ")
        self._is_named = True

    def _set_doing(self, text: str) -> None:
        if text and not self._doing:
            self._began = time.monotonic()
        self._doing = text
        if text:
            self._end_stream()
            self._draw_doing()
        else:
            self._erase_doing()

    def _draw_doing(self) -> None:
        if not self._doing or self._streamed:
            return
        spent = time.monotonic() - self._began
        frame = FRAMES[int(spent / FRAME_S) % len(FRAMES)]
        clock = f" {spent:.0f} s" if spent >= 2 else ""
        first, *rest = self._doing.splitlines()  # of a command's output the newest line is worth the one there is
        doing = f"{cut(first, 40)}: {rest[-1]}" if rest else first
        text = cut(clean_line(doing), shutil.get_terminal_size().columns - 12)
        sys.stdout.write(f"{ERASE_LINE}{paint(frame, CYAN)} {paint(text + clock, DIM)}")
        sys.stdout.flush()
        self._shows_doing = True

    def _erase_doing(self) -> None:
        if self._shows_doing:
            sys.stdout.write(ERASE_LINE)
            self._shows_doing = False

    def _line(self, text: str) -> None:
        self._write(f"{text}\n")

    def _write(self, text: str) -> None:
        if text:
            sys.stdout.write(text)
            sys.stdout.flush()
            if visible := text.removesuffix(RESET):
                self._column_is_0 = visible.endswith(("\n", ERASE_LINE))


@contextlib.contextmanager
def quiet_keyboard() -> Iterator[None]:
    """Do not echo what is typed meanwhile: it would tear the answer. It is kept for the next prompt; Ctrl-C works."""
    file = sys.stdin.fileno()
    before = termios.tcgetattr(file)
    quiet = termios.tcgetattr(file)
    quiet[3] &= ~termios.ECHO
    termios.tcsetattr(file, termios.TCSANOW, quiet)
    try:
        yield
    finally:
        termios.tcsetattr(file, termios.TCSANOW, before)
