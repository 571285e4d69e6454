"""Doors for programs: who they are, task.sock, and the OpenAI-compatible endpoint; all on top of submissions.py."""
