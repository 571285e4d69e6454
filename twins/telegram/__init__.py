"""A behavioural clone of Telegram's Bot API server, with the user's side of the chats as an API of its own.

For rehearsals and tests: real HTTP on 127.0.0.1, faults on demand, no part of the product in it. Error texts are the
words of the open server (its sources, and its documentation of 2026). How far it may be trusted, and what it does not
do, is in `twins/CONFORMANCE.md`.
"""
