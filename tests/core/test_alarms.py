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
from twisted_gantry.net.outage import WORDS, Cause, outage
from twisted_gantry.wire.reading import Quality

START = 1_700_000_000.0
NAME = "ups1.hot"
READINGS = {"hot": 70, "warm": 55, "ok": 40, "?": None}


def _hot(read: Read, raised: bool) -> bool | None:
    """Over 60, and over 50 once raised."""
    value = read("temperature").good
    return None if value is None else float(value) > (50 if raised else 60)


def rule(delay: float = 0.0, clear_delay: float = 0.0, grace: float = 30.0) -> Rule:
    return Rule("hot", Severity.WARNING, "too hot", "过热", _hot, "ups", delay, clear_delay, grace)


class Bench:
    """One device with one rule; `told` is what the subscribers heard, with the time."""

    def __init__(self, *rules: Rule) -> None:
        self.clock, self.wall_offset = Clock(), START
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
        return self.wall_offset + self.clock.seconds()

    def read(self, temperature: float | None) -> None:
        """Take a reading; None is one that failed."""
        good = temperature is not None
        quality = Quality.GOOD if good else Quality.GET_FAILED
        self.points.update("ups1", {"temperature": (temperature, quality)})

    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @property
    def events(self) -> list[tuple[float, bool]]:
        """When the alarm of the rule was raised (true) and cleared (false)."""
        return [(at, active) for at, name, active in self.told if name == NAME]

    def raised(self) -> bool:
        """Whether the alarm of the rule is raised."""
        return any(alarm.name == NAME for alarm in self.alarms.active())


STORIES: dict[str, tuple[Rule, str, list[tuple[float, bool]]]] = {
    # A number is a pause in seconds; "warm" is between the two limits, "?" a failed reading.
    "without a delay it is told at once": (rule(), "hot 5 ok", [(0, True), (5, False)]),
    "it is told once however often it is read": (
        rule(delay=2, clear_delay=2),
        "hot 1 " * 10 + "ok 1 " * 10 + "hot 1 " * 10,
        [(2, True), (12, False), (22, True)],
    ),
    "a condition must hold for its delay": (
        rule(delay=2),
        "hot 1.5 ok 10 hot 1.5 0.5",
        [(13.5, True)],
    ),
    "a condition must be gone for its clear delay": (
        rule(clear_delay=5),
        "hot ok 4 hot 4 ok 4.5 0.5",
        [(0, True), (13, False)],
    ),
    "the hysteresis holds a raised alarm": (
        rule(),
        "warm 1 hot 1 warm 1 ok 1 warm",
        [(1, True), (3, False)],
    ),
    "a missing value raises nothing": (rule(), "? 1000", []),
    "a missing value clears nothing": (rule(), "hot ? 9000 hot ok", [(0, True), (9000, False)]),
    "silence starts the clear delay over": (
        rule(clear_delay=5),
        "hot ok 4 ? 100 ok 4 1",
        [(0, True), (109, False)],
    ),
    "a short silence does not stop the delay": (rule(delay=10), "hot 4 ? 4 hot 2", [(10, True)]),
    "nothing is raised in silence": (rule(delay=2), "hot 1 ? 100", []),
    "a condition that holds after a short silence counts from its beginning": (
        rule(delay=2, grace=30),
        "hot 1 ? 29 hot",
        [(30, True)],
    ),
    "a condition that is gone after a silence has never held": (
        rule(delay=2, grace=30),
        "hot 1 ? 10 ok hot 1.5 0.5",
        [(13, True)],
    ),
    "a condition that holds after the grace starts over": (
        rule(delay=2, grace=30),
        "hot 1 ? 30.5 hot 1.5 0.5",
        [(33.5, True)],
    ),
    "the grace may be over before the delay": (
        rule(delay=60, grace=30),
        "hot 10 ? 31 hot 59 1",
        [(101, True)],
    ),
    "the grace counts from the beginning of the silence": (
        rule(delay=3, grace=30),
        "hot" + " 2 ?" * 16 + " hot",
        [],
    ),
    "each silence has its own grace": (
        rule(delay=50, grace=30),
        "hot ? 20 hot 5 ? 20 hot 5",
        [(50, True)],
    ),
}


@pytest.mark.parametrize(("made", "story", "events"), STORIES.values(), ids=STORIES.keys())
def test_when_it_is_raised_and_cleared(
    made: Rule, story: str, events: list[tuple[float, bool]]
) -> None:
    """Delays, hysteresis and silence decide when an alarm is told, and that it is told once."""
    bench = Bench(made)
    for step in story.split():
        if step in READINGS:
            bench.read(READINGS[step])
        else:
            bench.wait(float(step))
    assert bench.events == events


def test_an_alarm_says_what_it_is() -> None:
    """An alarm carries its texts, severity, group, source and times in Unix seconds."""
    bench = Bench(rule())
    bench.wait(1)
    bench.read(70)
    raised = Alarm(NAME, Severity.WARNING, "too hot", "过热", START + 1, None, "ups", value=70)
    assert bench.alarms.active() == [raised]
    assert (raised.source, raised.active) == ("ups1", True)
    bench.wait(2)
    bench.read(40)
    assert bench.alarms.active() == []
    [ended] = bench.alarms.all()
    assert (ended.raised_at, ended.cleared_at, ended.active) == (START + 1, START + 3, False)


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
    assert alarm.zh == "ups1 离线：no route to host"
    bench.status.offline(outage(Cause.PASSWORD))
    [alarm] = bench.alarms.active("ups1")
    assert alarm.en == f"ups1 is offline: {WORDS[Cause.PASSWORD].en}"
    assert alarm.zh == f"ups1 离线：{WORDS[Cause.PASSWORD].zh}"
    assert len(bench.told) == 1
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
    """Raised again it keeps its time, takes text and severity, and is not told again."""
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


@settings(max_examples=60, derandomize=True)
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


@settings(max_examples=60, derandomize=True)
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


@pytest.mark.parametrize("step", [-3600.0, -START, 5 * 366 * 86_400.0])
def test_a_step_of_the_clock_changes_no_delay_and_no_order(step: float) -> None:
    """A delay counts seconds; the newest alarm is the one that was raised last."""
    bench = Bench(rule(delay=10.0))
    bench.alarms.set("etc.a", Severity.WARNING, "a", "甲")
    bench.read(70.0)
    bench.wait(5)
    bench.wall_offset += step
    bench.wait(4)
    assert [each.name for each in bench.alarms.all()] == ["etc.a"]
    bench.wait(2)
    assert [each.name for each in bench.alarms.all()] == ["ups1.hot", "etc.a"]
    bench.alarms.clear("ups1.hot")
    assert [each.name for each in bench.alarms.all()] == ["ups1.hot", "etc.a"]
