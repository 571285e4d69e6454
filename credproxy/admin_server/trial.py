"""Tries a secret out: one cheap call to the service that it is for, by the same ways of dialling and putting it in that
an agent's request takes. What came back is told in a sentence, never in full: it may hold what is not ours to show.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from credproxy.admin_client.secrets import SecretTrial
from credproxy.admin_server.verb import AdminRefused, read_maybe_text, read_text
from credproxy.audit.entry import AuditEntry
from credproxy.injection.outgoing import InjectionFailed, Outgoing, inject
from credproxy.injection.preset import TestCall
from credproxy.injection.presets import load_preset
from credproxy.issuers.credentials import CredentialFailed
from credproxy.pipeline.proxy import CredentialProxy
from credproxy.pipeline.scrub import Needles, needles_of
from credproxy.policy.rules import Rule
from credproxy.policy.verdict import Allow, Route
from credproxy.vault.credential import Credential
from credproxy.vault.errors import SecretUnknown
from credproxy.vault.rows import SealedSecret
from credproxy.wire.addresses import Address, may_dial, reach_of
from credproxy.wire.heads import Headers, is_encoded
from credproxy.wire.outbound import End, Outbound
from credproxy.wire.resolving import is_own_address
from credproxy.wire.target import DEFAULT_PORTS, Scheme, Target, TargetRefused, make_target, parse_authority, parse_path
from credproxy.wire.upstream import PoolKey, UpstreamFailed
from protocol.codec import to_json
from protocol.ids import GroupId

TRIAL_S = 30.0
MAX_ANSWER_BYTES = 256 << 10
MAX_SAID_CHARS = 160
NOBODY = GroupId("")
_API_HEADERS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "anthropic": (("anthropic-version", "2023-06-01"),),
    "openai": (),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One call to be made, and what says that the secret may go there."""

    call: TestCall
    target: Target
    allow: Allow

    @property
    def spelled(self) -> str:
        return f"{self.call.method} {self.target}"[:300]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back, as far as it matters."""

    status: int
    body: bytes


class Trials:
    """Carries `secret_test` out."""

    def __init__(self, proxy: CredentialProxy) -> None:
        self._proxy = proxy

    async def run(self, arguments: Mapping[str, Any]) -> object:
        name, url = read_text(arguments, "name"), read_maybe_text(arguments, "url")
        row = self._proxy.vault.find(name)
        if row is None:
            raise AdminRefused("secret_unknown", str(SecretUnknown(name)), f"nightyard secret add {name}")
        if self._proxy.is_frozen:
            raise AdminRefused("frozen", "everything is frozen, tests too", "nightyard unfreeze")
        policy = self._proxy.policy
        rules = [rule for group in policy.groups.values() for rule in group.rules if rule.secret == name]
        routes = [route for route in policy.routes.values() if route.secret == name]
        way = find_way(row, url, rules, routes)
        credential = await self._choose(name, read_maybe_text(arguments, "label"))
        entry = AuditEntry(kind="secret", secret=name, target=way.spelled, detail=f"test: {credential.label}")
        await self._proxy.audit.note(entry)
        trial = await self._try(way, credential)
        tried = entry._replace(status=trial.status, detail=f"tested: {credential.label}")
        await self._proxy.audit.note(tried)
        return to_json(trial)

    async def _choose(self, name: str, label: str | None) -> Credential:
        try:
            candidates = await self._proxy.credentials.candidates(name, NOBODY)
        except CredentialFailed as failure:
            raise AdminRefused("credential_failed", failure.sentence, failure.mend) from None
        found = next((each for each in candidates if label is None or each.label == label), None)
        if found is None:
            message = f"the secret {name} has no value {(label or '')[:40]} that can be used now"
            raise AdminRefused("value_unknown", message, f"nightyard secret show {name}")
        return found

    async def _try(self, way: Way, credential: Credential) -> SecretTrial:
        needles = needles_of(secret.reveal() for secret in self._proxy.credentials.needles(credential.name))
        loop = asyncio.get_running_loop()
        began = loop.time()
        answer, problem = None, ""
        try:
            async with asyncio.timeout(TRIAL_S):
                answer = await self._send(way, credential)
        except InjectionFailed as failure:
            raise AdminRefused(failure.code, failure.sentence, f"nightyard secret show {credential.name}") from None
        except UpstreamFailed as failure:
            problem = failure.sentence
        except TimeoutError:
            problem = f"{way.target.host} did not answer within {TRIAL_S:g} s"
        is_good, sentence, whose = (None, problem, "") if answer is None else judge(way, answer, needles)
        return SecretTrial(
            label=credential.label,
            target=way.spelled,
            status=answer.status if answer is not None else None,
            is_good=is_good,
            sentence=sentence,
            took_ms=round(1000 * (loop.time() - began)),
            whose=whose,
        )

    async def _send(self, way: Way, credential: Credential) -> Answer:
        """On a connection of its own. Raises InjectionFailed, UpstreamFailed."""
        outgoing = write_request(way)
        if way.allow.injection is not None:
            outgoing = inject(outgoing, way.allow.injection, credential, now=time.time())
        target = outgoing.target
        key = PoolKey(target.scheme, target.host, target.port, NOBODY, way.allow.rule, credential.name)
        connection = await self._proxy.upstreams.acquire(key, lambda address: _may_dial(way, address), fresh=True)
        try:
            outbound = Outbound(connection, self._proxy.deadlines)
            await outbound.send_request(outgoing.method, target.wire, outgoing.headers, outgoing.body or b"")
            return await _read(outbound)
        finally:
            connection.stream.abort()


def find_way(row: SealedSecret, url: str | None, rules: list[Rule], routes: list[Route]) -> Way:
    """Return the call that tries a secret out; raises AdminRefused. A secret goes only where it is granted, or to the
    provider that it is for."""
    if url is not None:
        call = TestCall(method="GET", url=url)
        target = _parse(url)
        return Way(call=call, target=target, allow=_find_allow(row.name, target, rules, routes))
    preset = load_preset(row.preset) if row.preset else None
    if preset is not None and preset.test is not None:
        target = _parse(preset.test.url)
        injection = preset.recipe_for(target.host)
        if injection is not None:
            allow = Allow(rule=f"preset:{preset.name}", secret=row.name, injection=injection)
            return Way(call=preset.test, target=target, allow=allow)
    if routes:
        route = routes[0]
        path = route.prefix + ("/models" if route.prefix.endswith("/v1") else "/v1/models")
        host = f"[{route.host}]" if ":" in route.host else route.host
        call = TestCall(
            method="GET", url=f"{route.scheme}://{host}:{route.port}{path}", headers=_API_HEADERS[route.api]
        )
        return Way(call=call, target=_parse(call.url), allow=_allow_of(route))
    message = f"no cheap call is known for {row.name}: it has no provider that knows one, and no model route uses it"
    raise AdminRefused("no_test", message, f"nightyard secret test {row.name} --url https://…")


def judge(way: Way, answer: Answer, needles: Needles) -> tuple[bool | None, str, str]:
    """Return whether the secret is good, in a sentence why, and whose it is."""
    host, status = way.target.host, answer.status
    found = _load(answer.body)
    told = _told(found, needles)
    said = f": {told}" if told else ""
    if status in (401, 403):
        return False, f"{host} refused it with {status}{said}", ""
    if 200 <= status < 300:
        if way.call.ok and _point(found, way.call.ok) is not True:
            return False, f"{host} refused it{said}", ""
        whose = _point(found, way.call.says) if way.call.says else None
        shown = _shown(whose, needles) if isinstance(whose, str | int) else ""
        return True, f"{host} took it ({status})", shown
    if status == 429:
        return None, f"{host} says that it was asked too often, or that the plan is used up (429){said}", ""
    return None, f"{host} answered {status}, which says nothing of the secret{said}", ""


def write_request(way: Way) -> Outgoing:
    """Return the request, without the secret."""
    body = way.call.body.encode("utf-8")
    headers: Headers = [(b"host", way.target.authority.encode("ascii")), (b"accept-encoding", b"identity")]
    given = {name.lower(): value for name, value in way.call.headers}
    for name, value in {"accept": "application/json", "user-agent": "nightyard", **given}.items():
        headers.append((name.encode("ascii"), value.encode("ascii")))
    if body:
        if "content-type" not in given:
            headers.append((b"content-type", b"application/json"))
        headers.append((b"content-length", str(len(body)).encode("ascii")))
    return Outgoing(method=way.call.method, target=way.target, headers=headers, body=body)


def _may_dial(way: Way, address: Address) -> bool:
    """By the rules for an agent's request: a grant names what is not public; a route is the owner's word."""
    allow = way.allow
    if allow.route is None:
        return may_dial(address, allow.networks, is_own=is_own_address(address))
    if way.target.scheme == "http":
        return reach_of(address) == "loopback"  # a key in clear never leaves the machine
    return may_dial(address, (), private_too=True)


async def _read(outbound: Outbound) -> Answer:
    """Return the answer, its body as far as it matters."""
    head, piece = await outbound.read_head()
    body = bytearray()
    while not isinstance(piece, End) and len(body) < MAX_ANSWER_BYTES:
        if piece is not None:
            body += piece
        piece = outbound.ready_piece() or await outbound.next_piece()
    return Answer(status=head.status, body=b"" if is_encoded(head.headers) else bytes(body))


def _parse(url: str) -> Target:
    scheme_text, separator, rest = url.partition("://")
    if not separator or scheme_text not in ("http", "https"):
        raise AdminRefused("bad_url", "the address must begin with https://")
    scheme: Scheme = "https" if scheme_text == "https" else "http"
    authority, _slash, path = rest.partition("/")
    try:
        return make_target(
            scheme, parse_authority(authority, default_port=DEFAULT_PORTS[scheme]), parse_path("/" + path)
        )
    except TargetRefused as refusal:
        raise AdminRefused("bad_url", f"the address is not taken: {refusal.reason}") from None


def _find_allow(name: str, target: Target, rules: list[Rule], routes: list[Route]) -> Allow:
    """Return what lets a secret go to a place: a grant of any group's, or a route."""
    place = (target.scheme, target.host, target.port)
    for rule in rules:
        if (rule.scheme, rule.host, rule.port) == place and not rule.is_wildcard:
            return rule.allow
    for route in routes:
        if (route.scheme, route.host, route.port) == place:
            return _allow_of(route)
    message = f"no grant and no route lets {name} go to {target.scheme}://{target.authority}, not even for a test"
    raise AdminRefused("not_granted", message, f"nightyard secret grant {name} GROUP {target.host}")


def _allow_of(route: Route) -> Allow:
    return Allow(rule=f"route:{route.name}", secret=route.secret, injection=route.injection, route=route)


def _load(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _told(found: object, needles: Needles) -> str:
    """Return what an API's error says, in the usual places."""
    if not isinstance(found, dict):
        return ""
    error = found.get("error", found.get("errors"))
    if isinstance(error, list) and error:
        error = error[0]
    candidates = (error.get("message") if isinstance(error, dict) else error, found.get("message"), found.get("detail"))
    return next((_shown(each, needles) for each in candidates if isinstance(each, str) and each), "")


def _shown(text: object, needles: Needles) -> str:
    """Return a text for people: short, without control characters, and nothing if a secret is in it."""
    spelled = str(text)
    if needles.holds(spelled.encode("utf-8")):
        return ""
    return "".join(character if character.isprintable() else " " for character in spelled)[:MAX_SAID_CHARS]


def _point(found: object, pointer: str) -> object:
    for member in pointer.strip("/").split("/"):
        if isinstance(found, list) and member.isdigit() and int(member) < len(found):
            found = found[int(member)]
        elif isinstance(found, dict):
            found = found.get(member)
        else:
            return None
    return found
