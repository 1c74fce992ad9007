"""The alarm engine: delays, silence, devices that are gone, and each alarm told once."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from twisted_gantry.core.alarms import (
    BAD_THEN_SILENT,
    OFFLINE_DELAY,
    REMEMBERED,
    Alarm,
    Alarms,
    Read,
    Rule,
    Severity,
)
from twisted_gantry.core.catalogue import Catalogue, PointType
from twisted_gantry.core.points import Points
from twisted_gantry.core.status import Status
from twisted_gantry.wire.reading import Quality

START = 1_700_000_000.0
NAME = "ups1.hot"


def _hot(read: Read, raised: bool) -> bool | None:
    """Over 60, and over 50 once raised."""
    value = read("temperature").good
    return None if value is None else float(value) > (50 if raised else 60)


def rule(delay: float = 0.0, clear_delay: float = 0.0, grace: float = 30.0) -> Rule:
    """Return the rule of these tests with its times."""
    return Rule("hot", Severity.WARNING, "too hot", "过热", _hot, "ups", delay, clear_delay, grace)


class Bench:
    """One device with one rule; `told` is what the subscribers heard, with the time."""

    def __init__(self, *rules: Rule) -> None:
        self.clock = Clock()
        points = self.points = Points(Catalogue(), self.now)
        points.declare("ups1", [PointType("temperature", "°C", "Temperature", "温度")])
        self.status = Status("ups1", self.now)
        self.alarms = Alarms(points, self.clock, self.now)
        self.alarms.watch("ups1", rules, self.status)
        self.told: list[tuple[float, str, bool]] = []
        self.alarms.subscribe(
            lambda alarm: self.told.append((self.clock.seconds(), alarm.name, alarm.active))
        )

    def now(self) -> float:
        """Return Unix seconds."""
        return START + self.clock.seconds()

    def read(self, temperature: float | None) -> None:
        """Take a reading; None is one that failed."""
        good = temperature is not None
        quality = Quality.GOOD if good else Quality.GET_FAILED
        self.points.update("ups1", {"temperature": (temperature, quality)})

    def wait(self, seconds: float) -> None:
        """Let time go on."""
        self.clock.advance(seconds)

    @property
    def events(self) -> list[tuple[float, bool]]:
        """When the alarm of the rule was raised (true) and cleared (false)."""
        return [(at, active) for at, name, active in self.told if name == NAME]

    def raised(self) -> bool:
        """Whether the alarm of the rule is raised."""
        return any(alarm.name == NAME for alarm in self.alarms.active())


# -- delays


def test_without_a_delay_it_is_raised_and_cleared_at_once() -> None:
    """A condition without delays is told with the reading that brings it, and that ends it."""
    bench = Bench(rule())
    bench.read(70)
    bench.wait(5)
    bench.read(40)
    assert bench.events == [(0.0, True), (5.0, False)]


def test_an_alarm_says_what_it_is() -> None:
    """An alarm carries its texts, severity, group, source and times in Unix seconds."""
    bench = Bench(rule())
    bench.wait(1)
    bench.read(70)
    raised = Alarm(NAME, Severity.WARNING, "too hot", "过热", START + 1, None, "ups")
    assert bench.alarms.active() == [raised]
    assert (raised.source, raised.active) == ("ups1", True)
    bench.wait(2)
    bench.read(40)
    assert bench.alarms.active() == []
    [ended] = bench.alarms.all()
    assert (ended.raised_at, ended.cleared_at, ended.active) == (START + 1, START + 3, False)


def test_it_is_told_once_however_often_it_is_read() -> None:
    """While a condition goes on holding, or being gone, nobody is told again."""
    bench = Bench(rule(delay=2, clear_delay=2))
    for temperature in (70, 40, 70):
        for _ in range(10):
            bench.read(temperature)
            bench.wait(1)
    assert bench.events == [(2.0, True), (12.0, False), (22.0, True)]


def test_a_condition_must_hold_for_its_delay() -> None:
    """What is over before the delay is raises nothing; the next time counts from its beginning."""
    bench = Bench(rule(delay=2))
    bench.read(70)
    bench.wait(1.9)
    bench.read(40)
    bench.wait(10)
    bench.read(70)
    bench.wait(1.9)
    assert bench.events == []
    bench.wait(0.2)
    assert [active for _, active in bench.events] == [True]


def test_a_condition_must_be_gone_for_its_clear_delay() -> None:
    """What comes back within the clear delay has never been gone."""
    bench = Bench(rule(clear_delay=5))
    bench.read(70)
    bench.read(40)
    bench.wait(4)
    bench.read(70)
    bench.wait(4)
    assert bench.raised()
    bench.read(40)
    bench.wait(4.9)
    assert bench.raised()
    bench.wait(0.2)
    assert not bench.raised()
    assert len(bench.events) == 2


def test_the_hysteresis_holds_a_raised_alarm() -> None:
    """Between the two limits an alarm stays as it is, raised or not."""
    bench = Bench(rule())
    bench.read(55)
    assert not bench.raised()
    bench.read(61)
    bench.read(55)
    assert bench.raised()
    bench.read(50)
    assert not bench.raised()
    bench.read(55)
    assert bench.events == [(0.0, True), (0.0, False)]


# -- missing values


def test_a_missing_value_raises_nothing() -> None:
    """A device that never told anything has no alarm over its points."""
    bench = Bench(rule())
    bench.read(None)
    bench.wait(1000)
    assert bench.told == []


def test_a_missing_value_clears_nothing() -> None:
    """A raised alarm stays raised through any silence, and ends with a good reading."""
    bench = Bench(rule())
    bench.read(70)
    bench.read(None)
    bench.wait(100_000)
    assert bench.raised()
    bench.read(70)
    bench.read(40)
    assert [active for _, active in bench.events] == [True, False]


def test_silence_within_the_clear_delay_clears_nothing() -> None:
    """The condition must be known to be gone: silence starts the clear delay over."""
    bench = Bench(rule(clear_delay=5))
    bench.read(70)
    bench.read(40)
    bench.wait(4)
    bench.read(None)
    bench.wait(100)
    assert bench.raised()
    bench.read(40)
    bench.wait(4)
    assert bench.raised()
    bench.wait(1)
    assert not bench.raised()


def test_a_short_silence_does_not_stop_the_delay() -> None:
    """A bad reading after a silence that ended within the delay raises when the delay is over."""
    bench = Bench(rule(delay=10))
    bench.read(70)
    bench.wait(4)
    bench.read(None)
    bench.wait(4)
    bench.read(70)
    bench.wait(2)
    assert bench.events == [(10.0, True)]


def test_nothing_is_raised_in_silence() -> None:
    """When the delay ends while nothing is known, nothing is raised."""
    bench = Bench(rule(delay=2))
    bench.read(70)
    bench.wait(1)
    bench.read(None)
    bench.wait(100)
    assert bench.events == []


def test_a_bad_reading_within_the_grace_counts_from_the_beginning() -> None:
    """A condition that is still there after a silence within the grace is raised at once."""
    bench = Bench(rule(delay=2, grace=30))
    bench.read(70)
    bench.wait(1)
    bench.read(None)
    bench.wait(29)
    bench.read(70)
    assert bench.events == [(30.0, True)]


def test_a_good_reading_within_the_grace_forgets() -> None:
    """A condition that is gone after a silence has never held: the next one waits in full."""
    bench = Bench(rule(delay=2, grace=30))
    bench.read(70)
    bench.wait(1)
    bench.read(None)
    bench.wait(10)
    bench.read(40)
    bench.read(70)
    bench.wait(1.9)
    assert bench.events == []
    bench.wait(0.2)
    assert [active for _, active in bench.events] == [True]


def test_a_bad_reading_after_the_grace_starts_over() -> None:
    """After a silence longer than the grace a condition counts anew, from its next reading."""
    bench = Bench(rule(delay=2, grace=30))
    bench.read(70)
    bench.wait(1)
    bench.read(None)
    bench.wait(30.5)
    bench.read(70)
    assert not bench.raised()
    bench.wait(2)
    assert bench.events == [(33.5, True)]


def test_the_grace_may_be_over_before_the_delay() -> None:
    """A silence longer than the grace ends a delay that is longer still."""
    bench = Bench(rule(delay=60, grace=30))
    bench.read(70)
    bench.wait(10)
    bench.read(None)
    bench.wait(31)
    bench.read(70)
    bench.wait(59)
    assert bench.events == []
    bench.wait(1)
    assert bench.events == [(101.0, True)]


def test_the_grace_counts_from_the_beginning_of_the_silence() -> None:
    """Further failing readings do not prolong the grace."""
    bench = Bench(rule(delay=3, grace=30))
    bench.read(70)
    for _ in range(16):
        bench.wait(2)
        bench.read(None)
    bench.read(70)
    assert not bench.raised()


def test_each_silence_has_its_own_grace() -> None:
    """Two silences, each within the grace, are not added up."""
    bench = Bench(rule(delay=50, grace=30))
    bench.read(70)
    for _ in range(2):
        bench.read(None)
        bench.wait(20)
        bench.read(70)
        bench.wait(5)
    assert bench.events == [(50.0, True)]


def test_a_failing_rule_harms_no_other(logged_failures: list[Failure]) -> None:
    """What a rule raises is logged, and the other rules of the device are looked at."""

    def broken(read: Read, raised: bool) -> bool | None:
        raise ZeroDivisionError

    bad = Rule("broken", Severity.WARNING, "", "", broken)
    bench = Bench(bad, rule())
    bench.read(70)
    assert bench.raised()
    assert [failure.type for failure in logged_failures] == [ZeroDivisionError]
    logged_failures.clear()


# -- a device that is gone


def test_a_device_that_is_offline_for_long_is_an_alarm() -> None:
    """Once a device has been offline for the delay an alarm says so; its return ends it."""
    bench = Bench(rule())
    bench.status.online()
    bench.wait(1)
    bench.status.offline("no route to host")
    bench.wait(OFFLINE_DELAY - 0.1)
    assert bench.told == []
    bench.wait(0.1)
    [alarm] = bench.alarms.active("ups1")
    assert (alarm.name, alarm.severity) == ("ups1.offline", Severity.WARNING)
    assert alarm.en == "ups1 is offline: no route to host"
    assert "离线" in alarm.zh
    bench.wait(100)
    bench.status.online()
    assert [(name, active) for _, name, active in bench.told] == [
        ("ups1.offline", True),
        ("ups1.offline", False),
    ]


def test_a_device_that_comes_back_soon_is_no_alarm() -> None:
    """A loss shorter than the delay is not told, however often it happens."""
    bench = Bench(rule())
    for _ in range(5):
        bench.status.offline("flapping")
        bench.wait(OFFLINE_DELAY - 1)
        bench.status.online()
        bench.wait(1)
    assert bench.told == []


def test_a_device_never_seen_is_an_alarm_too() -> None:
    """A device that was offline from the start is told like one that was lost."""
    bench = Bench(rule())
    bench.status.offline("refused")
    bench.wait(OFFLINE_DELAY)
    assert [name for _, name, _ in bench.told] == ["ups1.offline"]


@pytest.mark.parametrize("delay", [0.0, 2.0], ids=["raised", "waiting for its delay"])
def test_bad_then_silent_is_given_more_time(delay: float) -> None:
    """When the last that was known is bad, the loss is told later, together with what was known."""
    bench = Bench(rule(delay=delay))
    bench.status.online()
    bench.read(70)
    bench.read(None)
    bench.status.offline("no route")
    bench.wait(BAD_THEN_SILENT - 0.1)
    assert not any(name == "ups1.offline" for _, name, _ in bench.told)
    bench.wait(0.1)
    [alarm] = [each for each in bench.alarms.active() if each.name == "ups1.offline"]
    assert alarm.en == "ups1 is offline: no route; last known: too hot"
    assert "过热" in alarm.zh


def test_a_lost_link_is_no_cleared_alarm() -> None:
    """An alarm over points stays raised beside the alarm that the device is gone."""
    bench = Bench(rule())
    bench.read(70)
    bench.points.fail("ups1")
    bench.status.offline("no route")
    bench.wait(BAD_THEN_SILENT + 1)
    assert {alarm.name for alarm in bench.alarms.active()} == {NAME, "ups1.offline"}


def test_a_condition_that_is_over_is_not_last_known() -> None:
    """What was bad once and was good again before the loss does not delay its alarm."""
    bench = Bench(rule(delay=2))
    bench.read(70)
    bench.read(40)
    bench.read(None)
    bench.status.offline("no route")
    bench.wait(OFFLINE_DELAY)
    [alarm] = bench.alarms.active()
    assert alarm.en == "ups1 is offline: no route"


def test_a_reason_that_changes_is_told_as_it_is_then() -> None:
    """The alarm of a loss tells the newest reason at the time when it is raised."""
    bench = Bench(rule())
    bench.status.offline("timed out")
    bench.status.offline("no route")
    bench.wait(OFFLINE_DELAY)
    [alarm] = bench.alarms.active()
    assert "no route" in alarm.en


# -- what others raise


def test_an_alarm_is_set_and_cleared_directly() -> None:
    """Anybody can raise an alarm by name, and clear it; each is told once."""
    bench = Bench()
    bench.alarms.set("etc.refused", Severity.CRITICAL, "refused", "被拒绝", "ups")
    bench.wait(3)
    bench.alarms.clear("etc.refused")
    bench.alarms.clear("etc.refused")
    bench.alarms.clear("etc.never-raised")
    assert bench.told == [(0.0, "etc.refused", True), (3.0, "etc.refused", False)]
    [ended] = bench.alarms.all()
    assert (ended.severity, ended.zh, ended.group) == (Severity.CRITICAL, "被拒绝", "ups")


def test_a_raised_alarm_takes_the_newer_text_untold() -> None:
    """Raised again it keeps its time, takes text and severity, and nobody is told."""
    bench = Bench()
    bench.alarms.set("etc.refused", Severity.WARNING, "1001", "1001")
    bench.wait(3)
    bench.alarms.set("etc.refused", Severity.CRITICAL, "1005", "频繁")
    [alarm] = bench.alarms.active()
    assert (alarm.raised_at, alarm.en, alarm.zh) == (START, "1005", "频繁")
    assert alarm.severity is Severity.CRITICAL
    assert len(bench.told) == 1


def test_alarms_are_listed_by_source_and_newest_first() -> None:
    """Raised ones are found by their source; all of them are listed from the newest on."""
    bench = Bench()
    for name in ("ups1.a", "ups10.b", "ups1.c"):
        bench.alarms.set(name, Severity.WARNING, "", "")
        bench.wait(1)
    bench.alarms.clear("ups10.b")
    assert [each.name for each in bench.alarms.active("ups1")] == ["ups1.a", "ups1.c"]
    assert [each.name for each in bench.alarms.all()] == ["ups1.c", "ups10.b", "ups1.a"]


def test_ended_alarms_are_remembered_up_to_a_bound() -> None:
    """Of very many ended alarms the last are remembered; a raised one is never forgotten."""
    bench = Bench()
    bench.alarms.set("ups1.lasting", Severity.WARNING, "", "")
    for number in range(REMEMBERED + 5):
        bench.wait(1)
        bench.alarms.set(f"ups1.{number}", Severity.WARNING, "", "")
        bench.alarms.clear(f"ups1.{number}")
    names = [each.name for each in bench.alarms.all()]
    assert len(names) == REMEMBERED + 1
    assert (names[0], names[-2], names[-1]) == (f"ups1.{REMEMBERED + 4}", "ups1.5", "ups1.lasting")


def test_a_failing_subscriber_harms_no_other(logged_failures: list[Failure]) -> None:
    """What one subscriber raises is logged, the next is told, and the alarm is raised."""
    bench = Bench(rule())

    def fail(_: Alarm) -> None:
        raise ZeroDivisionError

    heard: list[str] = []
    bench.alarms.subscribe(fail)
    bench.alarms.subscribe(lambda alarm: heard.append(alarm.name))
    bench.read(70)
    assert heard == [NAME]
    assert bench.raised()
    assert [failure.type for failure in logged_failures] == [ZeroDivisionError]
    logged_failures.clear()


def test_a_subscription_ends() -> None:
    """After its end a subscriber hears nothing."""
    bench = Bench(rule())
    heard: list[str] = []
    end = bench.alarms.subscribe(lambda alarm: heard.append(alarm.name))
    bench.read(70)
    end()
    bench.read(40)
    assert heard == [NAME]


# -- the end


def _waiting_for_the_delay() -> Bench:
    bench = Bench(rule(delay=2))
    bench.read(70)
    return bench


def _waiting_for_the_clear_delay() -> Bench:
    bench = Bench(rule(clear_delay=2))
    bench.read(70)
    bench.read(40)
    return bench


def _in_the_grace() -> Bench:
    bench = _waiting_for_the_delay()
    bench.read(None)
    return bench


def _offline() -> Bench:
    bench = Bench(rule())
    bench.status.offline("no route")
    return bench


@pytest.mark.parametrize(
    "make", [_waiting_for_the_delay, _waiting_for_the_clear_delay, _in_the_grace, _offline]
)
def test_stop_cancels_every_timer(make: Callable[[], Bench]) -> None:
    """After the stop nothing waits on the clock, whatever was waited for, and nothing is told."""
    bench = make()
    assert bench.clock.getDelayedCalls() != []
    told = list(bench.told)
    bench.alarms.stop()
    assert bench.clock.getDelayedCalls() == []
    bench.alarms.stop()
    bench.wait(1000)
    assert bench.told == told


def test_no_timer_is_left_by_itself() -> None:
    """Once all is well again nothing waits on the clock."""
    bench = Bench(rule(delay=2, clear_delay=2))
    bench.read(70)
    bench.wait(3)
    bench.read(None)
    bench.status.offline("no route")
    bench.wait(1)
    bench.status.online()
    bench.read(40)
    bench.wait(3)
    assert not bench.raised()
    assert bench.clock.getDelayedCalls() == []


# -- whatever happens

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["bad", "good", "missing"]),
        st.sampled_from([0.0, 0.5, 1.0, 2.0, 5.0, 12.0]),
    ),
    max_size=40,
)


class Story:
    """What was read, and each edge of the alarm with the number of readings before it."""

    def __init__(self, rule: Rule, steps: list[tuple[str, float]]) -> None:
        self.bench = Bench(rule)
        self.readings: list[tuple[float, str]] = []
        self.edges: list[tuple[float, bool, int]] = []
        self.bench.alarms.subscribe(self._edge)
        for kind, pause in steps:
            self.readings.append((self.bench.clock.seconds(), kind))
            self.bench.read({"bad": 70.0, "good": 40.0, "missing": None}[kind])
            self.bench.wait(pause)

    def _edge(self, alarm: Alarm) -> None:
        self.edges.append((self.bench.clock.seconds(), alarm.active, len(self.readings)))

    def lasting(self, kind: str, broken_by: set[str], readings: int, until: float) -> float:
        """Return for how long it had been `kind` after so many readings, -1 if it was not."""
        began = None
        for when, each in self.readings[:readings]:
            if each == kind:
                began = when if began is None else began
            elif each in broken_by:
                began = None
        return -1.0 if began is None else until - began


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    steps=STEPS,
    delay=st.sampled_from([0.0, 1.0, 3.0, 10.0]),
    clear_delay=st.sampled_from([0.0, 1.0, 3.0]),
    grace=st.sampled_from([2.0, 8.0]),
)
def test_whatever_is_read_no_alarm_is_false_or_told_twice(
    steps: list[tuple[str, float]], delay: float, clear_delay: float, grace: float
) -> None:
    """Raised and cleared alternate, each only after its delay of bad or of good readings."""
    story = Story(rule(delay, clear_delay, grace), steps)
    edges = story.edges
    assert [active for _, active, _ in edges] == [n % 2 == 0 for n in range(len(edges))]
    assert story.bench.raised() == (len(edges) % 2 == 1)
    for at, active, readings in edges:
        if active:
            assert story.lasting("bad", {"good"}, readings, at) >= delay
            assert story.readings[readings - 1][1] == "bad", "raised in silence"
        else:
            assert story.lasting("good", {"bad", "missing"}, readings, at) >= clear_delay


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    steps=STEPS,
    delay=st.sampled_from([0.0, 1.0, 3.0, 10.0]),
    clear_delay=st.sampled_from([0.0, 1.0, 3.0]),
)
def test_whatever_is_read_no_alarm_is_missed(
    steps: list[tuple[str, float]], delay: float, clear_delay: float
) -> None:
    """What was bad for its delay without a break is raised; what was good as long is not."""
    story = Story(rule(delay, clear_delay), steps)
    readings, end = len(story.readings), story.bench.clock.seconds()
    if readings and story.lasting("bad", {"good", "missing"}, readings, end) >= delay:
        assert story.bench.raised()
    if readings and story.lasting("good", {"bad", "missing"}, readings, end) >= clear_delay:
        assert not story.bench.raised()
    story.bench.alarms.stop()
    assert story.bench.clock.getDelayedCalls() == []
