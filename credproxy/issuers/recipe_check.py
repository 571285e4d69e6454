"""Whether a token could ever be got with a secret's parts: asked while a person is there to mend them. Pure but for a
trial signature."""

from __future__ import annotations

from collections.abc import Mapping

from credproxy.issuers.github_app import sign_jwt
from credproxy.issuers.recipe import GitHubApp, build_recipe
from credproxy.vault.secret import Secret


def check_recipe(type_name: str, parts: Mapping[str, str], preset: str = "") -> None:
    """Raise BadRecipe where no token could ever be got with these parts."""
    secrets = {name: Secret("", text, has_lines=name == "private_key") for name, text in parts.items()}
    recipe = build_recipe(type_name, secrets, preset)
    if isinstance(recipe, GitHubApp):
        sign_jwt(recipe, 0.0)
