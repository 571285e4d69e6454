"""A behavioural twin of Discord: REST API v10, gateway, CDN, and the user's side, over real TLS.

`server.py` ties it together; `rest/` is what bots call, `gateway/` what they are told, `user_side/` what people do.
"""
