"""`approvals`, `approve`, `deny` and `constraint`, as a person types them; with the host down the proxy is asked."""

from __future__ import annotations

import json

from protocol.ids import GroupId
from runtime.approvals.records import Approval, NewApproval
from tests.cli.conftest import Run
from tests.scripted_house import House


async def asked(house: House, number: int = 1, **more: object) -> Approval:
    new: dict[str, object] = {
        "kind": "tool",
        "group_id": GroupId("main"),
        "payload": {"tool": "shell", "arguments": {"command": f"push {number}\u202e"}},
        "summary": "It would call `shell`.",
        "scope_offers": ("command",),
    }
    return await house.decisions.approvals.ask(NewApproval(**{**new, **more}))  # type: ignore[arg-type]  # as given


async def test_list_show_and_decide(nightyard: Run, house: House) -> None:
    """What waits with all of it, made visible; yes and no; then how it was decided."""
    assert "for your word" not in (await nightyard("status")).out
    one, other = await asked(house), await asked(house, 2)
    assert "2 waiting for your word: `nightyard approvals`" in (await nightyard("status")).out
    listed = await nightyard("approvals")
    assert one.approval_id in listed.out
    assert "command: push 1⟨U+202E⟩" in listed.out
    assert f"./nightyard approve {other.approval_id}" in listed.out
    assert (await nightyard("approve", one.approval_id)).out == f"{one.approval_id}: yes.\n"
    assert (
        await nightyard("deny", other.approval_id.lower(), "--because", "no need")
    ).out == f"{other.approval_id}: no.\n"
    twice = await nightyard("approve", one.approval_id)
    assert twice.code == 1
    assert "was approved by cli" in twice.err
    shown = await nightyard("approvals", "show", other.approval_id)
    assert "denied by cli" in shown.out
    assert "no need" in shown.out
    assert "Nothing waits" in (await nightyard("approvals")).out


async def test_remember_and_forget(nightyard: Run, house: House) -> None:
    """A yes for longer is listed with its number, and ends by it."""
    one = await asked(house)
    assert (await nightyard("approve", one.approval_id, "--scope", "command", "--until", "week")).code == 0
    ended = await nightyard("approvals", "--ended")
    assert "command: yes by cli, until 2" in ended.out and "It would call shell." in ended.out
    number = json.loads((await nightyard("approvals", "--ended", "--json")).out)["remembered"][0]["decision"]
    assert "does not hold any more" in (await nightyard("approvals", "--forget", str(number))).out
    again = await nightyard("approvals", "--forget", str(number))
    assert (again.code, "no decision" in again.err) == (1, True)
    other = await asked(house, 2)
    assert (await nightyard("approve", other.approval_id, "--scope", "command", "--until", "always")).code == 0
    assert "command: yes by cli, for good" in (await nightyard("approvals", "--ended")).out


async def test_what_is_not_there_is_said(nightyard: Run, house: House) -> None:
    """An unknown code, a reach that is not offered, two codes: each with what helps."""
    one = await asked(house)
    for arguments, told in (
        (("approve", "00000000"), "there is no approval"),
        (("approvals", "00000000"), "there is no approval"),
        (("approve", one.approval_id, "--scope", "host", "--until", "day"), "cannot be remembered by its host"),
        (("approvals", "show"), "name one approval"),
        (("approve",), "say what to let go"),
    ):
        ran = await nightyard(*arguments)
        assert ran.code == 1
        assert told in ran.err
        assert "mend:" in ran.err


async def test_constraints(nightyard: Run, house: House) -> None:
    """Added, listed, lifted; what is no constraint is refused with an example."""
    made = await nightyard("constraint", "add", "main", "command", "git push", "ask", "owner", "2h")
    code = made.out.split()[0]
    assert 'command "git push": ask owner, for 2h' in (await nightyard("constraint")).out
    assert "cli" in (await nightyard("constraint", "list", "main")).out
    assert (await nightyard("constraint", "remove", "main", code)).code == 0
    assert (await nightyard("constraint", "list")).out == "No constraints hold.\n"
    wrong = await nightyard("constraint", "add", "main", "planet", "mars")
    assert (wrong.code, "names no tool" in wrong.err) == (1, True)
    assert (await nightyard("constraint", "add", "nobody", "tool", "shell")).code == 1


async def test_with_host_and_proxy_down_it_says_so(nightyard: Run) -> None:
    """Nobody can be asked: the one command that helps, and the exit code for it."""
    for arguments in (("approvals",), ("approve", "k3f9qa"), ("deny", "k3f9qa")):
        ran = await nightyard(*arguments)
        assert ran.code == 3
        assert "mend: ./nightyard up" in ran.err
