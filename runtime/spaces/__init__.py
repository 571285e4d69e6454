"""Folders that several groups share: which there are, who may write there, how much they hold, who wrote what."""
