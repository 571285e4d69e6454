"""grants.yaml edited as text: what is added where, what stays as it was, what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.grants_edit import Wish, add_grant, grants_in, remove_grants
from cli.settings_edit import CannotEdit
from credproxy.policy.grants import parse_grants
from protocol.ids import GroupId

MAIN = GroupId("main")
FILE = "groups/main/grants.yaml"
COMMENTED = """\
# What main may reach.

- host: api.example.org   # the API
  methods: [GET]
  paths: [/v1/**]         # only this version
  secret: key
  inject: bearer

# Pages.
- host: www.example.org
  methods:
    - GET   # reading
    - HEAD
- {host: flow.example.org, methods: [GET], paths: [/a]}
# The end.
"""


def add(text: str, **wish: object) -> str:
    return add_grant(text, Wish(**wish), MAIN, FILE)  # type: ignore[arg-type]  # handed on as given


def remove(text: str, **meant: str) -> str:
    return remove_grants(text, lambda values: all(values.get(key) == meant[key] for key in meant), MAIN, FILE)


def changed(before: str, after: str) -> tuple[list[str], list[str]]:
    """Return the lines that went and those that came."""
    old, new = before.splitlines(), after.splitlines()
    return [line for line in old if line not in new], [line for line in new if line not in old]


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "[]\n", "null\n", "# one\n[]  # none\n", "# no line end"])
def test_first_grant_goes_into_an_empty_file(text: str) -> None:
    """Whatever an empty file looks like, its comments stay and the grant is the one in it."""
    after = add(text, host="a.example.org", methods=("GET",))
    rules = parse_grants(after, MAIN, FILE)
    assert not isinstance(rules, list)
    assert [rule.host for rule in rules.rules] == ["a.example.org"]
    assert all(comment in after for comment in ("nothing yet", "# one", "# none", "# no line end") if comment in text)


def test_new_grant_goes_to_the_end_and_all_else_stays() -> None:
    """A grant for another host is one more item; not a byte of the others changes."""
    after = add(COMMENTED, host="new.example.org", port=8443, secret="key", inject="{header: X-Key}")
    gone, came = changed(COMMENTED, after)
    assert gone == []
    assert came == ["- host: new.example.org", "  port: 8443", "  inject: {header: X-Key}"]
    assert after.index("new.example.org") < after.index("# The end.")


def test_method_or_path_widens_the_grant_that_differs_in_it_alone() -> None:
    """One key of one grant grows, its comment stays, and no pair of method and path comes that was not asked for."""
    api = {"host": "api.example.org", "secret": "key", "inject": "bearer"}
    after = add(COMMENTED, **api, methods=("POST",), paths=("/v1/**",))
    assert changed(COMMENTED, after) == (["  methods: [GET]"], ["  methods: [GET, POST]"])
    after = add(COMMENTED, **api, methods=("GET",), paths=("/v2/**",))
    assert changed(COMMENTED, after)[1] == ["  paths: [/v1/**, /v2/**]         # only this version"]
    after = add(COMMENTED, **api, methods=("POST",), paths=("/v2/**",))
    assert changed(COMMENTED, after)[1][-2:] == ["  methods: [POST]", "  paths: [/v2/**]"]
    after = add(COMMENTED, host="www.example.org", methods=("POST",))
    assert changed(COMMENTED, after)[1] == ["    - POST"]
    assert "- GET   # reading\n    - HEAD\n    - POST\n- {host" in after
    after = add(COMMENTED, host="flow.example.org", methods=("GET",), paths=("/b,c",))
    assert '- {host: flow.example.org, methods: [GET], paths: [/a, "/b,c"]}\n' in after


def test_grant_stands_before_the_one_that_would_decide_in_its_place() -> None:
    """A key for a host that is open already, a condition on part of it, a host of a bundle: the new grant comes first,
    behind the comment of the one before; a wider one goes to the end, where the narrow one is not hidden by it."""
    key = {"host": "www.example.org", "secret": "key", "inject": "bearer", "methods": ("GET",)}
    after = add(COMMENTED, **key)
    assert after.index("secret: key\n  inject: bearer\n# Pages.\n- host: www.example.org\n  methods:\n") > 0
    rules = parse_grants(after, MAIN, FILE)
    assert not isinstance(rules, list)
    assert [rule.secret for rule in rules.rules if rule.host == "www.example.org"] == ["key", None]
    part = add(
        "# Mine.\n- host: a.org\n  paths: [/v1/**]\n", host="a.org", paths=("/v1/send",), terms={"approval": "true"}
    )
    assert part.startswith("# Mine.\n- host: a.org\n  paths: [/v1/send]\n  approval: true\n- host: a.org\n")
    bundled = add("- bundle: github-read\n", host="api.github.com", methods=("GET",), secret="github")
    assert bundled.startswith("- host: api.github.com\n")
    wider = add(COMMENTED, host="api.example.org")
    assert wider.startswith(COMMENTED.removesuffix("# The end.\n"))
    assert add(after, **key) == after


def test_what_is_granted_already_changes_nothing() -> None:
    """The same grant, or less than one that is there, leaves the text as it is; on other terms it is another grant."""
    api = {"host": "api.example.org", "secret": "key", "inject": "bearer"}
    assert add(COMMENTED, **api, methods=("GET",), paths=("/v1/**",)) == COMMENTED
    assert add(COMMENTED, host="www.example.org", methods=("HEAD",)) == COMMENTED
    assert add(COMMENTED, host="www.example.org", methods=("HEAD",), terms={"daily": "5"}) != COMMENTED
    assert add(COMMENTED, host="www.example.org", methods=("HEAD",), paths=("/x",)) == COMMENTED


@pytest.mark.parametrize(
    ("wish", "reason"),
    [
        ({"host": "*.github.io"}, "too wide"),
        ({"host": "a.example.org:80"}, "the port is a key of its own"),
        ({"host": "a.example.org", "methods": ("FETCH",)}, "is not one of"),
        (
            {"host": "a.example.org", "secret": "key", "scheme": "http", "inject": "bearer"},
            "never goes over plain http",
        ),
        ({"host": "a.example.org", "secret": "key"}, "inject: is missing"),
        ({"host": "a.example.org", "terms": {"rate": "often"}}, "rate: expected"),
        ({"bundle": "everything"}, "is not a known bundle"),
    ],
)
def test_what_the_proxy_would_not_take_is_not_written(wish: dict[str, object], reason: str) -> None:
    """The proxy's own parser judges before anything is written."""
    with pytest.raises(CannotEdit, match=reason):
        add(COMMENTED, **wish)


def test_broken_or_bracketed_files_are_left_alone() -> None:
    """A file that cannot be changed safely is not changed."""
    for text in ("- host: a.org\n  hots: b\n", "[{host: a.org}]\n", "host: a.org\n", "- {host: a.org"):
        with pytest.raises(CannotEdit):
            add(text, host="b.org")


def test_bundle_and_open_web_are_granted_once() -> None:
    """Each is a line of its own; a second one is refused."""
    after = add(COMMENTED, bundle="python", terms={"expires": "2099-01-01"})
    assert "- bundle: python\n  expires: 2099-01-01\n" in after
    with pytest.raises(CannotEdit, match="granted already"):
        add(after, bundle="python")
    after = add(after, is_web_read=True, terms={"rate": "5/m", "expires": "2099-01-01"})
    assert "- web_read: {rate: 5/m}\n  expires: 2099-01-01\n" in after
    with pytest.raises(CannotEdit, match="granted already"):
        add(after, is_web_read=True)


def test_removed_grants_leave_the_rest_as_it_was() -> None:
    """Only the grants that are meant go; comments outside of them stay."""
    after = remove(COMMENTED, secret="key")
    assert changed(COMMENTED, after)[1] == []
    assert "# What main may reach.\n\n\n# Pages.\n- host: www" in after
    assert [values["host"] for values in grants_in(after)] == ["www.example.org", "flow.example.org"]
    last = remove(remove(after, host="www.example.org"), host="flow.example.org")
    assert grants_in(last) == []
    assert "# The end.\n" in last
    assert remove(COMMENTED, host="absent.org") == COMMENTED
    assert add(last, host="a.org").endswith("# The end.\n- host: a.org\n")


def test_all_methods_are_granted_where_one_was() -> None:
    """A wish for all methods is one more grant beside the one that names some, not a change that changes nothing."""
    one = add("", host="a.org", methods=("GET",), paths=("/a",))
    after = add(one, host="a.org", paths=("/a",))
    assert [values.get("methods") for values in grants_in(after)] == ["[GET]", None]
    assert add(after, host="a.org", paths=("/a",)) == after


HOSTS = st.sampled_from(["a.org", "b.example.org", "*.c.example.org", "10.0.0.1", "xn--bcher-kva.example"])
PATHS = st.lists(
    st.sampled_from(["/", "/a", "/a/**", "/x,y", "/it's", "/%2A", "/k=v", "/a:b"]), unique=True, max_size=3
)
METHODS = st.lists(st.sampled_from(["GET", "POST", "DELETE"]), unique=True, max_size=2)
WISHES = st.builds(
    lambda host, methods, paths: Wish(host=host, methods=tuple(methods), paths=tuple(paths)), HOSTS, METHODS, PATHS
)


@given(st.lists(WISHES, max_size=8))
def test_any_grants_can_be_added_and_taken_back(wishes: list[Wish]) -> None:
    """Added one after another all are granted; again, nothing changes; taken back, nothing is left but comments."""
    text = "# mine\n"
    for wish in wishes:
        text = add_grant(text, wish, MAIN, FILE)
    for wish in wishes:
        assert add_grant(text, wish, MAIN, FILE) == text
    assert text.startswith("# mine\n")
    assert remove_grants(text, lambda _values: True, MAIN, FILE) == "# mine\n"
