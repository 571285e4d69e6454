"""`mcp` in group.yaml: what it may say, and what is asked about it."""

from __future__ import annotations

import pytest

from protocol.ids import GroupId
from protocol.link import McpServer
from runtime.approvals.effect_text import effect_lines
from runtime.config import Settings
from runtime.group import Group
from runtime.group_reading import build_group
from runtime.mcp.settings import MAX_SERVERS, build_question, definition_of
from runtime.yaml_record import ConfigProblem

MAIN = GroupId("main")
WHOLE = """
mcp:
  files:
    command: npx
    args: [-y, "@x/files", /workspace]
    env: {LEVEL: debug, EMPTY: ""}
    timeout_s: 300
  mail:
    url: https://mcp.example.org/mcp
    headers: {X-Team: blue}
"""


def read(text: str) -> tuple[Group, list[ConfigProblem]]:
    group, problems = build_group(MAIN, text, "", Settings())
    return group, [problem for problem in problems if problem.key.startswith("mcp")]


def test_commands_and_addresses_are_read() -> None:
    """In the form in which an agent, ours or another, is told of them."""
    group, problems = read(WHOLE)
    assert problems == []
    env = {"LEVEL": "debug", "EMPTY": ""}
    files = McpServer(name="files", command="npx", args=("-y", "@x/files", "/workspace"), env=env, timeout_s=300.0)
    mail = McpServer(name="mail", url="https://mcp.example.org/mcp", headers={"X-Team": "blue"})
    assert group.mcp == (files, mail)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a: {}", "mcp.a", "either a `command` or a `url`, but it has neither"),
        ("a: {command: x, url: 'https://x.example'}", "mcp.a", "either a `command` or a `url`, but it has both"),
        ("a: {command: python3 -u s.py}", "mcp.a.command", "alone: `command: python3`, `args: [-u, s.py]`"),
        ("a: {url: 'https://x.example', args: [x]}", "mcp.a", "`args` and `env` go with a `command`"),
        ("a: {command: x, headers: {A: b}}", "mcp.a.headers", "goes with a `url`"),
        ("a: {url: 'ftp://x.example'}", "mcp.a.url", "begins with https:// or http://"),
        ("a: {url: 'https://x:y@x.example/'}", "mcp.a.url", "begins with https:// or http://"),
        ("A: {command: x}", "mcp.A", "1-24 of a-z"),
        ("a_b: {command: x}", "mcp.a_b", "1-24 of a-z"),
        ("nightyard: {command: x}", "mcp.nightyard", "our own tools"),
        ("a: {command: x, env: {A-B: c}}", "mcp.a.env.A-B", "a variable's name"),
        ("a: {command: x, env: {TOKEN: ghp_0123456789012345678901}}", "mcp.a.env.TOKEN", "looks like a key"),
        ("a: {command: x, args: [--key, sk-0123456789abcdef0123]}", "mcp.a.args", "looks like a key"),
        ("a: {url: 'https://x.example/?k=AIza0123456789012345678901'}", "mcp.a.url", "looks like a key"),
        (
            "a: {url: 'https://x.example', headers: {Authorization: x}}",
            "mcp.a.headers.Authorization",
            "would hold a key",
        ),
        ("a: {url: 'https://x.example', headers: {Mcp-Session-Id: x}}", "mcp.a.headers.Mcp-Session-Id", "itself needs"),
        ("a: {command: x, args: ['a\\u202eb']}", "mcp.a.args", ""),
        ('a: {command: x, args: ["a\\u202eb"]}', "mcp.a.args", "none of which hides"),
        ('a: {command: x, env: {A: "b\\nc"}}', "mcp.a.env.A", "none of which hides"),
        ("a: {command: x, timeout_s: 0}", "mcp.a.timeout_s", "1"),
        (f"a: {{command: x, args: [{'y, ' * 51}]}}", "mcp.a.args", "has 51 items, the most is 50"),
        ("\n  ".join(f"s{number}: {{command: x}}" for number in range(MAX_SERVERS + 1)), "mcp", "17 servers"),
    ],
)
def test_what_is_wrong_is_named_by_its_place(text: str, place: str, words: str) -> None:
    """With the reason, and for a key what to do instead; such a group is suspended until it is mended."""
    group, problems = read(f"mcp:\n  {text}\n")
    if not words:
        assert problems == [] and len(group.mcp) == 1
        return
    assert [problem for problem in problems if problem.key.startswith(place) and words in problem.message]


def test_a_question_names_all_but_values() -> None:
    """Command, arguments and the names of variables; of an address the names of headers."""
    group, _ = read(WHOLE)
    files, mail = (build_question(MAIN, server) for server in group.mcp)
    assert "".join(effect_lines(files.payload)).count("debug") == 0
    assert effect_lines(files.payload)[-3:] == ("| environment:", "|   - EMPTY", "|   - LEVEL")
    assert effect_lines(mail.payload) == (
        "| server: mail", "| url: https://mcp.example.org/mcp", "| environment:", "|   - X-Team",
    )  # fmt: skip


def test_another_definition_is_another_question() -> None:
    """A changed argument, name of a variable or address is; a changed value, time or order of names is not."""
    (server,) = read("mcp: {a: {command: x, args: [y], env: {A: '1', B: '2'}}}")[0].mcp
    definition = definition_of(MAIN, server)
    for same in ("env: {B: '3', A: ''}", "env: {A: '1', B: '2'}, timeout_s: 5"):
        assert definition_of(MAIN, read(f"mcp: {{a: {{command: x, args: [y], {same}}}}}")[0].mcp[0]) == definition
    for other in ("command: x, args: [z]", "command: x, args: [y]", "command: y, args: [y], env: {A: '1', B: '2'}"):
        assert definition_of(MAIN, read(f"mcp: {{a: {{{other}}}}}")[0].mcp[0]) != definition


def test_tools_of_servers_may_be_chosen() -> None:
    """By their names in `tools`, which are not known before a server has been asked."""
    assert "mcp__a__b" in build_group(MAIN, "tools: [-mcp__a__b]", "", Settings())[0].without_tools
