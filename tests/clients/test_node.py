"""Node 24: its own fetch and https, undici as a package, npm."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from tests.clients.quarter import Quarter, Reply, open_quarter
from tests.clients.shops import make_package, npm_registry
from tests.clients.tools import node_clients
from tests.credproxy.street import CANARY, Arrived

pytestmark = [pytest.mark.engine, pytest.mark.long]

NODE = "/skills/node-clients/node_modules/node/bin/node"
NPM = f"{NODE} /skills/node-clients/node_modules/npm/bin/npm-cli.js"


@pytest.fixture
async def stocked(agent_image: str) -> AsyncIterator[Quarter]:
    async with open_quarter(agent_image, node_clients()) as quarter:
        yield quarter


async def hello(arrived: Arrived) -> Reply:
    body = json.dumps({"word": "hello", "bytes": len(arrived.body)}).encode()
    return Reply(body=body, headers={"Content-Type": "application/json"})


CLIENTS = {
    "fetch": """
const ask = (path, more) => fetch(PLACE + path, more)
const read = (answer) => answer.json()
""",
    "undici": """
import { createRequire } from "node:module"
const { fetch: theirs } = createRequire("/skills/node-clients/node_modules/")("undici")
const ask = (path, more) => theirs(PLACE + path, more)
const read = (answer) => answer.json()
""",
    "undici-agent": """
import { createRequire } from "node:module"
const { request, EnvHttpProxyAgent } = createRequire("/skills/node-clients/node_modules/")("undici")
const dispatcher = new EnvHttpProxyAgent()
const ask = (path, more) => request(PLACE + path, { dispatcher, ...more })
const read = (answer) => answer.body.json()
""",
    "https": """
import https from "node:https"
const ask = (path, more = {}) => new Promise((resolve, reject) => {
  const asking = https.request(PLACE + path, { method: more.method ?? "GET" }, resolve)
  asking.on("error", reject)
  asking.end(more.body)
})
const read = async (answer) => {
  let text = ""
  for await (const piece of answer) text += piece
  return JSON.parse(text)
}
""",
}
SCRIPT = """
console.log((await read(await ask("/a"))).word)
const posted = await read(await ask("/a", { method: "POST", body: "x".repeat(2_000_000) }))
console.log(posted.bytes, (await read(await ask("/b"))).error.code)
const answers = await Promise.all([1, 2, 3].map(() => ask("/a").then(read)))
console.log(answers.map((one) => one.word).join(" "))
"""


@pytest.mark.parametrize("client", CLIENTS)
async def test_clients_of_node_need_nothing(stocked: Quarter, client: str) -> None:
    """They find the proxy and trust it by the container's environment alone: reading, a large body, a refusal."""
    async with stocked.shop("api.example", hello, secret="key", inject="bearer", paths=["/a"]) as shop:
        head = f'const PLACE = "https://api.example:{shop.port}"\n'
        ran = await stocked.run(f"cat > a.mjs <<'END'\n{CLIENTS[client]}{head}{SCRIPT}END\n{NODE} a.mjs")
    assert ran.well().splitlines() == ["hello", "2000000 path_not_granted", "hello hello hello"]
    assert {tuple(arrived.header("authorization")) for arrived in shop.inbox} == {(f"Bearer {CANARY}",)}


async def test_npm_installs_a_package(stocked: Quarter) -> None:
    """`npm install` against a registry, then the package is used; what npm would like to tell its registry is refused
    without harm."""
    registry = npm_registry("greeting", "1.0.0", make_package("greeting", "1.0.0", "hello"))
    async with stocked.shop("registry.example", registry, methods=["GET"]) as shop:
        place = f"https://registry.example:{shop.port}/"
        ran = await stocked.run(
            f"""mkdir -p project && cd project && echo '{{}}' > package.json
            {NPM} install --registry {place} greeting && {NODE} -p 'require("greeting")'"""
        )
    assert ran.well().splitlines()[-1] == "hello"
    assert {arrived.line for arrived in shop.inbox} == {
        "GET /greeting HTTP/1.1",
        "GET /greeting/-/greeting-1.0.0.tgz HTTP/1.1",
    }
