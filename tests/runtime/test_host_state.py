"""What the host goes by, read again on a reload."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from channels.channel import Channel
from credproxy.admin_client.link import ProxyUnavailable
from protocol.ids import GroupId
from runtime.channel_house import ChannelHouse
from runtime.home import Home
from runtime.host_state import HostState

MAIN = GroupId("main")


class Policy:
    """The proxy's part of a reload."""

    def __init__(self, *problems: str, away: bool = False) -> None:
        self.problems, self.away = problems, away

    async def reload(self) -> tuple[str, ...]:
        if self.away:
            raise ProxyUnavailable(Path("proxy.sock"), "nobody listens")
        return self.problems


def make_state(path: Path, policy: Policy) -> HostState:
    (path / "groups" / "main").mkdir(parents=True)
    (path / "groups" / "main" / "group.yaml").touch()
    house = ChannelHouse(lambda channel_id, settings: cast(Channel, None))  # nothing runs here
    return HostState(Home(path / "home"), path, house, policy)


async def test_a_reload_reads_the_files_again(tmp_path: Path) -> None:
    """Groups, settings and the proxy's problems, and whoever follows is called."""
    state = make_state(tmp_path, Policy("grants.yaml:1: nonsense"))
    called: list[bool] = []
    state.when_reloaded(lambda: called.append(MAIN in state.groups.suspended))
    assert MAIN in state.groups.ready
    (tmp_path / "nightyard.yaml").write_text("limits: {rouns: 1}\n", "utf-8")
    problems = await state.reload()
    assert "nightyard.yaml:1: limits.rouns:" in problems[0]
    assert problems[1:] == ("grants.yaml:1: nonsense",)
    assert called == [True]


async def test_a_reload_without_the_proxy_says_so(tmp_path: Path) -> None:
    """What could be read holds; what could not is named."""
    (problem,) = await make_state(tmp_path, Policy(away=True)).reload()
    assert "grants were not read again" in problem
    assert "does not answer" in problem


async def test_a_shutdown_is_asked_for_once(tmp_path: Path) -> None:
    """Asked twice is asked once."""
    state = make_state(tmp_path, Policy())
    assert not state.is_stopping
    state.begin_shutdown()
    state.begin_shutdown()
    assert state.is_stopping
