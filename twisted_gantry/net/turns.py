"""Long work in steps, so that none holds the reactor."""

from collections.abc import Callable, Generator, Sequence
from typing import TypeVar

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

_T = TypeVar("_T")
_Made = TypeVar("_Made")
SLICE = 2000  # small things that are made in one step


async def in_turns(clock: IReactorTime, steps: Generator[None, None, _T]) -> _T:
    """Take one step in each turn of the reactor, the first at once; returns what the last one
    returns.
    """
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: _T = end.value
            return result
        await deferLater(clock, 0)


def each_made(
    make: Callable[[_T], _Made], things: Sequence[_T]
) -> Generator[None, None, list[_Made]]:
    """Make something of each thing, in steps of `SLICE`; the generator returns the list."""
    made: list[_Made] = []
    for at in range(0, len(things), SLICE):
        if at:
            yield
        made += map(make, things[at : at + SLICE])
    return made
