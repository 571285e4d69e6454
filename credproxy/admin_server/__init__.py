"""The admin socket's server: the host and the command line say what holds and ask what was."""
