"""Real clients, unmodified, inside real containers, through the proxy."""
