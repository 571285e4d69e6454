"""One request, from its door to its last byte."""
