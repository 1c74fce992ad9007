"""The flow of bytes through a session of the twin."""

from collections import Counter
from itertools import count
from random import Random

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from twisted_gantry.net.budget import SLICE
from twisted_gantry.twin.faults.flow import Flow
from twisted_gantry.twin.faults.injection import FaultInjector
from twisted_gantry.twin.faults.settings import FOGSLINK, Faults


def test_a_flood_takes_turns() -> None:
    """The twin reads on once all is taken, and once the peer reads its answers."""
    clock, transport, taken = Clock(), StringTransport(), list[int]()
    injector = FaultInjector(FOGSLINK, Faults(clock.seconds, Random(1)), clock, Counter())
    flow = Flow(injector, transport, lambda data: taken.append(len(data)))
    flow._slices._work = count().__next__  # a second of work at each look
    flow.received(b"x" * (2 * SLICE))
    assert (taken, transport.producerState) == ([SLICE], "paused")
    flow.pauseProducing()
    clock.advance(0)
    assert (taken, transport.producerState) == ([SLICE, SLICE], "paused")
    flow.resumeProducing()
    assert transport.producerState == "producing"
    flow.received(b"x" * (2 * SLICE))
    flow.lost()
    clock.advance(0)
    assert sum(taken) == 3 * SLICE
    assert clock.getDelayedCalls() == []
