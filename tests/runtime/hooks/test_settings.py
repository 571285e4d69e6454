"""`hooks` in group.yaml: what a hook is, and what is wrong with one."""

from __future__ import annotations

import pytest

from protocol.ids import GroupId
from runtime.config import parse_settings
from runtime.group_reading import build_group

SETTINGS = parse_settings("").settings


def problems_of(hook: str) -> list[tuple[str, str]]:
    _, problems = build_group(GroupId("main"), f"hooks:\n  deploys: {hook}\n", "", SETTINGS)
    return [(problem.key, problem.message) for problem in problems]


def test_a_hook_of_a_group() -> None:
    """Scheme, key, template, events, and who reads the answer."""
    text = """
hooks:
  deploys:
    scheme: github
    secret: deploys-key
    template: "{repository.full_name} was pushed to"
    events: [push]
    reply_to: telegram:-100:7
"""
    group, problems = build_group(GroupId("main"), text, "", SETTINGS)
    assert problems == ()
    hook = group.hooks["deploys"]
    assert (hook.scheme, hook.secret, hook.events, hook.reply_to) == (
        "github",
        "deploys-key",
        ("push",),
        "telegram:-100:7",
    )


@pytest.mark.parametrize(
    ("hook", "key", "says"),
    [
        ("{template: x}", "hooks.deploys", "names no secret"),
        ("{secret: k}", "hooks.deploys", "has no template"),
        ("{secret: k, template: x, scheme: svix}", "hooks.deploys.scheme", "should be one of"),
        ("{secret: K!, template: x}", "hooks.deploys.secret", "name of a secret"),
        ("{secret: k, template: x, reply_to: nowhere}", "hooks.deploys.reply_to", "should be a chat"),
        ("{secret: k, template: x, result_schema: ../x.json}", "hooks.deploys.result_schema", "in the group's folder"),
        ("{secret: k, template: x, skill: No Name}", "hooks.deploys.skill", "should be a skill's name"),
    ],
)
def test_what_is_wrong_with_a_hook_is_named(hook: str, key: str, says: str) -> None:
    """With its key, and what should stand there."""
    found = problems_of(hook)
    assert any(at == key and says in message for at, message in found), found


def test_a_hook_s_name_is_part_of_its_address() -> None:
    """So it is made of what addresses are made of."""
    _, (problem,) = build_group(GroupId("main"), "hooks: {Deploys: {secret: k, template: x}}\n", "", SETTINGS)
    assert problem.key == "hooks.Deploys" and "a-z" in problem.message


@pytest.mark.parametrize("url", ["", "http://0.0.0.0:8742", "https://127.0.0.1:8742", "http://hooks.example:80"])
def test_the_channel_listens_on_loopback_only(url: str) -> None:
    """What makes it public is somebody else's: Caddy, nginx, a funnel."""
    parsed = parse_settings(f"channels: {{hooks: {{platform: webhook, url: '{url}'}}}}\n")
    assert any(each.key == "channels.hooks" and "loopback" in each.message for each in parsed.problems)
    well = parse_settings("channels: {hooks: {platform: webhook, url: 'http://127.0.0.1:8742'}}\n")
    assert well.problems == (), "it needs no secret of its own: each hook has one"
