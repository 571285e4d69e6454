"""What host and agent both take for the address of an MCP server. Pure."""

from __future__ import annotations

import re

SERVER_URL = re.compile(r"(https?)://([A-Za-z0-9.-]{1,253}|\[[0-9a-fA-F:.]{2,45}\])(?::([0-9]{1,5}))?(/[!-~]*)?")
"""Scheme, host, port, path with query."""
