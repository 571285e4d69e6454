"""What models cost: use as the proxy saw it, purses and their limits, and what happens where one is empty."""
