"""The parts of a fleet: percentiles and counts, the timer wheel, the ramp, the readings."""

import gc
import math
import weakref
from functools import partial
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from tests.twin.helpers import NOW
from twisted_gantry.twin.fleet.cloud import RampedEndpoint
from twisted_gantry.twin.fleet.readings import CHANNELS, Gantry, gantries, shared_worlds
from twisted_gantry.twin.fleet.settings import FleetSettings, counted
from twisted_gantry.twin.fleet.tally import (
    FIRST_S,
    GROWTH,
    MAX_CODES,
    OTHER,
    SLICE_S,
    SLICES,
    Latencies,
    Tally,
)
from twisted_gantry.twin.fleet.wheel import TICK_S, Wheel
from twisted_gantry.wire.etc.envelope import Method
from twisted_gantry.wire.etc.reports import decode_report
from twisted_gantry.wire.etc.uploads import decode_upload
from twisted_gantry.wire.fogslink.messages import is_channel
from twisted_gantry.wire.json import dumps, loads

# -- percentiles and counts

WORLDS = 4


@given(st.lists(st.floats(FIRST_S, 60), min_size=1, max_size=200))
def test_percentiles_are_five_percent_too_high_at_the_most(took: list[float]) -> None:
    """Each is the nearest rank of what was observed, or up to a bucket above it."""
    latencies = Latencies(lambda: 0.0)
    for each in took:
        latencies.observe(each)
    shown = latencies.shown()
    assert shown["count"] == len(took)
    for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        exact = sorted(took)[math.ceil(share * len(took)) - 1] * 1000
        found = shown[name]
        assert found is not None
        assert exact - 0.06 <= found <= exact * GROWTH + 0.06  # shown to 0.1 ms
    assert shown["max"] == round(max(took) * 1000, 1)


def test_a_latency_past_the_last_bucket_is_shown_as_the_longest() -> None:
    """An hour is more than any bucket holds, and no time, or less, is in the first."""
    latencies = Latencies(lambda: 0.0)
    latencies.observe(3600)
    assert latencies.shown()["p99"] == 3_600_000
    latencies.observe(-1)
    assert latencies.shown()["p50"] == 0.1


def test_the_window_slides() -> None:
    """What is older than the window is no part of the percentiles; without any there are none."""
    clock = Clock()
    latencies = Latencies(clock.seconds)
    latencies.observe(1.0)
    clock.advance(SLICE_S * (SLICES - 1))
    latencies.observe(0.001)
    assert latencies.shown()["count"] == 2
    clock.advance(SLICE_S)
    shown = latencies.shown()
    assert (shown["count"], shown["max"]) == (1, 1.0)
    clock.advance(SLICE_S * SLICES)
    assert latencies.shown() == {"count": 0, "p50": None, "p95": None, "p99": None, "max": None}


def test_the_memory_of_the_window_is_bounded() -> None:
    """However long it runs, no more than its slices are kept."""
    clock = Clock()
    latencies = Latencies(clock.seconds)
    for _ in range(1000):
        latencies.observe(0.01)
        clock.advance(SLICE_S / 3)
    assert len(latencies._slices) <= SLICES


def test_each_message_ends_in_one_way() -> None:
    """Sent is acknowledged, refused, lost and in flight together; a good answer or not is timed."""
    tally = Tally(lambda: 0.0)
    tally.sent = 5
    tally.acknowledge(0.01)
    tally.refuse("1005", 0.02)
    tally.refuse(" 1005 ", 0.02)
    tally.lost += 1
    shown = tally.shown()
    assert (shown["acknowledged"], shown["lost"], shown["inFlight"]) == (1, 1, 1)
    assert shown["refused"] == {"1005": 2}
    assert shown["latencyMs"]["count"] == 3
    told = tally.told()
    assert "5 sent, 1 acknowledged, 2 refused, 1 lost" in told
    assert "skipped" not in told


def test_codes_that_a_peer_invents_are_bounded() -> None:
    """In number and in length; those that are known still count as themselves."""
    tally = Tally(lambda: 0.0)
    for number in range(10 * MAX_CODES):
        tally.refuse(f"{number}" + "x" * 1000, 0.0)
    tally.refuse("0" + "x" * 1000, 0.0)
    assert len(tally.refused) == MAX_CODES + 1
    assert tally.refused[OTHER] == 9 * MAX_CODES
    assert max(len(code) for code in tally.refused) == 20
    assert tally.refused["0" + "x" * 19] == 2


# -- the wheel


def wheel() -> tuple[Clock, Wheel, list[float]]:
    """Return a wheel that turns, and a list for what happens when."""
    clock = Clock()
    clock.advance(5)
    made = Wheel(clock)
    made.start()
    return clock, made, []


def run(clock: Clock, seconds: float) -> None:
    clock.pump([TICK_S / 2] * round(seconds / TICK_S * 2))


@given(st.lists(st.floats(0, 3), max_size=20))
def test_timers_run_within_a_tick_of_their_moment(delays: list[float]) -> None:
    """All of them, once, and none when it is set."""
    clock, made, _ = wheel()
    ran: list[tuple[float, float]] = []

    def note(delay: float) -> None:
        ran.append((delay, clock.seconds() - 5))

    for each in delays:
        made.callLater(each, partial(note, each))
    assert ran == []
    run(clock, 3.5)
    assert sorted(each for each, _ in ran) == sorted(delays)
    assert all(abs(at - each) <= 1.5 * TICK_S for each, at in ran)
    made.stop()


def test_a_cancelled_timer_does_not_run() -> None:
    """Nor does cancelling one that ran do anything."""
    clock, made, ran = wheel()
    kept = made.callLater(1, lambda: ran.append(1))
    made.callLater(1, lambda: ran.append(2)).cancel()
    run(clock, 2)
    kept.cancel()
    assert ran == [1]
    made.stop()


def test_a_timer_that_fails_stops_no_other(logged_failures: list[Failure]) -> None:
    """It is logged; those behind it, of the same tick and later, run."""
    clock, made, ran = wheel()
    made.callLater(1, lambda: ran.append(1 / 0))
    made.callLater(1, lambda: ran.append(1))
    made.every(1, lambda: ran.append(2), 1.5)
    run(clock, 3)
    assert ran == [1, 2, 2]
    assert [failure.type for failure in logged_failures] == [ZeroDivisionError]
    logged_failures.clear()
    made.stop()


def test_what_repeats_does_not_drift() -> None:
    """After a thousand periods, which are no whole ticks, it is on time to a tick."""
    clock, made, ran = wheel()
    made.every(0.333, lambda: ran.append(clock.seconds() - 5), 0.1)
    run(clock, 340)
    assert len(ran) > 1000
    assert ran[1000] == pytest.approx(0.1 + 1000 * 0.333, abs=1.5 * TICK_S)
    made.stop()


def test_a_stall_is_not_made_up_for() -> None:
    """What repeats runs once after it, and then at its old moments."""
    clock, made, ran = wheel()
    made.every(1, lambda: ran.append(clock.seconds() - 5), 1)
    run(clock, 1.5)
    clock.advance(10)
    run(clock, 1)
    assert ran == pytest.approx([1, 11.5, 12], abs=0.03)
    made.stop()


def test_a_wheel_that_stops_leaves_nothing() -> None:
    """No timer on the clock, and none of its own, with what that would keep in memory."""
    clock, made, ran = wheel()
    kept = Random(1)
    gone = weakref.ref(kept)
    made.callLater(1, partial(ran.append, kept))  # type: ignore[arg-type]
    made.stop()
    del kept
    gc.collect()
    assert gone() is None
    run(clock, 2)
    assert ran == []
    assert clock.getDelayedCalls() == []
    made.stop()


# -- the ramp


@pytest.mark.parametrize("rate", [200, 75, 25, 4, 0.5])
def test_the_ramp_keeps_its_rate(rate: float) -> None:
    """In any second no more than the rate, one bunch over it at the most; all in their order."""
    clock, made, _ = wheel()
    let: dict[int, float] = {}

    @implementer(IStreamClientEndpoint)
    class Endpoint:
        def connect(self, protocolFactory: Any) -> Deferred[Any]:  # noqa: N803
            let[protocolFactory] = clock.seconds()
            return Deferred()

    ramp = RampedEndpoint(Endpoint(), made, rate)
    count = max(4, round(rate * 2))
    for number in range(count):
        ramp.connect(number)  # type: ignore[arg-type]
    run(clock, count / rate + 1)
    assert list(let) == list(range(count))
    times = list(let.values())
    for at in times:
        assert sum(at <= each < at + 1 for each in times) <= max(1, rate * 1.15 + 1)
    assert times[-1] - times[0] <= count / rate + 0.2
    made.stop()


# -- the readings


def fleet(count: int = 12, seed: int = 1, **more: str) -> list[Gantry]:
    """Return gantries over worlds that have lived for a minute."""
    random = Random(seed)
    worlds = shared_worlds(random, lambda: NOW, WORLDS)
    for world in worlds:
        world.step(60)
    settings = FleetSettings(gantries=count, **more)  # type: ignore[arg-type]
    return list(gantries(settings, worlds, random))


def test_gantries_have_ids_of_their_own() -> None:
    """They count up from the first, in as many digits, and an apiKey may name its gantry."""
    made = fleet(12, api_key="key-{eqSN}")
    assert [each.gantry_id for each in made[:2]] == ["G000211001002110010", "G000211001002110011"]
    assert made[11].eq_sn == "10000011"
    assert made[11].api_key == "key-10000011"
    assert "key-" not in repr(made[11])
    assert len({each.gantry_id for each in made}) == len({each.eq_sn for each in made}) == 12
    assert len({id(each.world) for each in made}) == WORLDS


def test_ids_do_not_grow() -> None:
    """A first number that is too high for so many is an error, not a longer id."""
    assert counted("0099", 1) == "0100"
    with pytest.raises(ValueError, match="too few digits"):
        counted("9998", 2)


def test_reports_are_valid_and_differ() -> None:
    """A strict receiver takes them, a lenient one finds nothing odd, and no two are alike."""
    made = fleet()
    bodies = [loads(dumps(each.cabinet())) for each in made]
    computers = [loads(dumps(each.computers())) for each in made]
    for body, computer in zip(bodies, computers, strict=True):
        decode_report(Method.CABINET_STATUS, body)
        assert not decode_upload(body).odd
        decode_report(Method.COMPUTER_STATUS, computer)
    assert len({dumps(each) for each in bodies}) == len(made)
    assert len({each["elec"][0]["voltage"] for each in bodies}) > WORLDS
    assert len({dumps(each) for each in computers}) == len(made)


def test_a_row_is_consistent() -> None:
    """Volts times amperes are the power, also with the offsets; without mains all are 0."""
    [gantry, *_] = fleet(1)
    elec = gantry.cabinet().elec[0]
    power = float(elec.voltage) * float(elec.current) / 1000
    assert power == pytest.approx(float(elec.power), abs=0.01)
    gantry.world.change({"mains.voltage": 0})
    elec = gantry.cabinet().elec[0]
    assert (elec.status, elec.voltage, elec.current, elec.power) == ("0", "0", "0", "0")


def test_the_world_shows_in_every_gantry_over_it() -> None:
    """A sensor that fails has no offset, a mains failure is in reports and channels."""
    made = fleet(WORLDS + 1)
    before = made[0].items()
    made[0].world.change({"cab1.thermohygrometer_fault": True, "mains.voltage": 0})
    for each in (made[0], made[WORLDS]):
        assert each.cabinet().thermohygrometer.temperature == "GetFailed"
    assert made[1].cabinet().thermohygrometer.status == "1"
    after = made[0].items()
    assert {item.e_chan: item.e_val for item in after}["P0-C1"] == "0"
    assert before != after


def test_items_are_channels_with_texts() -> None:
    """Each channel is normal, has a name that the cloud takes, and a value."""
    [gantry, *_] = fleet(1)
    items = gantry.items()
    assert [item.e_chan for item in items] == list(CHANNELS)
    assert all(is_channel(item.e_chan) and item.e_val and item.e_chan_sta == "1" for item in items)
