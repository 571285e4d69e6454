"""curl, as it is in the agent's image."""

from __future__ import annotations

import hashlib
import json

import pytest

from tests.clients.quarter import Quarter, Reply
from tests.credproxy.street import CANARY, Arrived

pytestmark = pytest.mark.engine


async def echo(arrived: Arrived) -> Reply:
    facts = {"line": arrived.line, "bytes": len(arrived.body), "sha256": hashlib.sha256(arrived.body).hexdigest()}
    return Reply(body=json.dumps(facts).encode(), headers={"Content-Type": "application/json"})


async def test_curl_trusts_the_proxy_and_its_request_gets_the_key(quarter: Quarter) -> None:
    """A plain `curl https://…` works; the dummy key that it sends is replaced with the real one, told to nobody."""
    async with quarter.shop("api.example", echo, secret="key", inject="bearer") as shop:
        place = f"https://api.example:{shop.port}"
        ran = await quarter.run(f"curl -sS --compressed -H 'Authorization: Bearer dummy' '{place}/a?b=c%20d' {place}/e")
    assert ran.well().count('"line"') == 2
    assert [arrived.header("authorization") for arrived in shop.inbox] == [[f"Bearer {CANARY}"]] * 2
    assert shop.connections == 1
    assert CANARY not in ran.output + ran.errors


async def test_curl_sends_large_and_chunked_bodies(quarter: Quarter) -> None:
    """Three megabytes with a length, the same without one, and a form with a file: all arrive byte for byte."""
    async with quarter.shop("api.example", echo) as shop:
        place = f"https://api.example:{shop.port}"
        ran = await quarter.run(
            f"""head -c 3000000 /dev/urandom > body; sha256sum < body
            curl -sS --data-binary @body {place}/whole; echo
            curl -sS -T - {place}/chunked < body; echo
            curl -sS -F file=@body -F word=yes {place}/form"""
        )
    digest, whole, chunked, form = ran.well().splitlines()
    assert json.loads(whole)["sha256"] == json.loads(chunked)["sha256"] == digest.split()[0]
    assert json.loads(form)["bytes"] > 3_000_000
    assert [arrived.line.split()[0] for arrived in shop.inbox] == ["POST", "PUT", "POST"]


async def test_curl_is_told_what_a_denial_is(quarter: Quarter) -> None:
    """A host without a grant is refused in the tunnel's answer, and a path without one with a body that teaches."""
    async with quarter.shop("api.example", echo, paths=["/open"]) as shop:
        place = f"https://api.example:{shop.port}"
        ran = await quarter.run(
            f"curl -sS https://elsewhere.example/; echo $?; curl -sS -w '%{{http_code}}' {place}/closed"
        )
    refused, denial = ran.well().split("\n", 1)
    assert refused == "56"
    assert "403" in ran.errors
    error = json.loads(denial.rpartition("}")[0] + "}")["error"]
    assert (error["code"], error["retry"], denial[-3:]) == ("path_not_granted", False, "403")
    assert error["grant_with"]
    assert shop.inbox == []


async def test_nothing_gets_out_around_the_proxy(quarter: Quarter) -> None:
    """Told to use no proxy, curl finds no name and no route; told to trust nobody, it trusts no certificate of ours."""
    async with quarter.shop("api.example", echo) as shop:
        place = f"api.example:{shop.port}"
        ran = await quarter.run(
            f"""curl -sS --noproxy '*' https://{place}/; echo $?
            curl -sS --noproxy '*' --resolve {place}:127.0.0.1 https://{place}/; echo $?
            curl -sS --noproxy '*' https://192.0.2.1/; echo $?
            curl -sS --cacert /dev/null https://{place}/; echo $?"""
        )
    assert ran.well().split() == ["6", "7", "7", "77"]
    assert shop.inbox == []


async def test_no_tool_needs_the_variables_but_all_get_them(quarter: Quarter) -> None:
    """Without any variable for it curl still trusts the proxy: its authority is in the system's own bundle."""
    async with quarter.shop("api.example", echo) as shop:
        ran = await quarter.run(
            f"""env -u SSL_CERT_FILE -u CURL_CA_BUNDLE curl -sS https://api.example:{shop.port}/a
            cat "$SSL_CERT_FILE" | grep -c BEGIN; test -w "$SSL_CERT_FILE" || echo read-only"""
        )
    assert ran.well().split("}")[1].split() == ["1", "read-only"]
