"""From a stored request to a submission: real intake, real store, the webhook channel's own decoding."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from channels.webhook.channel import WebhookChannel
from channels.webhook.decode import envelope
from channels.webhook.hook import Hook
from protocol.ids import ChannelId
from runtime.group import Groups
from runtime.hooks.desk import HookDesk
from runtime.hooks.settings import HookSettings
from runtime.intake import Intake
from runtime.intake_ends import IntakeEnds
from runtime.store.letter_rows import dead_update, newest_letters, retry_update
from runtime.store.store import Store, open_store
from runtime.store.submission_rows import StoredSubmission
from runtime.submissions import Submissions
from runtime.task_ends import TaskEnds
from tests.runtime.programs.support import MAIN, Around

HOOKS = ChannelId("hooks")
TIMEOUT_S = 20.0
PLAIN = HookSettings(secret="k", template="{what} went out", reply_to="telegram:7", skill="tidy")


class Queue:
    """The dispatcher's place: it only notes what there is to do."""

    def __init__(self) -> None:
        self.taken: list[StoredSubmission] = []
        self.came = asyncio.Event()

    def submitted(self, submission: StoredSubmission) -> None:
        self.taken.append(submission)
        self.came.set()

    async def cancel(self, submission: StoredSubmission, reason: str) -> bool:
        raise NotImplementedError


class House:
    def __init__(self, store: Store, fork: Path, hook: HookSettings) -> None:
        around = Around()
        group = replace(around.groups.ready[MAIN], hooks={"deploys": hook})
        around.groups = Groups(ready={MAIN: group}, suspended={})
        self.store = store
        self.queue = Queue()
        submissions = Submissions(store, around, self.queue, TaskEnds())
        desk = HookDesk(store, submissions, lambda: around.groups, fork / "groups")
        self.hooks = {"main/deploys": Hook(name="main/deploys", scheme="hmac", secret="k", template=hook.template)}
        channel = WebhookChannel(HOOKS, "http://127.0.0.1:0", lambda: self.hooks, self._no_secret)
        self.intake = Intake(
            store,
            lambda: {HOOKS: channel},
            dict,
            IntakeEnds(queued=self._no_message, command=self._no_command, outbox=lambda: None, work=desk.file),
            inbox=lambda group: fork,
            max_file_bytes=lambda: 1,
            rehearsing=list,
        )

    async def post(self, event_id: str = "main/deploys:d-1", hook: str = "main/deploys", **posted: Any) -> None:
        raw = envelope(hook, "done", "application/json", json.dumps(posted).encode())
        await self.intake.accept(HOOKS, event_id, raw)

    async def until_filed(self) -> None:
        with self.store.watched() as grown:
            async with asyncio.timeout(TIMEOUT_S):
                while await self.store.pending_raws((HOOKS,), 1):
                    await grown.wait()
                    grown.clear()

    async def reasons(self) -> list[str]:
        """Why what was stored could not be work."""
        letters = await self.store.read(newest_letters, 10)
        dead = [await self.store.read(dead_update, each.number) for each in letters]
        return [each.reason for each in dead if each is not None]

    def _no_message(self, message: object) -> None:
        raise AssertionError("nobody said anything")

    async def _no_command(self, message: object) -> None:
        raise AssertionError("nobody gave a command")

    async def _no_secret(self, name: str) -> str:
        raise AssertionError("nothing is signed here")


@asynccontextmanager
async def opened(folder: Path, hook: HookSettings = PLAIN, *, files: bool = True) -> AsyncIterator[House]:
    fork, home = folder / "fork", folder / "home"
    home.mkdir(exist_ok=True)
    (fork / "groups" / MAIN).mkdir(parents=True, exist_ok=True)
    async with open_store(home) as store, asyncio.TaskGroup() as tasks:
        house = House(store, fork, hook)
        filing = tasks.create_task(house.intake.run()) if files else None
        try:
            yield house
        finally:
            if filing is not None:
                filing.cancel()


async def test_a_stored_request_becomes_work_of_its_group(tmp_path: Path) -> None:
    """With the template's words, which nobody is trusted for, its skill, and the chat that reads the answer."""
    async with opened(tmp_path) as house:
        await house.post(what="the gate")
        await house.until_filed()
        (taken,) = house.queue.taken
        new = taken.new
        assert (new.submitter, new.group_id, new.prompt) == ("webhook:main/deploys", MAIN, "the gate went out")
        assert (new.chat, new.skill, new.trust, new.result_schema) == ("telegram:7", "tidy", "untrusted", None)


async def test_a_request_that_comes_twice_is_work_once(tmp_path: Path) -> None:
    """A service that heard nothing posts it again, under the same id."""
    async with opened(tmp_path) as house:
        await house.post(what="the gate")
        await house.post(what="the gate")
        await house.post("main/deploys:d-2", what="the door")
        await house.until_filed()
        assert [each.new.prompt for each in house.queue.taken] == ["the gate went out", "the door went out"]


async def test_a_schema_of_the_group_s_makes_it_a_structured_task(tmp_path: Path) -> None:
    """It is read when the request is filed, so that a change holds for the next."""
    schema = {"type": "object", "properties": {"risk": {"type": "string"}}, "required": ["risk"]}
    async with opened(tmp_path, replace(PLAIN, result_schema="deploy.json")) as house:
        (tmp_path / "fork" / "groups" / MAIN / "deploy.json").write_text(json.dumps(schema))
        await house.post(what="the gate")
        await house.until_filed()
        assert [each.new.result_schema for each in house.queue.taken] == [schema]


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "cannot be read"), ("{", "cannot be read"), ('{"type": 7}', "cannot be used"), ("[" * 5_000, "cannot be")],
)
async def test_a_schema_that_is_none_makes_a_dead_letter(tmp_path: Path, content: str | None, says: str) -> None:
    """What was posted is kept, and the reason names the file or its fault."""
    async with opened(tmp_path, replace(PLAIN, result_schema="deploy.json")) as house:
        if content is not None:
            (tmp_path / "fork" / "groups" / MAIN / "deploy.json").write_text(content)
        await house.post(what="the gate")
        await house.until_filed()
        (reason,) = await house.reasons()
        assert says in reason and not house.queue.taken


async def test_what_is_posted_to_a_hook_that_is_gone_waits_as_a_letter(tmp_path: Path) -> None:
    """Once the hook is back, the letter can be tried again."""
    async with opened(tmp_path) as house:
        known = house.hooks.pop("main/deploys")
        await house.post(what="the gate")
        await house.until_filed()
        (dead,), (reason,) = await house.store.read(newest_letters, 10), await house.reasons()
        assert "main/deploys is not in any" in reason
        house.hooks["main/deploys"] = known
        assert await house.store.write(retry_update, dead, "cli")
        house.intake.recover()
        await house.until_filed()
        assert [each.new.prompt for each in house.queue.taken] == ["the gate went out"]


async def test_a_request_that_says_nothing_makes_a_letter(tmp_path: Path) -> None:
    """A template that is all braces may come out empty."""
    async with opened(tmp_path, replace(PLAIN, template=" ")) as house:
        await house.post(what="the gate")
        await house.until_filed()
        assert await house.reasons() == ["there is nothing to do: the prompt is empty"]


async def test_what_a_host_left_unfiled_is_filed_by_the_next(tmp_path: Path) -> None:
    """It was stored before it was answered: nothing is lost."""
    async with opened(tmp_path, files=False) as house:
        await house.post(what="the gate")
        assert not house.queue.taken
    async with opened(tmp_path) as house:
        await house.until_filed()
        assert [each.new.prompt for each in house.queue.taken] == ["the gate went out"]


async def test_what_is_no_text_is_work_all_the_same(tmp_path: Path) -> None:
    """JSON can carry half a character, which no store can: the intake of all channels goes on."""
    async with opened(tmp_path) as house:
        await house.post(what="the \ud83d gate")
        await house.post("main/deploys:d-2", what="the door")
        await house.until_filed()
        assert [each.new.prompt for each in house.queue.taken] == ["the ? gate went out", "the door went out"]


@pytest.mark.parametrize("kind", ["pipe", "link", "linked folder", "folder", "large"])
async def test_a_schema_that_is_no_file_of_the_group_s_is_not_read(tmp_path: Path, kind: str) -> None:
    """The agent may write there: a pipe would be waited for for ever, a link would tell it a file of the host's."""
    async with opened(tmp_path, replace(PLAIN, result_schema="in/deploy.json")) as house:
        folder, outside = tmp_path / "fork" / "groups" / MAIN / "in", tmp_path / "outside"
        outside.mkdir()
        (outside / "deploy.json").write_text('{"type": "object"}')
        if kind == "linked folder":
            folder.symlink_to(outside)
        else:
            folder.mkdir()
        match kind:
            case "pipe":
                os.mkfifo(folder / "deploy.json")
            case "link":
                (folder / "deploy.json").symlink_to(outside / "deploy.json")
            case "folder":
                (folder / "deploy.json").mkdir()
            case "large":
                (folder / "deploy.json").write_text('{"type": "object", "title": "' + "x" * (64 << 10) + '"}')
        await house.post(what="the gate")
        await house.until_filed()
        (reason,) = await house.reasons()
        assert "in/deploy.json cannot be read" in reason and not house.queue.taken
