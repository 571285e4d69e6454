"""A browser for the agent: Debian's Chromium in the container, driven over a socket that only the agent holds."""

PROGRAMS = ("/usr/lib/chromium/chromium-headless-shell", "/usr/lib/chromium/chromium")
"""Debian's, the one without windows first: it has no updater, no sync and no safe browsing to ask anybody for, and
takes half the memory. Its start scripts, which add keys and extensions, are passed by."""
