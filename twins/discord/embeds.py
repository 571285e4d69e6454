"""Embeds: their limits, and how the API shows them. Pure."""

from __future__ import annotations

from typing import Any

from twins.discord.refusal import FormErrors

Json = dict[str, Any]

MAX_EMBEDS = 10
MAX_TOTAL = 6000
_LIMITS = {"title": 256, "description": 4096, "url": 2048}
_PLAIN = ("title", "description", "url", "color")


def check_embeds(errors: FormErrors, embeds: Any, path: str = "embeds") -> None:
    """Note what is wrong with a list of embeds."""
    if embeds is None:
        return
    errors.too_long(path, embeds, MAX_EMBEDS)
    total = 0
    for position, embed in enumerate(embeds):
        total += _check(errors, embed, f"{path}.{position}")
    if total > MAX_TOTAL:
        errors.add(path, "MAX_EMBED_SIZE_EXCEEDED", f"Embed size exceeds maximum size of {MAX_TOTAL}")


def _check(errors: FormErrors, embed: Json, path: str) -> int:
    for field, most in _LIMITS.items():
        errors.too_long(f"{path}.{field}", embed.get(field), most)
    _check_url(errors, f"{path}.url", embed.get("url"))
    color = embed.get("color")
    if isinstance(color, int) and not 0 <= color <= 0xFFFFFF:
        errors.add(f"{path}.color", "NUMBER_TYPE_MAX", "int value should be less than or equal to 16777215.")
    footer, author = embed.get("footer") or {}, embed.get("author") or {}
    errors.too_long(f"{path}.footer.text", footer.get("text"), 2048)
    errors.too_long(f"{path}.author.name", author.get("name"), 256)
    fields = embed.get("fields") or []
    errors.too_long(f"{path}.fields", fields, 25)
    total = sum(len(str(embed.get(one) or "")) for one in ("title", "description"))
    total += len(str(footer.get("text") or "")) + len(str(author.get("name") or ""))
    for position, field in enumerate(fields):
        for part, most in (("name", 256), ("value", 1024)):
            errors.missing(f"{path}.fields.{position}.{part}", field.get(part))
            errors.too_long(f"{path}.fields.{position}.{part}", field.get(part), most)
            total += len(str(field.get(part) or ""))
    if not any(embed.get(one) for one in ("title", "description", "fields", "image", "thumbnail", "footer", "author")):
        errors.add(f"{path}.description", "BASE_TYPE_REQUIRED", "This field is required")
    for picture in ("image", "thumbnail"):
        _check_url(errors, f"{path}.{picture}.url", (embed.get(picture) or {}).get("url"))
    return total


def _check_url(errors: FormErrors, path: str, url: Any) -> None:
    if url and not str(url).startswith(("http://", "https://", "attachment://")):
        schemes = (
            "('http', 'https')" if path.endswith(".url") and path.count(".") < 3 else "('http', 'https', 'attachment')"
        )
        errors.add(
            path,
            "URL_TYPE_INVALID_SCHEME",
            f'Scheme "{str(url).split(":")[0]}" is not supported. Scheme must be one of {schemes}.',
        )


def shown_embeds(embeds: list[Json]) -> list[Json]:
    """Return embeds as a message shows them."""
    return [_shown(embed) for embed in embeds]


def _shown(embed: Json) -> Json:
    shown: Json = {"type": "rich"}
    shown |= {field: embed[field] for field in _PLAIN if embed.get(field) is not None}
    if embed.get("timestamp"):
        shown["timestamp"] = embed["timestamp"]
    for part, keys in (("footer", ("text", "icon_url")), ("author", ("name", "url", "icon_url"))):
        if embed.get(part):
            shown[part] = {key: embed[part][key] for key in keys if embed[part].get(key)}
    for picture in ("image", "thumbnail"):
        if embed.get(picture):
            shown[picture] = {"url": embed[picture]["url"], "width": 0, "height": 0}
    if embed.get("fields"):
        shown["fields"] = [
            {"name": one["name"], "value": one["value"], "inline": bool(one.get("inline"))} for one in embed["fields"]
        ]
    return shown
