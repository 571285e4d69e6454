"""MCP servers of groups: what their settings name, who said yes to it, what they offer."""
