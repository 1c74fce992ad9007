"""The one physical model behind every face: the mains of the site and its UPSs.

No clock and no I/O: time passes in `step`. Noise comes from the generator that is handed in, so
that a seed makes a run repeat.
"""

import math
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from twisted_gantry.twin.load import PHASES_IN_OUT, Load
from twisted_gantry.twin.mains import PHASES, Mains
from twisted_gantry.twin.ups import Fault, Mode, Ups

Value = float | int | str | bool

# Physics are worked out in steps of at most this many seconds, whatever `step` is asked for.
LONGEST_STEP = 1.0


class WorldError(ValueError):
    """A change that the world does not take; the text names every variable and what is wrong."""


@dataclass(frozen=True)
class _Variable:
    """One name of the world: how it is read, and, where it may be changed, set.

    A number has its range in `low` and `high`; a text is one of `choices`; what has neither is
    true or false. `get` None: it can be set, and is seen in other variables.
    """

    get: Callable[[], Value] | None
    put: Callable[[Any], None] | None = None
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()

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
        if self.low is None or self.high is None:
            return None if isinstance(value, bool) else "must be true or false"
        if isinstance(value, bool) or not isinstance(value, int | float):
            return "must be a number"
        return None if self.low <= value <= self.high else f"must be {self.low:g} to {self.high:g}"


class World:
    """The mains and the UPSs, by name; one to begin with."""

    def __init__(self, random_numbers: random.Random, names: tuple[str, ...] = ("ups1",)) -> None:
        self.mains = Mains()
        self.ups = {name: Ups(self.mains, random_numbers) for name in names}
        self.elapsed_s = 0.0
        self._variables = dict(self._all_variables())

    def step(self, dt: float) -> None:
        """Let `dt` seconds pass. Raises ValueError unless it is a length of time."""
        if not (math.isfinite(dt) and dt >= 0):
            raise ValueError(f"no length of time: {dt}")
        steps = math.ceil(dt / LONGEST_STEP)
        for _ in range(steps):
            for ups in self.ups.values():
                ups.step(dt / steps)
        for ups in self.ups.values():
            ups.draw_noise()
        self.elapsed_s += dt

    def snapshot(self) -> dict[str, Value]:
        """Return the whole state: dotted names and their values."""
        return {
            name: _tidy(variable.get())
            for name, variable in self._variables.items()
            if variable.get is not None
        }

    def change(self, values: Mapping[str, object]) -> None:
        """Set variables, and let what needs no time follow at once.

        All or nothing. What sets several (`mains.voltage`, `ups1.load_w`) comes before what sets
        one, whatever their order. Raises WorldError.
        """
        self.check(values)
        for name, variable in self._variables.items():
            if name in values:
                variable.set(values[name])
        for ups in self.ups.values():
            ups.settle()

    def check(self, values: Mapping[str, object]) -> None:
        """Raise WorldError if `change` would."""
        wrong = [
            f"{name}: {why}" for name, value in values.items() if (why := self._why(name, value))
        ]
        wrong += self._absent_phases(values)
        if wrong:
            raise WorldError("; ".join(wrong))

    def _why(self, name: str, value: object) -> str | None:
        variable = self._variables.get(name)
        return "there is no such variable" if variable is None else variable.complaint(value)

    def _absent_phases(self, values: Mapping[str, object]) -> Iterator[str]:
        """Find loads for phases that do not go out, after the change."""
        for name, ups in self.ups.items():
            phases = values.get(f"{name}.phases", ups.load.phases)
            outputs = PHASES_IN_OUT.get(str(phases), (PHASES, PHASES))[1]
            for phase in PHASES:
                if phase not in outputs and f"{name}.load_w_{phase}" in values:
                    yield f"{name}.load_w_{phase}: a UPS {phases} has no such output"

    def _all_variables(self) -> Iterator[tuple[str, _Variable]]:
        """Name everything; what sets several stands before what sets one of them."""
        yield "world.elapsed", _Variable(lambda: self.elapsed_s)
        mains = self.mains

        def set_all_phases(volts: float) -> None:
            mains.voltage_v.update(dict.fromkeys(PHASES, volts))

        yield "mains.voltage", _Variable(None, set_all_phases, 0, 500)
        for phase in PHASES:
            yield (
                f"mains.voltage_{phase}",
                _Variable(*_item(mains.voltage_v, phase), low=0, high=500),
            )
        yield "mains.frequency", _Variable(*_attribute(mains, "frequency_hz"), low=0, high=100)
        for name, ups in self.ups.items():
            for part, variable in _ups_variables(ups):
                yield f"{name}.{part}", variable


def _ups_variables(ups: Ups) -> Iterator[tuple[str, _Variable]]:
    battery, load = ups.battery, ups.load
    yield "state", _Variable(lambda: ups.state.text)
    yield "phases", _Variable(*_attribute(load, "phases"), choices=tuple(PHASES_IN_OUT))
    yield "mode", _Variable(*_attribute(ups, "mode", Mode), choices=tuple(Mode))
    yield "fault", _Variable(*_attribute(ups, "fault", Fault), choices=tuple(Fault))
    yield "output_on", _Variable(*_attribute(ups, "output_wanted"))
    yield "output_w", _Variable(lambda: ups.output_w)
    yield "load_w", _Variable(*_attribute(load, "total_w"), low=0, high=50_000)
    for phase in PHASES:
        yield f"load_w_{phase}", _load_of(load, phase)
    yield "battery_charge", _percent(battery, "charge", 0)
    yield "battery_health", _percent(battery, "health", 5)
    yield "battery_ah", _Variable(*_attribute(battery, "rated_ah"), low=1, high=1000)
    yield "battery_voltage", _Variable(lambda: battery.voltage_v)
    yield "battery_current", _Variable(lambda: battery.current_a)
    yield "battery_runtime", _Variable(lambda: ups.runtime_s)
    yield "battery_low", _Variable(lambda: ups.battery_low)
    yield "temperature", _Variable(*_attribute(ups, "temperature_c"), low=-40, high=120)
    yield "ambient", _Variable(*_attribute(ups, "ambient_c"), low=-40, high=80)
    yield "overload", _Variable(lambda: ups.overload)
    yield "buzzer_muted", _Variable(*_attribute(ups, "buzzer_muted"))
    yield "self_test", _Variable(lambda: ups.self_test)
    yield "fault_voltage", _Variable(lambda: ups.fault_voltage_v)


_Access = tuple[Callable[[], Value], Callable[[Any], None]]


def _item(values: dict[str, float], key: str) -> _Access:
    return lambda: values[key], lambda value: values.update({key: value})


def _attribute(
    owner: object, name: str, kind: Callable[[Any], Any] = lambda value: value
) -> _Access:
    return lambda: getattr(owner, name), lambda value: setattr(owner, name, kind(value))


def _percent(owner: object, name: str, low: float) -> _Variable:
    """Show a share of one as a percentage."""
    return _Variable(
        lambda: getattr(owner, name) * 100,
        lambda value: setattr(owner, name, value / 100),
        low=low,
        high=100,
    )


def _load_of(load: Load, phase: str) -> _Variable:
    return _Variable(
        lambda: load.of(phase),
        lambda watts: load.put(phase, watts),
        low=0,
        high=50_000,
    )


def _tidy(value: Value) -> Value:
    """Cut the tail off a float, which only shows how computers calculate; text becomes plain."""
    if isinstance(value, float):
        return round(value, 4) + 0.0
    return str(value) if isinstance(value, str) else value
