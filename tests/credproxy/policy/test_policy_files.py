"""The proxy's reading of a fork's grants: each file by itself, again only when it has changed."""

from __future__ import annotations

from pathlib import Path

from protocol.ids import GroupId
from runtime.home import Home
from services.credproxy import PolicyFiles


def test_one_groups_edit_does_not_cost_the_others_reading(tmp_path: Path) -> None:
    """A changed file is read, the others' rules are those of before; a broken one grants nothing to its group alone; a
    removed one nothing either."""
    home, fork = Home(path=tmp_path / "home"), tmp_path / "fork"
    paths = {name: fork / "groups" / name / "grants.yaml" for name in ("one", "two")}
    for path in paths.values():
        path.parent.mkdir(parents=True)
        path.write_text("- host: a.org\n")
    (fork / "nightyard.yaml").write_text("model: m/x\nroutes: {m: {api: openai, url: 'https://models.example.org'}}\n")
    one, two = GroupId("one"), GroupId("two")
    files = PolicyFiles(home, fork)
    first, problems = files.load()
    assert problems == ()
    assert not files.have_changed()
    assert files.load()[0] is first
    paths["one"].write_text("- host: a.org\n- host: b.org\n")
    assert files.have_changed()
    second, _ = files.load()
    assert len(second.groups[one].rules) == 2
    assert second.groups[two] is first.groups[two]
    paths["one"].write_text("- hots: a.org\n")
    third, problems = files.load()
    assert third.groups[one].rules == ()
    assert third.groups[one].problem.startswith("groups/one/grants.yaml:1: hots: is not a known key")
    assert len(problems) == 1
    assert third.groups[two] is first.groups[two]
    paths["one"].unlink()
    assert one not in files.load()[0].groups
