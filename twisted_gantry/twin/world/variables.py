"""The variables of the world: how each is shown, and, where it may be changed, set."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

Value = float | int | str | bool


@dataclass(frozen=True)
class Variable:
    """One name of the world.

    A number has its range in `low` and `high`; a text is one of `choices`, or passes `check`;
    a variable with none of these is true or false. Without `get` the variable is write-only, and
    without `put` read-only.
    """

    get: Callable[[], Value] | None
    put: Callable[[Any], object] | None = None
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    check: Callable[[str], str | None] | None = None

    def set(self, value: object) -> None:
        assert self.put is not None
        self.put(float(value) if isinstance(value, int) and self.low is not None else value)

    def complaint(self, value: object) -> str | None:
        """Return the error of a value, None if it may be set."""
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


Variables = Iterator[tuple[str, Variable]]


class Part:
    """A part of the world: a UPS, a cabinet, a battery store. This base does nothing by itself."""

    @property
    def until_change_s(self) -> float:
        """How long a step may be, in seconds, before something in the part happens."""
        return math.inf

    def step(self, dt: float) -> None:
        """Let `dt` seconds pass, at most a second or so; `settle` has been called before."""

    def settle(self) -> None:
        """Do at once what follows, without time, from changes here or in other parts."""

    def draw_noise(self) -> None:
        """Draw the noise of the next measurements."""

    def variables(self) -> Variables:
        """Yield its variables, without its own name; one that sets several comes before those."""
        return iter(())

    def complaints(self, values: Mapping[str, object]) -> Iterator[str]:
        """Find errors in combinations of valid values, by names without its own."""
        return iter(())


def switch(owner: object, name: str) -> Variable:
    """Return an attribute that is true or false."""
    return Variable(lambda: getattr(owner, name), lambda value: setattr(owner, name, value))


def number(
    owner: object, name: str, low: float, high: float, kind: Callable[[Any], float] = float
) -> Variable:
    """Return an attribute from `low` to `high`, kept as a `kind`."""
    return Variable(
        lambda: getattr(owner, name), lambda value: setattr(owner, name, kind(value)), low, high
    )


def percent(owner: object, name: str, low: float = 0) -> Variable:
    """Return an attribute from 0 to 1, shown and set in % from `low` to 100."""
    return Variable(
        lambda: getattr(owner, name) * 100, lambda v: setattr(owner, name, v / 100), low, 100
    )


def mapped(owner: object, name: str, values: Mapping[str, Any]) -> Variable:
    """Return an attribute that is one of `values`, shown and set by its text."""
    texts = {value: text for text, value in values.items()}
    return Variable(
        lambda: texts[getattr(owner, name)],
        lambda text: setattr(owner, name, values[text]),
        choices=tuple(values),
    )


def choice(owner: object, name: str, options: Iterable[str]) -> Variable:
    """Return an attribute that is one of `options`, such as the members of a StrEnum."""
    return mapped(owner, name, {str(each): each for each in options})


def readings(owner: object, *same: str, **attributes: str) -> Variables:
    """Yield read-only variables: attributes of the same name, then others by their own."""
    for name, attribute in {**dict(zip(same, same, strict=True)), **attributes}.items():
        yield name, Variable(partial(getattr, owner, attribute))
