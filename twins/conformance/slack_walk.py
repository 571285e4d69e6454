"""One walk through all that the Slack twin does, with everything that it said on the way."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import aiohttp

from twins.slack.seed import ANNA, BEN, DIRECT, GENERAL, RANDOM
from twins.slack.tokens import APP_TOKEN, BOT_TOKEN
from twins.slack.world import BOT_ID, TEAM_ID

ANNA_TOKEN = f"xoxp-1000000000-{ANNA}-rehearsal"

Json = dict[str, Any]

LATER_S = 600
ACCOUNT = (
    "api.test",
    "auth.test",
    "auth.teams.list",
    "team.info",
    "team.profile.get",
    "team.billing.info",
    "team.preferences.list",
    "emoji.list",
)
QUIET_S = 1.0
"""When no envelope came for so long, the walk has been heard to its end."""
BUTTON = {"type": "button", "text": {"type": "plain_text", "text": "Yes"}, "action_id": "go", "value": "y"}
BLOCKS = [{"type": "section", "text": {"type": "mrkdwn", "text": "Go?"}}, {"type": "actions", "elements": [BUTTON]}]
MODAL = {"type": "modal", "title": {"type": "plain_text", "text": "T"}, "blocks": BLOCKS[:1]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    kind: str
    """`answer`, or the envelope's type."""
    name: str
    """The method's; empty for an envelope."""
    body: Json


class Walker:
    def __init__(self, address: str, http: aiohttp.ClientSession) -> None:
        self._address = address
        self._http = http
        self.recorded: list[Recorded] = []
        self.triggers: asyncio.Queue[str] = asyncio.Queue()

    async def call(self, method: str, token: str = BOT_TOKEN, **arguments: Any) -> Json:
        """Call a method, which must succeed, and keep its answer."""
        headers = {"Authorization": f"Bearer {token}"}
        async with self._http.post(f"{self._address}/api/{method}", json=arguments, headers=headers) as answer:
            body: Json = await answer.json()
        if not body["ok"]:
            raise RuntimeError(f"{method} was refused: {body}")
        self.recorded.append(Recorded(kind="answer", name=method, body=body))
        return body

    async def person(self, verb: str, **body: Any) -> Json:
        async with self._http.post(f"{self._address}/twin/{verb}", json=body) as answer:
            told: Json = await answer.json()
        if answer.status != 200:
            raise RuntimeError(f"{verb} went wrong: {told}")
        return told

    async def upload(self, content: bytes) -> str:
        place = await self.call("files.getUploadURLExternal", filename="a.txt", length=len(content))
        async with self._http.post(place["upload_url"], data=content) as answer:
            answer.raise_for_status()
        return str(place["file_id"])

    async def listen(self, channel: aiohttp.ClientWebSocketResponse) -> None:
        """Acknowledge and keep every envelope."""
        async for frame in channel:
            if frame.type is aiohttp.WSMsgType.TEXT and "envelope_id" in (envelope := frame.json()):
                payload = envelope["payload"]
                self.recorded.append(Recorded(kind=envelope["type"], name="", body=payload))
                if "trigger_id" in payload:
                    self.triggers.put_nowait(payload["trigger_id"])
                await channel.send_json({"envelope_id": envelope["envelope_id"]})

    async def heard_out(self, quiet_s: float) -> None:
        """Return when nothing more came for so long."""
        count = -1
        while count != len(self.recorded):
            count = len(self.recorded)
            await asyncio.sleep(quiet_s)


async def walk(address: str, http: aiohttp.ClientSession, quiet_s: float = QUIET_S) -> list[Recorded]:
    """Play everything once; raise RuntimeError where the twin refuses."""
    walker = Walker(address, http)
    opened = await walker.call("apps.connections.open", token=APP_TOKEN)
    async with http.ws_connect(opened["url"]) as channel, asyncio.TaskGroup() as tasks:
        listening = tasks.create_task(walker.listen(channel))
        for part in (_account, _talk, _rooms, _marks, _files, _documents, _interactions):
            await part(walker)
            await walker.heard_out(quiet_s)
        listening.cancel()
    return walker.recorded


async def _account(walker: Walker) -> None:
    for method in ACCOUNT:
        await walker.call(method)
    await walker.call("bots.info", bot=BOT_ID)
    await walker.call("users.info", user=ANNA)
    await walker.call("users.list")
    await walker.call("users.conversations", user=ANNA)
    await walker.call("users.lookupByEmail", email="ben@twin.example")
    await walker.call("users.setPresence", presence="auto")
    await walker.call("users.getPresence", user=ANNA)
    await walker.call("users.profile.get", user=ANNA)
    await walker.call("dnd.info", user=ANNA)
    await walker.call("users.profile.set", token=ANNA_TOKEN, name="status_text", value="out")
    await walker.call("auth.revoke", test=True)


async def _talk(walker: Walker) -> None:
    typed = await walker.person("type", text="@nightyard_bot see https://a.example", chat=GENERAL)
    root = typed["message_id"]
    await walker.person("edit", message_id=root, text="again", chat=GENERAL)
    await walker.person("type", text="both", thread=root, broadcast=True, chat=GENERAL, person="Ben")
    await walker.person("type", text="waves", me=True, chat=GENERAL)
    gone = await walker.person("type", text="gone", chat=GENERAL)
    await walker.person("delete", message_id=gone["message_id"], chat=GENERAL)
    tag = {"event_type": "t", "event_payload": {"id": "1"}}
    posted = await walker.call("chat.postMessage", channel=GENERAL, text="x", blocks=BLOCKS, metadata=tag)
    await walker.call("chat.postMessage", channel=GENERAL, text="y", thread_ts=root, username="Other")
    await walker.call("chat.update", channel=GENERAL, ts=posted["ts"], text="z")
    await walker.call("chat.getPermalink", channel=GENERAL, message_ts=posted["ts"])
    await walker.call("chat.meMessage", channel=GENERAL, text="nods")
    await walker.call("chat.postEphemeral", channel=GENERAL, user=ANNA, text="psst")
    later = await walker.call("chat.scheduleMessage", channel=GENERAL, text="later", post_at=int(time.time()) + LATER_S)
    await walker.call("chat.scheduledMessages.list")
    await walker.call(
        "chat.deleteScheduledMessage", channel=GENERAL, scheduled_message_id=later["scheduled_message_id"]
    )
    recipient = {"recipient_user_id": ANNA, "recipient_team_id": TEAM_ID}
    stream = await walker.call("chat.startStream", channel=GENERAL, thread_ts=root, markdown_text="a", **recipient)
    await walker.call("chat.appendStream", channel=GENERAL, ts=stream["ts"], markdown_text="b")
    await walker.call("chat.stopStream", channel=GENERAL, ts=stream["ts"], markdown_text="c")
    place = {"channel_id": GENERAL, "thread_ts": root}
    await walker.call("assistant.threads.setStatus", **place, status="works")
    await walker.call("assistant.threads.setTitle", **place, title="t")
    await walker.call("assistant.threads.setSuggestedPrompts", **place, prompts=[{"title": "a", "message": "b"}])
    await walker.call("conversations.history", channel=GENERAL, include_all_metadata=True)
    await walker.call("conversations.replies", channel=GENERAL, ts=root, include_all_metadata=True)
    unfurls = {"https://a.example": {"text": "A"}}
    await walker.call("chat.unfurl", token=ANNA_TOKEN, channel=GENERAL, ts=root, unfurls=unfurls)
    await walker.call("chat.delete", channel=GENERAL, ts=posted["ts"])


async def _rooms(walker: Walker) -> None:
    await walker.call("conversations.list", types="public_channel,private_channel,im")
    await walker.call("conversations.info", channel=GENERAL, include_num_members=True)
    await walker.call("conversations.members", channel=GENERAL)
    await walker.call("conversations.open", users=ANNA, return_im=True)
    await walker.call("conversations.join", channel=RANDOM)
    await walker.call("conversations.leave", channel=RANDOM)
    room = (await walker.call("conversations.create", name="plans"))["channel"]["id"]
    await walker.call("conversations.invite", channel=room, users=f"{ANNA},{BEN}")
    await walker.call("conversations.setTopic", channel=room, topic="t")
    await walker.call("conversations.setPurpose", channel=room, purpose="p")
    await walker.call("conversations.rename", channel=room, name="deeds")
    said = await walker.call("chat.postMessage", channel=room, text="x")
    await walker.call("conversations.mark", channel=room, ts=said["ts"])
    await walker.call("conversations.kick", channel=room, user=BEN)
    await walker.call("conversations.archive", channel=room)
    await walker.call("conversations.unarchive", channel=room)
    await walker.person("leave", person="Ben", chat=GENERAL)
    await walker.person("join", person="Ben", chat=GENERAL, inviter="Anna")
    await walker.person("person", name="Dora")
    await walker.call("conversations.close", channel=DIRECT[BEN])


async def _marks(walker: Walker) -> None:
    said = await walker.call("chat.postMessage", channel=GENERAL, text="x")
    place = {"channel": GENERAL, "timestamp": said["ts"]}
    await walker.person("react", chat=GENERAL, message_id=said["ts"], emoji="+1")
    await walker.call("reactions.add", **place, name="eyes")
    await walker.call("reactions.get", **place)
    await walker.call("reactions.list")
    await walker.call("reactions.remove", **place, name="eyes")
    await walker.person("react", chat=GENERAL, message_id=said["ts"], emoji="+1", take=True)
    await walker.call("pins.add", **place)
    await walker.call("pins.list", channel=GENERAL)
    await walker.call("pins.remove", **place)
    mark = await walker.call("bookmarks.add", channel_id=GENERAL, title="t", type="link", link="https://a.example")
    known = {"channel_id": GENERAL, "bookmark_id": mark["bookmark"]["id"]}
    await walker.call("bookmarks.edit", **known, title="u")
    await walker.call("bookmarks.list", channel_id=GENERAL)
    await walker.call("bookmarks.remove", **known)
    group = {"usergroup": (await walker.call("usergroups.create", name="crew"))["usergroup"]["id"]}
    await walker.call("usergroups.users.update", **group, users=ANNA)
    await walker.call("usergroups.users.list", **group)
    await walker.call("usergroups.update", **group, description="d")
    await walker.call("usergroups.list")
    await walker.call("usergroups.disable", **group)
    await walker.call("usergroups.enable", **group)


async def _files(walker: Walker) -> None:
    file_id = await walker.upload(b"hello")
    files = [{"id": file_id, "title": "t"}]
    await walker.call("files.upload", content="old", filename="o.txt", channels=GENERAL)
    await walker.call("files.completeUploadExternal", files=files, channel_id=GENERAL, initial_comment="here")
    await walker.person("upload", name="b.png", content="iVBORw0KGgo=", caption="look", chat=GENERAL)
    await walker.call("files.info", file=file_id)
    await walker.call("files.list")
    await walker.call("files.delete", file=file_id)
    remote = {"external_id": "e1", "title": "t", "external_url": "https://a.example/f"}
    await walker.call("files.remote.add", **remote)
    await walker.call("files.remote.share", external_id="e1", channels=GENERAL)
    await walker.call("files.remote.info", external_id="e1")
    await walker.call("files.remote.list")
    await walker.call("files.remote.update", external_id="e1", title="u")
    await walker.call("files.remote.remove", external_id="e1")


async def _documents(walker: Walker) -> None:
    call = (await walker.call("calls.add", external_unique_id="c1", join_url="https://a.example/c"))["call"]["id"]
    await walker.call("calls.participants.add", id=call, users=[{"slack_id": ANNA}])
    await walker.call("calls.info", id=call)
    await walker.call("calls.update", id=call, title="t")
    await walker.call("calls.participants.remove", id=call, users=[{"slack_id": ANNA}])
    await walker.call("calls.end", id=call)
    content = {"type": "markdown", "markdown": "# One\n\ntwo"}
    await walker.call("conversations.canvases.create", channel_id=GENERAL, document_content=content)
    canvas = {"canvas_id": (await walker.call("canvases.create", title="c", document_content=content))["canvas_id"]}
    await walker.call("canvases.sections.lookup", **canvas, criteria={"contains_text": "two"})
    at_end = {"operation": "insert_at_end", "document_content": content}
    await walker.call("canvases.edit", **canvas, changes=[at_end])
    await walker.call("canvases.access.set", **canvas, access_level="write", user_ids=[ANNA])
    await walker.call("canvases.access.delete", **canvas, user_ids=[ANNA])
    await walker.call("canvases.delete", **canvas)


async def _interactions(walker: Walker) -> None:
    await walker.call("chat.postMessage", channel=GENERAL, text="Go?", blocks=BLOCKS)
    await walker.person("command", name="/status", text="now", chat=GENERAL)
    await walker.triggers.get()
    await walker.person("press", label="Yes", chat=GENERAL)
    view = await walker.call("views.open", trigger_id=await walker.triggers.get(), view=MODAL)
    await walker.person("press", label="Yes", chat=GENERAL)
    await walker.call("views.push", trigger_id=await walker.triggers.get(), view=MODAL)
    await walker.call("views.update", view_id=view["view"]["id"], view=MODAL)
    await walker.person("submit", values={})
    await walker.call("views.publish", user_id=ANNA, view={"type": "home", "blocks": BLOCKS})
    await walker.person("home")
    await walker.person("token", revoke="bot")
