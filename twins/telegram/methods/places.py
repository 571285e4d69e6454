"""Sending what is neither text nor file: places, contacts, polls, dice, games."""

from __future__ import annotations

import random
from typing import Any

from twins.telegram.arguments import Arguments
from twins.telegram.chats import Json
from twins.telegram.methods.media import input_media
from twins.telegram.refusal import bad_request
from twins.telegram.sending import any_message, chat_id_of, destination, keyboard, send
from twins.telegram.texts import formatted
from twins.telegram.world import World

DICE = {"🎲": 6, "🎯": 6, "🎳": 6, "🏀": 5, "⚽": 5, "🎰": 64}
POLL_OPTIONS = range(1, 13)
MAX_QUESTION = 300
MAX_OPTION = 100
MAX_EXPLANATION = 200


def location_json(arguments: Arguments) -> Json:
    for name in ("latitude", "longitude"):
        if name not in arguments.values:
            raise bad_request(f"{name} is empty")
    location: Json = {name: arguments.number(name) for name in ("longitude", "latitude")}
    if arguments.number("horizontal_accuracy"):
        location["horizontal_accuracy"] = arguments.number("horizontal_accuracy")
    for name in ("live_period", "heading", "proximity_alert_radius"):
        if arguments.integer(name):
            location[name] = arguments.integer(name)
    return location


def send_location(world: World, arguments: Arguments) -> Json:
    destination(world, arguments)
    return send(world, arguments, {"location": location_json(arguments)})


def send_venue(world: World, arguments: Arguments) -> Json:
    destination(world, arguments)
    location = location_json(arguments)
    venue: Json = {"location": location, "title": arguments.text("title"), "address": arguments.text("address")}
    for name in ("foursquare_id", "foursquare_type", "google_place_id", "google_place_type"):
        if arguments.text(name):
            venue[name] = arguments.text(name)
    return send(world, arguments, {"venue": venue, "location": location})


def send_contact(world: World, arguments: Arguments) -> Json:
    destination(world, arguments)
    contact: Json = {}
    for name in ("phone_number", "first_name", "last_name", "vcard"):
        if arguments.text(name):
            contact[name] = arguments.text(name)
    if "phone_number" not in contact:
        raise bad_request("PHONE_NUMBER_INVALID")
    if "first_name" not in contact:
        raise bad_request("first_name is empty")
    return send(world, arguments, {"contact": contact})


def send_dice(world: World, arguments: Arguments) -> Json:
    destination(world, arguments)
    emoji = arguments.text("emoji") or "🎲"
    if emoji not in DICE:
        raise bad_request("the emoji is not a dice emoji")
    return send(world, arguments, {"dice": {"emoji": emoji, "value": random.randint(1, DICE[emoji])}})


def send_poll(world: World, arguments: Arguments) -> Json:
    destination(world, arguments)
    question = arguments.text("question")
    if not question:
        raise bad_request("POLL_QUESTION_INVALID")
    if len(question) > MAX_QUESTION:
        raise bad_request("poll question length must not exceed 300")
    poll: Json = {
        "id": str(world.next_number()),
        "question": question,
        "options": _options(world, arguments),
        "total_voter_count": 0,
        "is_closed": arguments.boolean("is_closed"),
        "is_anonymous": arguments.boolean("is_anonymous") if "is_anonymous" in arguments.values else True,
        "type": arguments.text("type") or "regular",
        "allows_multiple_answers": arguments.boolean("allows_multiple_answers"),
        "allows_revoting": True,
        "members_only": False,
    }
    if poll["type"] == "quiz":
        poll |= _quiz(arguments)
    poll |= _closing(world, arguments)
    for name in ("media", "explanation_media"):
        if shown := _media(world, arguments, arguments.structure(name)):
            poll[name] = shown
    return send(world, arguments, {"poll": poll})


def _options(world: World, arguments: Arguments) -> list[Json]:
    given = arguments.list_of("options")
    options = [each.get("text", "") if isinstance(each, dict) else str(each) for each in given]
    if len(options) not in POLL_OPTIONS:
        raise bad_request(f"poll must have at {'least 1 option' if not options else 'most 12 options'}")
    if any(not option for option in options):
        raise bad_request("poll options must be non-empty")
    if any(len(option) > MAX_OPTION for option in options):
        raise bad_request("poll options length must not exceed 100")
    media = [_media(world, arguments, each.get("media") if isinstance(each, dict) else None) for each in given]
    plain = [{"persistent_id": str(number), "text": text, "voter_count": 0} for number, text in enumerate(options)]
    return [{**each, **({"media": shown} if shown else {})} for each, shown in zip(plain, media, strict=True)]


def _media(world: World, arguments: Arguments, item: Any) -> Json:
    """Return what is shown beside a poll, an option or an explanation."""
    if not item:
        return {}
    if item.get("type") == "location":
        return {"location": location_json(Arguments(values=item, uploads={}))}
    content = input_media(world, arguments, item)
    return {item["type"]: content[item["type"]]}


def _quiz(arguments: Arguments) -> Json:
    correct = arguments.list_of("correct_option_ids")
    if "correct_option_id" in arguments.values:
        correct = [arguments.integer("correct_option_id")]
    if not correct:
        raise bad_request("wrong correct option ID specified")
    quiz: Json = {"correct_option_ids": correct, **({"correct_option_id": correct[0]} if len(correct) == 1 else {})}
    text, entities = formatted(
        arguments.text("explanation"),
        arguments.structure("explanation_entities"),
        arguments.text("explanation_parse_mode"),
    )
    if len(text) > MAX_EXPLANATION:
        raise bad_request("quiz explanation length must not exceed 200")
    if text:
        quiz["explanation"] = text
    if entities:
        quiz["explanation_entities"] = entities
    return quiz


def _closing(world: World, arguments: Arguments) -> Json:
    closing: Json = {}
    if arguments.integer("open_period"):
        closing["open_period"] = arguments.integer("open_period")
        closing["close_date"] = world.now() + closing["open_period"]
    elif arguments.integer("close_date"):
        closing["close_date"] = arguments.integer("close_date")
    return closing


def close_poll_in_time(world: World, message: Json) -> None:
    """Close a message's poll whose time is over."""
    poll = message.get("poll")
    if poll and poll.get("close_date", world.now() + 1) <= world.now():
        poll["is_closed"] = True


def stop_poll(world: World, arguments: Arguments) -> Json:
    chat = world.writable_chat(chat_id_of(arguments))
    message = any_message(chat, arguments.integer("message_id"), "message with poll to stop not found")
    close_poll_in_time(world, message)
    if "poll" not in message or not world.is_bots(message):
        raise bad_request("message can't be edited")
    if message["poll"]["is_closed"]:
        raise bad_request("poll has already been closed")
    message["poll"]["is_closed"] = True
    markup = keyboard(arguments)
    message.pop("reply_markup", None)
    if markup:
        message["reply_markup"] = markup
    return dict(message["poll"])


METHODS: dict[str, Any] = {
    "sendlocation": send_location,
    "sendvenue": send_venue,
    "sendcontact": send_contact,
    "senddice": send_dice,
    "sendpoll": send_poll,
    "stoppoll": stop_poll,
}
