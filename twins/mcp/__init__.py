"""A twin of an MCP server, over stdio (`stdio.py`, which runs alone) and streamable HTTP (`server.py`)."""
