"""The one poller under all drivers: its pace, its back-off, and when a device is offline."""

from itertools import pairwise
from typing import Any

import pytest
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from tests.support import Bench
from twisted_gantry.core.status import State, Status
from twisted_gantry.devices.polled import Poller


class Device:
    """Polled every 10 s; a reading takes 1 s, and fails while `reason` is set."""

    def __init__(self, reason: str = "", pause: float | None = None, **options: Any) -> None:
        bench = Bench()
        self.clock = bench.clock
        self.status = Status("d1", self.clock.now)
        self.reason, self.pause, self.mistake = reason, pause, False
        self.began: list[float] = []
        self.poller = Poller(bench.context, self.status, self._read, 10.0, **options)

    async def _read(self) -> float | None:
        self.began.append(self.clock.seconds())
        await deferLater(self.clock, 1.0)
        if self.mistake:
            raise KeyError("voltage")
        if self.reason:
            self.poller.failed(self.reason)
        else:
            self.poller.good()
        return self.pause

    def run(self, seconds: float) -> list[float]:
        """Poll for some time; returns the times between the readings."""
        self.poller.start()
        self.clock.run(seconds, 0.5)
        self.poller.stop()
        return [after - before for before, after in pairwise(self.began)]


@pytest.mark.parametrize(("pause", "gap"), [(None, 10.0), (3.0, 4.0)])
def test_a_period_counts_from_the_beginning_and_a_pause_from_the_end(
    pause: float | None, gap: float
) -> None:
    """The time of a reading is part of a period, not of a pause that the reading returns."""
    device = Device(pause=pause)
    assert device.run(42.0)[:4] == [gap] * 4
    assert device.status.state is State.ONLINE
    assert device.poller.seconds.sum == pytest.approx(device.poller.seconds.count)


def test_a_mistake_of_a_driver_takes_a_device_offline(logged_failures: list[Failure]) -> None:
    """Its points are not good for ever; it is read again, and comes back."""
    lost: list[State] = []
    device: Device = Device(losing=lambda: lost.append(device.status.state))
    states = []
    for mistake, seconds in ((False, 5.0), (True, 2.0), (True, 45.0), (False, 5.0)):
        device.mistake = mistake
        device.run(seconds)
        states.append(device.status.state)
    assert states == [State.ONLINE, State.ONLINE, State.OFFLINE, State.ONLINE]
    assert lost[0] is State.ONLINE
    assert str(device.status.last_error).startswith("the driver has a mistake")
    assert {failure.type for failure in logged_failures} == {KeyError}
    logged_failures.clear()


@pytest.mark.parametrize(("counted", "told"), [(True, "odd, 3 times in a row"), (False, "odd")])
def test_the_third_failure_takes_a_device_offline(counted: bool, told: str) -> None:
    """Two failures are errors; the third fails the points and is the reason of the state."""
    lost: list[State] = []
    device: Device = Device("odd", counted=counted, losing=lambda: lost.append(device.status.state))
    device.run(12.0)
    assert (device.status.state, device.status.last_error) == (State.CONNECTING, "odd")
    device.poller.failures = 2
    device.poller.failed("odd")
    assert (device.status.last_error, lost) == (told, [State.CONNECTING])


def test_pauses_grow_in_the_states_that_back_off_until_a_good_reading() -> None:
    """The pauses double while the device is offline, and begin anew after it was online."""
    device = Device("odd", backs_off=frozenset({State.OFFLINE}))
    gaps = device.run(200.0)
    assert gaps[:2] == [10.0, 10.0]
    assert gaps[2] < gaps[4] < gaps[6] <= 61.0
    device.reason = ""
    device.run(70.0)
    assert device.status.state is State.ONLINE
    assert device.poller.backoff.failures == 0
