"""What is known of one provider: how its credential gets in, how its keys look, how one is tried. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from credproxy.injection.kinds import Injection, Recipe, RemoveHeader, RemoveQuery, SigV4


@dataclass(frozen=True, slots=True, kw_only=True)
class TestCall:
    """A cheap request that shows whether a key is good: for `secret test`."""

    __test__ = False  # for pytest, which takes it for a test by its name

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    """Such as an API's version; without the credential."""
    body: str = ""
    """JSON; empty: none."""
    ok: str = ""
    """A JSON pointer to what must be true in the answer, for services that answer 200 to a wrong key."""
    says: str = ""
    """A JSON pointer into the answer: whose key it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """All that is known of one provider."""

    name: str
    title: str
    secret_type: str
    """The type of secret it takes, as `vault/types.py` has them."""
    hosts: Mapping[str, Injection]
    """Host, or `*.name` for any below, to how the credential gets in there."""
    keys_at: str = ""
    """Where a person makes a key."""
    variant_of: str = ""
    """The preset that is meant where none is named; empty: this one."""
    placeholders: Mapping[str, str]
    """Part to its form (`placeholder_form.py`)."""
    environment: Mapping[str, str]
    """Variable of the container's environment to the part whose placeholder it holds."""
    remove: tuple[RemoveHeader | RemoveQuery, ...] = ()
    """Other ways in which the provider takes credentials, which never go out."""
    idempotency_header: str = ""
    """What the provider calls its idempotency key; empty: it takes none."""
    test: TestCall | None = None

    def recipe_for(self, host: str) -> Recipe | None:
        """Return how the credential gets into a request to the host, None if the host is none of the provider's."""
        found = self.hosts.get(host)
        labels = host.split(".")
        for index in range(1, len(labels)):
            if found is not None:
                break
            found = self.hosts.get("*." + ".".join(labels[index:]))
        if found is None:
            return None
        if isinstance(found, SigV4):
            from credproxy.injection.sigv4 import located

            found = located(found, host)
        steps = found.steps if isinstance(found, Recipe) else (found,)
        return Recipe(steps=self.remove + steps, preset=self.name)
