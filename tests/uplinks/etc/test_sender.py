"""The sender of the ETC uplink: what each answer does to the outbox, on a Clock."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any
from unittest.mock import ANY

import pytest
from twisted.internet.defer import Deferred, fail, succeed

from tests.support import START, Bench, TestClock, fired
from twisted_gantry.core.status import State, Status
from twisted_gantry.core.stored import Cap, Ledger, Report
from twisted_gantry.net.session import Backoff
from twisted_gantry.uplinks.etc.agreement import ClockAgreement
from twisted_gantry.uplinks.etc.channel import Kind, Taken
from twisted_gantry.uplinks.etc.sender import UNCLEAR_TRIES, EtcSender
from twisted_gantry.uplinks.outbox import Outbox
from twisted_gantry.wire.etc.envelope import Method, encode_request
from twisted_gantry.wire.json import loads

CAP = Cap(10_000_000, 1e9)
URL = "http://platform.test/monitor.do"


class FakeChannel:
    """Takes what the test says: `answers` by the kind, the last of them for ever."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.answers: list[Kind] = [Kind.DELIVERED]
        self.hold: Deferred[Taken] | None = None
        self.judge: Callable[[int], bool] | None = None
        self.taken: list[int] = []
        self.unclear: set[int] = set()

    def post(self, body: bytes, url: str, limit: int = 0) -> Deferred[Taken]:
        assert url == URL
        self.sent.append(body)
        if self.judge is not None:
            stamp = int(loads(body)["timeStamp"])
            good = self.judge(stamp)
            self.taken += [stamp] if good else []
            return succeed(Taken(Kind.DELIVERED if good else Kind.CLOCK, "by its time"))
        if self.hold is not None:
            return self.hold
        if loads(body)["cabinetStatus"]["id"] in self.unclear:
            return succeed(Taken(Kind.UNCLEAR, "no code", content=b'{"ok":1}'))
        kind = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return succeed(Taken(kind, kind.value))

    def numbers(self) -> list[int]:
        """Return which reports were sent, by the number that `Rig.add` gave them."""
        return [loads(body)["cabinetStatus"]["id"] for body in self.sent]


class Rig:
    def __init__(self, *, restamp: bool = True) -> None:
        self.bench = Bench()
        self.clock, self.store = self.bench.clock, self.bench.store
        self.channel = FakeChannel()
        self.status = Status("etc", self.clock.now)
        self.left: list[tuple[list[int], bool]] = []
        self.stale: list[list[str]] = []
        self.count = 0
        self.outbox = Outbox("etc", self.store, CAP, self.bench.alarms)
        self.outbox.on_left.append(lambda *left: self.left.append((list(left[0]), left[1])))
        self.outbox.on_stale.append(lambda subjects: self.stale.append(list(subjects)))
        self.sender = EtcSender(
            self.outbox,
            self.channel,
            self,
            self.clock,
            self.clock.now,
            Backoff(1.0, 60.0, lambda: 1.0),
            self.bench.alarms,
            self.status,
            restamp=restamp,
        )

    def server_for(self, kind: str) -> str:
        return URL

    def acknowledged(self, kind: str, url: str) -> None:
        """Keep no note of the server that took a report."""

    def add(self, *, urgent: bool = False, subject: str = "cabinet 1") -> int:
        """Store one more report, and wake the sender as the uplink does; returns its number."""
        self.count += 1
        body = encode_request("G1", Method.CABINET_STATUS, self.clock.now(), {"id": self.count})
        self.outbox.keep("cabinetStatusUpdate", subject, body, urgent=urgent)
        self.clock.advance(0)
        return self.count

    def start(self) -> None:
        self.sender.start()
        self.clock.advance(0)

    def ledger(self) -> Ledger:
        [ledger] = fired(self.store.ledger("etc"))
        assert isinstance(ledger, Ledger)
        return ledger

    def kept(self, state: str) -> list[Report]:
        [reports] = fired(self.store.reports("etc", state, 1000))
        return list(reports)


@pytest.fixture
def rig() -> Iterator[Rig]:
    """A sender that is stopped at the end, and leaves no timer."""
    made = Rig()
    yield made
    made.sender.stop()
    made.bench.alarms.stop()
    assert made.clock.getDelayedCalls() == []


def test_an_acknowledged_report_leaves_the_disk(rig: Rig) -> None:
    """1000 removes a report, and only that."""
    rig.start()
    rig.add()
    assert rig.ledger() == Ledger(created=1, delivered=1)
    assert rig.left == [([1], True)]
    assert rig.sender.last_delivered == rig.clock.now()
    assert rig.status.state is State.ONLINE


def test_what_was_left_from_before_is_sent(rig: Rig) -> None:
    """Reports that an earlier run stored are sent at the start, oldest first."""
    for _ in range(5):
        rig.add()
    rig.start()
    assert rig.channel.numbers() == [1, 2, 3, 4, 5]


def test_one_report_is_under_way_at_a_time(rig: Rig) -> None:
    """The next report waits for the answer to the one before."""
    rig.channel.hold = Deferred()
    rig.start()
    rig.add()
    rig.add()
    assert len(rig.channel.sent) == 1
    held, rig.channel.hold = rig.channel.hold, None
    held.callback(Taken(Kind.DELIVERED, "1000"))
    assert rig.channel.numbers() == [1, 2]


def test_a_channel_fault_keeps_everything_and_backs_off(rig: Rig) -> None:
    """While the platform does not take reports, the head is retried after 1, 2, 4 … 60 s."""
    rig.channel.answers = [Kind.CHANNEL]
    rig.start()
    rig.add()
    rig.add()
    moments = []
    for _ in range(2000):
        before = len(rig.channel.sent)
        rig.clock.advance(0.1)
        if len(rig.channel.sent) > before:
            moments.append(rig.clock.seconds())
    gaps = [b - a for a, b in pairwise(moments)]
    assert gaps[:6] == pytest.approx([2, 4, 8, 16, 32, 60], abs=0.2)
    assert set(rig.channel.numbers()) == {1}
    assert rig.ledger().queued == 2
    assert rig.status.state is State.OFFLINE
    assert rig.bench.raised() == {"etc.channel"}


def test_recovery_drains_in_order_and_clears_the_alarm(rig: Rig) -> None:
    """When the platform is back, all is delivered, oldest first."""
    rig.channel.answers = [Kind.CHANNEL]
    rig.start()
    for _ in range(10):
        rig.add()
    rig.channel.sent.clear()
    rig.channel.answers = [Kind.DELIVERED]
    rig.clock.advance(2.0)
    assert rig.channel.numbers() == list(range(1, 11))
    assert rig.bench.raised() == set()
    assert rig.ledger() == Ledger(created=10, delivered=10)


def test_a_fresh_alarm_report_is_not_held_up(rig: Rig) -> None:
    """An urgent report overtakes the back-log, and does not wait out a pause."""
    rig.channel.answers = [Kind.CHANNEL]
    rig.start()
    for _ in range(3):
        rig.add()
    rig.clock.advance(0.5)
    rig.channel.sent.clear()
    rig.channel.answers = [Kind.DELIVERED]
    rig.add(urgent=True)
    assert rig.channel.numbers() == [4, 1, 2, 3]


def test_urgent_reports_without_end_do_not_starve_the_rest(rig: Rig) -> None:
    """After five in a row one that waited is sent, however many urgent ones there are."""
    rig.channel.answers = [Kind.CHANNEL]
    rig.start()
    for _ in range(3):
        rig.add()
    for _ in range(16):
        rig.add(urgent=True)
    rig.channel.sent.clear()
    rig.channel.answers = [Kind.DELIVERED]
    rig.sender.wake(now=True)
    rig.clock.advance(0)
    sent = rig.channel.numbers()
    assert sorted(sent) == list(range(1, 20))
    waited = [sent.index(number) for number in (1, 2, 3)]
    assert waited[0] <= 5
    assert [later - earlier for earlier, later in pairwise(waited)] == [6, 6]


def test_an_urgent_report_during_a_failing_try_does_not_wait_for_the_pause(rig: Rig) -> None:
    """A wish to hurry that comes while a request is under way is not forgotten."""
    rig.channel.hold = Deferred()
    rig.start()
    rig.add()
    rig.add(urgent=True)
    held, rig.channel.hold = rig.channel.hold, None
    rig.channel.answers = [Kind.DELIVERED]
    held.callback(Taken(Kind.CHANNEL, "reset"))
    assert rig.channel.numbers() == [1, 2, 1]


def test_an_old_alarm_report_keeps_its_place(rig: Rig) -> None:
    """An urgent report that is older than a minute goes in the order of the back-log."""
    rig.channel.answers = [Kind.CHANNEL]
    rig.start()
    rig.add()
    rig.add(urgent=True)
    rig.clock.pump([1.0] * 70)
    rig.channel.sent.clear()
    rig.channel.answers = [Kind.DELIVERED]
    rig.clock.pump([1.0] * 60)
    assert rig.channel.numbers() == [1, 2]


def test_the_last_message_delivered_is_the_newest(rig: Rig) -> None:
    """When the back-log that was overtaken has drained, the current state is asked for once."""
    rig.channel.answers = [Kind.CHANNEL]
    rig.start()
    for _ in range(3):
        rig.add()
    rig.channel.answers = [Kind.DELIVERED]
    rig.add(urgent=True)
    assert rig.stale == [["cabinet 1"]]
    rig.add()
    assert rig.stale == [["cabinet 1"]]


def test_what_overtakes_another_subject_makes_nothing_stale(rig: Rig) -> None:
    """Only an older report of the same cabinet, delivered later, asks for a new one."""
    rig.channel.answers = [Kind.CHANNEL]
    rig.start()
    rig.add(subject="computers")
    rig.channel.answers = [Kind.DELIVERED]
    rig.add(urgent=True)
    assert rig.stale == []


def test_a_refused_report_is_set_aside(rig: Rig) -> None:
    """1002 sets a report aside, visibly, and the next goes on."""
    rig.channel.answers = [Kind.REFUSED, Kind.DELIVERED]
    rig.start()
    rig.add()
    rig.add()
    assert [r.id for r in rig.kept("set-aside")] == [1]
    assert rig.ledger().delivered == 1
    assert rig.bench.raised() == {"etc.set-aside"}
    assert rig.left[0] == ([1], False)


def test_1004_is_signed_again_twice_then_set_aside(rig: Rig) -> None:
    """A refused signature is tried three times in all."""
    rig.channel.answers = [Kind.SIGNATURE]
    rig.start()
    rig.add()
    assert rig.channel.numbers() == [1, 1, 1]
    assert [r.id for r in rig.kept("set-aside")] == [1]


def test_1004_once_does_no_harm(rig: Rig) -> None:
    """A signature that was spoiled on the way is good the next time."""
    rig.channel.answers = [Kind.SIGNATURE, Kind.DELIVERED]
    rig.start()
    rig.add()
    assert rig.ledger() == Ledger(created=1, delivered=1)


def test_a_report_that_is_never_answered_is_set_aside(rig: Rig) -> None:
    """Ten answers without a code to one report, while another is taken, set the report aside with
    the bytes of the answer; what waited behind goes out.
    """
    bad, second, third = rig.add(), rig.add(), rig.add()
    rig.channel.unclear = {bad}
    rig.start()
    rig.clock.run(900, step=0.5)
    ledger = rig.ledger()
    assert (ledger.delivered, ledger.queued, ledger.set_aside) == (2, 0, 1)
    [kept] = rig.kept("set-aside")
    assert (kept.answer, kept.tries) == (b'{"ok":1}', UNCLEAR_TRIES + 1)
    assert "no code" in kept.reason
    sent = rig.channel.numbers()
    assert sent[:UNCLEAR_TRIES] == [bad] * UNCLEAR_TRIES
    assert (sent.count(second), sent.count(third)) == (1, 1)
    assert rig.status.state is State.ONLINE


def test_without_another_that_is_taken_the_platform_is_at_fault(rig: Rig) -> None:
    """While every report is answered so, everything is kept, and goes out when that ends."""
    numbers = [rig.add() for _ in range(3)]
    rig.channel.unclear = set(numbers)
    rig.start()
    rig.clock.run(3600, step=1.0)
    assert rig.ledger().queued == 3
    assert rig.status.state is State.OFFLINE
    rig.channel.unclear = set()
    rig.clock.run(61, step=0.5)
    assert rig.ledger() == Ledger(created=3, delivered=3)


def test_a_few_odd_answers_do_no_harm(rig: Rig) -> None:
    """Before the tenth such answer a report stays, whatever else is taken."""
    rig.channel.unclear = {rig.add()}
    rig.start()
    for _ in range(UNCLEAR_TRIES - 2):
        rig.add(urgent=True)
        rig.clock.run(0.1)
    rig.channel.unclear = set()
    rig.clock.run(120, step=0.5)
    assert rig.ledger().set_aside == 0
    assert rig.ledger().queued == 0


def test_1003_on_a_fresh_report_means_our_clock(rig: Rig) -> None:
    """A fresh report that is refused for its time keeps the queue, and raises clock-skew."""
    rig.channel.answers = [Kind.CLOCK]
    rig.start()
    rig.add()
    assert rig.ledger().queued == 1
    assert rig.bench.raised() == {"etc.clock-skew", "etc.channel"}
    rig.channel.answers = [Kind.DELIVERED]
    rig.clock.advance(2.0)
    assert rig.bench.raised() == set()
    assert rig.ledger().delivered == 1


@pytest.mark.parametrize("restamp", [True, False])
def test_1003_on_an_old_report_is_tried_once_more(restamp: bool) -> None:
    """An old report is sent again with the present time (or as it is), then set aside."""
    rig = Rig(restamp=restamp)
    rig.sender.agreement.note()
    rig.add()
    rig.clock.advance(1000.0)
    rig.channel.answers = [Kind.CLOCK]
    rig.start()
    stamps = [int(loads(body)["timeStamp"]) for body in rig.channel.sent]
    assert len(stamps) == 2
    assert stamps[1] - stamps[0] == (1000 if restamp else 0)
    assert [r.id for r in rig.kept("set-aside")] == [1]
    assert "etc.clock-skew" in rig.bench.raised()
    rig.sender.stop()


def test_1003_then_1000_delivers_the_old_report(rig: Rig) -> None:
    """A restamped report that is taken leaves the disk like any other."""
    rig.add()
    rig.clock.advance(1000.0)
    rig.channel.answers = [Kind.CLOCK, Kind.DELIVERED]
    rig.start()
    assert rig.ledger() == Ledger(created=1, delivered=1)


@pytest.mark.parametrize("restamp", [True, False])
def test_a_clock_in_1970_sets_nothing_aside(restamp: bool) -> None:
    """Until the clock is right a platform that checks the time refuses all; then all is taken, each
    report with the time of its measurement.
    """
    rig = Rig(restamp=restamp)
    rig.clock.wall_offset = 300.0
    rig.channel.judge = lambda stamp: abs(stamp - START - rig.clock.seconds()) < 300
    rig.start()
    rig.add(subject="computers")
    rig.clock.run(200.0, step=1.0)
    rig.add()
    rig.clock.run(30.0, step=1.0)
    assert rig.ledger() == Ledger(created=2, queued=2, size=ANY, oldest=ANY)
    assert "etc.clock-skew" in rig.bench.raised()
    rig.clock.wall_offset = START
    rig.clock.run(60.0, step=1.0)
    assert rig.ledger() == Ledger(created=2, delivered=2)
    assert rig.channel.taken[-1] == pytest.approx(START + 200.0, abs=1)
    assert rig.bench.raised() == set()
    rig.sender.stop()


@pytest.mark.parametrize("step", [START, -3600.0, 5 * 366 * 86_400.0])
def test_a_step_corrects_the_time_stamps_of_what_waits(step: float) -> None:
    """A report made before the clock was set tells when it was measured by the clock of now."""
    rig = Rig()
    rig.clock.wall_offset = 0.0 if step == START else START
    rig.add()
    rig.clock.advance(20.0)
    rig.clock.wall_offset += step
    rig.start()
    [body] = rig.channel.sent
    assert int(loads(body)["timeStamp"]) == int(rig.clock.now() - 20.0)
    assert rig.ledger() == Ledger(created=1, delivered=1)
    rig.sender.stop()


def test_a_step_does_not_let_what_is_old_overtake(rig: Rig) -> None:
    """An urgent report of an hour ago is not fresh because the clock was set back an hour."""
    rig.channel.answers = [Kind.CHANNEL]
    rig.start()
    first = rig.add()
    rig.add(urgent=True)
    rig.clock.run(3600.0, step=10.0)
    rig.clock.wall_offset -= 3600.0
    rig.channel.sent.clear()
    rig.sender.wake(now=True)
    rig.clock.advance(0)
    assert rig.channel.numbers()[0] == first


def test_a_second_1003_without_an_agreement_is_the_clock(rig: Rig) -> None:
    """A platform that never took a present time may have another clock than ours: all is kept."""
    rig.add()
    rig.clock.advance(1000.0)
    rig.channel.answers = [Kind.CLOCK]
    rig.start()
    rig.clock.run(300.0, step=1.0)
    assert rig.ledger().queued == 1
    assert {"etc.clock-skew", "etc.channel"} <= rig.bench.raised()


def test_an_agreement_ends_with_a_step_of_the_clock() -> None:
    """What the platform took before the clock was set says nothing about the clock of now."""
    clock = TestClock()
    agreement = ClockAgreement(clock.moment)
    assert not agreement.holds
    agreement.note()
    clock.advance(10_000.0)
    shown = [agreement.holds]
    for step in (3600.0, -3600.0):
        clock.wall_offset += step
        shown.append(agreement.holds)
    assert shown == [True, False, True]


def test_a_failing_disk_does_not_end_the_sender(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, logged_failures: list[Any]
) -> None:
    """When the store fails, the sender logs it, waits, and tries again."""
    rig.start()
    with monkeypatch.context() as patch:
        patch.setattr(rig.store, "next_report", lambda *_: fail(OSError("disk full")))
        rig.add()
        rig.clock.advance(0.5)
    assert rig.channel.sent == []
    rig.clock.advance(60.0)
    assert rig.channel.numbers() == [1]
    assert [failure.type for failure in logged_failures] == [OSError]
    logged_failures.clear()


def test_stopping_keeps_what_is_under_way(rig: Rig) -> None:
    """A report whose answer is still awaited when the sender stops stays stored, and queued."""
    rig.channel.hold = Deferred()
    rig.start()
    rig.add()
    rig.sender.stop()
    assert rig.ledger().queued == 1
    assert rig.status.state is State.CONNECTING


def test_retry_ends_a_pause(rig: Rig) -> None:
    """Somebody who asks to try now does not wait for the back-off."""
    rig.channel.answers = [Kind.CHANNEL]
    rig.start()
    rig.add()
    sent = len(rig.channel.sent)
    rig.sender.wake(now=True)
    assert len(rig.channel.sent) == sent + 1
