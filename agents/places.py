"""Where things are for an agent. Pure.

The defaults are the container's; a test gives a root of its own.
"""

from __future__ import annotations

from protocol.record import Record


class Places(Record):
    """The folders and sockets of one agent, all under `root` (empty: the container's own root)."""

    root: str = ""
    forwarder_port: int = 3128
    """0: any free one."""

    @property
    def host_socket(self) -> str:
        return f"{self.root}/run/yard/host.sock"

    @property
    def proxy_socket(self) -> str:
        return f"{self.root}/run/yard/proxy.sock"

    @property
    def out_folder(self) -> str:
        """The one folder the host reads after the agent's end: `last.frames`, `stderr.txt`."""
        return f"{self.root}/run/yard/out"

    @property
    def workspace(self) -> str:
        return f"{self.root}/workspace"

    @property
    def skills(self) -> str:
        return f"{self.root}/skills"

    @property
    def memory(self) -> str:
        return f"{self.root}/memory"

    @property
    def tool_folders(self) -> tuple[str, ...]:
        """Where the file tools may go. The kernel says which of them can be written.

        Not everywhere: the file tools run in the agent's own process, whose /proc/self/mem holds the link's nonce.
        """
        names = ("workspace", "memory", "home/agent", "inbox", "skills", "spaces", "tmp")
        return tuple(f"{self.root}/{name}" for name in names)
