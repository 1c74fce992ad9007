"""A bridge whose port is taken is offline, and listens once the port is free."""

from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock

from twisted_gantry.bridges.listening import AGAIN_S, MOST_WAITING, Listening
from twisted_gantry.core.status import State, Status


class TakenPort(MemoryReactorClock):
    """A reactor whose port is taken for so many tries."""

    tries = 2

    def listenTCP(self, *given: Any, **more: Any) -> Any:
        if self.tries:
            self.tries -= 1
            raise CannotListenError("127.0.0.1", 3493, OSError(98, "Address already in use"))
        return super().listenTCP(*given, **more)  # type: ignore[no-untyped-call]


def test_a_port_that_is_taken_is_tried_again() -> None:
    """The bridge is offline with the reason, raises nothing, and is online in time."""
    reactor: Any = TakenPort()  # type: ignore[no-untyped-call]
    status = Status("bridge.nut", lambda: 0.0)
    place = "tcp:3493:interface=127.0.0.1"
    listening = Listening(reactor, place, Factory(), list, status)
    states: list[State] = []
    listening.start()
    for _ in range(2):
        states.append(status.state)
        reactor.advance(AGAIN_S)
    assert [*states, status.state] == [State.OFFLINE, State.OFFLINE, State.ONLINE]
    assert "3493" in (status.last_error or "")
    [(port, _, backlog, interface)] = reactor.tcpServers
    assert (port, backlog, interface) == (3493, MOST_WAITING, "127.0.0.1")
    listening.stop()
    assert reactor.getDelayedCalls() == []
