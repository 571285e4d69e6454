"""Every preset's file: it says what it must, and its key gets to its hosts and nowhere else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from credproxy.injection.environment import environment_of, use_of
from credproxy.injection.grant_inject import default_inject
from credproxy.injection.kinds import Basic, Bearer, ListHeader, PathHole, Query, Recipe, SetHeader, SigV4
from credproxy.injection.outgoing import inject, needs_secret
from credproxy.injection.parse import KINDS
from credproxy.injection.parse_hmac import KEYS as HMAC_KEYS
from credproxy.injection.placeholders import Placeholders
from credproxy.injection.preset import Preset
from credproxy.injection.preset_file import parse_preset
from credproxy.injection.presets import load_preset, preset_names, presets_for
from credproxy.policy.path_glob import PathGlob
from credproxy.vault.types import TYPES
from credproxy.wire.target import parse_authority, parse_path
from protocol.ids import GroupId
from tests.credproxy.injection.requests import NOW, credential, request

PROMISED = {
    *("anthropic", "anthropic-plan", "openai", "chatgpt-plan", "openrouter", "nvidia", "google", "mistral"),
    *("github", "slack", "telegram", "discord", "resend", "notion", "linear", "brave", "tavily", "aws"),
}


def presets() -> list[Preset]:
    return [preset for name in preset_names() if (preset := load_preset(name)) is not None]


def test_those_that_are_promised_are_there() -> None:
    """And none is broken: each file was read."""
    assert set(preset_names()) >= PROMISED
    assert len(presets()) == len(preset_names())
    assert load_preset("no-such") is None
    assert load_preset("../presets/github") is None


@pytest.mark.parametrize("preset", presets(), ids=lambda preset: preset.name)
def test_its_credential_gets_into_a_request_to_each_of_its_hosts(preset: Preset) -> None:
    """Exactly once, over https, with parts that its type of secret has."""
    parts = {part.name: f"canary-{part.name}" for part in TYPES[preset.secret_type].parts}
    who = credential(**{"value": "canary-value", **parts})
    for pattern in preset.hosts:
        host = pattern.replace("*.", "sts.us-east-1." if preset.name == "aws" else "mine.")
        recipe = preset.recipe_for(host)
        assert recipe is not None
        assert (recipe.preset, needs_secret(recipe)) == (preset.name, True)
        sent = inject(request("/bot0/x?q=1&key=2", host=host), recipe, who, now=NOW)
        wire = sent.target.wire + repr(sent.headers)
        is_there = "Signature=" in wire if preset.secret_type == "aws" else "canary" in wire or "Basic " in wire
        assert is_there, host
    assert preset.recipe_for("evil.example.org") is None
    assert preset.recipe_for(next(iter(preset.hosts)).removeprefix("*.") + ".evil.example.org") is None


@pytest.mark.parametrize("preset", presets(), ids=lambda preset: preset.name)
def test_its_test_call_goes_to_one_of_its_hosts(preset: Preset) -> None:
    """In a form that the proxy's own parsers take."""
    if preset.test is None:
        return
    scheme, _, rest = preset.test.url.partition("://")
    host, slash, path = rest.partition("/")
    assert scheme == "https"
    assert not parse_path(slash + path).is_ambiguous
    assert preset.recipe_for(parse_authority(host, default_port=443).host) is not None
    assert preset.test.method in ("GET", "POST")
    assert all(pointer == "" or pointer.startswith("/") for pointer in (preset.test.says, preset.test.ok))


def test_the_documents_name_every_preset_and_every_kind() -> None:
    """What may be written after `inject:` is in docs/credentials.md."""
    text = (Path(__file__).parents[3] / "docs" / "credentials.md").read_text("utf-8")
    section = text.partition("## How a key gets into a request")[2].partition("\n## ")[0]
    assert [name for name in preset_names() if not re.search(rf"\b{re.escape(name)}\b", section)] == []
    assert [kind for kind in KINDS if f"{{{kind}:" not in section] == []
    assert [key for key in HMAC_KEYS if f"{key}:" not in section] == []


def test_variables_are_named_once() -> None:
    """Two providers never want the same variable; a variant has its own."""
    wanted = [variable for preset in presets() for variable in preset.environment]
    assert len(set(wanted)) == len(wanted)


def test_one_preset_is_meant_where_none_is_named() -> None:
    """A host is known to one preset, variants apart; a host of none has no default."""
    for preset in presets():
        for host in preset.hosts:
            if not host.startswith("*."):
                assert len([known for known in presets_for(host) if not known.variant_of]) == 1, host
        assert preset.variant_of == "" or load_preset(preset.variant_of) is not None
    assert default_inject("api.github.com") == Recipe(steps=(Bearer(),), preset="github")
    assert default_inject("example.org") is None


def test_some_presets_say_what_their_documents_do() -> None:
    """A sample, written down a second time."""

    def steps(name: str, host: str) -> object:
        preset = load_preset(name)
        assert preset is not None
        recipe = preset.recipe_for(host)
        assert recipe is not None
        return recipe.steps

    assert steps("github", "github.com") == (Basic(username="x-access-token"),)
    assert steps("discord", "discord.com") == (SetHeader(name="authorization", template="Bot {}"),)
    assert steps("telegram", "api.telegram.org") == (PathHole(templates=("/bot{}/**", "/file/bot{}/**")),)
    assert steps("aws", "s3.eu-west-1.amazonaws.com") == (SigV4(service="s3", region="eu-west-1"),)
    assert steps("anthropic-plan", "api.anthropic.com") == (
        Bearer(),
        ListHeader(name="anthropic-beta", item="oauth-2025-04-20"),
    )
    assert Query not in {type(step) for preset in presets() for step in preset.hosts.values()}


def test_a_key_and_a_plans_token_both_fit_the_one_preset() -> None:
    """Whichever the vault holds under the name."""
    recipe = default_inject("api.anthropic.com")
    assert recipe is not None
    of = request("/v1/messages", host="api.anthropic.com", headers=[(b"anthropic-beta", b"files-1")])
    key = dict(inject(of, recipe, credential("sk-ant-api03-x"), now=NOW).headers)
    token = dict(inject(of, recipe, credential("sk-ant-oat01-x"), now=NOW).headers)
    assert (key.get(b"x-api-key"), key.get(b"authorization")) == (b"sk-ant-api03-x", None)
    assert (token.get(b"x-api-key"), token.get(b"authorization")) == (None, b"Bearer sk-ant-oat01-x")
    assert (key[b"anthropic-beta"], token[b"anthropic-beta"]) == (b"files-1", b"files-1,oauth-2025-04-20")


def test_other_ways_of_a_provider_carry_nothing_of_the_agents() -> None:
    """Google takes a key in the query too, Cloudflare an older pair of headers: an agent's own account stays here."""
    google, cloudflare = (default_inject(host) for host in ("generativelanguage.googleapis.com", "api.cloudflare.com"))
    assert google is not None
    assert cloudflare is not None
    of = request("/v1?key=planted&a=1", headers=[(b"x-auth-key", b"planted"), (b"x-auth-email", b"planted")])
    sent = inject(of, google, credential("ours"), now=NOW)
    assert sent.target.wire == "/v1?a=1"
    assert (b"x-goog-api-key", b"ours") in sent.headers
    sent = inject(of, cloudflare, credential("ours"), now=NOW)
    assert [header for header in sent.headers if header[1] == b"planted"] == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty"),
        ("title: x", "hosts: is missing"),
        ("title: x\nhosts: {a.org: nonsense}\nplaceholders: {value: '{32:hex}'}", "`nonsense` is not one of"),
        ("title: x\nhosts: {a.org: bearer}\nplaceholders: {value: '{4:hex}'}", "not a form"),
        ("title: x\nhosts: {a.org: bearer}\nplaceholders: {}\nenvironment: {A_B: value}", "no placeholder"),
        ("title: x\nhosts: {a.org: bearer}\nplaceholders: {value: '{32:hex}'}\nenvironment: {a-b: value}", "variable"),
        ("title: x\nsecret_type: y\nhosts: {a.org: bearer}\nplaceholders: {value: '{32:hex}'}", "secret_type"),
        ("title: x\nhosts: [a]\nplaceholders: {value: '{32:hex}'}", "expected `name: value`"),
    ],
)
def test_a_mistake_in_a_file_is_named(text: str, problem: str) -> None:
    """With its key, so that who writes a preset sees it."""
    problems = parse_preset(text, "x", "x.yaml")
    assert isinstance(problems, list)
    assert problem in "; ".join(map(str, problems))


def test_a_group_is_told_of_its_secrets_in_the_files_order() -> None:
    """By the names that presets and grants give; where two want one name the first has it; others have ours."""
    placeholders, group = Placeholders(bytes(32)), GroupId("main")
    searching = Recipe(steps=(SetHeader(name="x-key"),), variables=("SEARCH_KEY",))
    variables = environment_of(
        group,
        [
            use_of("work-github", Bearer(), "api.github.com"),
            use_of("my-github", Recipe(steps=(Bearer(),), preset="github"), "github.example.org"),
            use_of("search", searching, "search.example.org"),
            use_of("my-notes", Bearer(), "notes.example.org"),
            use_of("aws", SigV4(), "minio.example.org"),
            use_of("aws", SigV4(), "s3.eu-west-1.amazonaws.com"),
        ],
        placeholders,
    )
    assert variables["GITHUB_TOKEN"] == variables["GH_TOKEN"] == placeholders.of(group, "work-github", "github")
    assert variables["SEARCH_KEY"] == placeholders.of(group, "search")
    assert "NIGHTYARD_PLACEHOLDER_MY_GITHUB" not in variables
    assert variables["NIGHTYARD_PLACEHOLDER_MY_NOTES"] == placeholders.of(group, "my-notes")
    assert re.fullmatch("AKIA[A-Z2-7]{16}", variables["AWS_ACCESS_KEY_ID"])
    assert len(variables["AWS_SECRET_ACCESS_KEY"]) == 40


def test_a_telegram_grants_paths_cover_its_requests() -> None:
    """The paths that a person writes fit what the agent asks, with a placeholder in it."""
    text = Placeholders(bytes(32)).of(GroupId("main"), "bot", "telegram")
    path = parse_path(f"/bot{text}/sendMessage").path
    assert PathGlob("/bot*/sendMessage").fits(path)
