"""The authority that containers trust, and the certificates it signs."""
