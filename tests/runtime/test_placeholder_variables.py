"""What stands in containers in place of keys: asked of the proxy once for each grants file."""

from __future__ import annotations

from pathlib import Path

from credproxy.admin_client.link import ProxyUnavailable
from protocol.ids import GroupId
from runtime.placeholder_variables import PlaceholderVariables

MAIN = GroupId("main")


class Told:
    """The proxy's answer, and how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.is_away = False
        self.variables = {"GITHUB_TOKEN": "ghp_x", "A_TOKEN": "a"}

    async def __call__(self, _group_id: GroupId) -> dict[str, str]:
        self.asked += 1
        if self.is_away:
            raise ProxyUnavailable(Path("proxy.sock"), "the test says so")
        return self.variables


def write_grants(fork: Path, text: str) -> None:
    path = fork / "groups" / MAIN / "grants.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


async def test_the_proxy_is_asked_once_per_file(tmp_path: Path) -> None:
    """A message costs a look at the file; a changed file is asked about again."""
    told = Told()
    variables = PlaceholderVariables(tmp_path, told)
    assert await variables.of(MAIN) == ()
    assert told.asked == 0
    write_grants(tmp_path, "- {host: api.github.com, secret: github}\n")
    for _ in range(3):
        assert await variables.of(MAIN) == (("A_TOKEN", "a"), ("GITHUB_TOKEN", "ghp_x"))
    assert told.asked == 1
    told.variables = {}
    write_grants(tmp_path, "[]\n")
    assert await variables.of(MAIN) == ()
    assert told.asked == 2


async def test_while_the_proxy_is_away_the_last_answer_holds(tmp_path: Path) -> None:
    """And it is asked again with the next container."""
    told = Told()
    variables = PlaceholderVariables(tmp_path, told)
    write_grants(tmp_path, "one\n")
    told.is_away = True
    assert await variables.of(MAIN) == ()
    told.is_away = False
    assert len(await variables.of(MAIN)) == 2
    told.is_away = True
    write_grants(tmp_path, "two and more\n")
    assert len(await variables.of(MAIN)) == 2
    told.is_away = False
    told.variables = {"A": "b"}
    assert await variables.of(MAIN) == (("A", "b"),)
