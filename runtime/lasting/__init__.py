"""What stays: letters that found no end, what is exported, kept for how long, and forgotten."""
