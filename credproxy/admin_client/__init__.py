"""The admin socket's clients: all of the proxy that other floors may know."""
