"""The signature of a notification by webhook, for those who send and those who verify."""

import hashlib
import hmac

TIMESTAMP, SIGNATURE = "X-Gantry-Timestamp", "X-Gantry-Signature"


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return the value of `SIGNATURE`: `sha256=` and the HMAC-SHA256 of `timestamp.body` in hex.
    `timestamp` is Unix seconds as text.
    """
    message = timestamp.encode("ascii", "replace") + b"." + body
    return "sha256=" + hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def is_signed(secret: str, timestamp: str, body: bytes, given: str) -> bool:
    """Tell whether a signature is right, in constant time."""
    wanted = signature(secret, timestamp, body).encode()
    return hmac.compare_digest(wanted, given.encode("utf-8", "replace"))
