"""What stands in a system prompt, in which order."""

from __future__ import annotations

from agents.skillbook import system_prompt
from protocol.ids import AttemptId, GroupId, TaskId
from protocol.link import Assignment, SkillCard
from protocol.record import replace
from protocol.task import ModelRoute, Task

TASK = Task(task_id=TaskId("t"), group_id=GroupId("g"), submitter="cli", session_id=None, prompt="hi")
ROUTE = ModelRoute(route="r", api="openai", model="m")
ASSIGNMENT = Assignment(attempt_id=AttemptId("a"), attempt_number=1, task=TASK, instructions="Be kind.\n", model=ROUTE)


def test_the_layers_come_in_order() -> None:
    """Instructions, cards of the skills, notes: what changes most often stands last, for the provider's cache."""
    whole = replace(ASSIGNMENT, skills=(SkillCard(name="tea", description="Makes tea."),), notes="# Notes\n\nAnn.")
    text = system_prompt(whole)
    assert text.index("Be kind.") < text.index("- tea: Makes tea.") < text.index("# Notes")
    assert text.endswith("Ann.")


def test_what_is_not_there_leaves_nothing() -> None:
    """Without skills and notes the instructions stand alone."""
    assert system_prompt(ASSIGNMENT) == "Be kind."
