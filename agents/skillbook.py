"""The group's skills: shown as cards, opened on demand.

A skill is a folder under /skills with a SKILL.md (Agent Skills format). The host has read the cards; here only files
are opened. What may be opened is decided in `tools/opened_file.py`.
"""

from __future__ import annotations

from protocol.link import Assignment


def system_prompt(assignment: Assignment) -> str:
    """Return the instructions, the cards of the skills, the notes."""
    cards = [f"- {card.name}: {card.description}" for card in assignment.skills]
    shown = ["", "Skills, to be opened with the skill tool when they fit:", *cards] if cards else []
    notes = ["", assignment.notes] if assignment.notes else []
    return "\n".join([assignment.instructions.rstrip(), *shown, *notes])
