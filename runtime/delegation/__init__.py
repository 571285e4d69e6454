"""Delegation: one agent asks another, which works in its own container, and gets the answer back."""
