"""What may go out: grants, routes, and the one function that decides. Pure, but for who reads the files."""
