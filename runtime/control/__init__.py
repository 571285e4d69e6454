"""control.sock, the operator's door: the server, and its verbs, a file a room."""
