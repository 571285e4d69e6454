"""Slack, through slack_sdk; `client.py` alone imports it."""
