"""Which session numbers a card over HTTP is given: 32 hex digits, if the card echoes them.

A stranger may post results, too, so that a number must not be guessed. Not each card takes a long
text: the first queries after the start try it. Source: `docs/protocols/ups-card.md`, "Decisions".
"""

from collections.abc import Callable
from enum import Enum, auto

QUERIES = frozenset({"QAD", "RTD"})


class _Echo(Enum):
    UNKNOWN = auto()
    LONG = auto()
    SHORT = auto()


class SessionNumbers:
    """Makes the numbers of one card; `long` and `short` return a fresh one."""

    def __init__(self, long: Callable[[], str], short: Callable[[], str]) -> None:
        self._long, self._short = long, short
        self._echo, self._is_long, self._tried = _Echo.UNKNOWN, False, False
        self._last = ""

    def next(self, cmd: str) -> str:
        """Return the number for a command. While it is not known whether the card echoes a long
        one, queries alone try that, in turn: a control must not be lost to it.
        """
        if self._echo is _Echo.UNKNOWN and cmd in QUERIES:
            self._is_long = self._tried = not self._tried
        else:
            self._is_long = self._echo is _Echo.LONG
        self._last = self._long() if self._is_long else self._short()
        return self._last

    def echoed(self, session: str | None) -> None:
        """Note with which number the card answered a command."""
        if self._echo is _Echo.UNKNOWN and session == self._last:
            self._echo = _Echo.LONG if self._is_long else _Echo.SHORT
