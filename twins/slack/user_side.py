"""The user's side under `/twin/`: a person types, edits, reacts, joins; tests and the phone page look and wait."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from twins.faults import Faults
from twins.phone.files import phone_file
from twins.slack.posting import author, change, post, react, remove
from twins.slack.rate_limits import RateLimits
from twins.slack.refusal import Refusal
from twins.slack.seed import ANNA
from twins.slack.sockets import Sockets
from twins.slack.texts import rich_text, typed_text
from twins.slack.views import shown_chat, shown_world
from twins.slack.world import Conversation, Json, World

LONGEST_WAIT_S = 60.0


class UserSide:
    def __init__(self, world: World, faults: Faults, rate_limits: RateLimits, sockets: Sockets) -> None:
        self._world = world
        self._faults = faults
        self._rate_limits = rate_limits
        self._sockets = sockets
        self._posts: dict[str, Callable[[Json], Json | Awaitable[Json]]] = {
            "type": self.type_text,
            "edit": self.edit,
            "delete": self.delete,
            "react": self.react,
            "fault": self.fault,
            "token": self.token,
            "clock": self.clock,
            "limits": self.limits,
        }

    def add_routes(self, application: web.Application) -> None:
        application.router.add_post("/twin/{verb}", self._post)
        application.router.add_delete("/twin/fault", self._clear_faults)
        application.router.add_get("/twin/world", self._show_world)
        application.router.add_get("/twin/chat", self._show_chat)
        application.router.add_get("/twin/log", self._show_log)
        application.router.add_get("/twin/{phone:phone.*}", self._show_phone)

    async def _post(self, request: web.Request) -> web.Response:
        act = self._posts.get(request.match_info["verb"])
        if act is None:
            return _wrong(f"there is no verb {request.match_info['verb']}; there is {', '.join(self._posts)}")
        try:
            body = await request.json() if request.body_exists else {}
            answer = act(body)
            return web.json_response(answer if isinstance(answer, dict) else await answer)
        except Refusal as refusal:
            return _wrong(f"the workspace refuses that: {refusal.error}")
        except (KeyError, ValueError, TypeError) as error:
            return _wrong(f"the request lacks something or has it wrong: {error}")

    def type_text(self, body: Json) -> Json:
        """`{text, person?, chat?, thread?, reply_to?, edit?, broadcast?}`: somebody says something, or says it anew."""
        if body.get("edit"):
            return self.edit({**body, "message_id": body["edit"]})
        person, conversation = self._place(body)
        fields = {**author(self._world, person["id"]), **self._typed(str(body["text"]))}
        thread = str(body.get("thread") or body.get("reply_to") or "")
        message = post(self._world, conversation, fields, thread, broadcast=bool(body.get("broadcast")))
        return {"message_ids": [message["ts"]], "message_id": message["ts"], "chat": conversation.id}

    def edit(self, body: Json) -> Json:
        """`{message_id, text, person?, chat?}`: the author gives a message other words."""
        person, conversation = self._place(body)
        message = conversation.message(str(body["message_id"]))
        change(self._world, conversation, message, self._typed(str(body["text"])), editor=person["id"])
        return {"message_ids": [message["ts"]], "message_id": message["ts"], "chat": conversation.id}

    def delete(self, body: Json) -> Json:
        """`{message_id, person?, chat?}`: a message is taken away."""
        _, conversation = self._place(body)
        remove(self._world, conversation, conversation.message(str(body["message_id"])))
        return {}

    def react(self, body: Json) -> Json:
        """`{message_id, emoji, take?, person?, chat?}`: a reaction by its name, with colons or without."""
        person, conversation = self._place(body)
        message = conversation.message(str(body["message_id"]))
        name = str(body["emoji"]).strip(":")
        react(self._world, conversation, message, person["id"], name, take=bool(body.get("take")))
        return {}

    def fault(self, body: Json) -> Json:
        """A fault as `twins/faults.py` has it; those of sockets hit what is open at once."""
        self._faults.add(body)
        self._sockets.strike()
        return {}

    def token(self, body: Json) -> Json:
        """`{token}` in place of its kind's; or `{revoke: bot|app, error?}`, `{restore: token}`, `{scopes: [...]}`."""
        tokens = self._world.tokens
        if "token" in body:
            value = str(body["token"])
            tokens.replace(
                "app" if value.startswith("xapp-") else "bot", value, str(body.get("error", "token_revoked"))
            )
        if "revoke" in body:
            tokens.revoke(str(body["revoke"]), str(body.get("error", "token_revoked")))
        if "restore" in body:
            tokens.restore(str(body["restore"]))
        if "scopes" in body:
            tokens.of_kind("bot").scopes = {str(scope) for scope in body["scopes"]}
        return {"bot": tokens.of_kind("bot").value, "app": tokens.of_kind("app").value}

    def clock(self, body: Json) -> Json:
        """`{advance_s?, scale?}`."""
        if "scale" in body:
            self._world.clock.scale = float(body["scale"])
        self._world.clock.advance(float(body.get("advance_s", 0)))
        return {"now": self._world.clock.now(), "scale": self._world.clock.scale}

    def limits(self, body: Json) -> Json:
        """`{on?, history_a_minute?, history_page?, edit_window_s?}`: which rules of quantity hold."""
        self._rate_limits.is_on = bool(body.get("on", self._rate_limits.is_on))
        if "history_a_minute" in body:
            self._rate_limits.history_a_minute = body["history_a_minute"]
        if "history_page" in body:
            self._world.history_page = body["history_page"]
        if "edit_window_s" in body:
            self._world.edit_window_s = body["edit_window_s"]
        return {"on": self._rate_limits.is_on}

    def _typed(self, text: str) -> Json:
        people = {name.lower(): user_id for user_id, person in self._world.people.items() for name in _names(person)}
        channels = {
            str(conversation.info["name"]): conversation.id
            for conversation in self._world.conversations.values()
            if "name" in conversation.info
        }
        stored = typed_text(text, people, channels)
        return {"text": stored, "blocks": rich_text(stored)}

    def _place(self, body: Json) -> tuple[Json, Conversation]:
        person = self._world.person(str(body.get("person") or ANNA))
        chat = str(body.get("chat") or "")
        conversation = self._world.conversation(chat) if chat else self._world.direct_with(person["id"])
        if person["id"] not in conversation.members:
            raise Refusal("not_in_channel")
        return person, conversation

    async def _clear_faults(self, _: web.Request) -> web.Response:
        self._faults.clear()
        self._sockets.release()
        return web.json_response({})

    async def _show_world(self, _: web.Request) -> web.Response:
        return web.json_response(shown_world(self._world))

    async def _show_chat(self, request: web.Request) -> web.Response:
        """`?chat=&person=&after=&wait_s=`: what that person sees there; with wait_s, as soon as there is something."""
        try:
            person, conversation = self._place(dict(request.query))
            after, thread = request.query.get("after", "0"), request.query.get("thread", "")
            wait_s = min(float(request.query.get("wait_s", "0")), LONGEST_WAIT_S)

            def shown() -> Json:
                return shown_chat(self._world, conversation, person["id"], after, thread)

            await self._world.log.until(lambda: bool(shown()["messages"]), wait_s)
            return web.json_response(shown())
        except Refusal as refusal:
            return _wrong(f"the workspace refuses that: {refusal.error}")
        except ValueError as error:
            return _wrong(f"the request lacks something or has it wrong: {error}")

    async def _show_phone(self, request: web.Request) -> web.Response:
        found = phone_file(request.path)
        if found is None:
            return _wrong(f"there is nothing at {request.path}")
        content_type, body = found
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _show_log(self, request: web.Request) -> web.Response:
        try:
            return web.json_response(await self._world.log.answer(request.query))
        except ValueError as error:
            return _wrong(f"the request has a number wrong: {error}")


def _names(person: Json) -> tuple[Any, ...]:
    return person["name"], person["real_name"]


def _wrong(words: str) -> web.Response:
    return web.json_response({"error": words}, status=400)
