"""Work in steps: one in each turn of the reactor."""

from collections.abc import Generator

from twisted.internet.defer import CancelledError, ensureDeferred
from twisted.internet.task import Clock

from tests.support import fired
from twisted_gantry.net.turns import SLICE, each_made, in_turns


def counted(done: list[int], count: int) -> Generator[None, None, str]:
    for number in range(count):
        done.append(number)
        yield
    return "end"


def test_one_step_a_turn() -> None:
    """The first step is taken at once, the others from timers of no delay."""
    clock, done = Clock(), list[int]()
    result = ensureDeferred(in_turns(clock, counted(done, 3)))
    assert (done, result.called) == ([0], False)
    [call] = clock.getDelayedCalls()
    assert call.getTime() == 0
    clock.advance(0)
    assert (done, fired(result)) == ([0, 1, 2], ["end"])


def test_cancelling_ends_the_work() -> None:
    """A work that is cancelled takes no further step and leaves no timer."""
    clock, done = Clock(), list[int]()
    result = ensureDeferred(in_turns(clock, counted(done, 3)))
    result.cancel()
    failed = result.addErrback(lambda failure: failure.trap(CancelledError))
    clock.advance(1)
    assert (done, clock.getDelayedCalls()) == ([0], [])
    assert fired(failed) == [CancelledError]


def test_an_error_of_a_step_is_the_error() -> None:
    """What a step raises is raised."""

    def bad() -> Generator[None, None, None]:
        yield
        raise ValueError("odd")

    clock = Clock()
    result = ensureDeferred(in_turns(clock, bad()))
    clock.advance(0)
    caught: list[str] = []
    result.addErrback(lambda failure: caught.append(failure.getErrorMessage()))
    assert caught == ["odd"]


def test_many_things_take_many_turns() -> None:
    """A short list is made at once; of a long one each turn makes a slice, in order."""
    clock = Clock()
    assert fired(ensureDeferred(in_turns(clock, each_made(str, [1, 2])))) == [["1", "2"]]
    assert fired(ensureDeferred(in_turns(clock, each_made(str, [])))) == [[]]
    made: list[int] = []

    def make(number: int) -> int:
        made.append(number)
        return number

    things = range(3 * SLICE + 1)
    result = fired(ensureDeferred(in_turns(clock, each_made(make, things))))
    assert (result, len(made)) == ([], SLICE)
    clock.advance(0)
    assert result == [list(things)]
