"""Each kind of injection, by what goes out; what cannot be put in is not sent."""

from __future__ import annotations

import base64
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credproxy.injection.failure import InjectionFailed
from credproxy.injection.kinds import (
    Basic,
    Bearer,
    ByPrefix,
    Cookie,
    HmacSigning,
    Injection,
    JsonField,
    ListHeader,
    PathHole,
    Query,
    Recipe,
    RemoveHeader,
    RemoveQuery,
    ReplaceHeader,
    SetHeader,
    SigV4,
    Step,
)
from credproxy.injection.outgoing import _WORK, carrier_headers, inject, needs_body, needs_secret
from credproxy.vault.credential import Credential
from tests.credproxy.injection.requests import NOW, credential, request, sent_headers

PLANTED = [(b"authorization", b"Bearer planted"), (b"x-key", b"planted"), (b"X_key".lower(), b"planted"), (b"a", b"b")]


def test_every_kind_has_its_work() -> None:
    """No kind that a grant may name is left without a function."""
    assert set(get_args(Step)) == set(_WORK)


@pytest.mark.parametrize(
    ("step", "name", "value"),
    [
        (Bearer(), "authorization", "Bearer tok-en"),
        (SetHeader(name="x-key"), "x-key", "tok-en"),
        (SetHeader(name="authorization", template="Bot {}"), "authorization", "Bot tok-en"),
        (Basic(username="x-access-token"), "authorization", "Basic eC1hY2Nlc3MtdG9rZW46dG9rLWVu"),
        (Cookie(name="session"), "cookie", "session=tok-en"),
    ],
)
def test_a_header_is_the_proxys_alone(step: Step, name: str, value: str) -> None:
    """What the agent sent under that name, with `_` for `-` too, is gone; the rest stays."""
    headers = sent_headers(step, request(headers=[*PLANTED, (b"cookie", b"session=planted")]))
    assert headers[name] == value
    assert "planted" not in headers[name]
    assert headers["a"] == "b"
    assert name != "x-key" or "x_key" not in headers


def test_basic_takes_user_and_password_from_its_own_type() -> None:
    """A secret of type basic knows its user; a grant that names another has the last word."""
    who = credential(None, username="me", password="pass:word")
    assert sent_headers(Basic(), who=who)["authorization"] == "Basic " + base64.b64encode(b"me:pass:word").decode()
    named = sent_headers(Basic(username="you"), who=who)["authorization"]
    assert named == "Basic " + base64.b64encode(b"you:pass:word").decode()
    assert sent_headers(Basic(), who=credential("a:b"))["authorization"] == "Basic " + base64.b64encode(b"a:b").decode()


def test_basic_without_a_user_is_not_sent() -> None:
    """A plain value would be read as a user name without a password."""
    with pytest.raises(InjectionFailed, match="names no user"):
        sent_headers(Basic())


def test_a_replaced_header_is_put_in_only_where_the_agent_sent_one() -> None:
    """Whether it was sent is looked up before stripping; what was sent never goes out."""
    step = ReplaceHeader(name="authorization", template="Token {}")
    assert "authorization" not in sent_headers(step)
    stripped = request(received=[(b"authorization", b"Token dummy")])
    assert sent_headers(step, stripped)["authorization"] == "Token tok-en"
    unstripped = request(headers=[(b"authorization", b"Token dummy")])
    assert sent_headers(step, unstripped)["authorization"] == "Token tok-en"


def test_headers_and_parameters_are_removed_without_a_secret() -> None:
    """What only takes away needs no credential."""
    recipe = Recipe(steps=(RemoveHeader(name="x-key"), RemoveQuery(name="key")))
    sent = inject(request("/p?key=1&q=2", headers=PLANTED), recipe, None, now=NOW)
    assert (b"x-key", b"planted") not in sent.headers
    assert sent.target.wire == "/p?q=2"
    assert not needs_secret(recipe)
    assert needs_secret(Recipe(steps=(RemoveHeader(name="x"), Bearer())))


def test_an_item_joins_the_agents_list_once() -> None:
    """The agent's own items stay, over several headers of the name too."""
    step = ListHeader(name="anthropic-beta", item="oauth")
    of = request(headers=[(b"anthropic-beta", b"one, two"), (b"anthropic-beta", b"three")])
    assert sent_headers(step, of)["anthropic-beta"] == "one,two,three,oauth"
    assert sent_headers(step, request(headers=[(b"anthropic-beta", b"oauth")]))["anthropic-beta"] == "oauth"
    assert sent_headers(step)["anthropic-beta"] == "oauth"


def test_what_a_value_begins_with_decides_how_it_goes_out() -> None:
    """A provider's keys and its subscription's tokens go into different headers, and never into both."""
    step = ByPrefix(cases=(("sk-ant-oat", Recipe(steps=(Bearer(),))),), otherwise=SetHeader(name="x-api-key"))
    key = sent_headers(step, who=credential("sk-ant-api-1"))
    token = sent_headers(step, who=credential("sk-ant-oat-1"))
    assert ("authorization" in key, key["x-api-key"]) == (False, "sk-ant-api-1")
    assert (token["authorization"], "x-api-key" in token) == ("Bearer sk-ant-oat-1", False)
    assert carrier_headers(step) == {b"authorization", b"x-api-key"}


def test_the_way_that_is_not_used_carries_nothing_of_the_agents() -> None:
    """Headers and parameters that another value would have gone into are the proxy's too."""
    step = Recipe(
        steps=(
            ByPrefix(
                cases=(("a-", SetHeader(name="x-odd-key")), ("b-", Query(name="odd"))),
                otherwise=ReplaceHeader(name="x-third-key"),
            ),
        )
    )
    planted = [(b"x-odd-key", b"planted"), (b"x_odd_key", b"planted"), (b"x-third-key", b"planted")]
    of = request("/p?odd=planted&q=1", headers=planted)
    for value, place in (("a-1", "x-odd-key: a-1"), ("b-1", "odd=b-1"), ("c-1", "x-third-key: c-1")):
        sent = inject(of, step, credential(value), now=NOW)
        text = sent.target.wire + "".join(f"{name.decode()}: {value.decode()}" for name, value in sent.headers)
        assert place in text
        assert "planted" not in text


def test_a_part_that_may_be_missing_is_left_out_and_the_agents_own_too() -> None:
    """A token without an account's id goes out without one; the agent's does not take its place."""
    step = SetHeader(name="account-id", part="account_id", is_optional=True)
    of = request(headers=[(b"account-id", b"planted")])
    assert "account-id" not in sent_headers(step, of)
    assert sent_headers(step, of, credential("t", account_id="42"))["account-id"] == "42"


ALL: tuple[Step, ...] = (
    Bearer(),
    SetHeader(name="x-key"),
    ReplaceHeader(name="x-key"),
    Basic(username="u"),
    Query(name="key"),
    PathHole(templates=("/bot{}/**",)),
    Cookie(name="c"),
    JsonField(pointer="/key"),
    HmacSigning(header="x-signature"),
    SigV4(service="s3", region="eu-west-1"),
)


@pytest.mark.parametrize("step", ALL, ids=lambda step: type(step).__name__)
def test_no_credential_and_one_of_another_type_are_refused(step: Step) -> None:
    """Nothing goes out without the credential that was to go with it; the failure names the secret at most."""
    of = request(
        "/bot1/x", headers=[(b"x-key", b"1"), (b"content-type", b"application/json")], body=b"{}", method="POST"
    )
    for who in (None, credential(None, unknown="canary-value")):
        with pytest.raises(InjectionFailed) as failed:
            inject(of, step, who, now=NOW)
        assert failed.value.code == "credential_unfit"
        assert "canary" not in str(failed.value) + repr(failed.value.__context__)


class _Raw:
    """A value that no check of the vault has seen."""

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value


HEADER_STEPS = (Bearer(), SetHeader(name="x-key"), SetHeader(name="x-key", template="a {} b"), Cookie(name="c"))


@given(value=st.text(max_size=40), step=st.sampled_from(HEADER_STEPS))
def test_no_value_ends_its_header(value: str, step: Step) -> None:
    """Whatever a value holds: it stands in one header as it is, or nothing is sent."""
    who = Credential("key", "current", {"value": _Raw(value)})  # type: ignore[dict-item]  # a value out of nowhere
    try:
        sent = inject(request(), step, who, now=NOW).headers
    except InjectionFailed:
        return
    for _name, raw in sent:
        assert not set(raw) & {0, 10, 13}
        assert raw.isascii()
    assert any(value.encode() in raw for _name, raw in sent)


@given(value=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30))
def test_an_address_with_a_credential_is_still_one_address(value: str) -> None:
    """In query and path the value is escaped: it ends neither, and adds no parameter."""
    who = credential(value)
    query = inject(request("/p?a=1"), Query(name="key"), who, now=NOW).target.query
    assert query is not None
    assert query.count("&") == 1
    assert not set(query) & set(' #"<>\\')
    try:
        path = inject(request("/bot1/x"), PathHole(templates=("/bot{}/x",)), who, now=NOW).target.path
    except InjectionFailed:
        assert set(value) & set("/\\") or value in (".", "..")
        return
    assert path.count("/") == 2
    assert not set(path) & set(' ?#"<>;\\')


def test_nothing_shows_a_request_that_holds_a_secret() -> None:
    """Neither its repr nor its str says more than the method."""
    for step in ALL:
        of = request(
            "/bot1/x", headers=[(b"x-key", b"1"), (b"content-type", b"application/json")], body=b"{}", method="POST"
        )
        who = credential("canary", access_key_id="AKIA", secret_access_key="canary")
        assert "canary" not in repr(inject(of, step, who, now=NOW))


@pytest.mark.parametrize(
    ("injection", "is_needed"),
    [
        (Bearer(), False),
        (JsonField(pointer="/a"), True),
        (HmacSigning(header="s"), True),
        (HmacSigning(header="s", message="{timestamp}"), False),
        (Recipe(steps=(Bearer(), JsonField(pointer="/a"))), True),
        (ByPrefix(cases=(("x", SigV4()),), otherwise=Bearer()), True),
    ],
)
def test_it_is_known_beforehand_whether_the_body_is_needed(injection: Injection, is_needed: bool) -> None:
    """So a body is streamed wherever it can be, and read whole where it is changed or signed."""
    assert needs_body(injection) is is_needed


def test_a_body_that_is_streamed_is_not_sent_unsigned() -> None:
    """Where a signature or a field needs the body, none is sent without."""
    for step in (JsonField(pointer="/a"), HmacSigning(header="s"), SigV4(service="sqs", region="r")):
        who = credential("v", access_key_id="AKIA", secret_access_key="s")
        with pytest.raises(InjectionFailed) as failed:
            inject(request(method="POST", body=None), step, who, now=NOW)
        assert failed.value.code == "body_not_whole"
