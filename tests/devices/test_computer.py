"""The computer as a device: its probe, and the driver around it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from tests.support import Bench, fired
from twisted_gantry.core.interfaces import IDevice, IDeviceKind, IRefreshable
from twisted_gantry.core.status import State
from twisted_gantry.devices.computer import Computer, ComputerSettings, PsutilProbe, kind
from twisted_gantry.devices.computers.points import NOT_SUPPORTED, POINTS, Measured
from twisted_gantry.wire.reading import Quality

MEASURED: dict[str, Measured] = {
    "sys_disk_usage": (20.0, Quality.GOOD),
    "cpu_temperature": NOT_SUPPORTED,
}


class Rig:
    """A computer whose probe answers when the test says."""

    def __init__(self) -> None:
        self.bench = Bench()
        self.calls: list[Deferred[Any]] = []
        self.measured = MEASURED
        context = replace(self.bench.context, in_thread=self._in_thread)
        self.computer = Computer("pc1", ComputerSettings(), context, lambda: MEASURED)
        self.bench.add(self.computer)
        self.computer.startService()

    def _in_thread(self, function: Callable[[], Mapping[str, Measured]]) -> Deferred[Any]:
        call: Deferred[Any] = Deferred()
        self.calls.append(call)
        return call

    def run(self, seconds: float) -> None:
        """Let time pass; each reading is answered at once with `measured`."""
        for _ in range(round(seconds / 10)):
            if not self.calls[-1].called:
                self.calls[-1].callback(self.measured)
            self.bench.clock.advance(10.0)
        self.calls[-1].callback(self.measured)

    def stop(self) -> None:
        """Stop, and see that no timer is left."""
        self.computer.stopService()
        self.bench.alarms.stop()
        assert self.bench.clock.getDelayedCalls() == []


def test_provides_its_interfaces() -> None:
    """The driver is an IDevice, its kind an IDeviceKind."""
    rig = Rig()
    assert verifyObject(IDevice, rig.computer)
    assert verifyObject(IDeviceKind, kind)
    rig.stop()


def test_the_probe_measures_all_thirteen_fields() -> None:
    """On a real computer each of the 13 fields is a value in range, or known to be none."""
    measured = {**PsutilProbe("/")()}
    given = {"id", "is_monitor_computer", "is_main_computer"}
    assert set(measured) | given == {point.name for point in POINTS} | {"clock_synchronised"}
    assert len(POINTS) == 13
    for name, (value, quality) in measured.items():
        if quality is Quality.GOOD and name.endswith("usage"):
            assert isinstance(value, float)
            assert 0 <= value <= 100
        if name.endswith("size"):
            assert isinstance(value, int)
            assert value > 1024


@pytest.mark.parametrize(
    ("told", "measured"),
    [(True, (True, Quality.GOOD)), (False, (False, Quality.GOOD)), (None, NOT_SUPPORTED)],
)
def test_the_kernel_tells_whether_a_time_server_set_the_clock(
    told: bool | None, measured: Measured
) -> None:
    """What adjtimex says is the point `clock_synchronised`; only Linux has one."""
    assert PsutilProbe("/", in_time=lambda: told)()["clock_synchronised"] == measured


def test_an_hour_without_a_time_server_is_an_alarm() -> None:
    """The alarm comes after an hour, not at the start, and ends with the first reading in time."""
    rig = Rig()
    rig.measured = {**MEASURED, "clock_synchronised": (False, Quality.GOOD)}
    rig.run(3590.0)
    assert rig.bench.raised() == set()
    rig.run(20.0)
    assert rig.bench.raised() == {"pc1.clock-unsynchronised"}
    rig.bench.clock.wall_offset = 0.0
    rig.measured = {**MEASURED, "clock_synchronised": (True, Quality.GOOD)}
    rig.run(10.0)
    assert rig.bench.raised() == set()
    rig.stop()


def test_a_disk_that_is_not_there_fails_alone() -> None:
    """A data disk that cannot be asked is get-failed; all else is measured."""
    measured = PsutilProbe("/no/such/disk")()
    assert measured["data_disk_usage"] == (None, Quality.GET_FAILED)
    assert measured["sys_disk_usage"][1] is Quality.GOOD


def test_network_usage_is_that_of_the_busiest_link(monkeypatch: pytest.MonkeyPatch) -> None:
    """The use is bits moved in the busier direction, as a share of the link's speed."""
    from types import SimpleNamespace as Shape

    import psutil

    moments = iter([0.0, 10.0, 20.0])
    sent = iter([0, 12_500_000, 12_500_000])
    speeds = {"eth0": Shape(isup=True, speed=100), "lo": Shape(isup=True, speed=10)}
    monkeypatch.setattr(psutil, "net_if_stats", lambda: speeds)
    monkeypatch.setattr(
        psutil,
        "net_io_counters",
        lambda pernic: {"eth0": Shape(bytes_sent=next(sent), bytes_recv=0)},
    )
    probe = PsutilProbe("/", lambda: next(moments))
    assert probe()["net_usage"] == (None, Quality.NO_DATA)
    assert probe()["net_usage"] == (10.0, Quality.GOOD)
    assert probe()["net_usage"] == (0.0, Quality.GOOD)


def test_a_reading_makes_it_online() -> None:
    """What the probe measures becomes points, and the device is online."""
    rig = Rig()
    assert rig.bench.good("pc1.is_monitor_computer") is True
    assert rig.bench.good("pc1.sys_disk_usage") == "no-data"
    rig.calls[0].callback(MEASURED)
    assert rig.bench.good("pc1.sys_disk_usage") == 20.0
    assert rig.bench.good("pc1.cpu_temperature") == "not-supported"
    assert rig.computer.status.state is State.ONLINE
    rig.bench.clock.advance(10.0)
    assert len(rig.calls) == 2
    rig.stop()


def test_a_refresh_reads_at_once() -> None:
    """Who asks for a reading is told after the next one, good or not."""
    rig = Rig()
    assert verifyObject(IRefreshable, rig.computer)
    rig.calls[0].callback(MEASURED)
    told = fired(rig.computer.refresh())
    rig.bench.clock.advance(0)
    assert (len(rig.calls), told) == (2, [])
    rig.calls[1].callback({**MEASURED, "sys_disk_usage": (30.0, Quality.GOOD)})
    assert told == [None]
    assert rig.bench.good("pc1.sys_disk_usage") == 30.0
    rig.stop()


def test_a_probe_that_hangs_holds_one_thread() -> None:
    """A disk that hangs makes the device offline, and no second reading is begun."""
    rig = Rig()
    rig.bench.clock.pump([5.0] * 12)
    assert len(rig.calls) == 1
    assert rig.computer.status.state is State.OFFLINE
    assert "does a disk hang" in str(rig.computer.status.last_error)
    rig.calls[0].callback(MEASURED)
    assert rig.bench.points["pc1.sys_disk_usage"].quality is Quality.GOOD
    rig.stop()


def test_a_probe_that_fails_is_tried_again(logged_failures: list[Any]) -> None:
    """A failure is logged, makes the device offline, and the next period reads anew."""
    rig = Rig()
    rig.calls[0].errback(OSError("no /proc"))
    assert rig.computer.status.last_error == "no /proc"
    assert rig.bench.good("pc1.sys_disk_usage") == "get-failed"
    assert rig.bench.good("pc1.is_monitor_computer") is True  # known without a reading
    rig.bench.clock.advance(10.0)
    rig.calls[1].callback(MEASURED)
    assert rig.computer.status.state.value == "online"
    assert [failure.type for failure in logged_failures] == [OSError]
    logged_failures.clear()
    rig.stop()


def test_stopping_forgets_a_reading_that_is_under_way() -> None:
    """What a probe brings after the stop changes nothing."""
    rig = Rig()
    rig.stop()
    rig.calls[0].callback(MEASURED)
    assert rig.bench.good("pc1.sys_disk_usage") == "no-data"
