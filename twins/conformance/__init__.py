"""Other people's tests of the platforms, put to the twins: each suite is fetched by whoever runs it."""
