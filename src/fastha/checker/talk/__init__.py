"""Checks that hold a conversation: SMTP, HTTP/1 and HTTP/2, gRPC health, in clear or over TLS.

A conversation (`Talk`) is pure: bytes in, bytes out, and in the end a `Verdict`. `flight.py` gives it a socket and a
deadline, `engine.py` is the door (`fastha.checker.engine.Engine`): slots, limits, waiting in order. Nobody else in the
checker knows these files but child.py, which registers the engine, prepare.py, which asks whether a check can be built,
and `fastha genhash`, which holds the same conversation.
"""
