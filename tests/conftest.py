"""What holds for every test: coroutines are awaited, no failure goes unseen, no timer is left."""

import gc
import inspect
import os
from collections.abc import Iterator
from typing import Any

import pytest
import pytest_twisted
from hypothesis import settings
from twisted.internet.task import deferLater
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.python.failure import Failure
from zope.interface import implementer

# Half of the time of all tests would go into examples; each run tries others. With
# `--hypothesis-profile=thorough` properties are tried more often.
settings.register_profile("suite", max_examples=40, deadline=None)
settings.register_profile("thorough", max_examples=400, deadline=None)
settings.load_profile("suite")

# Every peer is on this computer: clients that are not ours would ask the proxy for it.
for _name in ("http_proxy", "https_proxy", "all_proxy"):
    os.environ.pop(_name, None)
    os.environ.pop(_name.upper(), None)

TURNS = 50
"""Turns of the reactor, 10 ms each, that the end of a connection may take on a busy computer."""


def pytest_xdist_auto_num_workers() -> int:
    """Use each core once: a further process would spend more on reading the tests than it gains."""
    return len(os.sched_getaffinity(0))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every coroutine: an unmarked one would run by accident alone. A long test may be longer
    on another computer.
    """
    for item in items:
        if item.get_closest_marker("long") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(600))
        test = getattr(item, "obj", None)
        if inspect.iscoroutinefunction(test):
            pytest_twisted.ensureDeferred(getattr(test, "__func__", test))


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Return the browser of `tests/browser/harness.py`, one for the tests of both pages."""
    from tests.browser.harness import launched

    with launched() as found:
        yield found


@pytest.fixture(autouse=True, scope="module")
def settled_heap() -> None:
    """Set aside what is there before a module: every test collects the garbage at its end."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def logged_failures() -> Iterator[list[Failure]]:
    """Fail a test that logs a failure; one that means to, clears the list at its end."""
    seen: list[Failure] = []

    @implementer(ILogObserver)
    def watch(event: LogEvent) -> None:
        failure = event.get("log_failure", event.get("failure"))  # new style, and log.err
        if failure is not None:
            seen.append(failure)

    globalLogPublisher.addObserver(watch)
    yield seen
    gc.collect()  # an unhandled error in a Deferred shows when the Deferred goes
    globalLogPublisher.removeObserver(watch)
    assert not seen, seen


@pytest.fixture(autouse=True)
def left_over_calls() -> Iterator[None]:
    """Fail a test that leaves a timer on the real reactor. A connection that is just closing has
    some turns of the reactor to cancel its own; a timer that rings in them was left all the same.
    """
    from twisted.internet import reactor

    clock: Any = reactor
    before = set(clock.getDelayedCalls())
    yield
    now = clock.seconds()  # what is due by now is the next turn, no timer
    new = [call for call in clock.getDelayedCalls() if call not in before and call.getTime() > now]
    for _ in range(TURNS):
        if not any(call.active() for call in new):
            break
        pytest_twisted.blockon(deferLater(clock, 0.01))
    left = [call for call in new if call.active() or call.called]
    for call in left:
        if call.active():
            call.cancel()
    assert not left, left
