"""The most that a model call can use, from what its request says: what is reserved while it is under way. Pure."""

from __future__ import annotations

from credproxy.audit.prices import Price, Prices, find_price
from credproxy.pipeline.ledger import Reserved

MOST_OUTPUT_TOKENS = 128_000
"""Where the request names no maximum, or was too long to be read: the longest answer of a published model."""
MOST_INPUT_TOKENS = 1 << 20
"""Where the request's length is not known: the longest context that is sold."""
TOKENS_PER_PRICE = 1_000_000


def most_of(*, model: str, asked_output: int | None, request_bytes: int | None, prices: Prices) -> Reserved:
    """Return a call's upper bound. A token is a byte at least, so a request has no more tokens than bytes.

    A model that is not known yet costs what the dearest does; one whose price is not known costs nothing here: its
    calls and tokens count.
    """
    input_tokens = MOST_INPUT_TOKENS if request_bytes is None else request_bytes
    output_tokens = MOST_OUTPUT_TOKENS if asked_output is None else asked_output
    price = find_price(model, prices) if model else _dearest(prices)
    cost_usd = 0.0
    if price is not None:
        dearest_input = max(price.input, price.cache_write, price.cache_read)
        cost_usd = (input_tokens * dearest_input + output_tokens * price.output) / TOKENS_PER_PRICE
    return Reserved(input_tokens=input_tokens, output_tokens=output_tokens, cost_usd=cost_usd)


def _dearest(prices: Prices) -> Price | None:
    return max(prices.values(), key=lambda price: price.input + price.output, default=None)
