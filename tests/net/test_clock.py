"""The monotonic clock of a reactor."""

import time

from twisted.internet.selectreactor import SelectReactor

from twisted_gantry.net.clock import make_monotonic


def test_delays_are_counted_by_the_monotonic_clock() -> None:
    """A delayed call is due by the monotonic clock, wherever the time of day goes."""
    reactor = SelectReactor()
    make_monotonic(reactor)
    before = time.monotonic()
    call = reactor.callLater(10, lambda: None)
    assert before + 10 <= call.getTime() <= time.monotonic() + 10
    wait = reactor.timeout()
    assert wait is not None
    assert 9 < wait <= 10
    call.cancel()
    reactor.removeAll()
    for reader in list(reactor._internalReaders):
        reactor._internalReaders.discard(reader)
        reader.connectionLost(None)
