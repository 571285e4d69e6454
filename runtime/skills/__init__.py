"""Skills in the open Agent Skills format: read, found, looked into, unpacked, pinned."""
