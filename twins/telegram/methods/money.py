"""Invoices, stars and gifts, and games: what the server answers a bot that has none of it to speak of."""

from __future__ import annotations

from typing import Any

from twins.telegram.arguments import Arguments, Upload
from twins.telegram.chats import Json
from twins.telegram.files import fitted
from twins.telegram.refusal import bad_request
from twins.telegram.sending import destination, own_message, send
from twins.telegram.world import World

NO_GIFTS: Json = {"total_count": 0, "gifts": []}
SCORE_UNCHANGED = "BOT_SCORE_NOT_MODIFIED"


def _invoice(arguments: Arguments) -> Json:
    prices = arguments.list_of("prices")
    if not prices:
        raise bad_request("there must be at least one price")
    for name in ("title", "description", "payload", "currency"):
        if not arguments.text(name):
            raise bad_request(f"{name} must be non-empty")
    return {
        "title": arguments.text("title"),
        "description": arguments.text("description"),
        "start_parameter": arguments.text("start_parameter"),
        "currency": arguments.text("currency"),
        "total_amount": sum(int(price["amount"]) for price in prices),
    }


def send_invoice(world: World, arguments: Arguments) -> Json:
    destination(world, arguments)
    return send(world, arguments, {"invoice": _invoice(arguments)})


def create_invoice_link(world: World, arguments: Arguments) -> str:
    _invoice(arguments)
    return f"https://t.me/$twin{world.next_number():x}"


def get_my_star_balance(world: World, arguments: Arguments) -> Json:
    del world, arguments
    return {"amount": 0}


def get_star_transactions(world: World, arguments: Arguments) -> Json:
    del world, arguments
    return {"transactions": []}


def get_available_gifts(world: World, arguments: Arguments) -> Json:
    del arguments
    return {"gifts": world.profile.get("gifts", [])}


def get_gifts(world: World, arguments: Arguments) -> Json:
    del world, arguments
    return NO_GIFTS


def send_game(world: World, arguments: Arguments) -> Json:
    """A game is made with BotFather, not by a method: whoever runs the twin puts it into its world."""
    destination(world, arguments)
    game = world.profile.get(f"game:{arguments.text('game_short_name')}")
    if game is None:
        raise bad_request("wrong game short name specified")
    picture = Upload(name="game.png", media_type="image/png", content=game["picture"])
    photo = world.files.store(picture, "photo")
    animation = world.files.store(picture, "animation")
    width, height = fitted((640, 360), 320)
    shown = {
        "title": game["title"],
        "description": game["description"],
        "photo": [{**photo.as_json(), "width": width, "height": height}],
        "animation": {**animation.as_json(), "width": width, "height": height, "duration": 1},
    }
    return send(world, arguments, {"game": shown})


def set_game_score(world: World, arguments: Arguments) -> Json:
    message = own_message(world, arguments, "message to set game score not found")
    if "game" not in message:
        raise bad_request("message is not a game")
    user, score = arguments.integer("user_id"), arguments.integer("score")
    scores = world.profile.setdefault("scores", {})
    if score <= scores.get(user, -1) and not arguments.boolean("force"):
        raise bad_request(SCORE_UNCHANGED)
    scores[user] = score
    return message


def get_game_high_scores(world: World, arguments: Arguments) -> list[Json]:
    own_message(world, arguments, "message not found")
    scores = sorted(world.profile.get("scores", {}).items(), key=lambda each: -each[1])
    return [
        {"position": place, "user": world.user(user), "score": score} for place, (user, score) in enumerate(scores, 1)
    ]


METHODS: dict[str, Any] = {
    "sendinvoice": send_invoice,
    "createinvoicelink": create_invoice_link,
    "getmystarbalance": get_my_star_balance,
    "getstartransactions": get_star_transactions,
    "getavailablegifts": get_available_gifts,
    "getusergifts": get_gifts,
    "getchatgifts": get_gifts,
    "sendgame": send_game,
    "setgamescore": set_game_score,
    "getgamehighscores": get_game_high_scores,
}
