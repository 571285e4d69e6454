"""Voice notes: what somebody says instead of typing it, as words."""
