"""What people see of work that goes on: the mark on their message, one line with what is done just now."""
