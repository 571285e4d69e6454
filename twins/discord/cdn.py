"""The CDN: attachments by links that are signed and expire."""

from __future__ import annotations

from aiohttp import web

from twins.discord.attachments import is_valid
from twins.discord.world import World

_GONE = "This content is no longer available."


def download(world: World, request: web.BaseRequest) -> web.Response:
    """Answer a link under `/attachments/<channel>/<id>/<name>`."""
    parts = request.path.split("/")
    upload = world.files.get(parts[3]) if len(parts) == 5 else None
    if upload is None or not is_valid(request.path.removeprefix("/"), dict(request.query), world.now):
        world.log.note("download", path=request.path, status=404)
        return web.Response(status=404, text=_GONE)
    world.log.note("download", path=request.path, status=200)
    return web.Response(body=upload.content, headers={"Content-Type": upload.media_type})
