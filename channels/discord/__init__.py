"""The Discord channel. README.md says how a message comes in and goes out, and what guards the connection."""
