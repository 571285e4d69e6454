"""The oracle itself: a canary that strays anywhere is seen, and one that came home is not mistaken for a stray."""

from __future__ import annotations

import base64
import logging
import sqlite3
from contextlib import closing

import pytest

from tests.credproxy.street import CANARY
from tests.security.proxy.scene import CANARY_FORMS, Scene, finds


async def test_granted_request_brings_the_canary_home_and_nowhere_else(scene: Scene) -> None:
    """The paired case of every attack: a plain request works, and A gets the secret."""
    async with scene.inside() as client:
        assert (await client.ask("GET", "/x", host=scene.host)).status == 200
    assert scene.canary_came_home()
    assert scene.leaks() == []


async def test_strays_are_seen_wherever_they_are(scene: Scene) -> None:
    """In B's inbox, a client's stream, a file, a database's free pages, a log line or an answer: each is named."""
    canary = CANARY.encode()
    scene.b.everything += canary
    scene.received += base64.b64encode(b"token: " + canary)
    logging.getLogger("somebody").debug("sent %s", CANARY)
    (scene.street.folder / "stray.txt").write_bytes(canary.hex().encode())
    with closing(sqlite3.connect(scene.street.folder / "stray.db")) as database:
        database.execute("CREATE TABLE t (x)")
        database.execute("INSERT INTO t VALUES (?)", (CANARY,))
        database.commit()
    scene.said.append(f"{{'value': '{CANARY}'}}")
    found = scene.leaks()
    scene.b.everything.clear()
    scene.received.clear()
    scene.logs.lines.clear()
    scene.said.clear()
    for name in ("stray.txt", "stray.db"):
        (scene.street.folder / name).unlink()
    assert set(found) == {
        "B",
        "a client",
        "the log",
        "an answer of the admin",
        "stray.txt",
        "stray.db",
        "backup of stray.db",
    }


@pytest.mark.parametrize("form", CANARY_FORMS, ids=range(len(CANARY_FORMS)))
def test_every_form_is_long_enough_to_mean_something(form: bytes) -> None:
    """A form is so long that it is found nowhere by chance, and is found wherever it stands."""
    assert len(form) >= 24
    assert finds(b"before" + form + b"after")
