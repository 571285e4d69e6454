"""The user's side as HTTP: `/twin/<verb>`, JSON in and out, and the phone page."""

from __future__ import annotations

import json
from collections.abc import Callable

from aiohttp import web

from twins.discord.gateway.hub import Hub
from twins.discord.refusal import Refusal
from twins.discord.rest.limits import Limits
from twins.discord.threads import archive_idle
from twins.discord.user_side import comings, controls, pressing, sight, verbs
from twins.discord.world import Json, World
from twins.phone.files import phone_file
from twins.same_site import FILE_HEADERS, FOREIGN, is_from_another_site

_VERBS: dict[str, Callable[[World, Json], Json]] = {
    "type": verbs.type_text,
    "upload": verbs.upload,
    "edit": verbs.edit_text,
    "delete": verbs.delete,
    "react": verbs.react,
    "forward": verbs.forward,
    "press": pressing.press,
    "command": pressing.command,
    "autocomplete": pressing.autocomplete,
    "submit": pressing.submit,
    "join": comings.join,
    "leave": comings.leave,
    "thread": comings.thread,
    "channel": comings.channel,
    "archive": comings.archive,
    "block": comings.block,
    "permission": comings.permission,
    "slow": comings.slow,
    "intents": comings.intents,
    "typing": comings.typing,
}


class Door:
    def __init__(self, world: World, hub: Hub, limits: Limits) -> None:
        self._world = world
        self._limits = limits
        self._hub = hub
        self.phone = ""
        """The page's address in plain HTTP."""

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request to anything that is not Discord's own."""
        if not request.secure and is_from_another_site(request.headers):  # no browser trusts our certificate
            return web.json_response({"error": FOREIGN}, status=403)
        if (page := phone_file(request.path)) is not None:
            media_type, content = page
            return web.Response(body=content, headers={"Content-Type": media_type})
        if request.path == "/twin/file":
            return self._file(request.query.get("id", ""))
        try:
            raw = b"".join([piece async for piece in request.content.iter_any()])
            body = json.loads(raw) if raw else {}
            answer = await self._act(request, body)
        except Refusal as refusal:
            return web.json_response({"error": refusal.body["message"]}, status=400)
        except (KeyError, ValueError, TypeError) as error:
            words = f"the request lacks something or has it wrong: {error}"
            return web.json_response({"error": words}, status=400)
        if answer is None:
            return web.json_response({"error": f"the twin has no {request.method} {request.path}"}, status=404)
        return web.json_response(answer)

    async def _act(self, request: web.BaseRequest, body: Json) -> Json | None:
        archive_idle(self._world)
        name = request.path.removeprefix("/twin/")
        if request.method == "POST" and name in _VERBS:
            return _VERBS[name](self._world, body)
        match f"{request.method} {name}":
            case "GET world":
                return {**sight.show_world(self._world), "phone": self.phone}
            case "GET chat":
                return await sight.show_chat(self._world, request.query)
            case "GET log":
                return await self._world.log.answer(request.query)
            case "POST fault":
                return controls.add_fault(self._hub, body)
            case "GET fault":
                return self._hub.faults.as_json()
            case "DELETE fault":
                return controls.clear_faults(self._hub)
            case "POST reconnect":
                return controls.reconnect(self._hub, body)
            case "POST token":
                return controls.set_token(self._hub, body)
            case "POST limits":
                self._limits.is_on = bool(body["on"])
                return {}
            case "POST clock":
                return controls.set_clock(self._world, body)
            case _:
                return None

    def _file(self, file_id: str) -> web.Response:
        upload = self._world.files.get(file_id)
        if upload is None:
            return web.Response(status=404, text="there is no such file in this twin")
        return web.Response(body=upload.content, headers={**FILE_HEADERS, "Content-Type": upload.media_type})
