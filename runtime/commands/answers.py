"""The command that answers an agent's question."""

from __future__ import annotations

from protocol.plain_text import escape
from runtime.asks.questions import UserQuestions, over
from runtime.commands.desk import Answer, Given, HandlerTable
from runtime.refusal import OperationRefused

MAX_SHOWN_CHARS = 200


def answer_handlers(questions: UserQuestions) -> HandlerTable:
    async def answer(given: Given) -> Answer:
        first, _, rest = given.command.rest.partition(" ")
        named, here = questions.find(first), questions.all(given.message.inbound.chat)
        if named is not None:
            question, words = named, rest
        elif not first:
            lines = [f"`{each.code}` {escape(each.text[:MAX_SHOWN_CHARS])}" for each in here]
            return Answer(text="\n".join(lines) or NONE)
        elif len(here) == 1 and given.message.inbound.kind != "press":
            question, words = here[0], given.command.rest
        elif here:
            raise OperationRefused("which_question", f"{len(here)} questions wait here", "/answer CODE WORDS")
        else:
            raise over(first)
        return Answer(text=f"Answered: {escape(await questions.answer(question, words, given.message))}")

    return {"answer": answer}


NONE = "No question waits for an answer here."
