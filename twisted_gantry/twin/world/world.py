"""The one physical model behind every face: the mains of the site, and all that hangs on it.

No clock and no I/O: time passes in `step`. Noise comes from the generator that is handed in, so
that a seed makes a run repeat.
"""

import math
import random
from collections.abc import Iterator, Mapping

from twisted_gantry.twin.world.cabinet import Cabinet
from twisted_gantry.twin.world.charging import ChargingSite
from twisted_gantry.twin.world.mains import Mains
from twisted_gantry.twin.world.storage import Storage
from twisted_gantry.twin.world.ups import Ups
from twisted_gantry.twin.world.variables import Part, Value, Variable

# Physics are worked out in steps of at most this many seconds, whatever `step` is asked for.
LONGEST_STEP = 1.0


class WorldError(ValueError):
    """A change that the world does not take; the text names every variable and what is wrong."""


class World:
    """The parts of the site, by name: what one is called stands before its variables."""

    def __init__(self, random_numbers: random.Random) -> None:
        self.mains = Mains()
        self.ups = {name: Ups(self.mains, random_numbers) for name in ("ups1", "ups2")}
        self.cabinet = Cabinet(self.mains)
        self.charging = ChargingSite(self.mains)
        self.storage = {"bms1": Storage()}
        self.elapsed_s = 0.0
        # What others depend on stands before them.
        self._parts: dict[str, Part] = {
            "mains": self.mains,
            **self.ups,
            "cab1": self.cabinet,
            "cfos": self.charging,
            **self.storage,
        }
        self._variables = dict(self._all_variables())

    def step(self, dt: float) -> None:
        """Let `dt` seconds pass. Raises ValueError unless it is a length of time."""
        if not (math.isfinite(dt) and dt >= 0):
            raise ValueError(f"no length of time: {dt}")
        steps = math.ceil(dt / LONGEST_STEP)
        for _ in range(steps):
            for part in self._parts.values():
                part.step(dt / steps)
        for part in self._parts.values():
            part.draw_noise()
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
        self.settle()

    def settle(self) -> None:
        """Let every part follow what was changed in any."""
        for part in self._parts.values():
            part.settle()

    def check(self, values: Mapping[str, object]) -> None:
        """Raise WorldError if `change` would."""
        wrong = [
            f"{name}: {why}" for name, value in values.items() if (why := self._why(name, value))
        ]
        for name, part in self._parts.items():
            own = {
                key.removeprefix(f"{name}."): value
                for key, value in values.items()
                if key.startswith(f"{name}.")
            }
            wrong += [f"{name}.{complaint}" for complaint in part.complaints(own)]
        if wrong:
            raise WorldError("; ".join(wrong))

    def _why(self, name: str, value: object) -> str | None:
        variable = self._variables.get(name)
        return "there is no such variable" if variable is None else variable.complaint(value)

    def _all_variables(self) -> Iterator[tuple[str, Variable]]:
        yield "world.elapsed", Variable(lambda: self.elapsed_s)
        for name, part in self._parts.items():
            for variable, how in part.variables():
                yield f"{name}.{variable}", how


def _tidy(value: Value) -> Value:
    """Cut the tail off a float, which only shows how computers calculate; text becomes plain."""
    if isinstance(value, float):
        return round(value, 4) + 0.0
    return str(value) if isinstance(value, str) else value
