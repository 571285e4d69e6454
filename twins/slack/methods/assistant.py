"""What an assistant shows beside its words: a status while it works, a title, prompts to begin with."""

from __future__ import annotations

from twins.slack.methods.method import Call, Json, Method
from twins.slack.refusal import Refusal
from twins.slack.world import Conversation

STATUS_S = 120.0
"""How long a status stays where no answer takes it away."""
MAX_PROMPTS = 4


def set_status(call: Call) -> Json:
    """Show a status in a thread until the app answers there; an empty one takes it away."""
    conversation, thread_ts = _thread(call)
    status = call.arguments.text("status")
    conversation.statuses[thread_ts] = (status, call.world.clock.now() + STATUS_S)
    call.world.log.note("status", channel=conversation.id, thread=thread_ts, status=status)
    return {}


def set_title(call: Call) -> Json:
    conversation, thread_ts = _thread(call)
    call.world.log.note("title", channel=conversation.id, thread=thread_ts, title=call.arguments.needed("title"))
    return {}


def set_suggested_prompts(call: Call) -> Json:
    conversation, thread_ts = _thread(call)
    prompts = call.arguments.nested("prompts", "invalid_arguments")
    if not isinstance(prompts, list) or not 0 < len(prompts) <= MAX_PROMPTS:
        raise Refusal("invalid_arguments", messages=[f"must have 1 to {MAX_PROMPTS} items [json-pointer:/prompts]"])
    call.world.log.note("prompts", channel=conversation.id, thread=thread_ts, prompts=prompts)
    return {}


def _thread(call: Call) -> tuple[Conversation, str]:
    conversation = call.joined("channel_id")
    thread_ts = call.arguments.text("thread_ts")
    if thread_ts not in conversation.messages:
        raise Refusal("invalid_thread_ts")
    return conversation, thread_ts


WRITES = ("assistant:write",)
METHODS = {
    "assistant.threads.setStatus": Method(function=set_status, tier=0, scopes=("chat:write",), kinds=("bot",)),
    "assistant.threads.setTitle": Method(function=set_title, tier=4, scopes=WRITES, kinds=("bot",)),
    "assistant.threads.setSuggestedPrompts": Method(
        function=set_suggested_prompts, tier=4, scopes=WRITES, kinds=("bot",)
    ),
}
