"""What a model call costs, from the table in `prices.yaml`. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import yaml

from credproxy.audit.model_use import ModelUse
from credproxy.policy.yaml_nodes import FileProblem, NodeReader

KEYS = ("input", "output", "cache_write", "cache_read")
TOKENS_PER_PRICE = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """US dollars per million tokens."""

    input: float
    output: float
    cache_write: float
    cache_read: float


Prices = Mapping[str, Price]


def parse_prices(text: str, file: str) -> dict[str, Price] | list[FileProblem]:
    """Return prices by model name, or all that is wrong with the file."""
    reader = NodeReader(file)
    top = reader.document(text)
    prices: dict[str, Price] = {}
    if isinstance(top, yaml.MappingNode):
        for name_node, price_node in top.value:
            price = _parse_price(reader, price_node, str(name_node.value))
            if price is not None:
                prices[str(name_node.value)] = price
    elif top is not None:
        reader.complain(top, "", "expected `model: {input: …, output: …}` lines")
    return reader.problems or prices


def cost_of(use: ModelUse, prices: Prices) -> float | None:
    """Return a call's cost in US dollars, None for a model whose price is not known."""
    price = find_price(use.model, prices)
    if price is None:
        return None
    plain = max(0, use.input_tokens - use.cache_read_tokens - use.cache_write_tokens)
    total = (
        plain * price.input
        + use.cache_read_tokens * price.cache_read
        + use.cache_write_tokens * price.cache_write
        + use.output_tokens * price.output
    )
    return total / TOKENS_PER_PRICE


def find_price(model: str, prices: Prices) -> Price | None:
    """Return the price of the longest name that the model's begins with: `vendor/` before it does not count."""
    name = model.rsplit("/", 1)[-1]
    while name:
        if name in prices:
            return prices[name]
        name = name.rpartition("-")[0]
    return None


def _parse_price(reader: NodeReader, node: yaml.Node, model: str) -> Price | None:
    members = {key: _parse_dollars(reader, value, key) for key, value in reader.mapping(node, KEYS).items()}
    dollars = {key: value for key, value in members.items() if value is not None}
    if "input" not in members or "output" not in members:
        reader.complain(node, model, "needs at least `input` and `output`")
    if "input" not in dollars or "output" not in dollars:
        return None
    return Price(
        input=dollars["input"],
        output=dollars["output"],
        cache_write=dollars.get("cache_write", dollars["input"]),
        cache_read=dollars.get("cache_read", dollars["input"]),
    )


def _parse_dollars(reader: NodeReader, node: yaml.Node, key: str) -> float | None:
    try:
        dollars = float(node.value)
    except (TypeError, ValueError):
        dollars = -1.0
    if math.isfinite(dollars) and dollars >= 0:
        return dollars
    reader.complain(node, key, "expected dollars per million tokens, such as 2.50")
    return None
