"""Running the system's programs."""

from __future__ import annotations

import sys
import tempfile

import pytest

from cli.up_command import apt_install, run_step
from cli.up_progress import SetupFailed, no_progress
from tests.cli.stub_system import StubSystem


def test_a_programs_last_words_are_the_reason() -> None:
    """What it wrote last, on either stream, is why it failed."""
    script = "import sys; print('so far so good'); print('no space left', file=sys.stderr); sys.exit(3)"
    with pytest.raises(SetupFailed) as failed:
        run_step("it could not be made", [sys.executable, "-u", "-c", script], "df -h")
    assert failed.value.why.splitlines() == ["so far so good", "no space left"]
    assert failed.value.mend == "df -h"


def test_each_line_is_progress() -> None:
    """A person sees how far a long program is."""
    seen: list[str] = []
    run_step("x", [sys.executable, "-c", "print('one'); print('two')"], "y", progress=seen.append)
    assert seen == ["one", "two"]


def test_a_product_is_not_taken_for_talk() -> None:
    """Where the standard output is the product, only the other stream is read."""
    seen: list[str] = []
    with tempfile.TemporaryFile() as product:
        script = "import sys; print('bytes'); print('talk', file=sys.stderr)"
        run_step("x", [sys.executable, "-c", script], "y", progress=seen.append, output=product)
        product.seek(0)
        assert product.read() == b"bytes\n"
    assert seen == ["talk"]


def test_what_dpkg_was_interrupted_in_is_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    """A set-up that was ended in the middle of dpkg does not stop the next one; apt waits for whoever else uses it."""
    system = StubSystem()
    monkeypatch.setenv("PATH", str(system.programs))
    system.program("dpkg", f"touch {system.folder}/finished")
    words = "E: dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct the problem."
    system.program(
        "apt-get", f'case "$*" in *install*) [ -e {system.folder}/finished ] || {{ echo "{words}"; exit 100; }};; esac'
    )
    apt_install(system.machine(), ["acl"], no_progress)
    assert system.calls("dpkg") == ["dpkg --configure -a"]
    assert all("DPkg::Lock::Timeout" in call for call in system.calls("apt-get"))
