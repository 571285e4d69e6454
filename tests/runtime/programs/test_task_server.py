"""task.sock over real sockets: programs submit, read results, follow events, cancel, and see nothing of each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from client.errors import HostNotRunning, HostUnreadable, Refused
from client.tasks import TaskClient
from protocol.frames import PROTOCOL_VERSION, encode_frame
from protocol.ids import SubmissionId
from protocol.task import Limits, TaskStatus, Usage
from protocol.tasks import TASK_SERVER_FRAMES, Open, Submit, TaskProblem
from runtime.approvals.records import CLI
from runtime.group import Groups
from runtime.programs.records import OPERATOR, sha256_of
from runtime.programs.task_server import TaskServer
from runtime.refusal import OperationRefused
from runtime.skills.content import hash_skill
from tests.runtime.judged import judged
from tests.runtime.programs.support import MAIN, SIDE, Yard, yard

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@asynccontextmanager
async def served(folder: Path, path: Path | None = None) -> AsyncIterator[tuple[Yard, Path]]:
    """A yard with its door open."""
    socket = path or folder / "task.sock"
    async with yard(folder) as one:
        server = TaskServer(socket, one.desk, max_connections=8)
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(server.run())
            await server.listening.wait()
            try:
                yield one, socket
            finally:
                serving.cancel()


async def client_of(one: Yard, socket: Path, name: str = "pipes") -> TaskClient:
    _, token = await one.programs.add(name, [MAIN], "cli")
    return TaskClient(socket, token=token)


async def test_a_task_is_submitted_and_its_result_comes_in_an_envelope(tmp_path: Path) -> None:
    """The envelope says by what it was made: group, mode, skill, model, use, hashes, times."""
    async with served(tmp_path) as (one, socket):
        client = await client_of(one, socket)
        submitted = await client.submit("main", "say all done", skill="tidy")
        envelope = await client.wait(submitted.submission)
        assert submitted.is_new and envelope.state == "ended" and envelope.result is not None
        assert (envelope.result.status, envelope.result.text) == (TaskStatus.REPLY, "all done")
        assert (envelope.group, envelope.mode, envelope.skill) == (MAIN, "autonomous", "tidy")
        assert (envelope.provider, envelope.model, envelope.models_used) == ("anthropic", "claude-9", ("claude-9",))
        assert envelope.usage == Usage(model_calls=1, input_tokens=12, cost_usd=0.25)
        assert envelope.input_sha256 == sha256_of("say all done") and len(envelope.skill_sha256) == 64
        assert len(envelope.prompt_sha256) == 64 and envelope.attempts == 1
        assert envelope.started_at and envelope.ended_at
        assert envelope.submitted_at <= envelope.started_at <= envelope.ended_at


async def test_the_envelope_says_what_was_held_and_what_answered(tmp_path: Path) -> None:
    """Mode and skill are those that the attempt began with, whatever they were when it was submitted; provider and
    model those of the last answer, whatever was asked first; task and attempt are the store's."""
    async with served(tmp_path) as (one, socket):
        client = await client_of(one, socket)
        one.work.may_work.clear()
        one.work.dark, one.work.route = ("claude-8",), "spare"
        submitted = await client.submit("main", "say done", skill="tidy")
        queued = await client.result(submitted.submission)
        assert (queued.state, queued.task, queued.attempt, queued.mode) == ("queued", None, None, "autonomous")
        assert (queued.provider, queued.model, queued.started_at) == ("", "", None)
        (one.fork / "skills" / "tidy" / "SKILL.md").write_text("---\ndescription: Tidies.\n---\nTidy more.\n")
        ready = one.around.groups.ready
        one.around.groups = Groups(ready={**ready, MAIN: replace(ready[MAIN], mode="copilot")}, suspended={})
        one.work.may_work.set()
        envelope = await client.wait(submitted.submission)
        assert envelope.mode == "copilot"
        assert envelope.skill_sha256 == hash_skill(one.fork, MAIN, "tidy") != queued.skill_sha256
        assert (envelope.provider, envelope.model) == ("spare", "claude-9")
        assert envelope.models_used == ("claude-8", "claude-9")
        assert envelope.usage == Usage(model_calls=3, input_tokens=12, cost_usd=0.25)
        assert envelope.task is not None
        task, (attempt,) = await one.store.task(envelope.task), await one.store.attempts_of(envelope.task)
        assert task is not None and task.submission_id == submitted.submission
        assert (envelope.attempt, envelope.attempts) == (attempt.attempt_id, 1)
        assert (envelope.started_at, envelope.ended_at) == (task.created_at, task.ended_at)


async def test_the_same_key_is_the_same_task(tmp_path: Path) -> None:
    """Asked again under its key nothing is done twice; other work under the key is refused."""
    async with served(tmp_path) as (one, socket):
        client = await client_of(one, socket)
        first = await client.submit("main", "say x", idempotency_key="k1")
        again = await client.submit("main", "say x", idempotency_key="k1")
        assert again.submission == first.submission and not again.is_new
        with pytest.raises(Refused) as refused:
            await client.submit("main", "say y", idempotency_key="k1")
        assert refused.value.code == "key_reused"


async def test_a_result_is_checked_against_its_schema(tmp_path: Path) -> None:
    """One that fits is structured; one that does not is failed with its code, kept, and nobody is asked again."""
    async with served(tmp_path) as (one, socket):
        client = await client_of(one, socket)
        good = await client.submit("main", 'json {"n": 3}', result_schema=SCHEMA)
        bad = await client.submit("main", 'json {"n": "three"}', result_schema=SCHEMA)
        found = (await client.wait(good.submission)).result
        assert found is not None and found.status is TaskStatus.STRUCTURED and found.structured == {"n": 3}
        kept = await client.wait(bad.submission)
        assert kept.result is not None and kept.attempts == 1
        assert (kept.result.status, kept.result.code) == (TaskStatus.FAILED, "result_invalid")
        assert kept.result.structured == judged({"n": "three"})
        with pytest.raises(Refused) as refused:
            await client.submit("main", "x", result_schema={"type": "objekt"})
        assert refused.value.code == "wrong_schema"


async def test_a_json_input_is_shown_as_json(tmp_path: Path) -> None:
    """What is not text reaches the agent as JSON, and its hash is of its one text."""
    async with served(tmp_path) as (one, socket):
        client = await client_of(one, socket)
        envelope = await client.wait((await client.submit("main", {"b": 1, "a": [True]})).submission)
        assert envelope.result is not None and '"a": [' in envelope.result.text
        assert envelope.input_sha256 == sha256_of({"a": [True], "b": 1})


async def test_events_are_told_once_and_none_is_lost(tmp_path: Path) -> None:
    """From any cursor on the rest is told in order; a follower hears of what comes."""
    async with served(tmp_path) as (one, socket):
        client = await client_of(one, socket)
        first = await client.submit("main", "say one")
        await client.wait(first.submission)
        told = [event async for event in client.events(wait=False)]
        assert [event.kind for event in told] == [
            "submission_queued",
            "task_started",
            "attempt_started",
            "attempt_running",
            "task_ended",
            "attempt_ended",
        ]
        rest = [event async for event in client.events(told[2].cursor, wait=False)]
        assert rest == told[3:]
        async with asyncio.timeout(5):
            second = await client.submit("main", "say two")
            heard = []
            async for event in client.events(told[-1].cursor):
                heard.append(event)
                if event.kind == "task_ended":
                    break
        assert {event.submission for event in heard} == {second.submission}
        only = [event async for event in client.events(submission=first.submission, wait=False)]
        assert only == told


async def test_a_follower_goes_on_after_a_restart(tmp_path: Path) -> None:
    """While the host is away a follower waits, then hears the rest, each thing once."""
    socket = tmp_path / "task.sock"
    async with served(tmp_path, socket) as (one, _):
        client = await client_of(one, socket)
        await client.wait((await client.submit("main", "say one")).submission)
        stream = client.events()
        seen = [await anext(stream)]
    async with served(tmp_path, socket) as (_, _), asyncio.timeout(10):
        last = await client.submit("main", "say two")
        async for event in stream:
            seen.append(event)
            if event.submission == last.submission and event.kind == "task_ended":
                break
    cursors = [event.cursor for event in seen]
    assert cursors == sorted(set(cursors)) and len(seen) == 11


async def test_a_wait_goes_on_after_a_restart(tmp_path: Path) -> None:
    """A submission is on disk when it is answered: the next host does it, and who waits gets it."""
    socket = tmp_path / "task.sock"
    async with served(tmp_path, socket) as (one, _):
        client = await client_of(one, socket)
        one.work.may_work.clear()
        submitted = await client.submit("main", "say later")
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(client.wait(submitted.submission))
        async with served(tmp_path, socket), asyncio.timeout(10):
            envelope = await waiting
    assert envelope.result is not None and envelope.result.text == "later"


async def test_cancel_ends_what_waits_and_what_runs(tmp_path: Path) -> None:
    """Either way it ends once, as stopped; what has ended stays as it ended."""
    async with served(tmp_path) as (one, socket), asyncio.timeout(10):
        client = await client_of(one, socket)
        running = await client.submit("main", "slow")
        await one.work.working.wait()
        waiting = await client.submit("main", "say never")
        await client.cancel(waiting.submission, "not needed")
        await client.cancel(running.submission)
        for each in (waiting, running):
            result = (await client.wait(each.submission)).result
            assert result is not None and result.status is TaskStatus.STOPPED
        assert one.work.cancelled[0] == "cancelled by the program pipes: not needed"
        done = await client.submit("main", "say x")
        await client.wait(done.submission)
        assert (await client.cancel(done.submission)).state == "ended"


@pytest.mark.parametrize(
    ("word", "got"),
    [
        ("yes", ("reply", "Deer customer", "")),
        ("edit", ("reply", "Dear customer", "")),
        ("no", ("failed", "", "review_denied")),
        ("cancel", ("failed", "", "review_withdrawn")),
    ],
)
async def test_what_a_program_gets_of_a_copilot_waits_for_a_review(
    tmp_path: Path, word: str, got: tuple[str, str, str]
) -> None:
    """It stands as `in_review` without its result until an owner has decided, and the wait goes on meanwhile."""
    async with served(tmp_path) as (one, socket):
        approvals = await one.begin_reviews()
        client = await client_of(one, socket)
        submission = (await client.submit("main", "say Deer customer")).submission
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(client.wait(submission))
            await one.until(lambda: _is_true(approvals.waiting()))
            envelope = await client.result(submission)
            assert (envelope.state, envelope.result) == ("in_review", None)
            (asked,) = await approvals.waiting()
            assert (asked.kind, asked.payload) == ("review", {"to": "program:pipes", "text": "Deer customer"})
            assert not waiting.done()
            if word == "cancel":
                await client.cancel(submission)
            else:
                edited = "Dear customer" if word == "edit" else None
                await approvals.decide(asked.approval_id, CLI, is_yes=word != "no", edited=edited)
            ended = await waiting
        assert ended.state == "ended" and ended.result is not None
        assert (ended.result.status, ended.result.text, ended.result.code) == got
        kinds = [event.kind async for event in client.events(submission=submission, wait=False)]
        assert kinds.index("task_ended") < kinds.index("approval_asked") < len(kinds) - 1


async def test_a_structure_is_reviewed_as_it_is(tmp_path: Path) -> None:
    """No reviewer's words take its place; a failure of the task itself is told at once, and so is what the owner at the
    machine or an attended program asked for."""
    async with served(tmp_path) as (one, socket):
        approvals = await one.begin_reviews()
        client = await client_of(one, socket)
        failed = await client.wait((await client.submit("main", "fail")).submission)
        assert failed.result is not None and failed.result.code == "agent_crashed"
        submission = (await client.submit("main", 'json {"n": 1}', result_schema=SCHEMA)).submission
        await one.until(lambda: _is_true(approvals.waiting()))
        (asked,) = await approvals.waiting()
        assert isinstance(asked.payload, dict)
        assert (asked.payload["to"], asked.payload["result"]) == ("program:pipes", {"n": 1})
        assert asked.payload["judgement"]["why"] == "It was counted."
        with pytest.raises(OperationRefused, match="no output of which one person could change the words"):
            await approvals.decide(asked.approval_id, CLI, is_yes=True, edited="{}")
        await approvals.decide(asked.approval_id, CLI, is_yes=True)
        ended = await client.wait(submission)
        assert ended.result is not None and ended.result.structured == {"n": 1}
        _, token = await one.programs.add("editor", [MAIN], "cli", is_attended=True)
        attended = TaskClient(socket, token=token)
        seen = await attended.wait((await attended.submit("main", "say hello")).submission)
        assert seen.result is not None and seen.result.text == "hello"
        own = await one.desk.submit(OPERATOR, Submit(group=MAIN, input="say hello"))
        assert (await one.desk.result(OPERATOR, own.submission, 10)).state == "ended"
        assert await approvals.waiting() == ()


async def _is_true(asked: Awaitable[object]) -> bool:
    return bool(await asked)


async def test_programs_see_their_own_work_alone(tmp_path: Path) -> None:
    """A group that is not granted, and another program's submission, are refused; the owner sees all."""
    async with served(tmp_path) as (one, socket):
        client, other = await client_of(one, socket), await client_of(one, socket, "other")
        with pytest.raises(Refused) as refused:
            await client.submit("side", "say x")
        assert refused.value.code == "not_granted"
        theirs = await other.submit("main", "say x")
        for ask in (client.result(theirs.submission), client.cancel(theirs.submission)):
            with pytest.raises(Refused) as refused:
                await ask
            assert refused.value.code == "unknown_submission"
        assert [event async for event in client.events(wait=False)] == []
        assert (await one.desk.result(OPERATOR, theirs.submission)).submission == theirs.submission


async def test_a_token_opens_and_a_wrong_one_does_not(tmp_path: Path) -> None:
    """By token, or by name where there is none; a revoked program is refused at once, also on an open connection."""
    async with served(tmp_path) as (one, socket):
        client = await client_of(one, socket)
        await one.programs.add("plain", [MAIN, SIDE], "cli", has_token=False)
        assert (await TaskClient(socket, program="plain").health()).groups == {MAIN: "ready", SIDE: "ready"}
        for wrong, code in (
            (TaskClient(socket, token="nyp_" + "a" * 52), "wrong_token"),
            (TaskClient(socket, token="x"), "wrong_token"),
            (TaskClient(socket, program="pipes"), "token_wanted"),
            (TaskClient(socket, program="nobody"), "unknown_program"),
        ):
            with pytest.raises(Refused) as refused:
                await wrong.health()
            assert refused.value.code == code
        await one.programs.revoke("pipes", "cli")
        with pytest.raises(Refused):
            await client.submit("main", "say x")
        again, token = await one.programs.add("pipes", [SIDE], "cli")
        assert again.groups == (SIDE,) and (await TaskClient(socket, token=token).health()).queued == 0


async def test_what_is_out_of_bounds_is_refused(tmp_path: Path) -> None:
    """Limits, attempts, effects and models are checked when it is submitted, each with its code."""
    async with served(tmp_path) as (one, socket):
        client = await client_of(one, socket)
        for options, code in (
            ({"max_attempts": 99}, "wrong_attempts"),
            ({"model_hint": "nowhere/x"}, "unknown_model"),
            ({"skill": "none"}, "unknown_skill"),
            ({"limits": Limits(model_calls=0)}, "wrong_limits"),
            ({"idempotency_key": "k" * 300}, "wrong_key"),
        ):
            with pytest.raises(Refused) as refused:
                await client.submit("main", "say x", **options)
            assert refused.value.code == code
        one.is_stopping = True
        with pytest.raises(Refused) as refused:
            await client.submit("main", "say x")
        assert refused.value.code == "stopping"


async def test_what_cannot_be_stored_is_refused_and_nothing_is_begun(tmp_path: Path) -> None:
    """Half characters and numbers that JSON lacks are said to be wrong, by the client and by the host."""
    async with served(tmp_path) as (one, socket):
        client = await client_of(one, socket)
        for wrong in ("half \ud800", {"a": [float("inf")]}):
            with pytest.raises(Refused) as refused:
                await client.submit("main", wrong)
            assert refused.value.code == "not_json"
        _, token = await one.programs.add("raw", [MAIN], "cli")
        for body in (
            b'{"type":"submit","group":"main","input":{"a":"\\ud800"}}',
            b'{"type":"submit","group":"main","input":NaN}',
        ):
            reader, writer = await asyncio.open_unix_connection(socket)
            writer.write(
                encode_frame(Open(protocol=PROTOCOL_VERSION, token=token)) + len(body).to_bytes(4, "big") + body
            )
            answer = await reader.read()
            writer.close()
            assert b"wrong_shape" in answer
        assert [event async for event in client.events(wait=False)] == []


async def test_a_client_that_goes_frees_its_place(tmp_path: Path) -> None:
    """A follower that vanishes is noticed, without a word being sent to it."""
    async with served(tmp_path) as (one, socket), asyncio.timeout(10):
        client = await client_of(one, socket)
        for _ in range(20):
            stream = client.events()
            reading = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0)
            reading.cancel()
        assert (await client.health()).running == 0


async def test_bytes_that_are_no_frames_end_one_connection(tmp_path: Path) -> None:
    """Rubbish, another version, a question before Open: answered with a code, and others are served."""
    async with served(tmp_path) as (one, socket):
        client = await client_of(one, socket)
        for sent, code in (
            (b"GET / HTTP/1.1\r\n\r\n", "oversized"),
            (encode_frame(Open(protocol="9.0")), "wrong_version"),
            (b"\x00\x00\x00\x02{}", "unknown_type"),
        ):
            reader, writer = await asyncio.open_unix_connection(socket)
            writer.write(sent)
            async with asyncio.timeout(5):
                answer = await reader.read()
            writer.close()
            problem = TASK_SERVER_FRAMES.decode(answer[4:])
            assert isinstance(problem, TaskProblem) and problem.code == code
        assert (await client.health()).protocol == PROTOCOL_VERSION


async def test_without_a_host_the_client_says_so(tmp_path: Path) -> None:
    """Nobody there is an error with a name, for a question; events without waiting too."""
    client = TaskClient(tmp_path / "task.sock", program="x")
    with pytest.raises(HostNotRunning):
        await client.result(SubmissionId("sub_x"))
    with pytest.raises((HostNotRunning, HostUnreadable)):
        [event async for event in client.events(wait=False)]
