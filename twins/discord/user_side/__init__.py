"""The user's side: what people do and see, as the API that all twins share, and the phone page on it."""
