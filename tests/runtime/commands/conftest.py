"""The house with a Telegram account, for commands too."""

from __future__ import annotations

from tests.runtime.people.conftest import there as there
