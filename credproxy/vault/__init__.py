"""Secrets at rest and in memory."""
