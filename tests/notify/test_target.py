"""A target over a store: kept before it is sent, sent until it is taken, by one id."""

from collections.abc import Iterator
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from twisted.internet.defer import Deferred, fail

from tests.notify.receiver import Receiver
from tests.support import TestClock, fired, memory_store
from twisted_gantry.core.interfaces import StoreFailed
from twisted_gantry.daemon.called import StoredMessages
from twisted_gantry.net.outage import Outage, Reason
from twisted_gantry.net.times import times_in
from twisted_gantry.notify.interfaces import Gantry, NotSent
from twisted_gantry.notify.notice import CRITICAL, WARNING, Notice
from twisted_gantry.notify.notifier import Notifier
from twisted_gantry.notify.plan import PACE, Now, Policy
from twisted_gantry.notify.target import FAILING_AFTER, LONGEST_PAUSE, Target

TIME = times_in("Asia/Shanghai")


class Place:
    """A notifier over a store in memory; it can be stopped and made again."""

    def __init__(self) -> None:
        self.clock = TestClock()
        self.store = memory_store(self.clock.moment)
        self.active: dict[str, Notice] = {}
        self.receivers: dict[str, Receiver] = {}
        self.states: list[tuple[str, str]] = []
        self.troubles: list[tuple[str, str, str | None]] = []
        self.ids = (f"id-{n}" for n in count(1))
        self.notifier = Notifier(self.clock, self.active.values)

    def add(self, name: str = "duty", escalate_to: str = "", **policy: Any) -> Receiver:
        """Start a target."""
        place = self

        class State:
            def online(self) -> None:
                place.states.append((name, "online"))

            def offline(self, reason: Reason) -> None:
                place.states.append((name, str(reason)))

        class Troubles:
            def failing(self, reason: Outage | None) -> None:
                place.troubles.append((name, "failing", None if reason is None else reason.en))

            def set_aside(self, reason: Outage) -> None:
                place.troubles.append((name, "set-aside", reason.en))

        receiver = self.receivers.setdefault(name, Receiver(self.clock))
        least = policy.pop("min_severity", WARNING)
        target = Target(
            name,
            Policy(least, ZoneInfo("Asia/Shanghai"), **policy),
            receiver,
            StoredMessages(name, self.store),
            Gantry("G1", "North", lambda at: TIME(at) or ""),
            State(),
            Troubles(),
            self.clock,
            self.clock.now,
            lambda: 1.0,
            lambda: next(self.ids),
            self.notifier.active,
            lambda notices: self.notifier.escalate(escalate_to, notices),
        )
        self.notifier.targets[name] = target
        target.startService()
        return receiver

    def raised(self, name: str, severity: str = WARNING, **more: Any) -> None:
        self.active[name] = Notice(
            name, severity, f"{name}!", f"{name}！", self.clock.now(), **more
        )
        self.notifier.changed()
        self.clock.advance(0)

    def cleared(self, name: str) -> None:
        del self.active[name]
        self.notifier.changed()
        self.clock.advance(0)

    def run(self, seconds: float) -> None:
        self.clock.pump([0.25] * round(seconds * 4))

    def stop(self) -> None:
        for target in self.notifier.targets.values():
            fired(target.stopService())
        self.notifier.targets.clear()

    def ledger(self, name: str = "duty") -> tuple[int, int, int, int, int]:
        [ledger] = fired(self.store.ledger(f"notify.{name}"))
        kept = (ledger.created, ledger.delivered, ledger.queued, ledger.set_aside, ledger.dropped)
        assert kept[0] == sum(kept[1:])
        return kept


@pytest.fixture
def place() -> Iterator[Place]:
    made = Place()
    yield made
    made.stop()
    made.notifier.stop()
    assert made.clock.getDelayedCalls() == []


def test_the_message_is_as_documented(place: Place) -> None:
    """The body has exactly the keys of the page, with the times of the site."""
    receiver = place.add()
    place.raised("a.mains", CRITICAL, value=0)
    place.raised("b.off", cause="a.mains")
    place.run(12)
    place.cleared("a.mains")
    raised, cleared = receiver.got
    assert raised == {
        "id": "id-1",
        "event": "raised",
        "gantryId": "G1",
        "at": "2023-11-15T06:13:20.000+08:00",
        "alarms": [
            {
                "alarm": "a.mains",
                "severity": "critical",
                "message": "a.mains!",
                "messageZh": "a.mains！",
                "raisedAt": "2023-11-15T06:13:20.000+08:00",
                "clearedAt": None,
                "value": 0,
                "consequences": [],
            }
        ],
    }
    assert (cleared["id"], cleared["event"]) == ("id-2", "cleared")
    assert cleared["alarms"][0]["clearedAt"] == "2023-11-15T06:13:32.000+08:00"
    assert place.ledger() == (2, 2, 0, 0, 0)


def test_alarms_of_one_turn_leave_together(place: Place) -> None:
    """What one reading raises is one message, and the cause names its consequences."""
    receiver = place.add()
    place.active["b.off"] = Notice("b.off", WARNING, "", "", 0.0, cause="a.x")
    place.raised("a.x")
    [message] = receiver.got
    assert [each["alarm"] for each in message["alarms"]] == ["a.x"]
    assert message["alarms"][0]["consequences"] == ["b.off"]


def test_an_unreachable_receiver(place: Place) -> None:
    """The same message by the same id until it is taken, with growing pauses; then the rest."""
    receiver = place.add()
    receiver.error = NotSent("no route")
    place.raised("a.x")
    place.run(100)
    place.raised("b.x")
    place.run(500)
    assert {each["id"] for each in receiver.got} == {"id-1"}
    assert 6 < len(receiver.got) < 20
    gaps = [b - a for a, b in zip(receiver.times, receiver.times[1:], strict=False)]
    assert gaps[0] <= 2.25
    assert max(gaps) <= LONGEST_PAUSE + 0.5
    assert place.ledger() == (1, 0, 1, 0, 0)
    assert place.states[-1] == ("duty", "no route")
    failing = [each for each in place.troubles if each[1] == "failing"]
    assert failing[0] == ("duty", "failing", "no route")
    assert len(receiver.times) > len(failing)  # not before FAILING_AFTER
    tries = len(receiver.got)
    receiver.error = None
    place.run(LONGEST_PAUSE + 15)
    assert [each["id"] for each in receiver.got[tries:]] == ["id-1", "id-2"]
    assert receiver.times[-1] - receiver.times[-2] >= 10  # the pace is that of the receiver
    assert [each["alarm"] for each in receiver.got[-1]["alarms"]] == ["b.x"]
    assert place.ledger() == (2, 2, 0, 0, 0)
    assert place.troubles[-1] == ("duty", "failing", None)
    assert place.states[-1] == ("duty", "online")


def test_an_outage_costs_nothing(place: Place) -> None:
    """While a message waits, the plan is looked at only when something can follow."""
    receiver = place.add(repeat=30.0, escalate_after=200.0, escalate_to="nobody")
    receiver.error = NotSent("no route")
    place.raised("a.x")
    place.raised("b.x", CRITICAL)
    place.run(20)
    plan: Any = place.notifier.targets["duty"]._plan
    looks: list[float] = []
    advance = plan.advance

    def counted(now: Now) -> None:
        looks.append(now.mono)
        advance(now)

    plan.advance = counted
    place.run(1000)
    assert len(looks) < 40  # those of the tries among them


def test_the_alarm_about_a_target_comes_after_minutes(place: Place) -> None:
    """A short outage raises no alarm about the target."""
    receiver = place.add()
    receiver.error = NotSent("no route")
    place.raised("a.x")
    place.run(FAILING_AFTER - 65)
    assert place.troubles == []


def test_a_critical_alarm_ends_a_pause(place: Place) -> None:
    """A new critical alarm is a reason to try at once."""
    receiver = place.add()
    receiver.error = NotSent("no route")
    place.raised("a.x")
    place.run(200)
    while place.clock.seconds() - receiver.times[-1] < 12:
        place.run(1)
    receiver.error, tries = None, len(receiver.got)
    place.raised("b.y", CRITICAL)
    assert [each["id"] for each in receiver.got[tries:]] == ["id-1", "id-2"]


def test_a_critical_alarm_just_after_a_try(place: Place) -> None:
    """A critical alarm within the pace of the last try does not wait for the end of the pause."""
    receiver = place.add()
    receiver.error = NotSent("no route")
    place.raised("a.x")
    place.run(200)
    tries = len(receiver.got)
    while len(receiver.got) == tries:
        place.run(0.25)
    receiver.error = None
    place.raised("b.y", CRITICAL)
    assert len(receiver.got) == tries + 1
    place.run(PACE)
    assert [each["id"] for each in receiver.got[tries + 1 :]] == ["id-1", "id-2"]


def test_a_refused_message_does_not_block(place: Place) -> None:
    """After three tries a refused message is set aside; the next goes out."""
    receiver = place.add()
    receiver.error = NotSent("HTTP 400", refused=True)
    place.raised("a.x")
    place.run(30)
    assert len(receiver.got) == 3
    assert place.ledger() == (1, 0, 0, 1, 0)
    assert ("duty", "set-aside", "HTTP 400") in place.troubles
    receiver.error = None
    place.raised("b.x")
    assert [each["alarm"] for each in receiver.got[-1]["alarms"]] == ["b.x"]
    place.run(15)
    [moved] = fired(place.store.retry_reports("notify.duty", None))
    assert moved == 1
    place.notifier.targets["duty"].retry()
    place.clock.advance(0)
    assert receiver.got[-1]["id"] == "id-1"
    assert place.ledger() == (2, 2, 0, 0, 0)


def test_a_restart_within_an_exchange(place: Place) -> None:
    """A message whose answer was not seen goes again by the same id, and is not made again."""
    receiver = place.add()
    receiver.hangs = True
    place.raised("a.x")
    place.run(1)
    place.stop()
    receiver.hangs = False
    place.add()
    place.run(100)
    assert [each["id"] for each in receiver.got] == ["id-1", "id-1"]
    assert place.ledger() == (1, 1, 0, 0, 0)


def test_a_restart_while_the_receiver_is_away(place: Place) -> None:
    """What began and ended behind a message that waits is told after a restart, too."""
    receiver = place.add()
    receiver.error = NotSent("no route")
    place.raised("a.x")
    place.run(20)
    place.raised("b.x")
    place.run(1)
    place.cleared("b.x")
    place.run(1)
    # As a kill does it: nothing is written at the end.
    for target in place.notifier.targets.values():
        target._plan.changed = False  # type: ignore[union-attr]
    place.stop()
    receiver.error = None
    place.add()
    place.run(30)
    assert [each["alarm"] for each in receiver.got[-1]["alarms"]] == ["b.x"]
    assert receiver.got[-1]["alarms"][0]["clearedAt"] is not None
    assert place.ledger() == (2, 2, 0, 0, 0)


def test_while_the_disk_fails(place: Place) -> None:
    """An alarm goes out although the disk takes nothing."""
    receiver = place.add()
    place.store.fails(StoreFailed("the disk is full", "磁盘已满"))
    place.raised("a.x", CRITICAL)
    place.run(1)
    assert [each["id"] for each in receiver.got] == ["id-1"]
    place.cleared("a.x")
    place.run(12)
    assert [each["event"] for each in receiver.got] == ["raised", "cleared"]


class Closed(StoredMessages):
    """An outbox that keeps nothing."""

    def add(self, *_: Any) -> Deferred[int]:
        return fail(RuntimeError("closed"))


def test_what_could_not_be_kept_is_still_to_be_told(
    place: Place, logged_failures: list[Any]
) -> None:
    """A store with a fault loses no alarm: the message is made again."""
    receiver = place.add()
    target = place.notifier.targets["duty"]
    good, target._outbox = target._outbox, Closed("duty", place.store)
    place.raised("a.x")
    assert receiver.got == []
    target._outbox = good
    place.run(5)
    assert [each["event"] for each in receiver.got] == ["raised"]
    logged_failures.clear()


def test_escalation_to_another(place: Place) -> None:
    """What duty does not acknowledge goes to the boss; the recovery goes to both."""
    duty = place.add(escalate_after=60.0, escalate_to="boss")
    boss = place.add("boss", min_severity=None)
    place.raised("a.x")
    place.run(59)
    assert (len(duty.got), len(boss.got)) == (1, 0)
    place.run(2)
    assert [each["alarm"] for each in boss.got[0]["alarms"]] == ["a.x"]
    assert boss.got[0]["event"] == "raised"
    place.cleared("a.x")
    assert [duty.got[-1]["event"], boss.got[-1]["event"]] == ["cleared", "raised"]
    place.run(10)
    assert boss.got[-1]["event"] == "cleared"


def test_an_escalation_survives_a_restart(place: Place) -> None:
    """The time until the escalation goes on after a restart, and it comes once."""
    place.add(escalate_after=60.0, escalate_to="boss")
    boss = place.add("boss", min_severity=None)
    place.raised("a.x")
    for _ in range(4):
        place.run(25)
        place.stop()
        place.add(escalate_after=60.0, escalate_to="boss")
        place.add("boss", min_severity=None)
    place.run(100)
    assert [each["event"] for each in boss.got] == ["raised"]


def test_a_test_message(place: Place) -> None:
    """A test passes the outbox; its outcome is shown as the state."""
    receiver = place.add()
    target = place.notifier.targets["duty"]
    fired(target.test(b"{}"))
    assert (receiver.got, place.states) == ([{}], [("duty", "online")])
    receiver.error = NotSent("HTTP 500")
    failed: list[Any] = []
    target.test(b"{}").addErrback(failed.append)
    assert str(failed[0].value) == "HTTP 500"
    assert place.states[-1] == ("duty", "HTTP 500")
    assert place.ledger() == (0, 0, 0, 0, 0)


def test_the_state_on_the_disk_is_not_written_for_each_flap(place: Place) -> None:
    """Behind a message that waits, flaps are gathered, and written twice a second at most."""
    receiver = place.add()
    receiver.error = NotSent("no route")
    place.raised("a.x")
    written: list[str] = []
    put = place.store.put_setting
    place.store.put_setting = lambda name, value: (written.append(name), put(name, value))[1]  # type: ignore[method-assign,func-returns-value]
    for _ in range(100):
        place.raised("b.x")
        place.clock.advance(0.03)
        place.cleared("b.x")
        place.clock.advance(0.03)
    assert 5 <= len(written) <= 13
