"""The phone: one small web page that every twin serves at /twin/phone, on the user's side that all twins share.

What the page reads, on every twin (more is welcome, and shown raw):

GET world  `{"platform": "telegram"|"discord"|"slack", "bot": {"id", "name"}, "people": [{"id", "name"}],
           "chats": [{"id", "name", "kind": "direct"|"many", "people": [ids], "threads": [{"id", "name"}]}]}`
           and, where the page is served at another address too, "phone": that address
GET chat   `?chat=&thread=&person=&after=&wait_s=` `{"messages": [message], "typing": bool, "draft": text}`, a message
           being `{"id", "from": id, "is_bot", "text", "buttons": [{"label", "value", "row"?}], "edited": bool,
           "files": [{"id", "name", "kind"?}], "reactions": {emoji: [ids]}, "reply_to"?: id, "thread"?: id,
           "at"?: seconds, "entities"?: Telegram's, "ephemeral"?: bool, "raw": {…}}`
GET log    `?after=&wait_s=`: the page waits there for anything to happen, then reads the chat anew
GET file   `?id=`: the bytes
POST type upload press edit delete react join leave clock: see a twin's user side; ids are texts or numbers, as given
"""
