"""The methods of the Bot API, a family to a file, each with its `METHODS` by lower-case name."""
