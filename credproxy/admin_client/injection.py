"""What the proxy says stands in for a group's keys."""

from __future__ import annotations

from credproxy.admin_client.link import ProxyAdmin
from protocol.ids import GroupId


async def placeholder_variables(admin: ProxyAdmin, group_id: GroupId) -> dict[str, str]:
    """Return the variables that the group's containers are given: each holds a placeholder in the form of a key."""
    answer = await admin.ask("placeholders", {"group_id": group_id})
    variables = answer.get("variables") if isinstance(answer, dict) else None
    return {str(name): str(value) for name, value in variables.items()} if isinstance(variables, dict) else {}
