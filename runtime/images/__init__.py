"""Images that groups have beside the usual one: what they are made of, having them made, keeping them fresh."""
