"""The model APIs an agent can speak; `provider.py` says what each one is."""

from __future__ import annotations

from agents.providers.provider import Provider
from protocol.task import ModelRoute


def provider_for(route: ModelRoute) -> Provider:
    """Return what speaks the route's API. Only that is loaded: the others would cost every agent memory and time."""
    if route.api == "anthropic":
        from agents.providers.anthropic import Anthropic

        return Anthropic(route)
    if route.api == "responses":
        from agents.providers.responses import Responses

        return Responses(route)
    from agents.providers.openai import OpenAi

    return OpenAi(route)
