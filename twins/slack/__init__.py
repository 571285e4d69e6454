"""A behavioural clone of Slack's Web API and Socket Mode, with the user's side of the channels as an API of its own.

For rehearsals and tests: real HTTP and WebSocket on 127.0.0.1, faults on demand, no part of the product in it. Error
names are the platform's own (its public reference and the official SDK's fixtures of 2026); limits and delays run on
the twin's clock. What it does not do, and what is assumed, stands in `twins/CONFORMANCE.md`.
"""
