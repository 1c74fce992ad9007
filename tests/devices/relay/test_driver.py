"""The driver of a relay: what it cuts it gives back, whatever happens in between."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from tests.devices.rig import DriverRig
from tests.support import START, Bench, MemoryNetwork, TestClock, fired
from twisted_gantry.core.commands.types import CommandResult, Outcome
from twisted_gantry.core.interfaces import IDeviceKind, IRelay, WrongSetting
from twisted_gantry.devices.relay.driver import COMMANDS, POINTS, RULES, Relay, RelaySettings, kind
from twisted_gantry.devices.relay.link import LONGEST_BYTES, RelayLink
from twisted_gantry.store.sqlite import SqliteStore

ON, OFF, TAKEN = b"\xa0\x01\x00\xa1", b"\xa0\x01\x01\xa2", b"OK"
KEY = f"relay.192.168.1.40:8080.{ON.hex()}.on-pending"
OLD_KEY = "relay.r1.on-pending"
DONE, FAILED, REFUSED, TIMEOUT = Outcome.DONE, Outcome.FAILED, Outcome.REFUSED, Outcome.TIMEOUT


class _Session(Protocol):
    def __init__(self, relay: "FakeRelay") -> None:
        self._relay = relay

    def connectionMade(self) -> None:
        self._relay.sessions += 1

    def dataReceived(self, data: bytes) -> None:
        self._relay.hears(data)
        transport: Any = self.transport
        if self._relay.answer:
            transport.write(self._relay.answer)
        if self._relay.closes == "in order":
            transport.loseConnection()
        elif self._relay.closes == "cut":
            self._relay.cut()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._relay.sessions -= 1


class FakeRelay(Factory):
    """A relay whose contact follows what it hears; `deaf` it hears nothing."""

    noisy = False

    def __init__(self, clock: TestClock) -> None:
        self.heard: list[tuple[float, bytes]] = []
        self.closed = True
        self.deaf = False
        self.answer, self.closes = b"", ""
        self.sessions = 0
        self.cut: Callable[[], None] = lambda: None
        self._clock = clock

    def buildProtocol(self, addr: Any) -> _Session:
        return _Session(self)

    def hears(self, data: bytes) -> None:
        if not self.deaf:
            self.heard.append((self._clock.seconds(), data))
            self.closed = {ON: True, OFF: False}.get(data, self.closed)

    def said(self, data: bytes) -> list[float]:
        """Return when it heard this."""
        return [at for at, heard in self.heard if heard == data]


class Rig(DriverRig):
    """A driver named `r1` on a fake relay, in a site whose store outlives the driver."""

    def __init__(
        self, bench: Bench | None = None, relay: Any = None, name: str = "r1", **settings: Any
    ) -> None:
        super().__init__(bench)
        self.relay = relay or FakeRelay(self.clock)
        self.network = MemoryNetwork(self.clock, self.relay)
        self.relay.cut = self._cut
        given = RelaySettings(
            address="tcp:192.168.1.40:8080", on=ON.hex(), off=OFF.hex(), **settings
        )
        link = RelayLink(self.network, bytes.fromhex(given.confirm), self.clock)
        self.device = Relay(name, given, self.bench.context, link, ("192.168.1.40", 8080))
        self.bench.add(self.device)

    def _cut(self) -> None:
        """Break the newest connection, as a relay does that reboots."""
        pump = self.network.pumps[-1]
        pump.clientIO.disconnectReason = ConnectionLost()
        pump.serverIO.abortConnection()

    def cycle(self) -> Any:
        """Ask for a cycle; the list gains its outcome."""
        return self.ask("power-cycle")

    def do_cycle(self, seconds: float = 12.0) -> CommandResult:
        """Ask for a cycle, let time pass, and return its outcome."""
        return self.do("power-cycle", seconds)

    def crash(self, name: str = "r1") -> "Rig":
        """Let the program die without a stop; returns what starts in its place."""
        for pump in self.network.pumps:
            pump.clientIO.abortConnection()
        for call in self.clock.getDelayedCalls():
            call.cancel()
        globalLogPublisher.removeObserver(self._observer)
        bench = Bench()
        bench.store = SqliteStore(self.bench.store.writer, bench.clock.moment)
        bench.context = replace(bench.context, store=bench.store)
        return Rig(bench, self.relay, name)

    def settle(self) -> None:
        """Give the stop the time that it takes, and see that no connection is left."""
        self.clock.run(20)
        assert self.relay.sessions == 0

    def kept(self) -> Any:
        """Return True while the store keeps a pending "on", else None."""
        [settings] = fired(self.bench.store.settings())
        return True if settings.get(KEY) is True else None


@pytest.fixture
def rig() -> Iterator[Rig]:
    made: Rig = Rig().start()
    yield made
    made.stop()


def test_it_provides_what_it_promises(rig: Rig) -> None:
    """The driver is an IRelay at its place, its kind an IDeviceKind."""
    assert verifyObject(IRelay, rig.device)
    assert verifyObject(IDeviceKind, kind)
    assert rig.device.place == ("192.168.1.40", 8080)
    texts = [POINTS[0].zh, RULES[0].zh, COMMANDS["power-cycle"].zh]
    assert all(any(ord(character) > 255 for character in text) for text in texts)


def test_it_is_online_when_it_is_reached(rig: Rig) -> None:
    """A connection makes it online, says nothing, and is looked for again every minute."""
    assert rig.state == "online"
    rig.clock.run(121, 0.5)
    assert len(rig.network.attempts) == 3
    assert rig.relay.heard == []
    assert rig.relay.sessions == 0
    rig.network.reachable = False
    rig.clock.run(70, 0.5)
    assert rig.state == "offline"
    rig.network.reachable = True
    rig.clock.run(70, 0.5)
    assert rig.state == "online"


def test_a_cycle(rig: Rig) -> None:
    """Off, a pulse, on: the pending "on" is stored before "off", and the alarm is up between."""
    ended = rig.cycle()
    rig.clock.run(3.0)
    assert (rig.relay.closed, rig.kept(), ended) == (False, True, [])
    assert rig.bench.raised() == {"r1.power-off"}
    [alarm] = rig.bench.alarms.active()
    assert alarm.severity.value == "critical"
    rig.clock.run(6.0)
    assert [each.result for each in ended] == [DONE]
    assert (rig.relay.closed, rig.kept()) == (True, None)
    assert rig.bench.raised() == set()
    [off], [on] = rig.relay.said(OFF), rig.relay.said(ON)
    assert 5.0 <= on - off <= 6.2


@pytest.mark.parametrize(
    ("confirm", "answer", "closes", "result"),
    [
        ("", b"", "", DONE),
        ("", b"anything", "", DONE),
        ("", b"", "in order", DONE),
        ("4f4b", b"OK", "", DONE),
        ("4f4b", b"xxOKyy", "in order", DONE),
        ("4f4b", b"x" * 100_000 + b"OK", "", DONE),
    ],
)
def test_what_confirms(confirm: str, answer: bytes, closes: str, result: Outcome) -> None:
    """Its answer confirms where one is configured; else that the connection held or was closed."""
    rig = Rig(confirm=confirm, pulse=0.5)
    rig.relay.answer, rig.relay.closes = answer, closes
    rig.start()
    assert rig.do_cycle().result is result
    assert len(rig.relay.said(OFF)) == len(rig.relay.said(ON)) == 1
    rig.stop()


@pytest.mark.parametrize(
    ("confirm", "answer", "closes"),
    [("4f4b", b"", ""), ("4f4b", b"NO", ""), ("4f4b", b"", "in order"), ("", b"", "cut")],
)
def test_what_does_not_confirm(confirm: str, answer: bytes, closes: str) -> None:
    """Without a confirmation "off" is said once and "on" repeatedly; the outcome is not done."""
    rig = Rig(confirm=confirm, pulse=0.5)
    rig.relay.answer, rig.relay.closes = answer, closes
    rig.start()
    ended = rig.cycle()
    rig.clock.run(60)
    assert len(rig.relay.said(OFF)) == 1
    assert len(rig.relay.said(ON)) > 3
    assert [each.result for each in ended] == [TIMEOUT]  # by the door
    assert rig.bench.raised() == {"r1.power-off"}
    rig.relay.answer, rig.relay.closes = b"OK", ""
    rig.clock.run(20)
    assert rig.bench.raised() == set()
    assert rig.kept() is None
    rig.stop()


def test_off_that_is_in_doubt_is_no_done(rig: Rig) -> None:
    """When "on" was confirmed but "off" was not, it is unknown whether the power was off."""
    rig.relay.closes = "cut"
    ended = rig.cycle()
    rig.clock.run(2.0)
    rig.relay.closes = ""
    rig.clock.run(10.0)
    [result] = ended
    assert result.result is TIMEOUT
    assert "the power is on" in result.detail
    assert len(rig.relay.said(OFF)) == 1


def test_a_relay_that_is_away_is_not_cut(rig: Rig) -> None:
    """When "off" cannot be sent nothing is pending, and another try is not held off."""
    rig.network.reachable = False
    ended = rig.do_cycle(2.0)
    assert ended.result is FAILED
    assert "not sent" in ended.detail
    assert (rig.kept(), rig.bench.raised()) == (None, set())
    rig.network.reachable = True
    assert rig.do_cycle().result is DONE


def test_a_relay_that_is_lost_after_off(rig: Rig) -> None:
    """While it cannot be reached "on" is tried on and on, and sent as soon as it can."""
    ended = rig.cycle()
    rig.clock.run(3.0)
    rig.network.reachable = False
    rig.clock.run(100)
    assert (rig.relay.closed, rig.kept(), rig.state) == (False, True, "offline")
    assert rig.bench.raised() == {"r1.power-off", "r1.offline"}
    assert [each.result for each in ended] == [TIMEOUT]
    assert rig.do_cycle(0.1).result is REFUSED
    rig.network.reachable = True
    rig.clock.run(16)
    assert (rig.relay.closed, rig.kept(), rig.state) == (True, None, "online")
    assert rig.bench.raised() == set()
    assert len(rig.relay.said(OFF)) == 1


def test_one_cycle_a_minute(rig: Rig) -> None:
    """A second cycle within 60 s is refused, also while the first is on."""
    first = rig.cycle()
    rig.clock.run(2.0)
    rig.clock.run(8.0)
    assert first[0].result is DONE
    refused = rig.do_cycle(0.1)
    assert refused.result is REFUSED
    assert "60 s" in refused.detail
    rig.clock.run(50.5)
    assert rig.do_cycle().result is DONE
    assert len(rig.relay.said(OFF)) == 2


@pytest.mark.parametrize(("later", "result"), [(20.0, REFUSED), (61.0, DONE)])
@pytest.mark.parametrize("step", [0.0, -500.0, 5 * 366 * 86_400.0, -START])
@pytest.mark.parametrize("boot", ["boot-1", "boot-2"])
def test_one_cycle_a_minute_over_a_restart(
    later: float, result: Outcome, step: float, boot: str
) -> None:
    """Neither a restart nor a step of the clock is a way round it, nor locks the relay."""
    rig = Rig().start()
    rig.clock.trusted = False
    assert rig.do_cycle().result is DONE
    again = rig.crash()
    if boot == rig.clock.boot:
        again.clock.advance(rig.clock.seconds())
    again.clock.boot = boot
    again.clock.advance(later)
    again.clock.wall_offset += step
    again.start()
    assert again.do_cycle().result is result
    again.stop()


def test_a_crash_within_the_cycle() -> None:
    """The next start gives the power back, and only then is anything else done."""
    rig = Rig().start()
    rig.cycle()
    rig.clock.run(3.0)
    assert not rig.relay.closed
    again = rig.crash()
    again.start(0.2)
    assert again.relay.closed
    assert again.bench.raised() == {"r1.power-off"}  # not confirmed yet
    assert again.do_cycle(0.2).result is REFUSED
    again.clock.run(2.0)
    assert (again.bench.raised(), again.kept(), again.state) == (set(), None, "online")
    assert len(again.relay.said(OFF)) == 1
    assert again.do_cycle(0.2).result is REFUSED  # that was the cycle of this minute
    again.stop()


def test_another_name_gives_the_power_back() -> None:
    """The pending "on" belongs to the place of the relay, not to the name of the device."""
    rig = Rig().start()
    rig.cycle()
    rig.clock.run(3.0)
    again = rig.crash("gate")
    again.start(3.0)
    assert (again.relay.closed, again.kept()) == (True, None)
    again.stop()


def test_the_name_of_an_earlier_version_is_known() -> None:
    """A pending "on" that was stored by the name of the device is taken over."""
    rig = Rig()
    rig.relay.closed = False
    fired(rig.bench.store.put_setting(OLD_KEY, True))
    rig.start(3.0)
    assert (rig.relay.closed, rig.kept()) == (True, None)
    [settings] = fired(rig.bench.store.settings())
    assert OLD_KEY not in settings
    rig.stop()


def test_a_crash_and_a_relay_that_is_away() -> None:
    """After a crash "on" is tried until the relay is back."""
    rig = Rig().start()
    rig.cycle()
    rig.clock.run(3.0)
    again = rig.crash()
    again.network.reachable = False
    again.start(60)
    assert again.bench.raised() == {"r1.power-off", "r1.offline"}
    again.network.reachable = True
    again.clock.run(17)
    assert (again.relay.closed, again.bench.raised()) == (True, set())
    again.stop()


def test_a_stop_within_the_cycle_gives_the_power_back() -> None:
    """A stop waits for one confirmation of "on"; the cycle ends as cut short."""
    rig = Rig().start()
    ended = rig.cycle()
    rig.clock.run(3.0)
    stopped = fired(rig.device.stopService())
    rig.clock.run(0.5)
    assert (rig.relay.closed, stopped) == (True, [])
    rig.clock.run(1.0)
    assert stopped == [None]
    assert rig.kept() is None
    assert [each.result for each in ended] == [TIMEOUT]
    rig.stop()


def test_a_stop_that_cannot_give_it_back() -> None:
    """When the relay is away at the stop, the stop ends all the same, says so, and keeps it."""
    rig = Rig().start()
    rig.cycle()
    rig.clock.run(3.0)
    rig.network.reachable = False
    stopped = fired(rig.device.stopService())
    rig.clock.run(6.0)
    assert stopped == [None]
    assert rig.kept() is True
    assert "the power stays off until the next start" in rig.log.getvalue()
    rig.stop()


def test_a_disk_that_fails_before_off(rig: Rig) -> None:
    """What cannot be remembered is not cut."""
    store: Any = rig.bench.store
    store.put_setting = lambda name, value: fail(OSError("disk full"))
    ended = rig.do_cycle(1.0)
    assert ended.result is FAILED
    assert "disk full" in ended.detail
    assert (rig.relay.heard, rig.bench.raised()) == ([], set())


def test_a_disk_that_fails_after_on(rig: Rig, logged_failures: list[Failure]) -> None:
    """The power is on although that cannot be noted: the next start says "on" once more."""
    ended = rig.cycle()
    rig.clock.run(3.0)
    store: Any = rig.bench.store
    real, store.put_setting = store.put_setting, lambda name, value: fail(OSError("disk full"))
    rig.clock.run(6.0)
    store.put_setting = real
    assert [each.result for each in ended] == [DONE]
    assert rig.bench.raised() == set()
    assert len(logged_failures) == 1
    logged_failures.clear()


def test_a_command_before_the_start() -> None:
    """A relay that is not started cuts nothing."""
    rig = Rig()
    assert rig.do_cycle(0.1).result is REFUSED
    rig.stop()


def test_a_cancelled_cycle_goes_on() -> None:
    """A command that is cancelled is finished all the same."""
    rig = Rig().start()
    doing = rig.device.execute("power-cycle", {})
    rig.clock.run(2.0)
    fired(doing)
    doing.cancel()
    rig.clock.run(10.0)
    assert (rig.relay.closed, rig.kept()) == (True, None)
    rig.stop()


# -- settings


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("tcp:192.168.1.40:8080", ("192.168.1.40", 8080)),
        ("tcp:relay.local:1", ("relay.local", 1)),
        ("tcp:host=192.168.1.40:port=8080:timeout=3", ("192.168.1.40", 8080)),
        (r"tcp:fe80\:\:1:8080", ("fe80::1", 8080)),
    ],
)
def test_the_place_of_a_relay(address: str, place: tuple[str, int]) -> None:
    """The platform names a relay by host and port, which come from the address."""
    settings = RelaySettings(address=address, on="01", off="02")
    assert kind.build("r1", settings, Bench().context).place == place


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("address", "192.168.1.40:8080"),
        ("address", "unix:/run/relay"),
        ("address", "tcp:192.168.1.40:0"),
        ("address", "tcp:192.168.1.40:70000"),
        ("address", "tcp:192.168.1.40:8080:nonsense=1"),
        ("on", ""),
        ("on", "xyz"),
        ("off", "0"),
        ("off", "01"),
        ("off", "00" * (LONGEST_BYTES + 1)),
        ("confirm", "zz"),
    ],
)
def test_wrong_settings(key: str, value: str) -> None:
    """A setting that cannot be used is named."""
    settings: dict[str, Any] = {"address": "tcp:h:1", "on": "01", "off": "02"} | {key: value}
    with pytest.raises(WrongSetting) as caught:
        kind.build("r1", RelaySettings(**settings), Bench().context)
    assert caught.value.key == key


def test_an_off_that_would_be_late_is_never_sent(rig: Rig) -> None:
    """A disk that takes 75 s to note the cycle cuts no power: the command expired long before."""
    store = rig.bench.store
    put, waiting = store.put_setting, list[tuple[str, Any, Deferred[None]]]()

    def put_late(name: str, value: Any) -> Deferred[None]:
        waiting.append((name, value, Deferred()))
        return waiting[-1][2]

    store.put_setting = put_late  # type: ignore[method-assign]
    cycle = rig.cycle()
    rig.clock.run(75, 0.5)
    [result] = cycle
    assert result.result is TIMEOUT
    store.put_setting = put  # type: ignore[method-assign]
    for name, value, done in waiting:
        put(name, value).chainDeferred(done)
    rig.clock.run(10)
    assert rig.relay.heard == []
    assert rig.relay.closed
    assert rig.kept() is None
    assert rig.do_cycle().result is DONE
