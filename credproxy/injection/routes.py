"""How a model route's key goes out, by the API that the route speaks. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from credproxy.injection.kinds import Bearer, ByPrefix, Injection, ListHeader, Recipe, SetHeader

SUBSCRIPTION_PREFIX = "sk-ant-oat"
"""What the tokens of Claude's plans begin with; keys begin with `sk-ant-api`."""
SUBSCRIPTION_BETA = "oauth-2025-04-20"
"""The API takes such a token only with this item in `anthropic-beta`."""

ROUTE_INJECTIONS: Mapping[Literal["anthropic", "openai"], Injection] = {
    "anthropic": ByPrefix(
        cases=(
            (
                SUBSCRIPTION_PREFIX,
                Recipe(steps=(Bearer(), ListHeader(name="anthropic-beta", item=SUBSCRIPTION_BETA))),
            ),
        ),
        otherwise=SetHeader(name="x-api-key"),
    ),
    # A plan's token is of one of the person's accounts, and says which.
    "openai": Recipe(steps=(Bearer(), SetHeader(name="chatgpt-account-id", part="account_id", is_optional=True))),
}
