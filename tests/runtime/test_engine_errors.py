"""What a person is told to do when the engine says no."""

from __future__ import annotations

from runtime.engine_errors import EngineRefused


def test_a_missing_apparmor_parser_is_named_as_the_package_that_brings_it() -> None:
    """As Docker says it where the kernel has AppArmor and the machine lacks its tools."""
    said = 'running `apparmor_parser apparmor_parser --version` failed: exec: "apparmor_parser": not found in $PATH'
    assert EngineRefused("start a container", said).mend == "sudo apt-get install apparmor"


def test_another_refusal_names_no_mend() -> None:
    """Where we know none."""
    assert EngineRefused("start a container", "no space left on device").mend == ""
