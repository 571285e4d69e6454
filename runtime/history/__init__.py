"""What a group's workspace and memory were like before each task that touched them, and how to go back there."""
