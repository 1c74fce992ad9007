"""How a face over HTTP cuts the connection of a request."""

from collections import Counter

from twisted.internet.defer import Deferred
from twisted.web.http import Request

from twisted_gantry.net.http_server import cut


async def cut_off(request: Request, counts: Counter[str]) -> bytes:
    """Cut the connection, count it as `cut`, and never answer."""
    counts["cut"] += 1
    cut(request)
    gone: Deferred[bytes] = Deferred()  # klein cancels it when the connection is lost
    return await gone
