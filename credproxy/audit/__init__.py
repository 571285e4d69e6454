"""What was asked, sent and used, on record before it goes."""
