"""A browser for the agent: Debian's Chromium in the container, driven over a socket that only the agent holds."""
