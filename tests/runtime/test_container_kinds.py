"""What a group's containers are made from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from protocol.ids import GroupId
from protocol.task import ModelRoute
from protocol.tools import BROWSER_TOOLS
from runtime.asks.absent_tools import absent_tools
from runtime.config import ContainerSettings
from runtime.container_kinds import BROWSER_MEMORY_MB, BROWSER_PIDS, BROWSER_TMP_MB, MB, build_kind
from runtime.group import Group
from runtime.home import Home

PLAIN = Group(group_id=GroupId("main"), instructions="", model=ModelRoute(route="r", api="openai", model="m"))


def limits_of(group: Group, settings: ContainerSettings) -> tuple[int, int, int]:
    limits = build_kind(group, (), settings, "image", Home(Path("/nowhere"))).limits
    return limits.memory_bytes // MB, limits.pids, limits.tmp_bytes // MB


def test_a_browser_has_room_where_the_machines_limits_are_smaller() -> None:
    """And no less than these where they are larger; other groups have what the settings say."""
    small, large = ContainerSettings(memory_mb=300, pids=100, tmp_mb=20), ContainerSettings(memory_mb=9000, pids=3000)
    browsing = replace(PLAIN, browser=True)
    assert limits_of(PLAIN, small) == (300, 100, 20)
    assert limits_of(browsing, small) == (BROWSER_MEMORY_MB, BROWSER_PIDS, BROWSER_TMP_MB)
    assert limits_of(browsing, large)[:2] == (9000, 3000)


@pytest.mark.parametrize(
    ("left_out", "has_browser", "there"),
    [
        ((), True, set(BROWSER_TOOLS)),
        ((), False, set()),
        (("browser_click",), True, set(BROWSER_TOOLS) - {"browser_click"}),
        (("browser_open",), True, set()),
    ],
)
def test_who_has_the_browsers_tools(left_out: tuple[str, ...], has_browser: bool, there: set[str]) -> None:
    """Groups with a browser, but those that are left out; without opening a page there is nothing to do."""
    absent = absent_tools(
        left_out, chat=None, has_destinations=True, has_grants=True, has_browser=has_browser, can=("react",)
    )
    assert set(BROWSER_TOOLS) - set(absent) == there
