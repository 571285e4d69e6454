"""A behavioural clone of an OAuth 2 server and of GitHub's API for apps, with faults on demand.

For rehearsals and tests: real HTTP on 127.0.0.1, no part of the product in it. Refresh tokens are good for one use, as
at Claude, ChatGPT and most others: a second use ends the whole login, unless it comes within a time of grace. What it
does not do: consent pages (the person always agrees), device codes, OpenID's discovery, dynamic registration.
"""
