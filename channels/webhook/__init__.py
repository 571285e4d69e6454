"""Signed HTTP from other services, on loopback: each request that is what it says becomes work for an agent."""
