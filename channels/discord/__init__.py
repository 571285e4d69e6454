"""The Discord channel. README.md says how a message comes in and goes out, and what guards the connection."""

import warnings

# discord.py imports it for voice, which we do not have; on 3.13 a package takes its place.
warnings.filterwarnings("ignore", "'audioop' is deprecated", DeprecationWarning, "discord.player")
