"""Every verb: with the host up, with it down, mistyped; and the documents that describe them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click
import pytest

from cli.verb_group import ROOT_GROUP
from cli.verbs import VERBS, overview
from tests.cli.conftest import Run
from tests.scripted_house import House

ROOT = Path(__file__).resolve().parents[2]

NEED_HOST = [
    ["status"],
    ["trace"],
    ["trace", "task_x"],
    ["chat"],
    ["stop", "--all"],
    ["new", "terminal:main"],
    ["freeze"],
    ["unfreeze"],
    ["pair"],
    ["group", "show", "main"],
    ["channel", "list"],
    ["channel", "add", "telegram"],
    ["config", "reload"],
]


@pytest.mark.parametrize("arguments", NEED_HOST, ids=" ".join)
async def test_verb_without_host_says_what_to_do(nightyard: Run, arguments: list[str]) -> None:
    """A verb that needs the host names its socket and the one command that mends it, and ends with 3."""
    ran = await nightyard(*arguments, given="x\n")
    assert ran.code == 3
    assert ran.out == ""
    assert re.fullmatch(
        r"nightyard: the host is not running: \S+/control\.sock does not exist\n  mend: \./nightyard up\n", ran.err
    )


async def test_help_is_the_overview(nightyard: Run) -> None:
    """`--help`, `-h`, `help` and nothing at all show every verb, also where an option stands before."""
    for arguments in ([], ["--help"], ["-h"], ["help"]):
        ran = await nightyard(*arguments)
        assert (ran.code, ran.out, ran.err) == (0, overview(), "")
    assert all(f"  {verb}" in overview() for verb in VERBS)


@pytest.mark.parametrize(
    ("typed", "meant"), [("stat", "status"), ("chatt", "chat"), ("zzzz", "--help"), ("nosuch", "--help")]
)
async def test_unknown_verb_names_the_nearest(nightyard: Run, typed: str, meant: str) -> None:
    """A mistyped verb is answered with the nearest one."""
    ran = await nightyard(typed)
    assert ran.code == 2
    assert ran.err == f"nightyard: there is no verb {typed!r}\n  mend: ./nightyard {meant}\n"


async def test_unknown_verb_of_a_verb_names_those_there_are(nightyard: Run) -> None:
    """What does not exist under a verb is answered with what does, and a command that can be typed as it stands."""
    ran = await nightyard("group", "nwe")
    assert ran.code == 2
    assert ran.err == "nightyard: `group` has no verb 'nwe' (it has: list, new, show)\n  mend: ./nightyard group new\n"
    assert "mend: ./nightyard group --help" in (await nightyard("group", "zzzz")).err


async def test_wrong_option_is_not_understood(nightyard: Run) -> None:
    """A wrong option names the verb's help and ends with 2."""
    ran = await nightyard("status", "--jsno")
    assert ran.code == 2
    assert "--jsno" in ran.err
    assert "mend: nightyard status --help" in ran.err.replace("./", "")


async def test_status_shows_what_runs(nightyard: Run, house: House) -> None:
    """Status tells host, channel, agents and the rehearsal; --json is the host's own answer."""
    ran = await nightyard("status")
    assert ran.code == 0
    assert "running for" in ran.out
    assert "no real model answers for main, side" in ran.out
    assert "terminal → main: ok" in ran.out
    assert "\x1b" not in ran.out
    assert json.loads((await nightyard("status", "--json")).out)["frozen"] is False


@pytest.mark.parametrize(
    "arguments", [["status"], ["trace"], ["group", "list"], ["group", "show", "side"], ["pair", "--group", "side"]]
)
async def test_every_screen_says_that_it_is_a_rehearsal(nightyard: Run, house: House, arguments: list[str]) -> None:
    """Nobody takes the script's answers for a model's; with a model, nobody is told so."""
    assert "ehearsal" in (await nightyard(*arguments)).out
    settings = "model: local/x\nroutes: {local: {api: openai, url: 'http://127.0.0.1:1'}}\n"
    (house.fork / "nightyard.yaml").write_text(settings, "utf-8")
    assert (await nightyard("config", "reload")).code in (0, 1)
    assert "ehearsal" not in (await nightyard(*arguments)).out


async def test_suspended_group_is_shown_with_its_problem(nightyard: Run, house: House) -> None:
    """A group with a fault in its settings is listed with file, line and the nearest key."""
    (house.fork / "groups" / "side" / "group.yaml").write_text("modell: x\n")
    ran = await nightyard("config", "reload")
    assert ran.code == 1
    assert "groups/side/group.yaml:1" in ran.out
    ran = await nightyard("group", "list")
    assert "side  suspended" in ran.out
    assert "did you mean model" in ran.out
    assert (await nightyard("config", "check")).code == 1


async def test_an_agent_is_shown_with_all_that_it_has(nightyard: Run, house: House) -> None:
    """What its image holds beside the usual, and its MCP servers; numbers as people write them."""
    settings = "packages: {pip: [toolz]}\nbrowser: true\nmcp: {notes: {command: python3}}\n"
    (house.fork / "groups" / "side" / "group.yaml").write_text(settings, "utf-8")
    await nightyard("config", "reload")
    shown = (await nightyard("group", "show", "side")).out
    assert "image       browser, pip: toolz\n" in shown and "mcp         notes\n" in shown
    assert "wall_s 1800," in shown
    assert "image       the agent image, with nothing extra\n" in (await nightyard("group", "show", "main")).out


async def test_config_check_needs_no_host(nightyard: Run, tmp_path: Path) -> None:
    """Settings are checked from their files; fine ones end with 0."""
    folder = tmp_path / "fork" / "groups" / "main"
    folder.mkdir(parents=True)
    (folder / "AGENTS.md").write_text("You are main.\n")
    ran = await nightyard("config", "check")
    assert (ran.code, ran.err) == (0, "")
    (tmp_path / "fork" / "nightyard.yaml").write_text("limits:\n  modell_calls: 3\n")
    ran = await nightyard("config", "check")
    assert ran.code == 1
    assert "nightyard.yaml:2: limits.modell_calls" in ran.out


async def test_new_group_is_a_copy_of_the_example(nightyard: Run, house: House) -> None:
    """`group new` makes the folder, the running host knows it at once, and a second one is refused."""
    ran = await nightyard("group", "new", "night-owl")
    assert "./nightyard chat night-owl" in ran.out
    assert (house.fork / "groups" / "night-owl" / "AGENTS.md").read_text() == "You are example.\n"
    assert "night-owl" in (await nightyard("group", "list")).out
    assert "already" in (await nightyard("group", "new", "night-owl")).err
    assert not [path for path in (house.fork / "groups").iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("name", ["../x", "Main", "", "example", "a" * 33, "x\x1b[2J"])
async def test_wrong_group_name_makes_nothing(nightyard: Run, name: str) -> None:
    """A name that is no group's is refused before anything is touched."""
    ran = await nightyard("group", "new", "--", name)
    assert ran.code == 2
    assert "\x1b" not in ran.err


async def test_groups_are_listed_with_the_host_down(nightyard: Run, tmp_path: Path) -> None:
    """Without a host the groups are read from their files."""
    folder = tmp_path / "fork" / "groups" / "main"
    folder.mkdir(parents=True)
    (folder / "AGENTS.md").write_text("You are main.\n")
    ran = await nightyard("group", "list")
    assert (ran.code, ran.out.split()[:2]) == (0, ["main", "ready"])


async def test_logs_show_the_last_lines(nightyard: Run, tmp_path: Path) -> None:
    """Logs are read from their files; escape sequences in them are made harmless; an unknown process is explained."""
    ran = await nightyard("logs")
    assert ran.code == 1
    assert "./nightyard up" in ran.err
    (tmp_path / "home" / "logs").mkdir(parents=True)
    (tmp_path / "home" / "logs" / "host.log").write_text("one\ntwo\x1b[2J\nthree\n")
    assert (await nightyard("logs", "-n", "2")).out == "two␛[2J\nthree\n"
    assert "there are: host" in (await nightyard("logs", "hots")).err


async def test_stop_wants_to_know_what(nightyard: Run) -> None:
    """Stop without, or with two, of its options is not understood."""
    assert (await nightyard("stop")).code == 2
    assert (await nightyard("stop", "--all", "--task", "x")).code == 2


async def test_freeze_stops_and_says_that_the_proxy_is_away(nightyard: Run, house: House) -> None:
    """Freeze works without the proxy, and does not hide that it was not told."""
    ran = await nightyard("freeze")
    assert ran.code == 1
    assert ran.out.startswith("Frozen.")
    assert "the agents are stopped, but the credential proxy does not answer" in ran.err
    assert "frozen" in (await nightyard("status")).out


async def test_pair_shows_a_code(nightyard: Run, house: House) -> None:
    """Pair shows the code alone on its line, and what to do with it."""
    ran = await nightyard("pair", "--group", "side")
    assert re.search(r"^    [0-9A-Z]{4}-[0-9A-Z]{4}$", ran.out, re.MULTILINE)
    assert "side" in ran.out


async def test_new_conversation_and_trace(nightyard: Run, house: House) -> None:
    """After a chat, its message is listed and traced to its delivery, and the chat can be begun afresh."""
    await nightyard("chat", given="hello\n")
    listed = await nightyard("trace")
    traced = await nightyard("trace", listed.out.split()[0], "--journal")
    assert traced.code == 0
    for word in ("“hello”", "is answered", "result", "sent to terminal:main", "message_"):
        assert word in traced.out
    assert "begins" in (await nightyard("new", "terminal:main")).out
    assert (await nightyard("trace", "nope")).code == 1


def walk(path: str, command: click.Command) -> list[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        return [(path, command)]
    found = []
    for name in command.list_commands(click.Context(command)):
        inner = command.get_command(click.Context(command), name)
        assert inner is not None
        found += walk(f"{path} {name}", inner)
    return found


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_and_option_is_documented(verb: str) -> None:
    """docs/commands.md has a section for every verb, with each of its options and arguments."""
    text = (ROOT / "docs" / "commands.md").read_text()
    sections = dict(re.findall(r"^### `nightyard ([a-z -]+?)(?: [^`a-z]*)?`\n(.*?)(?=^##|\Z)", text, re.M | re.S))
    command = ROOT_GROUP.get_command(click.Context(ROOT_GROUP), verb)
    assert command is not None
    for path, leaf in walk(verb, command):
        assert path in sections, f"docs/commands.md has no section for nightyard {path}"
        for parameter in leaf.params:
            if isinstance(parameter, click.Option):
                missing = [name for name in parameter.opts if f"`{name}" not in sections[path]]
                assert not missing, f"docs/commands.md does not tell of {missing} of nightyard {path}"
        assert leaf.help, f"nightyard {path} has no help text"


def test_no_section_for_a_verb_that_is_gone() -> None:
    """docs/commands.md describes no verb that does not exist."""
    text = (ROOT / "docs" / "commands.md").read_text()
    assert set(re.findall(r"^### `nightyard ([a-z]+)", text, re.M)) == set(VERBS)
