"""Python: the standard library and pip as they are in the agent's image; requests, httpx and aiohttp."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from tests.clients.quarter import Quarter, Reply, open_quarter
from tests.clients.shops import make_wheel, package_index
from tests.clients.tools import python_clients
from tests.credproxy.street import CANARY, Arrived

pytestmark = pytest.mark.engine


async def hello(arrived: Arrived) -> Reply:
    body = json.dumps({"word": "hello", "bytes": len(arrived.body)}).encode()
    return Reply(body=body, headers={"Content-Type": "application/json"})


async def test_the_standard_library_needs_nothing(quarter: Quarter) -> None:
    """urllib finds the proxy and trusts it; a refusal is an HTTPError whose body teaches, and a tunnel's says why."""
    async with quarter.shop("api.example", hello, secret="key", inject={"header": "X-Token"}, paths=["/a"]) as shop:
        place = f"https://api.example:{shop.port}"
        ran = await quarter.run(
            f"""python3 - <<'END'
import json, urllib.error, urllib.request
print(json.load(urllib.request.urlopen("{place}/a"))["word"])
try:
    urllib.request.urlopen("{place}/b")
except urllib.error.HTTPError as error:
    print(error.code, json.load(error)["error"]["code"])
try:
    urllib.request.urlopen("https://elsewhere.example/")
except urllib.error.URLError as error:
    print(error.reason)
END"""
        )
    *lines, tunnel = ran.well().splitlines()
    assert lines == ["hello", "403 path_not_granted"]
    assert "403 host_not_granted: " in tunnel and "elsewhere.example" in tunnel
    assert shop.inbox[0].header("x-token") == [CANARY]


async def test_pip_installs_into_an_environment_in_the_agents_home(quarter: Quarter) -> None:
    """`python3 -m venv`, then pip against an index: the package is there, and in the next task's container still."""
    index = package_index(make_wheel("greeting", "1.0", "hello"))
    async with quarter.shop("index.example", index, methods=["GET"]) as shop:
        simple = f"https://index.example:{shop.port}/simple"
        ran = await quarter.run(
            f"python3 -m venv ~/environment && ~/environment/bin/pip install -q --index-url {simple} greeting"
        )
        again = await quarter.run("~/environment/bin/python -c 'import greeting; print(greeting.word)'")
    ran.well()
    assert again.well() == "hello\n"
    assert {arrived.line for arrived in shop.inbox} == {
        "GET /simple/greeting/ HTTP/1.1",
        "GET /files/greeting-1.0-py3-none-any.whl HTTP/1.1",
    }


@pytest.fixture
async def stocked(agent_image: str) -> AsyncIterator[Quarter]:
    async with open_quarter(agent_image, python_clients(agent_image)) as quarter:
        yield quarter


CLIENTS = {
    "requests": """
import requests
print(requests.get(PLACE + "/a").json()["word"])
print(requests.post(PLACE + "/a", data=BODY).json()["bytes"], requests.get(PLACE + "/b").json()["error"]["code"])
with requests.Session() as session:
    print(*(session.get(PLACE + "/a").status_code for _ in range(3)))
""",
    "httpx": """
import httpx
print(httpx.get(PLACE + "/a").json()["word"])
print(httpx.post(PLACE + "/a", content=BODY).json()["bytes"], httpx.get(PLACE + "/b").json()["error"]["code"])
with httpx.Client() as client:
    print(*(client.get(PLACE + "/a").status_code for _ in range(3)))
""",
    "aiohttp": """
import aiohttp, asyncio
async def main():
    async with aiohttp.ClientSession(trust_env=True) as session:
        async def ask(method, path, **more):
            async with session.request(method, PLACE + path, **more) as answer:
                return answer.status, await answer.json()
        print((await ask("GET", "/a"))[1]["word"])
        print((await ask("POST", "/a", data=BODY))[1]["bytes"], (await ask("GET", "/b"))[1]["error"]["code"])
        print(*(status for status, _ in await asyncio.gather(*(ask("GET", "/a") for _ in range(3)))))
asyncio.run(main())
""",
}


@pytest.mark.long
@pytest.mark.parametrize("client", CLIENTS)
async def test_clients_of_python_need_nothing(stocked: Quarter, client: str) -> None:
    """They find the proxy and trust it by the container's environment alone: reading, a large body, a refusal."""
    async with stocked.shop("api.example", hello, secret="key", inject="bearer", paths=["/a"]) as shop:
        head = f'PLACE = "https://api.example:{shop.port}"\nBODY = b"x" * 2_000_000\n'
        script = f"PYTHONPATH=/skills/python-clients python3 - <<'END'\n{head}{CLIENTS[client]}\nEND"
        ran = await stocked.run(script)
    assert ran.well().splitlines() == ["hello", "2000000 path_not_granted", "200 200 200"]
    assert {tuple(arrived.header("authorization")) for arrived in shop.inbox} == {(f"Bearer {CANARY}",)}
