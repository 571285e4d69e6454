"""How long the browser may take for what. Pure."""

from __future__ import annotations

from protocol.record import Record


class BrowserPatience(Record):
    """Each in seconds."""

    start_s: float = 30.0
    """Until Chromium answers: on a busy machine, from a cold disk."""
    call_s: float = 10.0
    """One command; a page whose script does not let go takes longer."""
    navigation_s: float = 30.0
    """Until something comes of an address; then as long again until it is there."""
    calm_s: float = 4.0
    """After a page has loaded, or something was done in it, until it asks for nothing more and changes no more."""
    picture_s: float = 20.0
    download_s: float = 20.0
    """What takes longer goes on, and is told of later."""
    close_s: float = 3.0
    """A window that is not closed by then costs the browser its life."""


USUAL = BrowserPatience()
