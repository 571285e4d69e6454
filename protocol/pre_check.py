"""The pre-check of a task: a script that runs before any model is asked, and what its end says. Pure.

Exit code 0: there is something to do, and what the script wrote goes to the model with the prompt. SKIP_EXIT_CODE:
nothing is to be done, and no model is called. Any other: the task fails. The script's run is stored as a tool call of
its own name, so that a second attempt does not run it again, and so that the host knows what the model was shown.
"""

from __future__ import annotations

from collections.abc import Iterable

from protocol.transcript import Step, ToolOutput

SKIP_EXIT_CODE = 78
CALL_ID = "pre_check"
"""Of the steps that record it: no model gives a call this id."""
TIMEOUT_S = 120
SKIPPED = "pre_check_skipped"
"""The code of a task that ended because there was nothing to do."""
FAILED = "pre_check_failed"


def find_output(steps: Iterable[Step]) -> ToolOutput | None:
    """Return what an attempt has stored of the pre-check; None: none has run to its end."""
    outputs = (step.output for step in steps if step.output is not None)
    return next((output for output in outputs if output.call_id == CALL_ID), None)


def prompt_with_output(prompt: str, steps: Iterable[Step]) -> str:
    """Return the prompt as the model reads it: with what the pre-check wrote, if there was one."""
    output = find_output(steps)
    if output is None:
        return prompt
    text = output.text.replace("<", "&lt;")  # whatever it holds, it opens and closes no element of the host's
    return f"{prompt}\n<pre_check_output>\n{text}\n</pre_check_output>"
