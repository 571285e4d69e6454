"""What people do in the workspace, a function for each verb of the user's side."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable

from twins.slack.file_store import fill, new_file, share
from twins.slack.interactions import Interactions
from twins.slack.membership import join, leave
from twins.slack.posting import author, change, post, react, remove
from twins.slack.refusal import Refusal
from twins.slack.seed import ANNA, channel_info, person_info
from twins.slack.texts import rich_text, typed_text
from twins.slack.world import BOT_USER_ID, Conversation, Json, World

VOICE = {"subtype": "slack_audio", "media_display_type": "audio", "duration_ms": 3000}


class PeopleActs:
    """Every verb takes the request's JSON and returns the answer's; the person is Anna unless another is named, the
    chat her direct one with the bot."""

    def __init__(self, world: World, interactions: Interactions) -> None:
        self._world = world
        self._interactions = interactions

    def verbs(self) -> dict[str, Callable[[Json], Json]]:
        return {
            "type": self.type_text,
            "upload": self.upload,
            "press": self.press,
            "edit": self.edit,
            "delete": self.delete,
            "react": self.react,
            "share": self.pass_on,
            "unfurl": self.unfurl,
            "join": self.join,
            "leave": self.leave,
            "command": self.command,
            "submit": self.submit,
            "home": self.open_home,
            "person": self.new_person,
            "room": self.new_room,
        }

    def place(self, body: Json) -> tuple[Json, Conversation]:
        """Return who acts and where."""
        person = self._world.person(str(body.get("person") or ANNA))
        chat = str(body.get("chat") or "")
        conversation = self._world.conversation(chat) if chat else self._world.direct_with(person["id"])
        if person["id"] not in conversation.members:
            raise Refusal("not_in_channel")
        return person, conversation

    def type_text(self, body: Json) -> Json:
        """`{text, person?, chat?, thread?, reply_to?, broadcast?, edit?: message id}`."""
        if body.get("edit"):
            return self.edit({**body, "message_id": body["edit"]})
        person, conversation = self.place(body)
        fields = {**author(self._world, person["id"]), **self._typed(str(body["text"]))}
        if body.get("me"):
            fields["subtype"] = "me_message"
        message = post(self._world, conversation, fields, _thread(body), broadcast=bool(body.get("broadcast")))
        return _said(conversation, message)

    def upload(self, body: Json) -> Json:
        """`{name, content: base64, kind?: "voice", caption?, …}`, or several: `{files: [{name, content}], …}`."""
        person, conversation = self.place(body)
        made = []
        for given in body.get("files") or [body]:
            try:
                content = base64.b64decode(given["content"], validate=True)
            except binascii.Error as error:
                raise ValueError(f"the content of {given['name']} is not base64") from error
            is_voice = given.get("kind") == "voice"
            media_type = str(given.get("media_type") or ("audio/mp4" if is_voice else ""))
            file = new_file(self._world, person["id"], str(given["name"]), len(content), media_type=media_type)
            fill(file, content)
            if is_voice:
                file.info |= VOICE
            made.append(file)
        fields = {
            **author(self._world, person["id"]),
            **self._typed(str(body.get("caption") or body.get("text") or "")),
        }
        message = share(self._world, conversation, made, fields, _thread(body))
        return {**_said(conversation, message), "file_ids": [file.info["id"] for file in made]}

    def press(self, body: Json) -> Json:
        """`{label | value, message_id?, person?, chat?}`."""
        return self._interactions.press(*self.place(body), body)

    def edit(self, body: Json) -> Json:
        """`{message_id, text, person?, chat?}`: one's own message only."""
        person, conversation = self.place(body)
        message = self._own(conversation, person, body, "cant_update_message")
        change(self._world, conversation, message, self._typed(str(body["text"])), editor=person["id"])
        return _said(conversation, message)

    def delete(self, body: Json) -> Json:
        """`{message_id, person?, chat?}`: one's own message; an owner deletes any."""
        person, conversation = self.place(body)
        if person["is_owner"]:
            message = conversation.message(str(body["message_id"]))
        else:
            message = self._own(conversation, person, body, "cant_delete_message")
        remove(self._world, conversation, message)
        return {}

    def react(self, body: Json) -> Json:
        """`{message_id, emoji, take?, person?, chat?}`: a reaction by its name, with colons or without."""
        person, conversation = self.place(body)
        message = conversation.message(str(body["message_id"]))
        react(
            self._world, conversation, message, person["id"], str(body["emoji"]).strip(":"), take=bool(body.get("take"))
        )
        return {}

    def pass_on(self, body: Json) -> Json:
        """`{message_id, chat, to, text?, person?}`: a message is shared into another conversation."""
        person, conversation = self.place(body)
        message, to = conversation.message(str(body["message_id"])), self._world.conversation(str(body["to"]))
        if person["id"] not in to.members:
            raise Refusal("not_in_channel")
        by = self._world.people[str(message["user"])]
        shared: Json = {"ts": message["ts"], "channel_id": conversation.id, "text": message["text"], "id": 1}
        shared |= {"author_id": by["id"], "author_name": by["real_name"], "author_subname": by["name"]}
        shared |= {"is_share": True, "is_msg_unfurl": True, "fallback": message["text"], "mrkdwn_in": ["text"]}
        fields = {**author(self._world, person["id"]), **self._typed(str(body.get("text") or ""))}
        return _said(to, post(self._world, to, {**fields, "attachments": [shared]}, _thread(body)))

    def unfurl(self, body: Json) -> Json:
        """`{message_id, url, title?, person?, chat?}`: the platform shows what a link leads to; nobody has edited."""
        _, conversation = self.place(body)
        shown = {
            "id": 1,
            "from_url": str(body["url"]),
            "title": str(body.get("title", "")),
            "original_url": body["url"],
        }
        change(self._world, conversation, conversation.message(str(body["message_id"])), {"attachments": [shown]})
        return {}

    def join(self, body: Json) -> Json:
        """`{person, chat, inviter?}`: a person, or the bot, comes into a conversation."""
        person, conversation = self._world.person(str(body["person"])), self._world.conversation(str(body["chat"]))
        if person["id"] in conversation.members:
            raise Refusal("already_in_channel")
        inviter = self._world.person(str(body["inviter"]))["id"] if body.get("inviter") else ""
        join(self._world, conversation, person["id"], inviter)
        return {}

    def leave(self, body: Json) -> Json:
        """`{person, chat}`: a person, or the bot, goes."""
        _, conversation = self.place(body)
        leave(self._world, conversation, self._world.person(str(body["person"]))["id"])
        return {}

    def command(self, body: Json) -> Json:
        """`{name, text?, person?, chat?}`: a slash command."""
        return self._interactions.command(*self.place(body), str(body["name"]), str(body.get("text") or ""))

    def submit(self, body: Json) -> Json:
        """`{view_id?, values?, person?}`: the modal that is open, or a named one."""
        person = self._world.person(str(body.get("person") or ANNA))
        view_id = body.get("view_id") or next(reversed(self._world.views), "")
        if view_id not in self._world.views:
            raise ValueError("no modal is open")
        return self._interactions.submit(person, self._world.views[view_id], dict(body.get("values") or {}))

    def open_home(self, body: Json) -> Json:
        """`{person?}`: a look at the app's home."""
        person = self._world.person(str(body.get("person") or ANNA))
        event: Json = {"type": "app_home_opened", "user": person["id"], "tab": "home", "event_ts": self._world.new_ts()}
        event["channel"] = self._world.direct_with(person["id"]).id
        if person["id"] in self._world.homes:
            event["view"] = self._world.homes[person["id"]]
        self._world.publish(event)
        return {"view": self._world.homes.get(person["id"])}

    def new_person(self, body: Json) -> Json:
        """`{name}`: somebody new in the workspace."""
        name = str(body["name"])
        if any(name.lower() == person["name"] for person in self._world.people.values()):
            raise ValueError(f"there is a {name} already")
        person = person_info(self._world.new_id("U"), name)
        self._world.people[person["id"]] = person
        self._world.publish({"type": "team_join", "user": person, "event_ts": self._world.new_ts()})
        return {"id": person["id"], "chat": self._world.direct_with(person["id"]).id}

    def new_room(self, body: Json) -> Json:
        """`{name, people?: [...], private?, id?}`: a channel with these people, else everybody, and the bot in it."""
        name = str(body["name"])
        chat_id = str(body.get("id") or self._world.new_id("C"))
        if chat_id in self._world.conversations:
            raise ValueError(f"there is a conversation {chat_id} already")
        people = [self._world.person(str(named))["id"] for named in body.get("people") or self._world.people]
        info = channel_info(self._world, chat_id, name, people[0], is_private=bool(body.get("private")))
        self._world.add(Conversation(info=info, members=list(dict.fromkeys([*people, BOT_USER_ID]))))
        return {"chat": chat_id}

    def _own(self, conversation: Conversation, person: Json, body: Json, error: str) -> Json:
        message = conversation.message(str(body["message_id"]))
        if message.get("user") != person["id"]:
            raise Refusal(error)
        return message

    def _typed(self, text: str) -> Json:
        people = {
            str(person[name]).lower(): user_id
            for user_id, person in self._world.people.items()
            for name in ("name", "real_name")
        }
        channels = {
            str(conversation.info["name"]): conversation.id
            for conversation in self._world.conversations.values()
            if "name" in conversation.info
        }
        stored = typed_text(text, people, channels)
        return {"text": stored, "blocks": rich_text(stored)} if stored else {"text": ""}


def _thread(body: Json) -> str:
    return str(body.get("thread") or body.get("reply_to") or "")


def _said(conversation: Conversation, message: Json) -> Json:
    ts = message["ts"]
    return {"message_ids": [ts], "message_id": ts, "chat": conversation.id, "thread": message.get("thread_ts")}
