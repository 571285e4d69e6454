"""What people set off at the app: buttons, slash commands, modals; with their trigger_ids and response_urls."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from aiohttp import web

from twins.slack.blocks import check_blocks
from twins.slack.posting import author, change, post, public_view, remove
from twins.slack.refusal import Refusal
from twins.slack.sockets import Delivery, Sockets
from twins.slack.texts import stored_text
from twins.slack.world import APP_ID, BOT_USER_ID, DOMAIN, TEAM_ID, Conversation, Json, World

TRIGGER_S = 3.0
RESPONSES = 5
RESPONSE_S = 30 * 60.0


@dataclass(slots=True, kw_only=True)
class ResponseUrl:
    conversation: Conversation
    person_id: str
    message_ts: str
    """Of the message that was pressed; empty for a command."""
    until: float
    left: int = RESPONSES


class Interactions:
    def __init__(self, world: World, sockets: Sockets) -> None:
        self._world = world
        self._sockets = sockets
        self._response_urls: dict[str, ResponseUrl] = {}

    def add_routes(self, application: web.Application) -> None:
        application.router.add_post("/response/{name}", self._respond)

    def press(self, person: Json, conversation: Conversation, body: Json) -> Json:
        """Press a button by its label or value, on the newest message that has it or on a named one."""
        message, block, element = _find_button(conversation, person["id"], body)
        action: Json = {"action_id": element.get("action_id") or "a1", "block_id": block.get("block_id", "b1")}
        action |= {"text": element["text"], "type": "button", "action_ts": self._world.new_ts()}
        action |= {key: element[key] for key in ("value", "url", "style") if key in element}
        container: Json = {"type": "message", "message_ts": message["ts"], "channel_id": conversation.id}
        container["is_ephemeral"] = bool(message.get("is_ephemeral"))
        if "thread_ts" in message:
            container["thread_ts"] = message["thread_ts"]
        payload = self._common("block_actions", person)
        payload |= {"container": container, "channel": self._channel(conversation), "state": {"values": {}}}
        payload |= {"response_url": self._response_url(conversation, person["id"], str(message["ts"]))}
        payload |= {"actions": [action], "message": public_view(message)}

        def settled(answer: Json | None) -> None:
            if answer is None:
                self._show_only(conversation, person["id"], "This app did not respond in time.")

        self._sockets.deliver(Delivery(kind="interactive", name="interactive", payload=payload, settled=settled))
        return {"message_id": message["ts"], "label": element["text"]["text"], "value": element.get("value", "")}

    def command(self, person: Json, conversation: Conversation, name: str, text: str) -> Json:
        """Type a slash command; it is no message, and nobody else sees it."""
        name = "/" + name.lstrip("/")
        payload: Json = {"token": "rehearsal", "team_id": TEAM_ID, "team_domain": DOMAIN, "command": name, "text": text}
        payload |= {"channel_id": conversation.id, "channel_name": self._channel(conversation)["name"]}
        payload |= {"user_id": person["id"], "user_name": person["name"], "api_app_id": APP_ID}
        payload |= {"is_enterprise_install": "false", "trigger_id": self._trigger()}
        payload |= {"response_url": self._response_url(conversation, person["id"], "")}

        def settled(answer: Json | None) -> None:
            if answer is None:
                self._show_only(conversation, person["id"], f'{name} failed with the error "operation_timed_out"')
            elif answer.get("text") or answer.get("blocks"):
                self._say(conversation, person["id"], answer)

        wanted = Delivery(
            kind="slash_commands", name="slash_commands", payload=payload, takes_answer=True, settled=settled
        )
        self._sockets.deliver(wanted)
        return {"command": name}

    def submit(self, person: Json, view: Json, values: Json) -> Json:
        """Submit a modal with values by block_id and action_id; what the app says of it decides whether it closes."""
        payload = self._common("view_submission", person)
        payload |= {"view": {**view, "state": {"values": values}}, "response_urls": []}

        def settled(answer: Json | None) -> None:
            action = (answer or {}).get("response_action", "" if answer is None else "close")
            self._world.log.note("view_submitted", view=view["id"], outcome=action or "timeout")
            if action in ("close", "clear"):
                self._world.views.pop(view["id"], None)
            elif action == "update" and answer is not None:
                view.update(answer["view"])

        self._sockets.deliver(
            Delivery(kind="interactive", name="interactive", payload=payload, takes_answer=True, settled=settled)
        )
        return {"view_id": view["id"]}

    def _common(self, kind: str, person: Json) -> Json:
        user = {"id": person["id"], "username": person["name"], "name": person["name"], "team_id": TEAM_ID}
        payload: Json = {"type": kind, "user": user, "api_app_id": APP_ID, "token": "rehearsal", "enterprise": None}
        payload |= {"team": {"id": TEAM_ID, "domain": DOMAIN}, "is_enterprise_install": False}
        return {**payload, "trigger_id": self._trigger()}

    def _trigger(self) -> str:
        """Return a new trigger_id: good once, and for three seconds."""
        number = uuid.uuid4()
        trigger_id = f"{number.int % 10**12}.{number.int % 10**9}.{number.hex}"
        self._world.triggers[trigger_id] = self._world.clock.now() + TRIGGER_S * max(1.0, self._world.clock.scale)
        return trigger_id

    def _channel(self, conversation: Conversation) -> Json:
        is_direct = conversation.kind == "im"
        return {"id": conversation.id, "name": "directmessage" if is_direct else conversation.info["name"]}

    def _response_url(self, conversation: Conversation, person_id: str, message_ts: str) -> str:
        name = uuid.uuid4().hex
        until = self._world.clock.now() + RESPONSE_S
        self._response_urls[name] = ResponseUrl(
            conversation=conversation, person_id=person_id, message_ts=message_ts, until=until
        )
        return f"{self._world.address}/response/{name}"

    async def _respond(self, request: web.Request) -> web.Response:
        """Take what the app says to a response_url: five times, for half an hour."""
        url = self._response_urls.get(request.match_info["name"])
        if url is None or url.until < self._world.clock.now():
            return web.json_response({"ok": False, "error": "expired_url"}, status=404)
        if url.left <= 0:
            return web.json_response({"ok": False, "error": "used_url"}, status=404)
        try:
            body = await request.json()
            self._take_response(url, body)
        except Refusal as refusal:
            return web.json_response(refusal.as_json(), status=400)
        except (ValueError, AttributeError):
            return web.json_response({"ok": False, "error": "invalid_payload"}, status=400)
        url.left -= 1
        return web.Response(text="ok")

    def _take_response(self, url: ResponseUrl, body: Json) -> None:
        message = url.conversation.messages.get(url.message_ts)
        shown = next((pair for pair in url.conversation.ephemerals if pair[1]["ts"] == url.message_ts), None)
        fields = _content(body)
        if body.get("delete_original") and message is not None:
            remove(self._world, url.conversation, message)
        elif body.get("delete_original") and shown is not None:
            url.conversation.ephemerals.remove(shown)
        elif body.get("replace_original") and message is not None:
            change(self._world, url.conversation, message, fields)
        elif body.get("replace_original") and shown is not None:
            shown[1].update(fields)
        elif fields.get("text") or fields.get("blocks"):
            self._say(url.conversation, url.person_id, body)
        else:
            raise Refusal("no_text")

    def _say(self, conversation: Conversation, person_id: str, body: Json) -> None:
        fields = {**author(self._world, BOT_USER_ID, is_app=True), **_content(body)}
        if body.get("response_type") == "in_channel":
            post(self._world, conversation, fields, str(body.get("thread_ts") or ""))
            return
        shown = {"type": "message", **fields, "ts": self._world.new_ts(), "is_ephemeral": True}
        conversation.ephemerals.append((person_id, shown))
        self._world.log.note("ephemeral", channel=conversation.id, ts=shown["ts"], to=person_id)

    def _show_only(self, conversation: Conversation, person_id: str, text: str) -> None:
        shown = {"type": "message", "user": "USLACKBOT", "text": text, "ts": self._world.new_ts(), "is_ephemeral": True}
        conversation.ephemerals.append((person_id, shown))
        self._world.log.note("unanswered", channel=conversation.id, to=person_id, text=text)


def _content(body: Json) -> Json:
    fields: Json = {"text": stored_text(str(body.get("text") or ""))}
    if "blocks" in body:
        fields["blocks"] = check_blocks(body["blocks"])
    return fields


def _find_button(conversation: Conversation, person_id: str, body: Json) -> tuple[Json, Json, Json]:
    shown = [*conversation.messages.values(), *(message for to, message in conversation.ephemerals if to == person_id)]
    for message in sorted(shown, key=lambda message: str(message["ts"]), reverse=True):
        if body.get("message_id") not in (None, message["ts"]):
            continue
        for block, element in _buttons(message):
            if element["text"]["text"] == body.get("label") or element.get("value", element) == body.get("value"):
                return message, block, element
    raise ValueError(f"there is no button {body.get('label') or body.get('value')!r} to press in this chat")


def _buttons(message: Json) -> Iterator[tuple[Json, Json]]:
    for block in message.get("blocks") or []:
        for element in [*(block.get("elements") or []), block.get("accessory") or {}]:
            if element.get("type") == "button":
                yield block, element
