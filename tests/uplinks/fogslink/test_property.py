"""Whatever happens on the way, no value that was stored is lost, and none overtakes another.

The real uplink and the real cloud twin, with a network between them that loses, delays, repeats
and cuts, a cloud that says 9, and a gantry that crashes.
"""

import random
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from tests.uplinks.fogslink.test_uplink import EQ_SN, Rig
from twisted_gantry.twin.faces.fogslink.cloud import CloudFactory
from twisted_gantry.wire.fogslink.messages import Pack, Single, decode_request
from twisted_gantry.wire.json import loads

# What may happen, and how long the world then goes on, in tenths of a second.
EVENTS = [
    "read", "read", "read", "lose", "repeat", "delay", "nine", "busy", "half", "twice", "drip",
    "frozen", "behave", "cut", "away", "back", "crash", "stop",
]  # fmt: skip
STEPS = st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(1, 70)), min_size=1, max_size=25)


class Relay(Factory):
    """A cloud behind a network: a line to or from it may be lost or come twice.

    A line is an atom here: a TCP connection would not lose one and deliver the next, but a proxy
    in between, or a cloud that fails within, does just that.
    """

    noisy = False

    def __init__(self, rig: Rig) -> None:
        self.inner = CloudFactory(rig.cloud)
        self.random = random.Random(1)
        self.lose = self.repeat = 0.0
        self.sent: dict[str, list[bytes]] = {}

    def buildProtocol(self, addr: IAddress | None) -> Any:
        return _Relayed(self)

    def pass_on(self, line: bytes, write: Any) -> None:
        """Deliver a line of data or its answer, or not; all others go through."""
        if any(name in line for name in (b"req20", b"res20")):
            if self.random.random() < self.lose:
                return
            if self.random.random() < self.repeat:
                write(line)
        write(line)


class _Relayed(Protocol):
    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        self.behind: Any = relay.inner.buildProtocol(None)

    def connectionMade(self) -> None:
        relayed = self

        class Back(StringTransport):
            def write(self, data: bytes) -> None:
                assert relayed.transport is not None
                relayed.relay.pass_on(data, relayed.transport.write)

            def loseConnection(self) -> None:
                assert relayed.transport is not None
                relayed.transport.loseConnection()

            def abortConnection(self) -> None:
                relayed.transport.abortConnection()  # type: ignore[union-attr]

        self.behind.makeConnection(Back())  # type: ignore[no-untyped-call]

    def dataReceived(self, data: bytes) -> None:
        for line in data.splitlines(keepends=True):
            if b"req200" in line:
                self.relay.sent.setdefault(loads(line)["req200"]["packID"], []).append(line)
            self.relay.pass_on(line, self.behind.dataReceived)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.behind.connectionLost(reason)


def happen(rig: Rig, relay: Relay, event: str, number: int) -> None:
    """Let one thing happen; anything that is not listed brings peace."""
    happenings: dict[str, Callable[[], object]] = {
        "read": lambda: rig.read(float(number), mains=number % 3 == 0),
        "lose": lambda: setattr(relay, "lose", 0.4),
        "repeat": lambda: setattr(relay, "repeat", 0.4),
        "delay": lambda: rig.fault(delay=3.0 + 3.0 * (number % 2)),
        # Later ones could come to ten, and set a pack aside.
        "nine": lambda: rig.fault(code="9", **{"for": 20.0}) if number < 6 else None,
        "busy": lambda: rig.fault(busy=True),
        "half": lambda: rig.fault(half=0.4),
        "twice": lambda: rig.fault(duplicate=0.4),
        "drip": lambda: rig.fault(drip=40.0),
        "frozen": lambda: rig.fault(frozen=True),
        "cut": lambda: rig.network.cut() if rig.network.pumps else None,
        "away": lambda: setattr(rig.network, "reachable", False),
        "crash": lambda: rig.restart(crash=True),
        "stop": lambda: rig.restart(),
    }
    if event in happenings:
        happenings[event]()
        return
    rig.behave()
    relay.lose = relay.repeat = 0.0
    rig.network.reachable = True


def recorded(rig: Rig) -> dict[str, list[tuple[int, str | None]]]:
    """Let the rig note what it stores; returns it by channel: the report's number and the value."""
    handed: dict[str, list[tuple[int, str | None]]] = {}
    add_report = rig.store.add_report

    def adding(*args: Any) -> Any:
        added = add_report(*args)

        def note(result: Any) -> Any:
            message = decode_request(args[3])
            assert isinstance(message, Pack | Single)
            for item in message.eq_data if isinstance(message, Pack) else (message,):
                value = item.e_val if isinstance(item.e_val, str) else None
                handed.setdefault(item.e_chan, []).append((result[0], value))
            return result

        return added.addCallback(note)

    rig.store.add_report = adding  # type: ignore[method-assign, assignment]
    return handed


def without_repeats(values: list[Any]) -> list[Any]:
    """Return the values without those that are as the one before."""
    return [value for at, value in enumerate(values) if at == 0 or values[at - 1] != value]


def run(steps: list[tuple[str, int]], **given: Any) -> tuple[Rig, Relay, Any]:
    """Let all of it happen, then peace; returns what came of it."""
    rig = Rig(**given)
    relay = Relay(rig)
    rig.network.server = relay
    handed = recorded(rig)
    rig.start(1)
    for number, (event, tenths) in enumerate(steps):
        happen(rig, relay, event, number)
        rig.clock.run(tenths / 10, step=0.1)
    happen(rig, relay, "back", 0)
    rig.uplink.retry()
    rig.clock.run(200, step=0.5)
    return rig, relay, handed


@given(STEPS)
def test_no_pack_is_lost_and_none_overtakes(steps: list[tuple[str, int]]) -> None:
    """Every stored value arrives, in order, once or as a duplicate of the same pack."""
    rig, relay, handed = run(steps)
    ledger = rig.ledger()
    assert (ledger.queued, ledger.set_aside, ledger.dropped) == (0, 0, 0)
    for channel, reports in handed.items():
        assert rig.values(channel) == [value for _, value in reports]
    for lines in relay.sent.values():
        assert len(set(lines)) == 1
    assert (rig.cloud.records.gaps, rig.cloud.counts["conflict"]) == (0, 0)
    assert rig.cloud.counts["out-of-order"] == 0
    assert rig.values()[-1] == rig.uplink._channels.items()[0].e_val
    rig.stop()


@given(STEPS)
def test_no_single_value_is_lost_and_none_overtakes(steps: list[tuple[str, int]]) -> None:
    """The same with one value a message; a duplicate is next to its original."""
    calm = [(event, tenths) for event, tenths in steps if event != "repeat"]
    rig, _, handed = run(calm, single=True)
    ledger = rig.ledger()
    assert (ledger.queued, ledger.set_aside, ledger.dropped) == (0, 0, 0)
    for channel, reports in handed.items():
        values = [value for _, value in reports]
        assert without_repeats(rig.values(channel)) == without_repeats(values)
    assert {each["eqSN"] for each in rig.records()} == {EQ_SN}
    rig.stop()
