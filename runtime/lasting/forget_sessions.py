"""The conversations that other programs than our own loop keep in a group's HOME (`agents/harness/`): all go when
somebody is forgotten who spoke with the group. Nobody can tell there whose word is whose, and nothing is lost by it:
the next task tells its program what the store still holds of the conversation.
"""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

KEPT = (".nightyard", ".claude", ".codex", ".local/share/opencode")
"""Below HOME."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def forget_sessions(home_folder: Path) -> bool:
    """Remove them; return whether there were any. No link is followed: the group's tools write there. Blocks."""
    found = [_remove(home_folder, kept.split("/")) for kept in KEPT]
    return any(found)


def _remove(home_folder: Path, names: list[str]) -> bool:
    handles: list[int] = []
    try:
        try:
            handles.append(os.open(home_folder, _FOLDER))
            for name in names[:-1]:
                handles.append(os.open(name, _FOLDER, dir_fd=handles[-1]))
            mode = os.stat(names[-1], dir_fd=handles[-1], follow_symlinks=False).st_mode
        except OSError:
            return False  # not there, or a link that its tools have put there
        if stat.S_ISDIR(mode):
            shutil.rmtree(names[-1], dir_fd=handles[-1])
        else:
            os.unlink(names[-1], dir_fd=handles[-1])
        return True
    finally:
        for handle in handles:
            os.close(handle)
