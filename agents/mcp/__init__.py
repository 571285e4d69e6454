"""The Model Context Protocol: our tools for a harness's command-line program, and other people's servers for our loop.

`relay.py` is the small process that a harness starts, `server.py` and `harness_tools.py` what stands behind it in the
agent's process.
"""
