"""Verbs about what stands in for keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from credproxy.admin_server.verb import Verb, read_text
from credproxy.injection.environment import environment_of
from credproxy.pipeline.proxy import CredentialProxy
from credproxy.policy.rules import GroupRules
from credproxy.policy.secret_uses import secrets_of
from protocol.ids import GroupId


class InjectionVerbs:
    def __init__(self, proxy: CredentialProxy) -> None:
        self._proxy = proxy

    def table(self) -> dict[str, Verb]:
        return {"placeholders": self._placeholders}

    async def _placeholders(self, arguments: Mapping[str, Any]) -> object:
        group_id = GroupId(read_text(arguments, "group_id"))
        await self._proxy.take_up_policy()
        group = self._proxy.policy.groups.get(group_id, GroupRules())
        return {"variables": environment_of(group_id, secrets_of(group), self._proxy.placeholders)}
