"""`ups.status`: what a computer shuts itself down by."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest
from twisted.python.failure import Failure

from tests.bridges.nut.rig import ON_BATTERY, FakeUps, NutBench
from twisted_gantry.bridges.nut.judge import FSD_LEAST, FSD_ON_MAINS, MAX_AGE
from twisted_gantry.core.alarms import Read
from twisted_gantry.core.catalogue import PointType
from twisted_gantry.wire.reading import Value


@pytest.fixture
def bench() -> Iterator[NutBench]:
    made = NutBench()
    yield made
    made.stop()


@pytest.mark.parametrize(
    ("reading", "status"),
    [
        ({}, "OL"),
        ({"battery_charge": 98.0}, "OL CHRG"),
        (ON_BATTERY, "OB DISCHRG"),
        ({"state": "test", "battery_charge": 98.0}, "OL DISCHRG TEST"),
        ({"state": "bypass"}, "OL BYPASS"),
        ({"state": "he"}, "OL BYPASS"),
        ({"state": "bypass", "mains_abnormal": True}, "OL BYPASS"),
        ({"overload": True}, "OL OVER"),
        ({"state": "standby", "output_off": True, "shutting_down": True}, "OL OFF"),
        ({"state": "shutdown", "output_off": True, "mains_abnormal": True}, "OB OFF"),
        ({"self_test": "failed"}, "OL RB"),
    ],
)
def test_each_word_is_that_of_an_alarm(
    bench: NutBench, reading: Mapping[str, Value], status: str
) -> None:
    """The rules that raise the alarms of the UPS give the words, with the same readings."""
    bench.ups.reads(reading)
    assert bench.status() == status


@pytest.mark.parametrize("low", [{"battery_low": True}, {"battery_runtime": 299.0}])
def test_a_low_battery_needs_two_readings(bench: NutBench, low: Mapping[str, Value]) -> None:
    """LB comes with the second reading in a row, by the flag or by the runtime."""
    bench.ups.reads(ON_BATTERY)
    bench.ups.reads(ON_BATTERY, low)
    assert bench.status() == "OB DISCHRG"
    bench.ups.reads(ON_BATTERY)
    bench.ups.reads(ON_BATTERY, low)
    assert bench.status() == "OB DISCHRG"
    bench.ups.reads(ON_BATTERY, low)
    assert bench.status() == "OB LB DISCHRG"


def test_a_missing_value_is_no_low_battery(bench: NutBench) -> None:
    """Values that cannot be read neither set LB nor take it away."""
    missing: Mapping[str, Value] = {"battery_low": None, "battery_runtime": None}
    for _ in range(5):
        bench.ups.reads(ON_BATTERY, missing)
    assert bench.status() == "OB DISCHRG"
    for _ in range(2):
        bench.ups.reads(ON_BATTERY, {"battery_low": True})
    for _ in range(5):
        bench.ups.reads(ON_BATTERY, missing)
    assert bench.status() == "OB LB DISCHRG"


def test_a_missing_state_is_no_supply(bench: NutBench) -> None:
    """Without the state the mains decide: good ones end `OB`, bad ones begin it or let it be."""
    missing: Mapping[str, Value] = {"state": None}
    bench.ups.reads({"state": "bypass"})
    bench.ups.reads(missing, {"mains_abnormal": True})
    assert bench.status().split()[0] == "OB"
    bench.ups.reads(ON_BATTERY)
    bench.ups.reads(missing, {"mains_abnormal": True})
    assert bench.status().split()[0] == "OB"
    bench.ups.reads(missing)
    assert bench.status().split()[0] == "OL"
    bench.ups.reads(ON_BATTERY)
    bench.ups.reads({"state": "battery", "mains_abnormal": None})
    assert bench.status().split()[0] == "OB"


def test_what_a_card_shows_on_mains_is_no_low_battery(bench: NutBench) -> None:
    """A runtime of 0 on mains does not count, and LB is judged anew when the mains fail."""
    for _ in range(5):
        bench.ups.reads({"battery_runtime": 0.0})
    assert bench.status() == "OL"
    for _ in range(5):
        bench.ups.reads({"battery_runtime": 100.0})
    assert bench.status() == "OL LB"
    bench.ups.reads(ON_BATTERY, {"battery_runtime": 100.0})
    assert bench.status() == "OB DISCHRG"
    bench.ups.reads(ON_BATTERY, {"battery_runtime": 3000.0})
    bench.ups.reads(ON_BATTERY, {"battery_runtime": 3000.0})
    assert bench.status() == "OB DISCHRG"


def test_a_runtime_at_the_limit_does_not_flutter(bench: NutBench) -> None:
    """LB that came by the runtime goes from a tenth above the limit."""
    for runtime in (299.0, 299.0, 301.0, 301.0, 329.0, 329.0):
        bench.ups.reads(ON_BATTERY, {"battery_runtime": runtime})
    assert "LB" in bench.status().split()
    for _ in range(2):
        bench.ups.reads(ON_BATTERY, {"battery_runtime": 331.0})
    assert "LB" not in bench.status().split()


def test_an_announced_shutdown_is_forced(bench: NutBench) -> None:
    """Two readings in a row with the UPS's own announcement are FSD, while it has an output."""
    bench.ups.reads({"shutting_down": True})
    assert bench.status() == "OL"
    bench.ups.reads({"shutting_down": True})
    assert bench.status() == "FSD OL"


def test_values_that_cannot_be_read_are_stale_in_time(bench: NutBench) -> None:
    """The last status stands for `MAX_AGE` seconds of failed readings, then it is stale."""
    bench.ups.reads(ON_BATTERY)
    bench.ups.fails()
    bench.clock.advance(MAX_AGE)
    assert bench.status() == "OB DISCHRG"
    bench.clock.advance(1)
    assert bench.status() == "ERR DATA-STALE"
    bench.ups.reads()
    assert bench.status() == "OL"


def test_a_lost_device_is_stale_at_once(bench: NutBench) -> None:
    """Nothing is told of a device that is offline, and everything again once it is back."""
    bench.ups.status.offline("gone")
    assert bench.status() == "ERR DATA-STALE"
    bench.ups.reads()
    assert bench.status() == "OL"


def test_a_slow_poll_is_not_stale(bench: NutBench) -> None:
    """Good values hold until the next reading, however long that takes."""
    bench.clock.advance(10 * MAX_AGE)
    assert bench.status() == "OL"


def test_a_forced_shutdown_ends_when_the_mains_are_back(bench: NutBench) -> None:
    """FSD stays through the power cut, then for seconds on mains: a computer that boots again must
    not be shut down again.
    """
    bench.ups.reads(ON_BATTERY)
    bench.bridge.upses["ups1"].judge.force()
    assert bench.status() == "FSD OB DISCHRG"
    bench.clock.advance(600)
    assert bench.status() == "FSD OB DISCHRG"
    bench.ups.reads()
    bench.clock.advance(FSD_ON_MAINS - 1)
    bench.ups.reads(ON_BATTERY)
    bench.clock.advance(600)
    bench.ups.reads()
    bench.clock.advance(FSD_ON_MAINS)
    assert bench.status() == "OL"


def test_a_forced_shutdown_on_mains_lasts_for_every_computer(bench: NutBench) -> None:
    """Each computer asks every five seconds, so that FSD stands for a minute at least."""
    bench.bridge.upses["ups1"].judge.force()
    bench.clock.advance(FSD_LEAST - 1)
    assert bench.status() == "FSD OL"
    bench.clock.advance(1)
    assert bench.status() == "OL"


def test_a_forced_shutdown_does_not_end_unseen(bench: NutBench) -> None:
    """While the UPS cannot be read, nobody knows that its mains are back."""
    bench.bridge.upses["ups1"].judge.force()
    bench.ups.fails()
    bench.clock.advance(3600)
    bench.ups.reads()
    assert bench.status() == "FSD OL"


def test_a_device_without_rules_is_judged_by_its_flags(bench: NutBench) -> None:
    """Points of a mapped device that have the names of the alarms tell the same."""
    bench.ups.rules = ()
    bench.bridge.upses.stop()
    bench.bridge.upses.start()
    for _ in range(2):
        bench.ups.reads({"mains_abnormal": True, "battery_low": True, "overload": True})
    assert bench.status() == "OB LB OVER"
    bench.ups.reads()
    assert bench.status() == "OL LB"


def test_a_rule_that_fails_tells_nothing(bench: NutBench, logged_failures: list[Failure]) -> None:
    """A mistake in the kind of another package is logged once, and the rest is judged."""

    def broken(read: Read, raised: bool) -> bool | None:
        raise KeyError("load")

    bench.ups.rules = tuple(
        replace(rule, test=broken) if rule.name == "overload" else rule for rule in bench.ups.rules
    )
    bench.bridge.upses.stop()
    bench.bridge.upses.start()
    bench.ups.reads(ON_BATTERY)
    bench.ups.reads(ON_BATTERY)
    assert bench.status() == "OB DISCHRG"
    assert [type(each.value) for each in logged_failures] == [KeyError]
    logged_failures.clear()


def test_only_a_ups_is_one(bench: NutBench) -> None:
    """A device without a battery is none; one that is made anew by a reload is judged anew."""
    bench.points.declare("meter", [PointType("mains_abnormal", "", "m", "m")])
    bench.site.devices["meter"] = bench.ups
    assert [ups.name for ups in bench.bridge.upses.all()] == ["ups1"]
    for _ in range(2):
        bench.ups.reads(ON_BATTERY, {"battery_low": True})
    bench.alarms.unwatch("ups1")
    bench.points.retract("ups1", [p.name.partition(".")[2] for p in bench.points.under("ups1.")])
    fresh = FakeUps("ups1", bench)
    fresh.reads()
    assert bench.status() == "OL"
