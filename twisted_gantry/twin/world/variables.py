"""The variables of the world: how each is shown, and, where it may be changed, set."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Value = float | int | str | bool


@dataclass(frozen=True)
class Variable:
    """One name of the world: how it is read, and, where it may be changed, set.

    A number has its range in `low` and `high`; a text is one of `choices`, or one that `check`
    has no complaint about; what has none of these is true or false. `get` None: it can be set, and
    is seen in other variables.
    """

    get: Callable[[], Value] | None
    put: Callable[[Any], None] | None = None
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    check: Callable[[str], str | None] | None = None

    def set(self, value: object) -> None:
        """Set a value that there is no complaint about."""
        assert self.put is not None
        self.put(float(value) if isinstance(value, int) and self.low is not None else value)

    def complaint(self, value: object) -> str | None:
        """Say what is wrong with a value; None if it may be set."""
        if self.put is None:
            return "follows from the others and cannot be set"
        if self.choices:
            good = isinstance(value, str) and value in self.choices
            return None if good else f"must be one of {', '.join(self.choices)}"
        if self.check is not None:
            return self.check(value) if isinstance(value, str) else "must be a text"
        if self.low is None or self.high is None:
            return None if isinstance(value, bool) else "must be true or false"
        if isinstance(value, bool) or not isinstance(value, int | float):
            return "must be a number"
        return None if self.low <= value <= self.high else f"must be {self.low:g} to {self.high:g}"


class Part(Protocol):
    """A part of the world: a UPS, a cabinet, a battery store."""

    @property
    def until_change_s(self) -> float:
        """How long, at the most, a step may be: then something in it happens. It may be endless."""

    def step(self, dt: float) -> None:
        """Let `dt` seconds pass, at most a second or so; `settle` has been called before."""

    def settle(self) -> None:
        """Do at once what follows, without time, from what was changed here or in other parts."""

    def draw_noise(self) -> None:
        """Draw the noise of the next measurements, if there is any."""

    def variables(self) -> Iterable[tuple[str, Variable]]:
        """Name its variables, without its own name; what sets several before what sets one."""

    def complaints(self, values: Mapping[str, object]) -> Iterator[str]:
        """Find what is wrong with values that are good one by one, by names without its own."""


Access = tuple[Callable[[], Value], Callable[[Any], None]]


def item(values: dict[str, float], key: str) -> Access:
    """Return how a value of a dict is read and set."""
    return lambda: values[key], lambda value: values.update({key: value})


def attribute(owner: object, name: str, kind: Callable[[Any], Any] = lambda value: value) -> Access:
    """Return how an attribute is read and set; `kind` turns what is set into what is kept."""
    return lambda: getattr(owner, name), lambda value: setattr(owner, name, kind(value))


def percent(owner: object, name: str, low: float) -> Variable:
    """Show a share of one as a percentage."""
    return Variable(
        lambda: getattr(owner, name) * 100,
        lambda value: setattr(owner, name, value / 100),
        low=low,
        high=100,
    )
