"""Search in what an agent has noted, and in its past conversations."""
