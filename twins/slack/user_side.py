"""The user's side over HTTP: `POST /twin/<verb>`, what can be looked at and waited for, and the phone's page."""

from __future__ import annotations

from aiohttp import web

from twins.phone.files import phone_file
from twins.same_site import FILE_HEADERS
from twins.slack.controls import Controls
from twins.slack.people_acts import PeopleActs
from twins.slack.refusal import Refusal
from twins.slack.views import shown_chat, shown_world
from twins.slack.world import Json, World

LONGEST_WAIT_S = 60.0


class UserSide:
    def __init__(self, world: World, acts: PeopleActs, controls: Controls) -> None:
        self._world = world
        self._acts = acts
        self._controls = controls
        self._verbs = {**acts.verbs(), **controls.verbs()}

    def add_routes(self, application: web.Application) -> None:
        router = application.router
        router.add_post("/twin/{verb}", self._post)
        router.add_delete("/twin/fault", self._clear_faults)
        router.add_get("/twin/world", self._show_world)
        router.add_get("/twin/chat", self._show_chat)
        router.add_get("/twin/fault", self._show_faults)
        router.add_get("/twin/log", self._show_log)
        router.add_get("/twin/file", self._show_file)
        router.add_get("/twin/{phone:phone.*}", self._show_phone)

    async def _post(self, request: web.Request) -> web.Response:
        act = self._verbs.get(request.match_info["verb"])
        if act is None:
            return _wrong(f"there is no verb {request.match_info['verb']}; there is {', '.join(self._verbs)}")
        try:
            body = await request.json() if request.body_exists else {}
            if not isinstance(body, dict):
                raise ValueError("its body is no JSON object")
            answer = act(body)
            return web.json_response(answer if isinstance(answer, dict) else await answer)
        except Refusal as refusal:
            return _wrong(f"the workspace refuses that: {refusal.error}")
        except (KeyError, ValueError, TypeError) as error:
            return _wrong(f"the request lacks something or has it wrong: {error}")

    async def _clear_faults(self, _: web.Request) -> web.Response:
        return web.json_response(self._controls.clear_faults())

    async def _show_faults(self, _: web.Request) -> web.Response:
        return web.json_response(self._controls.show_faults())

    async def _show_world(self, _: web.Request) -> web.Response:
        return web.json_response(shown_world(self._world))

    async def _show_chat(self, request: web.Request) -> web.Response:
        """`?chat=&person=&thread=&after=&wait_s=`: what that person sees; with wait_s, once there is something."""
        try:
            person, conversation = self._acts.place(dict(request.query))
            after, thread = request.query.get("after", "0"), request.query.get("thread", "")
            wait_s = min(float(request.query.get("wait_s", "0")), LONGEST_WAIT_S)
        except Refusal as refusal:
            return _wrong(f"the workspace refuses that: {refusal.error}")
        except ValueError as error:
            return _wrong(f"the request has a number wrong: {error}")

        def shown() -> Json:
            return shown_chat(self._world, conversation, person["id"], after, thread)

        await self._world.log.until(lambda: bool(shown()["messages"]), wait_s)
        return web.json_response(shown())

    async def _show_log(self, request: web.Request) -> web.Response:
        try:
            return web.json_response(await self._world.log.answer(request.query))
        except ValueError as error:
            return _wrong(f"the request has a number wrong: {error}")

    async def _show_file(self, request: web.Request) -> web.Response:
        file = self._world.files.get(request.query.get("id", ""))
        if file is None:
            return _wrong(f"there is no file {request.query.get('id', '')}")
        media_type = str(file.info["mimetype"]).partition(";")[0]
        return web.Response(body=file.content, content_type=media_type, headers=FILE_HEADERS)

    async def _show_phone(self, request: web.Request) -> web.Response:
        found = phone_file(request.path)
        if found is None:
            return _wrong(f"there is nothing at {request.path}")
        content_type, body = found
        return web.Response(body=body, headers={"Content-Type": content_type})


def _wrong(words: str) -> web.Response:
    return web.json_response({"error": words}, status=400)
