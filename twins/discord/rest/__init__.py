"""The REST API, v10: a file for each noun, each with its table of routes."""
