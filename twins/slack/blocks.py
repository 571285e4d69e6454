"""Which blocks, attachments and metadata Slack takes, and in what words it refuses the others. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twins.slack.refusal import Refusal

Json = dict[str, Any]

MAX_BLOCKS = 50
MAX_ATTACHMENTS = 100
MAX_TOTAL_CHARACTERS = 13_200
"""Of all texts of a message's blocks: near this the platform answers msg_blocks_too_long."""
MAX_MARKDOWN_CHARACTERS = 12_000

TEXT_LIMITS = {("section", "text"): 3000, ("header", "text"): 150, ("image", "title"): 2000, ("video", "title"): 200}
FIELDS_LIMIT, FIELD_TEXT_LIMIT, ELEMENTS_LIMIT, CONTEXT_LIMIT = 10, 2000, 25, 10
BUTTON_LIMITS = {"text": 75, "value": 2000, "url": 3000, "accessibility_label": 75}
ID_LIMIT = 255

BLOCK_TYPES = frozenset(
    [
        "actions",
        "call",
        "card",
        "carousel",
        "alert",
        "context",
        "context_actions",
        "divider",
        "file",
        "header",
        "image",
        "input",
        "markdown",
        "plan",
        "rich_text",
        "section",
        "share_shortcut",
        "table",
        "task_card",
        "video",
    ]
)
ELEMENT_TYPES = frozenset(
    [
        "button",
        "checkboxes",
        "datepicker",
        "datetimepicker",
        "email_text_input",
        "external_select",
        "channels_select",
        "conversations_select",
        "feedback_buttons",
        "file_input",
        "icon_button",
        "image",
        "multi_channels_select",
        "multi_conversations_select",
        "multi_external_select",
        "multi_static_select",
        "multi_users_select",
        "number_input",
        "overflow",
        "plain_text_input",
        "radio_buttons",
        "rich_text_input",
        "static_select",
        "timepicker",
        "url_text_input",
        "users_select",
        "workflow_button",
    ]
)

Complaint = tuple[str, str]
"""What is wrong, and the pointer to where."""


def check_blocks(blocks: Any) -> list[Json]:
    """Return the blocks as they are kept (each with a block_id); refuse what the platform refuses."""
    if blocks is None or blocks == "":
        return []
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        raise Refusal("invalid_blocks_format")
    complaints = list(_complaints(blocks))
    if complaints:
        words = [f"{words} [json-pointer:{pointer}]" for words, pointer in complaints]
        raise Refusal("invalid_blocks", messages=words, errors=words)
    if sum(_characters(block) for block in blocks) > MAX_TOTAL_CHARACTERS:
        raise Refusal("msg_blocks_too_long")
    return [{**block, "block_id": block.get("block_id") or f"b{number}"} for number, block in enumerate(blocks, 1)]


def check_attachments(attachments: Any) -> list[Json]:
    if attachments is None or attachments == "":
        return []
    if not isinstance(attachments, list) or not all(isinstance(attachment, dict) for attachment in attachments):
        raise Refusal("invalid_attachments")
    if len(attachments) > MAX_ATTACHMENTS:
        raise Refusal("too_many_attachments")
    for attachment in attachments:
        check_blocks(attachment.get("blocks"))
    return [{"id": number, **attachment} for number, attachment in enumerate(attachments, 1)]


def check_metadata(metadata: Any) -> Json | None:
    """Return the metadata of a message, or None; it has an event_type and a payload of plain values, or entities."""
    if metadata is None or metadata == "":
        return None
    if not isinstance(metadata, dict):
        raise Refusal("invalid_metadata_format")
    is_event = isinstance(metadata.get("event_type"), str) and isinstance(metadata.get("event_payload"), dict)
    if not is_event and not isinstance(metadata.get("entities"), list):
        raise Refusal("invalid_metadata_schema")
    return metadata


def _complaints(blocks: list[Json]) -> Iterator[Complaint]:
    if len(blocks) > MAX_BLOCKS:
        yield f"no more than {MAX_BLOCKS} items allowed", "/blocks"
    seen: set[str] = set()
    for number, block in enumerate(blocks):
        here = f"/blocks/{number}"
        if block.get("type") not in BLOCK_TYPES:
            yield f"unsupported type: {block.get('type')}", f"{here}/type"
            continue
        block_id = str(block.get("block_id") or "")
        if len(block_id) > ID_LIMIT:
            yield f"must be less than {ID_LIMIT + 1} characters", f"{here}/block_id"
        if block_id and block_id in seen:
            yield f"`block_id` already exists: {block_id}", f"{here}/block_id"
        seen.add(block_id)
        yield from _block_complaints(block, here)


def _block_complaints(block: Json, here: str) -> Iterator[Complaint]:
    match block["type"]:
        case "section":
            if not block.get("text") and not block.get("fields"):
                yield "missing required field: text", here
            if block.get("text"):
                yield from _text_complaints(block["text"], 3000, f"{here}/text", marked=True)
            yield from _list_complaints(block, "fields", FIELDS_LIMIT, here)
            for number, field in enumerate(block.get("fields") or []):
                yield from _text_complaints(field, FIELD_TEXT_LIMIT, f"{here}/fields/{number}", marked=True)
            if block.get("accessory"):
                yield from _element_complaints(block["accessory"], f"{here}/accessory")
        case "header":
            yield from _text_complaints(block.get("text"), 150, f"{here}/text", marked=False)
        case "markdown":
            text = str(block.get("text") or "")
            if not text:
                yield "missing required field: text", here
            if len(text) > MAX_MARKDOWN_CHARACTERS:
                yield f"must be less than {MAX_MARKDOWN_CHARACTERS + 1} characters", f"{here}/text"
        case "actions" | "context_actions":
            yield from _list_complaints(block, "elements", ELEMENTS_LIMIT, here, is_needed=True)
            for number, element in enumerate(block.get("elements") or []):
                yield from _element_complaints(element, f"{here}/elements/{number}")
        case "context":
            yield from _list_complaints(block, "elements", CONTEXT_LIMIT, here, is_needed=True)
            for number, element in enumerate(block.get("elements") or []):
                if element.get("type") != "image":
                    yield from _text_complaints(element, 2000, f"{here}/elements/{number}", marked=True)
        case "image":
            if not block.get("alt_text"):
                yield "missing required field: alt_text", here
            if not (block.get("image_url") or block.get("slack_file")):
                yield "missing required field: image_url", here
        case "input":
            yield from _text_complaints(block.get("label"), 2000, f"{here}/label", marked=False)
            yield from _element_complaints(block.get("element"), f"{here}/element")
        case "rich_text":
            if not isinstance(block.get("elements"), list):
                yield "missing required field: elements", here


def _text_complaints(text: Any, limit: int, here: str, *, marked: bool) -> Iterator[Complaint]:
    if not isinstance(text, dict):
        yield f"missing required field: {here.rpartition('/')[2]}", here.rpartition("/")[0]
        return
    kinds = ("plain_text", "mrkdwn") if marked else ("plain_text",)
    if text.get("type") not in kinds:
        yield f"unsupported type: {text.get('type')}", f"{here}/type"
    words = text.get("text")
    if not isinstance(words, str) or not words:
        yield "must be more than 0 characters", f"{here}/text"
    elif len(words) > limit:
        yield f"must be less than {limit + 1} characters", f"{here}/text"


def _list_complaints(block: Json, name: str, limit: int, here: str, *, is_needed: bool = False) -> Iterator[Complaint]:
    items = block.get(name) or []
    if is_needed and not items:
        yield f"missing required field: {name}", here
    if len(items) > limit:
        yield f"no more than {limit} items allowed", f"{here}/{name}"


def _element_complaints(element: Any, here: str) -> Iterator[Complaint]:
    if not isinstance(element, dict) or element.get("type") not in ELEMENT_TYPES:
        yield f"unsupported type: {element.get('type') if isinstance(element, dict) else element}", f"{here}/type"
        return
    if len(str(element.get("action_id") or "")) > ID_LIMIT:
        yield f"must be less than {ID_LIMIT + 1} characters", f"{here}/action_id"
    if element["type"] != "button":
        return
    yield from _text_complaints(element.get("text"), BUTTON_LIMITS["text"], f"{here}/text", marked=False)
    for name in ("value", "url", "accessibility_label"):
        if len(str(element.get(name) or "")) > BUTTON_LIMITS[name]:
            yield f"must be less than {BUTTON_LIMITS[name] + 1} characters", f"{here}/{name}"
    if element.get("style") not in (None, "primary", "danger"):
        yield "must be a valid enum value", f"{here}/style"


def _characters(value: Any) -> int:
    """Count the characters of all texts that a person would read."""
    if isinstance(value, list):
        return sum(_characters(item) for item in value)
    if not isinstance(value, dict):
        return 0
    own = len(value["text"]) if isinstance(value.get("text"), str) else 0
    return own + sum(_characters(item) for key, item in value.items() if isinstance(item, (dict, list)))
