"""Tokens of tools on the host: who they are, since they have no socket of their own."""
