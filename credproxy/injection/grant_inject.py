"""How a grant gets its credential into requests: what its `inject:` says, where a preset may be named, or by its host.
Pure, but that a preset's file is read when it is first asked for.
"""

from __future__ import annotations

import yaml

from credproxy.injection.kinds import Injection, Recipe
from credproxy.injection.parse import WORDS, GrantedHost, parse_inject
from credproxy.injection.presets import load_preset, meant_preset, preset_names
from credproxy.policy.yaml_nodes import NodeReader, did_you_mean


def parse_grant_inject(reader: NodeReader, node: yaml.Node, *, host: str) -> Injection | None:
    """Return the injection, None with problems told to the reader."""
    return parse_inject(reader, node, host=GrantedHost(name=host, parse_preset=_parse_preset))


def default_inject(host: str) -> Recipe | None:
    """Return how a credential gets into requests to a host that exactly one preset knows; else None."""
    preset = meant_preset(host)
    return None if preset is None else preset.recipe_for(host)


def _parse_preset(reader: NodeReader, node: yaml.Node, name: str, host: str) -> Recipe | None:
    preset = load_preset(name)
    if preset is None:
        near = did_you_mean(name, (*WORDS, *preset_names()))
        reader.complain(node, "inject", f"`{name}` is neither {', '.join(WORDS)} nor a preset{near}")
        return None
    recipe = preset.recipe_for(host)
    if recipe is None:
        hosts = ", ".join(preset.hosts)
        reader.complain(node, "inject", f"the preset {name} is for {hosts}, not for {host}; say how, as in `bearer`")
    return recipe
