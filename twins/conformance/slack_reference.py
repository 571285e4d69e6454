"""The Slack twin's methods, held against the published reference: tiers, scopes, and the names of errors.

The reference as data is in slack-ruby/slack-api-ref (docs.slack.dev/methods), read daily from Slack's own pages; it is
fetched by whoever runs this, never kept here. A method passes when its tier is the published one, it takes no scope
that is not, and each way in which it is made to refuse here has a name that the reference gives it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp

from twins.conformance.suite import Outcome
from twins.slack.methods.method import Method
from twins.slack.methods.table import METHODS
from twins.slack.seed import ANNA, DIRECT, GENERAL, PRIVATE, RANDOM
from twins.slack.server import SlackTwin
from twins.slack.tokens import BOT_TOKEN

Json = dict[str, Any]

METHOD_FILES = "docs.slack.dev/methods"
TIERS = {"t1": 1, "t2": 2, "t3": 3, "t4": 4, "t5": 0}
ABSENT: Json = {"channel": GENERAL, "ts": "1.000000", "timestamp": "1.000000", "name": "eyes"}
REFUSED: tuple[tuple[str, Json], ...] = (
    ("chat.postMessage", {"channel": "C404", "text": "x"}),
    ("chat.postMessage", {"channel": GENERAL}),
    ("chat.postMessage", {"channel": GENERAL, "text": "x", "thread_ts": "1.000000"}),
    ("chat.postMessage", {"channel": GENERAL, "text": "x", "markdown_text": "y"}),
    ("chat.postMessage", {"channel": GENERAL, "markdown_text": "x" * 12_001}),
    ("chat.postMessage", {"channel": GENERAL, "blocks": [{"type": "poem"}]}),
    ("chat.postMessage", {"channel": GENERAL, "blocks": "{"}),
    ("chat.postMessage", {"channel": GENERAL, "text": "x", "metadata": {"event_type": "a"}}),
    ("chat.postMessage", {"channel": GENERAL, "text": "x", "attachments": [{"text": "a"}] * 101}),
    ("chat.update", {**ABSENT, "text": "x"}),
    ("chat.delete", ABSENT),
    ("chat.postEphemeral", {"channel": DIRECT[ANNA], "user": "U404", "text": "x"}),
    ("chat.getPermalink", {"channel": GENERAL, "message_ts": "1.000000"}),
    ("chat.scheduleMessage", {"channel": GENERAL, "text": "x", "post_at": 1}),
    ("chat.scheduleMessage", {"channel": GENERAL, "text": "x", "post_at": 9_999_999_999}),
    ("chat.deleteScheduledMessage", {"channel": GENERAL, "scheduled_message_id": "Q404"}),
    ("chat.startStream", {"channel": GENERAL}),
    ("chat.startStream", {"channel": GENERAL, "recipient_user_id": ANNA}),
    ("chat.startStream", {"channel": DIRECT[ANNA], "chunks": [{"type": "song"}]}),
    ("chat.startStream", {"channel": DIRECT[ANNA], "markdown_text": "x" * 12_001}),
    ("chat.appendStream", {**ABSENT, "markdown_text": "x"}),
    ("chat.stopStream", ABSENT),
    ("assistant.threads.setStatus", {"channel_id": GENERAL, "thread_ts": "1.0", "status": "x"}),
    ("conversations.history", {"channel": RANDOM}),
    ("conversations.history", {"channel": GENERAL, "oldest": "soon"}),
    ("conversations.replies", {"channel": GENERAL, "ts": "1.0"}),
    ("conversations.create", {"name": "general"}),
    ("conversations.create", {"name": "No Spaces"}),
    ("conversations.invite", {"channel": GENERAL, "users": ANNA}),
    ("conversations.join", {"channel": PRIVATE}),
    ("conversations.leave", {"channel": GENERAL}),
    ("conversations.kick", {"channel": GENERAL, "user": "U404"}),
    ("conversations.open", {}),
    ("conversations.archive", {"channel": GENERAL}),
    ("users.info", {"user": "U404"}),
    ("users.lookupByEmail", {"email": "x@y.z"}),
    ("users.setPresence", {"presence": "asleep"}),
    ("reactions.add", ABSENT),
    ("reactions.add", {**ABSENT, "name": "No Such!"}),
    ("reactions.remove", {"name": "eyes"}),
    ("files.getUploadURLExternal", {"filename": "a", "length": 0}),
    ("files.completeUploadExternal", {"files": [{"id": "F404"}]}),
    ("files.info", {"file": "F404"}),
    ("files.delete", {"file": "F404"}),
    ("pins.remove", ABSENT),
    ("bookmarks.remove", {"channel_id": GENERAL, "bookmark_id": "Bk404"}),
    ("views.open", {"trigger_id": "1.2.x", "view": {"type": "modal"}}),
    ("views.update", {"view_id": "V404", "view": {"type": "modal"}}),
    ("usergroups.users.list", {"usergroup": "S404"}),
    ("canvases.edit", {"canvas_id": "F404", "changes": []}),
)


async def compare_methods(checkout: Path) -> Outcome:
    """Compare every method of the twin; raise OSError for a checkout without the reference."""
    reference = checkout / METHOD_FILES
    if not reference.is_dir():
        raise OSError(f"there is no reference in {checkout}: it is no checkout of slack-ruby/slack-api-ref")
    refusals = await _refusals()
    failed: dict[str, str] = {}
    skipped = 0
    for name, method in METHODS.items():
        file = reference / f"{name}.json"
        if not file.exists():
            skipped += 1
            continue
        published = json.loads(file.read_text("utf-8"))
        if told := "; ".join(_differences(method, published, refusals.get(name, []))):
            failed[name] = told
    return Outcome(passed=len(METHODS) - skipped - len(failed), failed=failed, skipped=skipped)


async def _refusals() -> dict[str, list[str]]:
    """Return by which names the twin refuses."""
    found: dict[str, list[str]] = {}
    async with SlackTwin(rate_limits=False).serve() as address, aiohttp.ClientSession() as http:
        for name, arguments in REFUSED:
            headers = {"Authorization": f"Bearer {BOT_TOKEN}"}
            async with http.post(f"{address}/api/{name}", json=arguments, headers=headers) as answer:
                found.setdefault(name, []).append(str((await answer.json()).get("error", "no error")))
    return found


def _differences(method: Method, published: Json, errors: list[str]) -> Iterator[str]:
    tier = TIERS.get(published.get("rate_limits", ""))
    if method.tier != tier:
        yield f"tier {method.tier}, not {tier}"
    scopes = {scope for some in _scopes(published) for scope in some}
    if scopes and (more := set(method.scopes) - scopes):
        yield f"scopes that are not published: {', '.join(sorted(more))}"
    for error in sorted(set(errors) - set(published.get("errors", ()))):
        yield f"an error that is not published: {error}"


def _scopes(published: Json) -> list[list[str]]:
    scope = published.get("scope")
    return list(scope.values()) if isinstance(scope, dict) else []
