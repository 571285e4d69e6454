"""The phone: one small web page that every twin serves at /twin/phone, on the user's side that all twins share."""
