"""What a person decides before it happens: one mechanism for tools, egress, reviews and whatever else needs a yes."""
