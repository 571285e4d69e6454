"""What the Slack twin answers and sends, held against answers and events that Slack itself gave.

Slack's Java SDK keeps recorded ones, with the values taken out, in its repository (json-logs/samples); they are fetched
by whoever runs this, never kept here. A kind (`chat.postMessage`, `MessageChangedPayload`) passes when every field of
every payload of it stands in the sample, with the same kind of value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp

from twins.conformance.slack_walk import Recorded, walk
from twins.conformance.suite import Outcome
from twins.slack.server import SlackTwin

SAMPLES = "json-logs/samples"
_PLACES = {"interactive": "app-backend/interactive-components", "slash_commands": "app-backend/slash-commands"}
_NAMES_OF_IDS = re.compile(r"[A-Z]0[A-Z0-9]{6,}_?")
NEWER = {
    "context_team_id": "stands in every event since apps are shared between workspaces",
    "context_enterprise_id": "the same",
    "event_ts": "every event has one; some samples are older",
    "bot_profile/user_id": "stands in the sample of chat.postMessage, and not yet in those of other methods",
    "app_id": "of a message by an app; most samples of events are of people's",
    "elements[]/elements": "what rich text is made of: the samples have other blocks",
    "blocks[]/text": "of a markdown block: the samples have other blocks",
    "view/blocks": "the samples' views have none",
    "response_urls": "of a submitted view, documented",
}
"""What the samples lack and Slack sends all the same, by the end of its place; and why."""


async def compare_payloads(checkout: Path) -> Outcome:
    """Play everything in a fresh twin and compare; raise OSError for a checkout without samples."""
    samples = checkout / SAMPLES
    if not samples.is_dir():
        raise OSError(f"there are no samples in {checkout}: it is no checkout of slackapi/java-slack-sdk")
    twin = SlackTwin(rate_limits=False)
    async with twin.serve() as address, aiohttp.ClientSession() as http:
        recorded = await walk(address, http)
    wrong: dict[str, list[str]] = {}
    without: set[str] = set()
    for payload in recorded:
        name, file = _sample_of(payload)
        if not (samples / file).exists():
            without.add(name)
            continue
        sample = json.loads((samples / file).read_text("utf-8"))
        wrong.setdefault(name, []).extend(_differences(payload.body, sample, ""))
    failed = {name: ", ".join(told) for name, found in wrong.items() if (told := _unexplained(found))}
    return Outcome(passed=len(wrong) - len(failed), failed=failed, skipped=len(without))


def _sample_of(payload: Recorded) -> tuple[str, str]:
    """Return the kind's name and its sample's place."""
    match payload.kind:
        case "answer":
            return payload.name, f"api/{payload.name}.json"
        case "events_api" if "event" in payload.body:
            event = payload.body["event"]
            words = [event["type"], *([event["subtype"]] if event.get("subtype") else [])]
            name = "".join(word.capitalize() for word in "_".join(dict.fromkeys("_".join(words).split("_"))).split("_"))
            return f"{name}Payload", f"events/{name}Payload.json"
        case "events_api":
            return "AppRateLimitedPayload", "events/AppRateLimitedPayload.json"
        case "interactive" if payload.body["type"] == "view_submission":
            return "ViewSubmissionPayload", "app-backend/views/ViewSubmissionPayload.json"
        case "interactive":
            return "BlockActionPayload", f"{_PLACES['interactive']}/BlockActionPayload.json"
        case _:
            return "SlashCommandPayload", f"{_PLACES['slash_commands']}/SlashCommandPayload.json"


def _unexplained(places: list[str]) -> list[str]:
    return sorted({place for place in places if not place.endswith(tuple(NEWER))})


def _differences(value: Any, sample: Any, here: str) -> Iterator[str]:
    """Yield the places where a value has what the sample has not; what is null or empty in one says nothing."""
    if value is None or sample is None or sample in ({}, []):
        return
    if _kind(value) != _kind(sample):
        yield f"{here or '/'} is {_kind(value)}, not {_kind(sample)}"
    elif isinstance(value, list):
        for item in value:
            found = [list(_differences(item, one, f"{here}[]")) for one in sample]
            yield from min(found, key=len, default=[])
    elif isinstance(value, dict):
        by_id = next((one for key, one in sample.items() if _NAMES_OF_IDS.fullmatch(key)), None)
        for key, item in value.items():
            if key in sample:
                yield from _differences(item, sample[key], f"{here}/{key}")
            elif by_id is not None:
                yield from _differences(item, by_id, f"{here}/*")
            else:
                yield f"{here}/{key}"


def _kind(value: Any) -> str:
    match value:
        case bool():
            return "a truth"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list():
            return "a list"
        case _:
            return "an object"
