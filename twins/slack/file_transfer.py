"""Bytes of files over HTTP: uploads to their address, downloads of `url_private` with a token."""

from __future__ import annotations

from aiohttp import web

from twins.faults import Fault, Faults
from twins.slack.faulty import CALL_FAULTS, break_connection, strike
from twins.slack.file_store import fill
from twins.slack.refusal import Refusal
from twins.slack.tokens import bearer
from twins.slack.world import World

SIGN_IN_PAGE = "<!DOCTYPE html><html><head><title>Sign in | Slack</title></head><body>Sign in to Twin</body></html>"


class FileTransfer:
    def __init__(self, world: World, faults: Faults) -> None:
        self._world = world
        self._faults = faults

    def add_routes(self, application: web.Application) -> None:
        application.router.add_post("/upload/v1/{file_id}", self._upload)
        application.router.add_get("/files-pri/{place}/{name:.+}", self._download)

    async def _upload(self, request: web.Request) -> web.Response:
        """Take the bytes, raw or as the only part of a form; the answer is plain text."""
        fault = self._faults.take("upload", CALL_FAULTS)
        if fault is not None and (answered := await _struck(fault, request)) is not None:
            return answered
        file = self._world.files.get(request.match_info["file_id"])
        if file is None or file.is_complete:
            return web.Response(status=404, text="not found")
        content = await _content(request)
        if len(content) != file.info["size"]:
            return web.Response(status=400, text="the size is not the one that was announced")
        fill(file, content)
        self._world.log.note("upload", file=file.info["id"], size=len(content))
        if fault is not None and fault.kind == "lost_answer":
            return break_connection(request)
        return web.Response(text=f"OK - {len(content)}")

    async def _download(self, request: web.Request) -> web.StreamResponse:
        """Give the bytes to who may have them; everybody else is shown the page to sign in, with a 200."""
        fault = self._faults.take("download", CALL_FAULTS)
        if fault is not None and (answered := await _struck(fault, request)) is not None:
            return answered
        self._world.log.note("download", path=request.path)
        file = self._world.files.get(request.match_info["place"].partition("-")[2])
        try:
            token = self._world.tokens.known(bearer(request.headers.get("Authorization", "")))
            is_welcome = "files:read" in token.scopes
        except Refusal:
            is_welcome = False
        if not is_welcome:
            return web.Response(text=SIGN_IN_PAGE, content_type="text/html")
        if file is None or not file.is_complete:
            return web.Response(status=404, text="not found")
        return web.Response(body=file.content, content_type=str(file.info["mimetype"]).partition(";")[0])


async def _content(request: web.Request) -> bytes:
    if request.content_type != "multipart/form-data":
        return await request.read()
    for part in (await request.post()).values():
        if isinstance(part, web.FileField):
            return part.file.read()
    return b""


async def _struck(fault: Fault, request: web.Request) -> web.Response | None:
    try:
        return await strike(fault, request)
    except Refusal as refusal:
        return web.json_response(refusal.as_json(), status=429 if refusal.status == 429 else 403)
