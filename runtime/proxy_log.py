"""Writes into the host's log what the proxy tells of refusals: who looks there sees them beside what the host did."""

from __future__ import annotations

import logging

from protocol.proxy_admin import ProxyEvent

log = logging.getLogger(__name__)


def log_event(event: ProxyEvent) -> None:
    """Log one event of the proxy's, if it is worth a line."""
    ids = {"group_id": event.group_id, "task_id": event.task_id, "attempt_id": event.attempt_id}
    match event.kind:
        case "denied" | "limit":
            extra = {"action": f"proxy_{event.kind}", "target": event.target, "code": event.detail, **ids}
            log.warning("the proxy refused a request", extra=extra)
        case "tripwire":
            extra = {"action": "proxy_tripwire", "target": event.target, "secret": event.detail, **ids}
            text = "an agent sent the placeholder of a secret elsewhere than it belongs: look at its task"
            log.error(text, extra=extra)
        case "approval_wanted":
            extra = {"action": "approval_wanted", "target": event.target, "approval_id": event.detail, **ids}
            log.warning("a request waits for approval: `nightyard approvals` shows it", extra=extra)
