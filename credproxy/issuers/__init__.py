"""What a secret becomes before it is put into a request: tokens are got from those who issue them, and kept."""
