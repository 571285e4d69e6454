"""The OAuth twin behaves as the services do that it stands for."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping

from twins.oauth.logins import Client
from twins.oauth.server import OAuthTwin, serve_oauth

ME = {"client_id": "me", "client_secret": "hush"}


def post(url: str, fields: Mapping[str, str], **headers: str) -> tuple[int, str]:
    request = urllib.request.Request(url, urllib.parse.urlencode(fields).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


async def ask(address: str, path: str = "/oauth/token", **fields: str) -> tuple[int, str]:
    return await asyncio.to_thread(post, address + path, {**ME, **fields})


def with_client(twin: OAuthTwin) -> None:
    twin.logins.clients["me"] = Client(client_id="me", secret="hush")


async def test_refresh_token_is_good_for_one_use() -> None:
    """A second use ends the login for both who have it, as RFC 9700 4.14 advises; within the grace it does not."""
    async with serve_oauth() as (address, twin):
        with_client(twin)
        login = twin.logins.log_in("me")
        first = login.refresh_token
        status, body = await ask(address, grant_type="refresh_token", refresh_token=first)
        assert (status, json.loads(body)["refresh_token"]) == (200, login.refresh_token)
        twin.logins.grace_s = 30
        assert (await ask(address, grant_type="refresh_token", refresh_token=first))[0] == 200
        twin.logins.grace_s = 0
        status, body = await ask(address, grant_type="refresh_token", refresh_token=first)
        assert (status, json.loads(body)["error"]) == (400, "invalid_grant")
        assert (await ask(address, grant_type="refresh_token", refresh_token=login.refresh_token))[0] == 400


async def test_clients_must_be_known() -> None:
    """An unknown client, or a wrong secret, is invalid_client with 401; a public client has no credentials."""
    async with serve_oauth() as (address, twin):
        assert (await ask(address, grant_type="client_credentials"))[0] == 401
        with_client(twin)
        assert (await ask(address, grant_type="client_credentials"))[0] == 200
        assert (await ask(address, grant_type="client_credentials", client_secret="x"))[0] == 401
        assert (await ask(address, grant_type="password"))[1].find("unsupported_grant_type") > 0


async def test_github_answers_with_forms_and_says_no_with_200() -> None:
    """Its own endpoint gives a form unless JSON is asked for, and errors with status 200."""
    async with serve_oauth() as (address, twin):
        with_client(twin)
        login = twin.logins.log_in("me")
        path = "/login/oauth/access_token"
        status, body = await ask(address, path, grant_type="refresh_token", refresh_token=login.refresh_token)
        assert (status, "access_token" in urllib.parse.parse_qs(body)) == (200, True)
        status, body = await ask(address, path, grant_type="refresh_token", refresh_token="no such token")
        assert (status, urllib.parse.parse_qs(body)["error"]) == (200, ["invalid_grant"])
