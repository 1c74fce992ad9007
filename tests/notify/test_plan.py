"""The plan of a target: what is told, when, and what a restart keeps."""

from collections.abc import Iterable
from copy import copy
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from twisted_gantry.notify.notice import CRITICAL, WARNING, Notice
from twisted_gantry.notify.plan import ORPHANED, PACE, SETTLING, Now, Plan, PlanState, Policy
from twisted_gantry.notify.quiet import Quiet

ZONE = ZoneInfo("Asia/Shanghai")
NOON = 1_795_233_600.0  # 12:00 in Shanghai
POLICY = Policy("warning", ZONE)
Told = tuple[float, str, list[str]]


class Desk:
    """A plan and the alarms of a site; `told` has time, event and names of each message.

    While `blocked`, the receiver does not take the message that waits.
    """

    def __init__(self, policy: Policy = POLICY, start: float = NOON) -> None:
        self.policy, self.start, self.time = policy, start, 0.0
        self.active: dict[str, Notice] = {}
        self.told: list[Told] = []
        self.entries: list[Any] = []
        self.escalated: list[tuple[float, str]] = []
        self.blocked = False
        self.plan = Plan(policy, PlanState(), self.now)

    @property
    def now(self) -> Now:
        return Now(self.time + 7, self.start + self.time)

    def restart(self) -> None:
        """Go on with another plan, made of what the first one kept."""
        kept = msgspec.json.encode(self.plan.state(self.now))
        self.plan = Plan(self.policy, msgspec.json.decode(kept, type=PlanState), self.now)

    def raised(self, name: str, severity: str = WARNING, **more: Any) -> None:
        self.active[name] = Notice(name, severity, name, name, self.now.wall, **more)
        self.look()

    def cleared(self, name: str) -> None:
        self.active.pop(name, None)
        self.look()

    def changed(self, name: str, **more: Any) -> None:
        self.active[name] = replace(self.active[name], **more)
        self.look()

    def look(self) -> None:
        """Do what a target does after a change."""
        self.plan.observe(dict(self.active), self.now)
        self._act()

    def run(self, seconds: float, step: float = 0.5) -> None:
        """Let time pass."""
        for _ in range(round(seconds / step)):
            self.time += step
            self.plan.advance(self.now)
            self._act()

    def _act(self) -> None:
        found = self.plan.to_escalate(self.now)
        self.escalated += [(self.time, each.name) for each in found]
        while not self.blocked:
            draft = self.plan.next(self.now)
            if draft is None:
                return
            names = [each.notice.name for each in draft.entries]
            self.entries += map(copy, draft.entries)  # as they are told
            self.plan.told(draft, self.now)
            self.told.append((self.time, draft.event.value, names))

    def events(self) -> list[tuple[str, list[str]]]:
        return [(event, names) for _, event, names in self.told]


def test_raised_and_cleared() -> None:
    """The first message leaves at once; the recovery follows."""
    desk = Desk()
    desk.raised("a.x")
    assert desk.told == [(0.0, "raised", ["a.x"])]
    desk.run(20)
    desk.cleared("a.x")
    assert desk.told[1:] == [(20.0, "cleared", ["a.x"])]
    desk.run(100)
    assert len(desk.told) == 2


def test_the_pace_gathers() -> None:
    """Within 10 s of a message warnings gather; one message tells them, the critical ones first."""
    desk = Desk()
    desk.raised("a.x")
    desk.run(1)
    desk.raised("b.x")
    desk.raised("c.x")
    desk.run(8.5)
    assert len(desk.told) == 1
    desk.run(1)
    assert desk.told[1:] == [(PACE, "raised", ["b.x", "c.x"])]


def test_critical_alarms_pass_the_pace() -> None:
    """A critical alarm does not wait, and takes those along that do."""
    desk = Desk()
    desk.raised("a.x")
    desk.run(1)
    desk.raised("b.x")
    desk.raised("c.y", CRITICAL)
    assert desk.told[1:] == [(1.0, "raised", ["c.y", "b.x"])]


def test_a_delay() -> None:
    """An alarm that clears within the delay is not told; one that lasts is told then."""
    desk = Desk(replace(POLICY, delay=5))
    desk.raised("a.x")
    desk.raised("b.x")
    desk.run(4)
    desk.cleared("a.x")
    desk.run(60)
    assert desk.told == [(5.0, "raised", ["b.x"])]


def test_least_severity() -> None:
    """Below the least severity nothing is told but an emergency."""
    desk = Desk(replace(POLICY, min_severity=CRITICAL))
    desk.raised("a.x")
    desk.raised("b.x", CRITICAL)
    desk.raised("c.smoke", emergency=True)
    assert desk.events() == [("raised", ["b.x"]), ("raised", ["c.smoke"])]


def test_consequences_are_folded() -> None:
    """A consequence makes no message; after its cause it has a minute to end, too."""
    desk = Desk()
    desk.raised("a.mains")
    desk.run(3)
    desk.raised("b.off", cause="a.mains")
    desk.raised("c.off", cause="b.off")
    desk.run(60)
    assert desk.events() == [("raised", ["a.mains"])]
    desk.changed("b.off", cause="")
    desk.cleared("a.mains")
    desk.run(20)
    desk.cleared("b.off")
    desk.run(ORPHANED + 20)
    events = desk.events()[1:]
    assert events == [("cleared", ["a.mains"]), ("raised", ["c.off"])]
    assert desk.told[-1][0] >= 63 + ORPHANED


def test_a_cause_that_is_late_folds_what_waits() -> None:
    """With a delay the consequence that came first is folded before it was told."""
    desk = Desk(replace(POLICY, delay=5))
    desk.raised("b.off")
    desk.run(3)
    desk.raised("a.mains")
    desk.changed("b.off", cause="a.mains")
    desk.run(60)
    assert desk.events() == [("raised", ["a.mains"])]


def test_flapping() -> None:
    """10,000 flaps in a minute make at most seven messages, for a critical alarm, too."""
    for severity in (WARNING, CRITICAL):
        desk = Desk()
        for _ in range(1000):
            desk.raised("a.x", severity)
            desk.run(0.03, 0.03)
            desk.cleared("a.x")
            desk.run(0.03, 0.03)
        assert 2 <= len(desk.told) <= 7
        assert desk.told[0] == (0.0, "raised", ["a.x"])


def test_repeats_until_acknowledged() -> None:
    """An alarm is told again until a person acknowledges it, and after an unacknowledge."""
    desk = Desk(replace(POLICY, repeat=60))
    desk.raised("a.x")
    desk.run(125)
    assert [(t, e) for t, e, _ in desk.told[1:]] == [(60.0, "repeated"), (120.0, "repeated")]
    desk.changed("a.x", acknowledged=True)
    desk.run(600)
    assert len(desk.told) == 3
    desk.changed("a.x", acknowledged=False)
    assert desk.events()[3:] == [("repeated", ["a.x"])]
    desk.cleared("a.x")
    desk.run(PACE)
    assert desk.events()[4:] == [("cleared", ["a.x"])]


def test_muted_alarms() -> None:
    """A muted alarm is told when the mute ends. Of one that was told, the end alone is told."""
    desk = Desk(replace(POLICY, repeat=30, escalate_after=40))
    desk.raised("a.x", muted=True)
    desk.run(100)
    assert desk.told == []
    desk.changed("a.x", muted=False)
    assert desk.told == [(100.0, "raised", ["a.x"])]
    desk.changed("a.x", muted=True)
    desk.run(100)
    assert (len(desk.told), desk.escalated) == (1, [])
    desk.cleared("a.x")
    assert desk.events()[1:] == [("cleared", ["a.x"])]


def test_escalation() -> None:
    """What nobody acknowledged in time goes on to another target, once."""
    desk = Desk(replace(POLICY, escalate_after=30))
    desk.raised("a.x")
    desk.raised("b.x")
    desk.changed("b.x", acknowledged=True)
    desk.run(200)
    assert desk.escalated == [(30.0, "a.x")]
    desk.restart()
    desk.look()
    desk.run(200)
    assert desk.escalated == [(30.0, "a.x")]


def test_a_target_of_escalations() -> None:
    """Without a least severity a target hears of escalated alarms alone, and of their end."""
    desk = Desk(replace(POLICY, min_severity=None, delay=1000, repeat=60))
    desk.raised("a.x", CRITICAL)
    desk.raised("b.x", CRITICAL)
    desk.run(5)
    desk.plan.escalated([desk.active["a.x"]], desk.now)
    desk.plan.escalated([desk.active["a.x"]], desk.now)
    desk.run(70)
    desk.cleared("a.x")
    desk.cleared("b.x")
    desk.run(PACE)
    events = [("raised", ["a.x"]), ("repeated", ["a.x"]), ("cleared", ["a.x"])]
    assert desk.events() == events


def test_an_unreachable_receiver_is_escalated() -> None:
    """An alarm whose message cannot leave is escalated all the same."""
    desk = Desk(replace(POLICY, escalate_after=30))
    desk.blocked = True
    desk.raised("a.x")
    desk.run(60)
    assert desk.escalated == [(30.0, "a.x")]


def test_quiet_hours() -> None:
    """In quiet hours warnings wait for the morning; a critical alarm and its end do not."""
    quiet = Quiet.parse("22:00-07:00")
    desk = Desk(replace(POLICY, quiet=quiet, escalate_after=90), start=NOON + 11 * 3600)  # 23:00
    desk.raised("a.x")
    desk.raised("b.x")
    desk.raised("c.y", CRITICAL)
    desk.run(60)
    desk.cleared("b.x")
    desk.cleared("c.y")
    desk.run(8 * 3600 - 61, 1)
    assert desk.events() == [("raised", ["c.y"]), ("cleared", ["c.y"])]
    desk.run(2, 1)
    assert desk.told[2:] == [(8 * 3600.0, "raised", ["a.x", "b.x"])]
    assert [each.cleared_at is None for each in desk.entries[-2:]] == [True, False]
    desk.run(91)
    assert desk.escalated == [(8 * 3600 + 90.0, "a.x")]


def test_what_a_long_outage_hid_is_told_in_one_message() -> None:
    """What began and ended while a message waited is told once, with both times."""
    desk = Desk()
    desk.raised("a.x")
    desk.blocked = True
    desk.run(20)
    desk.raised("b.x")
    desk.run(20)
    desk.cleared("b.x")
    desk.raised("c.x")
    desk.cleared("a.x")
    desk.run(2000)
    desk.blocked = False
    desk.run(30)
    assert desk.events()[1:] == [("raised", ["b.x", "c.x"]), ("cleared", ["a.x"])]
    assert [each.cleared_at is None for each in desk.entries[1:3]] == [False, True]


def test_a_restart_tells_nothing_twice() -> None:
    """After a restart an alarm that was told is not told again; its end is."""
    desk = Desk(replace(POLICY, repeat=1000))
    desk.raised("a.x")
    desk.run(30)
    desk.restart()
    desk.look()
    desk.run(SETTLING * 3)
    assert len(desk.told) == 1
    desk.cleared("a.x")
    assert desk.events()[1:] == [("cleared", ["a.x"])]


def test_alarms_are_raised_before_an_end_is_told() -> None:
    """An alarm that was told before the start, and is raised soon after it, has not ended."""
    desk = Desk()
    desk.raised("a.x")
    desk.raised("b.x")
    desk.run(30)
    del desk.active["a.x"], desk.active["b.x"]
    desk.restart()
    desk.look()
    desk.run(SETTLING - 1)
    desk.raised("a.x")
    desk.run(SETTLING + PACE)
    assert desk.events()[2:] == [("cleared", ["b.x"])]


def test_another_alarm_of_the_name_is_told() -> None:
    """What a person has acknowledged, or what ended unseen, is no word about the next alarm; a
    quick return that nobody has looked at is.
    """
    desk = Desk(replace(POLICY, escalate_after=30))
    desk.raised("a.x", CRITICAL, id="1")
    desk.changed("a.x", acknowledged=True)
    desk.run(100)
    desk.raised("b.x", CRITICAL, id="2")  # the end of a.x waits for the pace
    desk.cleared("a.x")
    desk.restart()
    desk.look()
    desk.run(1)
    desk.raised("a.x", CRITICAL, id="3")
    desk.run(1)
    desk.cleared("a.x")
    desk.raised("a.x", CRITICAL, id="4")
    desk.run(PACE)
    raised = [("raised", ["a.x"]), ("raised", ["b.x"]), ("raised", ["a.x"])]
    assert desk.events() == raised
    desk.raised("a.x", CRITICAL, id="5")  # its predecessor was not seen to end
    desk.run(PACE)
    assert desk.events() == [*raised, ("raised", ["a.x"])]
    desk.run(40)
    assert desk.escalated == [(130.0, "b.x"), (142.0, "a.x")]


def test_another_alarm_that_is_muted_waits() -> None:
    """An alarm that follows another one of its name is not told while it is muted."""
    desk = Desk()
    desk.raised("a.x", id="1")
    desk.run(20)
    desk.raised("a.x", id="2", muted=True)
    desk.run(20)
    assert len(desk.told) == 1
    desk.changed("a.x", muted=False)
    assert desk.events()[1:] == [("raised", ["a.x"])]


def test_an_escalation_of_another_alarm() -> None:
    """A target of escalations that was told of an alarm hears of the next one of that name."""
    desk = Desk(replace(POLICY, min_severity=None))
    desk.raised("a.x", CRITICAL, id="1")
    desk.plan.escalated([desk.active["a.x"]], desk.now)
    desk.run(20)
    desk.raised("a.x", CRITICAL, id="2")
    desk.plan.escalated([desk.active["a.x"]], desk.now)
    desk.plan.escalated([desk.active["a.x"]], desk.now)
    desk.run(20)
    assert desk.events() == [("raised", ["a.x"])] * 2


def test_a_restart_with_a_clock_that_went_back() -> None:
    """A wrong clock delays what follows by no more than its usual time."""
    desk = Desk(replace(POLICY, repeat=60))
    desk.raised("a.x")
    desk.run(30)
    kept = desk.plan.state(desk.now)
    desk.start -= 30 * 86_400
    desk.plan = Plan(desk.policy, kept, desk.now)
    desk.look()
    desk.run(61)
    assert desk.events()[1:] == [("repeated", ["a.x"])]


def test_the_alarm_about_a_target_is_not_told_there() -> None:
    """A target does not hear that it does not take messages."""
    desk = Desk(replace(POLICY, deaf_to="notify.duty."))
    desk.raised("notify.duty.failing")
    desk.raised("notify.boss.failing")
    assert desk.events() == [("raised", ["notify.boss.failing"])]


def test_the_plan_says_when_to_look_again() -> None:
    """Between two looks at the told time nothing is missed; without alarms there is no time."""
    desk = Desk(replace(POLICY, delay=3, repeat=40))
    assert desk.plan.wait(desk.now) is None
    desk.raised("a.x")
    times = []
    for _ in range(6):
        wait = desk.plan.wait(desk.now)
        assert wait is not None
        desk.run(wait, wait)
        times.append(round(desk.time, 1))
    assert [(t, e) for t, e, _ in desk.told[:3]] == [
        (3.0, "raised"),
        (43.0, "repeated"),
        (83.0, "repeated"),
    ]


NAMES = ("a.x", "a.y", "b.x", "b.smoke")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(("raise", "clear", "ack", "mute", "block", "restart", "fold", "wait")),
        st.sampled_from(NAMES),
        st.sampled_from((0.0, 1.0, 4.0, 30.0)),
    ),
    max_size=40,
)


def _do(desk: Desk, what: str, name: str) -> None:
    notice = desk.active.get(name)
    if what == "raise" and notice is None:
        smoke = name == "b.smoke"
        desk.raised(name, CRITICAL if name == "a.y" else WARNING, emergency=smoke)
    elif what == "clear":
        desk.cleared(name)
    elif what == "block":
        desk.blocked = not desk.blocked
    elif what == "restart":
        desk.restart()
        desk.look()
    elif notice is not None and what == "ack":
        desk.changed(name, acknowledged=not notice.acknowledged)
    elif notice is not None and what == "mute" and not notice.emergency:
        desk.changed(name, muted=not notice.muted)
    elif what == "fold" and name == "a.x" and notice is not None:
        desk.changed(name, cause="" if notice.cause else "a.y")


def _told_and_open(told: Iterable[Told], entries: Iterable[Any]) -> set[str]:
    """Return the alarms whose end is to be told; an end without a beginning fails."""
    left: set[str] = set()
    each = iter(entries)
    for _, event, names in told:
        for name in names:
            entry = next(each)
            if event == "cleared":
                assert name in left
                left.discard(name)
            elif event == "raised":
                assert name not in left
                if entry.cleared_at is None:
                    left.add(name)
    return left


@settings(max_examples=60, deadline=None)
@given(STEPS, st.sampled_from((0.0, 3.0)))
def test_any_history(steps: list[tuple[str, str, float]], delay: float) -> None:
    """Whatever happens: each begin is told before its end, once; the pace is kept; in the end
    everything that lasts is told, and nothing that is over stays open.
    """
    desk = Desk(replace(POLICY, delay=delay))
    for what, name, seconds in steps:
        _do(desk, what, name)
        desk.run(seconds)
    desk.blocked = False
    desk.run(SETTLING + ORPHANED + 3 * PACE, 1)
    left = _told_and_open(desk.told, desk.entries)
    must = {
        n for n, each in desk.active.items() if not each.muted and each.cause not in desk.active
    }
    assert must <= left <= set(desk.active)
    for (before, _, _), (after, event, names) in zip(desk.told, desk.told[1:], strict=False):
        urgent = event == "raised" and {"a.y", "b.smoke"} & {*names}
        assert after - before >= PACE or urgent


def test_a_warning_that_becomes_critical_is_told_again() -> None:
    """People who were told of a warning hear at once that it is critical, also after they
    acknowledged it, and not again when it is a warning for some time.
    """
    desk = Desk()
    desk.raised("a")
    desk.run(60)
    desk.changed("a", acknowledged=True)
    desk.changed("a", severity=CRITICAL, acknowledged=False)
    desk.run(60)
    assert [(event, names) for _, event, names in desk.told] == [("raised", ["a"])] * 2
    desk.changed("a", severity=WARNING)
    desk.run(60)
    assert len(desk.told) == 2


def test_what_became_critical_while_it_was_muted_is_told_afterwards() -> None:
    """A mute delays the news, and does not swallow it."""
    desk = Desk()
    desk.raised("a")
    desk.run(60)
    desk.changed("a", severity=CRITICAL, muted=True)
    desk.run(60)
    assert len(desk.told) == 1
    desk.changed("a", muted=False)
    desk.run(1)
    assert len(desk.told) == 2
