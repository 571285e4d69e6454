"""What a package manager's last words come to."""

from __future__ import annotations

import pytest

from cli.image_cause import BUILD, cause_of, mend_of

PIP = """Looking in indexes: somewhere
WARNING: Location 'x' is ignored
ERROR: Could not find a version that satisfies the requirement zz (from versions: none)
ERROR: No matching distribution found for zz"""
APT = "Reading package lists...\nE: Unable to locate package zz"
NPM = "npm warn x\nnpm error code ETARGET\nnpm error notarget No matching version found for left-pad@99.0.0."
LOST = (
    "WARNING: Retrying (Retry(total=0, connect=None)) after connection broken by 'NewConnectionError('<x at 0x7f>: "
    "Failed to establish a new connection: [Errno 111] Connection refused')': /simple/zz/"
)
SILENT = 'WARNING: Retrying (Retry(total=0, connect=None)) after connection broken by "ReadTimeoutError(x)"'
AWAY = "npm error code EAI_AGAIN\nnpm error request to somewhere failed"
DISK = "dpkg: error processing archive x (--unpack): No space left on device"


@pytest.mark.parametrize(
    ("said", "cause", "mend"),
    [
        (PIP, "ERROR: Could not find a version", "correct `packages`"),
        (APT, "E: Unable to locate package zz", "correct `packages`"),
        (NPM, "npm error code ETARGET", "correct `packages`"),
        (AWAY, "npm error code EAI_AGAIN", "check the network"),
        (DISK, "dpkg: error", "look at `packages`"),
        ("one\ntwo\nthree\nfour\nfive", "two", "look at `packages`"),
        ("", "", "look at `packages`"),
        (
            f"{LOST}\n{PIP}",
            "the package index did not answer: Failed to establish a new connection",
            "check the network",
        ),
        (f"{LOST.replace('=0', '=2')}\n{PIP}", "ERROR: Could not find a version", "correct `packages`"),
        (f"{SILENT}\n{PIP}", "the package index did not answer", "check the network"),
    ],
)
def test_the_cause_is_what_complains_and_the_mend_fits_it(said: str, cause: str, mend: str) -> None:
    """A name that nobody knows, a network that is away, anything else; the rest of the talk is left out."""
    found = cause_of(said)
    assert found.startswith(cause) and "WARNING" not in found and "Reading" not in found
    assert mend_of(found).startswith(mend) and mend_of(found).endswith(BUILD)


def test_what_we_have_pinned_is_no_mistake_of_the_group() -> None:
    """A registry that lacks it is to be looked at, not the group's packages."""
    assert "registry" in mend_of(cause_of(PIP), is_pinned=True) and "packages" not in mend_of(PIP, is_pinned=True)
