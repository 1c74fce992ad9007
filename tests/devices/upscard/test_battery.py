"""The battery test of a UPS: when it may begin, how it is followed, what is known of its end."""

from typing import Any

import pytest
from twisted.internet.defer import fail
from twisted.python.failure import Failure

from tests.devices.upscard.rigs import HTTP, LIVE, TCP, ScriptRig, TwinRig, outcome
from tests.support import START, Bench, fired
from twisted_gantry.core.commands.types import CommandResult, Outcome
from twisted_gantry.core.interfaces import BatteryTest
from twisted_gantry.core.status import State
from twisted_gantry.devices.upscard.battery import why_not_test
from twisted_gantry.wire.reading import Value

KEPT = "ups1.battery-test"
TEST_WORD, LINE_WORD = "0101", "0011"


def last(rig: Any) -> BatteryTest:
    """Return the last test of a rig's device."""
    test = rig.card.battery_test
    assert isinstance(test, BatteryTest)
    return test


def begin(rig: TwinRig) -> None:
    """Start a test by command, and let it run for a moment."""
    results = rig.command("T")
    rig.run(1.0)
    assert outcome(results) == CommandResult(Outcome.DONE, value="(OK")
    assert rig.world.snapshot()["ups1.state"] == "test"


def test_a_good_test_is_followed_to_its_end(rig: TwinRig) -> None:
    """`T` starts it; it ends by itself with the UPS's verdict, its duration and last voltage."""
    assert rig.card.battery_test is None
    began = rig.clock.now()
    begin(rig)
    assert last(rig).started == pytest.approx(began, abs=0.2)
    assert (last(rig).ended, last(rig).result, last(rig).end_cause) == (None, "unknown", 0)
    rig.run(7.0)
    low = rig.bench.good("ups1.battery_voltage")
    rig.run(5.0)
    test = last(rig)
    assert test.ended is not None
    assert test.ended - test.started == pytest.approx(10.0, abs=1.5)
    assert (test.result, test.end_cause) == ("good", 2)
    assert test.end_voltage == pytest.approx(low, abs=1.0)
    assert test.end_voltage < rig.bench.good("ups1.battery_voltage")
    assert rig.bench.good("ups1.battery_test_end_voltage") == test.end_voltage
    assert rig.bench.good("ups1.battery_test_duration") == test.ended - test.started


def test_readings_are_closer_while_a_test_runs(way: str) -> None:
    """A slow `poll` becomes a second for as long as a test runs."""
    rig = TwinRig(way, poll=20.0)
    rig.start()
    counted = rig.twin.counts["answered"]
    begin(rig)
    rig.run(8.0)
    assert rig.twin.counts["answered"] - counted >= 8
    rig.run(3.0)
    counted = rig.twin.counts["answered"]
    rig.run(18.0)
    assert rig.twin.counts["answered"] - counted <= 2
    rig.stop()


def test_a_failed_test(rig: TwinRig) -> None:
    """A battery that is worn out fails: why the test ended the card does not tell."""
    rig.world.change({"ups1.battery_health": 50})
    begin(rig)
    rig.run(12.0)
    assert (last(rig).result, last(rig).end_cause) == ("failed", 255)


def test_a_test_from_the_panel_is_followed(rig: TwinRig) -> None:
    """A test that somebody starts at the UPS is found by a reading."""
    assert rig.world.ups["ups1"].start_test()
    rig.run(15.0)
    assert (last(rig).result, last(rig).end_cause) == ("good", 2)


@pytest.mark.parametrize(
    ("change", "cause"),
    [({"mains.voltage": 0}, 3), ({"ups1.fault": "inverter"}, 5), ({"ups1.load_w": 12_000}, 3)],
)
def test_a_test_that_something_cuts_short(rig: TwinRig, change: dict[str, Any], cause: int) -> None:
    """The mains, an overload and a fault end it without a verdict, and are its end cause."""
    begin(rig)
    rig.run(2.0)
    rig.world.change(change)
    rig.run(3.0)
    assert last(rig).ended is not None
    assert (last(rig).result, last(rig).end_cause) == ("unknown", cause)


def test_the_verdict_before_is_none_for_a_test_that_was_cut_short() -> None:
    """A UPS that keeps its old verdict through a test did not judge one that was cut short."""
    rig = ScriptRig()
    rig.start()
    rig.script.answers |= {"T": "(OK", "QAD": LIVE[:-4] + TEST_WORD}
    rig.command("T")
    rig.clock.run(3.0)
    rig.script.answers["QAD"] = LIVE[:-4] + "0110"
    rig.clock.run(3.0)
    assert rig.bench.good("ups1.self_test") == "good"
    assert (last(rig).result, last(rig).end_cause) == ("unknown", 5)
    rig.stop()


def test_a_verdict_may_follow_the_end() -> None:
    """A UPS that judges some seconds after the test is heard."""
    rig = ScriptRig()
    unknown = LIVE.replace("0000100000000011", "0000000000000011")
    rig.script.answers |= {"T": "(OK", "QAD": unknown[:-4] + TEST_WORD}
    rig.start(5.0)
    rig.script.answers["QAD"] = unknown
    rig.clock.run(5.0)
    assert (last(rig).result, last(rig).end_cause) == ("unknown", 255)
    rig.script.answers["QAD"] = LIVE
    rig.clock.run(5.0)
    assert (last(rig).result, last(rig).end_cause) == ("good", 2)
    rig.script.answers["QAD"] = LIVE.replace("0000100000000011", "0000010000000011")
    rig.clock.run(100.0)
    assert (last(rig).result, last(rig).end_cause) == ("good", 2)
    rig.stop()


@pytest.mark.parametrize("verdict", ["10", "01"])
def test_a_test_that_was_never_seen(verdict: str) -> None:
    """(OK, but no reading shows a test: the old verdict is none for it, a new one is."""
    rig = ScriptRig()
    rig.start()
    rig.script.answers["T"] = "(OK"
    rig.command("T")
    rig.clock.run(5.0)
    assert last(rig).ended is None
    assert "a test is running" in rig.card.why_not_test()
    rig.script.answers["QAD"] = LIVE.replace("0000100000000011", f"0000{verdict}0000000011")
    rig.clock.run(10.0)
    test = last(rig)
    assert test.ended is not None
    assert test.end_voltage is None
    assert test.end_cause == 255
    assert test.result == ("unknown" if verdict == "10" else "failed")
    assert rig.card.why_not_test() == ""
    assert rig.bench.good("ups1.battery_test_end_voltage") == "no-data"
    rig.stop()


def test_a_test_whose_end_was_not_seen(rig: TwinRig) -> None:
    """When the card was silent at the end, how it ended is not known; what was last seen is."""
    begin(rig)
    rig.run(3.0)
    seen = rig.clock.now()
    rig.fault(drop=1)
    rig.run(30.0)
    rig.behave()
    rig.run(20.0)
    test = last(rig)
    assert test.ended is not None
    assert test.ended == pytest.approx(seen, abs=1.5)
    assert (test.result, test.end_cause) == ("good", 255)
    assert test.end_voltage is not None


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"mains.voltage": 0}, "the mains are abnormal"),
        ({"ups1.mode": "bypass"}, "the UPS is in the state bypass"),
        ({"ups1.load_w": 10_500}, "overload"),
        ({"ups1.battery_charge": 15}, "the battery is low"),
        ({"ups1.fault": "inverter"}, "the UPS is in the state fault"),
        ({"ups1.battery_charge": 79}, "the charge is under 80 %"),
        ({"ups1.output_on": False}, "the UPS is in the state standby"),
    ],
)
def test_what_speaks_against_a_test(rig: TwinRig, change: dict[str, Any], why: str) -> None:
    """`T` is refused, with the reason, and nothing reaches the card."""
    assert rig.card.why_not_test() == ""
    rig.world.change(change)
    rig.clock.run(2.1)
    assert why in rig.card.why_not_test()
    results = rig.command("T")
    rig.clock.run(0.3)
    assert outcome(results).result is Outcome.REFUSED
    assert why in outcome(results).detail
    assert rig.world.snapshot()["ups1.state"] != "test"
    assert rig.card.battery_test is None


def test_a_second_test_is_refused(rig: TwinRig) -> None:
    """While one runs, another is refused."""
    begin(rig)
    results = rig.command("T")
    assert outcome(results).result is Outcome.REFUSED
    assert "a test is running" in outcome(results).detail


def test_what_is_not_known_speaks_against_a_test(rig: TwinRig) -> None:
    """A card that is silent, or was never read, is not tested."""
    rig.fault(drop=1)
    rig.clock.run(6.0)
    against = rig.card.why_not_test()
    for name in ("the state", "mains_abnormal", "overload", "battery_low", "the charge"):
        assert f"{name} is not known" in against
    assert outcome(rig.command("T")).result is Outcome.REFUSED


@pytest.mark.parametrize("state", ["line", "he", "converter"])
def test_nothing_speaks_against_a_test(state: str) -> None:
    """A UPS that works from good mains with a charged battery may be tested."""
    values: dict[str, Value] = {
        "state": state,
        "battery_charge": 80.0,
        "mains_abnormal": False,
        "overload": False,
        "battery_low": False,
        "shutting_down": False,
    }
    assert why_not_test(values.get, running=False) == ""
    for name in values:
        assert why_not_test((values | {name: None}).get, running=False)


def test_a_test_is_stopped_by_hand() -> None:
    """With `test_stop` there is `stop-test`, which sends that text; the test ended by hand."""
    rig = ScriptRig(test_stop="CT")
    rig.start()
    rig.script.answers |= {"T": "(OK", "QAD": LIVE[:-4] + TEST_WORD, "CT": "(OK"}
    rig.command("T")
    rig.clock.run(3.0)
    results = rig.command("stop-test")
    rig.script.answers["QAD"] = LIVE
    rig.clock.run(2.0)
    assert outcome(results) == CommandResult(Outcome.DONE, value="(OK")
    assert len(rig.script.commands("CT")) == 1
    assert (last(rig).result, last(rig).end_cause) == ("unknown", 4)
    rig.stop()


def test_a_stop_does_not_pass_as_a_query() -> None:
    """What stops a test asks, so the same text as a query, which does not ask, is refused."""
    rig = ScriptRig(test_stop="BTX")
    rig.start()
    results = rig.command("query", {"cmd": "btx"})
    rig.clock.run(1.0)
    assert outcome(results).result is Outcome.REFUSED
    assert rig.script.commands("btx") == []
    rig.stop()


def test_a_stop_that_failed_is_none() -> None:
    """`(FAILED` to the stop: the test went on, and ended by itself."""
    rig = ScriptRig(test_stop="CT")
    rig.start()
    rig.script.answers |= {"T": "(OK", "QAD": LIVE[:-4] + TEST_WORD, "CT": "(FAILED"}
    rig.command("T")
    rig.clock.run(3.0)
    results = rig.command("stop-test")
    rig.clock.run(2.0)
    rig.script.answers["QAD"] = LIVE
    rig.clock.run(2.0)
    assert outcome(results).result is Outcome.FAILED
    assert last(rig).end_cause == 2
    rig.stop()


def test_without_test_stop_there_is_no_such_command(rig: TwinRig) -> None:
    """The document names no way to stop a test."""
    assert "stop-test" not in rig.card.commands
    assert outcome(rig.command("stop-test")).result is Outcome.REFUSED


def kept(bench: Bench) -> Any:
    """Return what is stored of the last test."""
    [settings] = fired(bench.store.settings())
    return settings.get(KEPT)


def restarted(old: Any, way: str = TCP) -> TwinRig:
    """Return a new driver on the world and the store of another that died."""
    bench = Bench()
    bench.clock.wall_offset = old.clock.now()
    fired(bench.store.put_setting(KEPT, kept(old.bench)))
    return TwinRig(way, bench=bench, world=old.world)


def test_the_last_test_survives_a_restart(way: str) -> None:
    """A test that is over is the same after a restart, and so are its points."""
    old = TwinRig(way)
    old.start()
    begin(old)
    old.run(13.0)
    old.stop()
    rig = restarted(old, way)
    rig.start()
    assert last(rig) == last(old)
    assert rig.bench.good("ups1.battery_test_end_voltage") == last(old).end_voltage
    rig.stop()


def test_a_test_that_goes_on_over_a_restart(way: str) -> None:
    """A test that still runs after a restart is followed to its end."""
    old = TwinRig(way)
    old.start()
    begin(old)
    old.run(3.0)
    old.stop()
    rig = restarted(old, way)
    rig.start()
    assert last(rig).ended is None
    rig.run(9.0)
    test = last(rig)
    assert test.started == last(old).started
    assert test.ended is not None
    assert test.ended - test.started == pytest.approx(10.0, abs=2.0)
    assert (test.result, test.end_cause) == ("good", 2)
    rig.stop()


def test_a_test_that_ended_while_we_were_gone(way: str) -> None:
    """The end was not seen: cause 255, the end is the last sight, the verdict is the UPS's."""
    old = TwinRig(way)
    old.start()
    begin(old)
    old.run(3.0)
    old.stop()
    old.world.step(3600.0)
    old.clock.wall_offset += 3600.0
    rig = restarted(old, way)
    rig.start()
    test = last(rig)
    assert test.ended is not None
    assert test.ended - test.started < 10.0
    assert (test.result, test.end_cause) == ("good", 255)
    assert kept(rig.bench)["test"]["end_cause"] == 255
    rig.run(5.0)
    assert last(rig) == test
    rig.stop()


@pytest.mark.parametrize("odd", [1, "x", {}, {"test": {}}, {"test": {"started": "yesterday"}}])
def test_an_odd_entry_in_the_store_is_no_test(odd: Any) -> None:
    """What cannot be read is passed over."""
    bench = Bench()
    fired(bench.store.put_setting(KEPT, odd))
    rig = TwinRig(bench=bench)
    rig.start()
    assert rig.card.battery_test is None
    assert rig.state() is State.ONLINE
    rig.stop()


@pytest.mark.parametrize("way", [TCP, HTTP])
def test_a_full_disk_stops_no_test(
    way: str, monkeypatch: pytest.MonkeyPatch, logged_failures: list[Failure]
) -> None:
    """A store that fails is said once, and the test is followed all the same."""
    bench = Bench()
    monkeypatch.setattr(bench.store, "settings", lambda: fail(OSError("no disk")))
    monkeypatch.setattr(bench.store, "put_setting", lambda *_: fail(OSError("full")))
    rig = TwinRig(way, bench=bench)
    rig.start()
    begin(rig)
    rig.run(13.0)
    assert last(rig).result == "good"
    assert [failure.getErrorMessage() for failure in logged_failures] == ["no disk", "full"]
    logged_failures.clear()
    rig.stop()


@pytest.mark.parametrize("step", [-5000.0, 3600.0, 5 * 366 * 86_400.0])
def test_a_step_of_the_clock_does_not_change_how_long_a_test_took(
    rig: TwinRig, step: float
) -> None:
    """A test that begins before the clock is set, and ends after it, took its ten seconds."""
    begin(rig)
    rig.clock.wall_offset = START + step
    rig.run(13.0)
    test = last(rig)
    assert test.ended is not None
    assert test.ended - test.started == pytest.approx(10.0, abs=2.0)


@pytest.mark.parametrize("expiry", [30.0, 1.0])
def test_a_second_test_waits_for_a_reading_when_the_reply_to_the_first_was_lost(
    way: str, expiry: float
) -> None:
    """Whether a test runs is unknown: none is begun, and the next reading comes at once."""
    rig = ScriptRig(way, poll=60.0)
    rig.start()
    first, second = rig.command("T", expiry=expiry), rig.command("T")
    rig.clock.run(5.1)
    assert outcome(first).result is Outcome.TIMEOUT
    assert outcome(second).result is Outcome.REFUSED
    assert "a test is running" in outcome(second).detail
    rig.clock.run(0.2)
    assert [each["cmd"] for each in rig.script.received[2:]] == ["T", "QAD"]
    rig.script.answers["T"] = "(OK"
    third = rig.command("T")
    rig.clock.run(0.2)
    assert outcome(third).result is Outcome.DONE
    rig.stop()
