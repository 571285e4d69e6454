"""Requests that a person must say yes to: held, shown, and sent exactly as they were shown, or not at all."""
