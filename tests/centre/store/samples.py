"""Reports for tests of the store."""

from hashlib import md5

from twisted_gantry.centre.model import Received, Told
from twisted_gantry.testing.clock import START


def report(
    gantry: str = "G1",
    stamp: float | None = START,
    *,
    received: float | None = None,
    body: bytes = b"{}",
    raised: str = "",
    method: str = "baseInfoUpload",
    key: str = "",
) -> Received:
    """Return a report; one with other conditions has another body."""
    told = (Told("cabinet-1", frozenset(raised.split())),)
    at = received if received is not None else (START if stamp is None else stamp + 1.0)
    whole = body + raised.encode()
    return Received(gantry, method, stamp, at, whole, md5(whole).digest(), told, key)
