"""The way to the `remotecontrol.do` of a gantry of the registry."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.web.client import HTTPConnectionPool

from twisted_gantry.centre.model import Gantry
from twisted_gantry.centre.store.chosen import WHY, url_of
from twisted_gantry.net.http.client import BoundedClient, persistent_pool, treq_client
from twisted_gantry.net.tls import ClientTls
from twisted_gantry.remote.channel import GANTRY, ControlChannel
from twisted_gantry.wire.errors import BadMessage

DEADLINE = 30.0
"""Seconds of one exchange; a gantry answers within 25 s."""


class CannotAsk(Exception):
    """The registry lacks what it takes to reach the gantry: nothing was sent."""

    def __init__(self, why: str) -> None:
        self.en, self.zh = WHY[why]
        super().__init__(self.en)
        self.why = why


@dataclass(frozen=True, slots=True)
class Channels:
    """Makes channels that share one HTTP client."""

    client: BoundedClient

    def to(self, gantry: Gantry | None, stamp: Callable[[], int]) -> ControlChannel:
        """Return the channel to a gantry whose secrets are open. Raises CannotAsk."""
        if gantry is None:
            raise CannotAsk("unknown")
        if gantry.pending:
            raise CannotAsk("pending")
        if not gantry.remote_control.strip():
            raise CannotAsk("no-url")
        if gantry.auth is None or not gantry.auth.reveal():
            raise CannotAsk("no-code")
        try:
            url = url_of(gantry.remote_control)
        except BadMessage:
            raise CannotAsk("bad-url") from None
        return ControlChannel(url, gantry.auth, gantry.id, self.client, stamp, GANTRY)


def channels_of(reactor: Any, tls: ClientTls | None = None) -> tuple[HTTPConnectionPool, Channels]:
    """Return channels and their pool, whose owner closes it. A connection carries one request: on
    one that was kept, a close by the gantry would leave the outcome of the next command unknown.
    """
    pool = persistent_pool(reactor)
    pool.persistent = False
    client = BoundedClient(treq_client(reactor, pool, tls=tls), reactor, deadline=DEADLINE)
    return pool, Channels(client)
