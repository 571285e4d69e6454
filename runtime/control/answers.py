"""The verbs of agents' questions to people: what waits, and an answer from the machine."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.codec import Json
from runtime.asks.questions import UserQuestions, over
from runtime.control.verb import VerbTable, verb


@dataclass(frozen=True, slots=True, kw_only=True)
class ListArguments:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerArguments:
    question: str
    """Its code."""
    text: str
    """An option, its number, or other words."""


def answer_verbs(questions: UserQuestions) -> VerbTable:
    """Return the verbs of questions."""

    async def list_all(_: ListArguments) -> Json:
        return {
            "questions": [
                {
                    "question": each.code,
                    "group": each.group_id,
                    "task": each.task_id,
                    "chat": each.chat,
                    "text": each.text,
                    "options": list(each.options),
                }
                for each in questions.all()
            ]
        }

    async def answer(given: AnswerArguments) -> Json:
        question = questions.find(given.question)
        if question is None:
            raise over(given.question)
        return {"question": question.code, "answer": await questions.answer(question, given.text, None)}

    return {"question_list": verb(ListArguments, list_all), "question_answer": verb(AnswerArguments, answer)}
