"""Bytes: targets, heads, both legs, addresses that may be dialled. Knows no policy and no secret."""
