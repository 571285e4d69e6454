"""Check the two chains of a home, and say the outcome as one JSON line: `python -m services.verify`, for `nightyard
verify`; with `--audit [ROW:HASH]` the audit's alone, for `nightyard audit verify`. A process of its own, because
journal and audit belong to host and proxy, of which the command knows neither.

The home comes from NIGHTYARD_HOME. Reads only; host and proxy may run meanwhile.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from pathlib import Path

from credproxy.audit.chain import ChainBroken, verify_chain
from runtime.home import home_from
from runtime.store.errors import StoreError
from runtime.store.verify import verify_journal

AUDIT_FILE = "audit.db"


def main() -> int:
    """Check both and print what was found."""
    home = home_from(os.environ).path
    if sys.argv[1:2] == ["--audit"]:
        print(json.dumps(check_audit(home / AUDIT_FILE, "".join(sys.argv[2:3]))))
        return 0
    print(json.dumps({"journal": check_journal(home), "audit": check_audit(home / AUDIT_FILE)}))
    return 0


def check_journal(home: Path) -> dict[str, object]:
    """Return `{entries, broken}`; entries is null where there is no file, broken says what is wrong, or is empty."""
    try:
        check = verify_journal(home)
    except StoreError as error:
        return {"entries": 0, "broken": str(error)}
    if check is None:
        return {"entries": None, "broken": ""}
    return {"entries": check.entries, "broken": check.reason if check.broken_at is not None else ""}


def check_audit(path: Path, head: str = "") -> dict[str, object]:
    """Return the same for the audit, with its first row's number and its head. `head`: one that was noted before."""
    if not path.exists():
        return {"entries": None, "broken": ""}
    seq, _, digest = head.partition(":")
    try:
        check = verify_chain(path, (int(seq), digest) if head else None)
    except ChainBroken as error:
        return {"entries": error.rows, "broken": str(error)}
    except sqlite3.Error as error:
        return {"entries": 0, "broken": f"{path} cannot be read: {error}"}
    last = f"{check.last_seq}:{check.last_hash}"
    return {"entries": check.rows, "broken": "", "first": check.first_seq, "head": last}


if __name__ == "__main__":
    sys.exit(main())
