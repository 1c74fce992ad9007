"""Long work in steps, so that none holds the reactor."""

from collections.abc import Generator
from typing import TypeVar

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

_T = TypeVar("_T")


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
