"""The status of a device: each transition once, and why."""

import pytest
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, LogLevel, globalLogPublisher
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_gantry.core.status import State, Status


@pytest.fixture
def clock() -> Clock:
    """Return a clock that shows 1000."""
    clock = Clock()
    clock.advance(1000)
    return clock


class Watched:
    """A status, and the list of what was told of it."""

    def __init__(self, clock: Clock) -> None:
        self.status = Status("ups1", clock.seconds)
        self.told: list[tuple[State, float, str | None]] = []
        self.status.subscribe(lambda s: self.told.append((s.state, s.since, s.last_error)))


@pytest.fixture
def watched(clock: Clock) -> Watched:
    """Return a new status that is watched."""
    return Watched(clock)


def test_it_begins_with_connecting(watched: Watched) -> None:
    """Before the first outcome a device is connecting, since it is there, without an error."""
    status = watched.status
    assert (status.state, status.since, status.last_error) == (State.CONNECTING, 1000.0, None)
    assert watched.told == []


def test_each_transition_is_told_once(watched: Watched, clock: Clock) -> None:
    """Repeating a state tells nothing and keeps the time since when it is so."""
    for _ in range(3):
        clock.advance(1)
        watched.status.online()
    for _ in range(3):
        clock.advance(1)
        watched.status.offline("no route")
    clock.advance(1)
    watched.status.online()
    assert watched.told == [
        (State.ONLINE, 1001.0, None),
        (State.OFFLINE, 1004.0, "no route"),
        (State.ONLINE, 1007.0, "no route"),
    ]


def test_the_first_outcome_may_be_offline(watched: Watched) -> None:
    """From connecting it goes to offline as well, with the reason at hand for who is told."""
    watched.status.offline("refused")
    assert watched.told == [(State.OFFLINE, 1000.0, "refused")]


def test_a_new_reason_is_kept_without_a_transition(watched: Watched) -> None:
    """While offline the newest reason replaces the older, untold."""
    watched.status.offline("refused")
    watched.status.offline("no route")
    assert watched.status.last_error == "no route"
    assert len(watched.told) == 1


def test_an_error_changes_no_state(watched: Watched) -> None:
    """An error is kept; the state stays, and no subscriber is told."""
    watched.status.online()
    watched.status.error("one bad reading")
    assert watched.status.state is State.ONLINE
    assert watched.status.last_error == "one bad reading"
    assert len(watched.told) == 1


def test_the_last_error_stays_after_a_recovery(watched: Watched) -> None:
    """A device that is online again still tells what it was."""
    watched.status.offline("no route")
    watched.status.online()
    assert watched.status.last_error == "no route"


def test_a_failing_subscriber_harms_no_other(
    watched: Watched, logged_failures: list[Failure]
) -> None:
    """What one subscriber raises is logged, and the next is told."""

    def fail(_: Status) -> None:
        raise ZeroDivisionError

    told: list[State] = []
    watched.status.subscribe(fail)
    watched.status.subscribe(lambda status: told.append(status.state))
    watched.status.online()
    assert told == [State.ONLINE]
    assert [failure.type for failure in logged_failures] == [ZeroDivisionError]
    logged_failures.clear()


def test_each_transition_is_logged_once(watched: Watched) -> None:
    """Going offline is a warning with the reason, coming back is information; no more is logged."""
    events: list[tuple[LogLevel, str]] = []

    @implementer(ILogObserver)
    def note(event: LogEvent) -> None:
        if event.get("log_namespace") == "twisted_gantry.status":
            events.append((event["log_level"].name, event["log_format"].format(**event)))

    globalLogPublisher.addObserver(note)
    try:
        for _ in range(2):
            watched.status.offline("no route")
        for _ in range(2):
            watched.status.online()
    finally:
        globalLogPublisher.removeObserver(note)
    offline = "ups1 is offline: no route [other] Look at the log around this time."
    assert events == [("warn", offline), ("info", "ups1 is online")]
