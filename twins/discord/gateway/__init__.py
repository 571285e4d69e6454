"""The gateway: sessions that are told what happens, over WebSockets that may break and be resumed."""
