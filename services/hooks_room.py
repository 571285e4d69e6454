"""The room of what services elsewhere bring, wired: which hooks the groups have, and the channel that they come by."""

from __future__ import annotations

from collections.abc import Mapping

from channels.webhook.hook import Hook
from runtime.group import Groups


def hooks_of(groups: Groups) -> Mapping[str, Hook]:
    """Return the hooks of all groups that run, by `<group>/<hook>`."""
    return {
        f"{group_id}/{name}": Hook(
            name=f"{group_id}/{name}",
            scheme=hook.scheme,
            secret=hook.secret,
            template=hook.template,
            events=hook.events,
        )
        for group_id, group in groups.ready.items()
        for name, hook in group.hooks.items()
    }
