"""Conversations as a whole: listed, taken up again, summed up, written out, ended by policy."""
