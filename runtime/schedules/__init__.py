"""Schedules: what makes tasks at times. Calendar and decisions are pure files, `keeper.py` lives by the clock."""
