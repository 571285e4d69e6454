"""Credentials in query and path, against servers that read names and paths in their own ways."""

from __future__ import annotations

import pytest

from credproxy.injection.failure import InjectionFailed
from credproxy.injection.kinds import PathHole, Query
from credproxy.injection.outgoing import inject
from tests.credproxy.injection.requests import NOW, credential, request

TELEGRAM = PathHole(templates=("/bot{}/**", "/file/bot{}/**"))


def query_of(wire: str, name: str = "key") -> str | None:
    return inject(request(wire), Query(name=name), credential("ours"), now=NOW).target.query


def path_of(wire: str, hole: PathHole = TELEGRAM, value: str = "123:AA-b_c") -> str:
    return inject(request(wire), hole, credential(value), now=NOW).target.path


@pytest.mark.parametrize(
    "planted",
    [
        "key=1",
        "key",
        "KEY=1",
        "%6bey=1",
        "key[]=1",
        "key[a]=1",
        "+key=1",
        "%20key=1",
        "key%00=1",
        "key=1&key=2",
        "key%5B%5D=1",
    ],
)
def test_no_parameter_that_a_server_reads_as_ours_stays(planted: str) -> None:
    """Escaped, repeated, in other case, as a list, with a space before: all are gone, and one is there."""
    assert query_of(f"/p?a=1&{planted}&z=2") == "a=1&z=2&key=ours"


def test_names_that_some_servers_fold_are_folded() -> None:
    """PHP makes one of `api.key`, `api key` and `api_key`."""
    assert query_of("/p?api.key=1&api+key=2&api_key=3&q=4", "api_key") == "q=4&api_key=ours"


def test_other_parameters_stay_as_they_came() -> None:
    """Neither order nor writing of the agent's own parameters changes."""
    assert query_of("/p?q=a+b%20c&monkey=1&keys=2&&x") == "q=a+b%20c&monkey=1&keys=2&&x&key=ours"
    assert query_of("/p") == "key=ours"


@pytest.mark.parametrize("piece", ["a=1;key=2", "a;key=1", "a=1%3Bkey=2", "a=%3bKEY=2"])
def test_a_parameter_behind_a_semicolon_is_refused(piece: str) -> None:
    """Some servers split there too: they would read the agent's key."""
    with pytest.raises(InjectionFailed) as failed:
        query_of(f"/p?{piece}")
    assert failed.value.code == "request_unfit"
    assert query_of("/p?a=1;b=2") == "a=1;b=2&key=ours"


@pytest.mark.parametrize(
    ("wire", "sent"),
    [
        ("/bot0/getMe", "/bot123:AA-b_c/getMe"),
        ("/bot999:planted/sendMessage", "/bot123:AA-b_c/sendMessage"),
        ("/bot0", "/bot123:AA-b_c"),
        ("/file/bot0/photos/a.jpg", "/file/bot123:AA-b_c/photos/a.jpg"),
    ],
)
def test_the_hole_is_filled_whatever_stood_in_it(wire: str, sent: str) -> None:
    """Telegram's way, for methods and for files."""
    assert path_of(wire) == sent


@pytest.mark.parametrize("wire", ["/", "/bot", "/bot/getMe", "/other/bot0/getMe", "/Bot0/x"])
def test_a_path_without_a_hole_is_refused(wire: str) -> None:
    """Nothing goes out without the credential that was to go with it."""
    with pytest.raises(InjectionFailed) as failed:
        path_of(wire)
    assert failed.value.code == "request_unfit"


@pytest.mark.parametrize("wire", ["/bot0//x", "/bot0%2Fy/x", "/bot0;a/x", "/bot0/%252e"])
def test_a_path_that_servers_read_in_two_ways_gets_no_credential(wire: str) -> None:
    """The hole might be elsewhere for the server."""
    with pytest.raises(InjectionFailed):
        path_of(wire)


@pytest.mark.parametrize("value", ["a/b", "..", ".", "a\\b"])
def test_a_value_that_would_change_the_path_is_refused(value: str) -> None:
    """A credential is one segment's part, never more."""
    with pytest.raises(InjectionFailed, match="cannot stand in one part"):
        path_of("/k0/x", PathHole(templates=("/k{}/x", "/{}")), value)


def test_a_hole_without_any_rest_takes_the_whole_path_only() -> None:
    """Without `/**` at the end nothing may follow."""
    hole = PathHole(templates=("/v1/{}/send",))
    assert path_of("/v1/x/send", hole, "k?&=#") == "/v1/k%3F&=%23/send"
    with pytest.raises(InjectionFailed):
        path_of("/v1/x/send/more", hole)
