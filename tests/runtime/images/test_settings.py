"""Names of packages: what a manager's own name is, and nothing else that it would also take."""

from __future__ import annotations

import pytest

from protocol.ids import GroupId
from runtime.config import Settings
from runtime.group_reading import build_group
from runtime.images.settings import MAX_PACKAGES, PackageSettings, why_wrong_package

GOOD = {
    "apt": ["ffmpeg", "libstdc++6", "g++", "python3.11-dev", "tree=2.1.0-1", "xz=1:2.3~rc1+b1"],
    "pip": ["pandas", "PyYAML", "zope.interface", "pandas==2.3.1", "uvicorn[standard]", "torch==2.0.0+cpu", "a"],
    "npm": ["prettier", "@types/node", "prettier@3.6.2", "@scope/a.b-c@1.0.0-rc.1", "x"],
}
BAD = {
    "apt": ["", "Ffmpeg", "-y", "a b", "x=", "/tmp/x.deb", "x;id", "ffmpeg/sid", "$(id)", "x\n-y", "a" * 200],
    "pip": ["", "-r", "--index-url=http://x", "git+https://x", "https://x/y.whl", "./x", "pandas>=2", "x; id", "x @ y"],
    "npm": ["", "-g", "git://x", "user/repo", "file:x", "x@latest", "x@^1.0.0", "@a", "a/b/c", "X", "x y", "../x"],
}


@pytest.mark.parametrize(("manager", "name"), [(manager, name) for manager, names in GOOD.items() for name in names])
def test_names_and_exact_versions_are_taken(manager: str, name: str) -> None:
    """As the manager writes them."""
    assert why_wrong_package(manager, name) is None


@pytest.mark.parametrize(("manager", "name"), [(manager, name) for manager, names in BAD.items() for name in names])
def test_everything_else_is_refused(manager: str, name: str) -> None:
    """Options, addresses, paths, ranges and shells' words: with what would do."""
    assert "should be a package as" in str(why_wrong_package(manager, name))


def test_a_fault_is_told_by_line_and_key() -> None:
    """A wrong name, too many, an unknown manager with the nearest one."""
    names = ", ".join(f"p{number}" for number in range(MAX_PACKAGES + 1))
    text = f"packages:\n  apt: [-y]\n  pip: [{names}]\n  nmp: [x]\n"
    _, problems = build_group(GroupId("main"), text, "", Settings())
    told = [str(problem) for problem in problems if problem.key.startswith("packages")]
    assert any(
        "group.yaml:4: packages.nmp: is not a known key" in each and "did you mean npm?" in each for each in told
    )
    assert any("group.yaml:2: packages.apt[0]: should be a package as apt names it" in each for each in told)
    assert any(f"group.yaml:3: packages.pip: has {MAX_PACKAGES + 1} items, the most is" in each for each in told)


def test_packages_are_joined_once_each() -> None:
    """In the order of the first."""
    joined = PackageSettings(pip=("b", "a")).joined(PackageSettings(pip=("a", "c"), npm=("x",)))
    assert (joined.pip, joined.npm, joined.count) == (("b", "a", "c"), ("x",), 4)
