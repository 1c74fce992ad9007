"""The one physical model behind every face: the mains of the site, and everything on them.

No clock and no I/O: time passes in `step`. Noise comes from a generator that the caller seeds, so
that a run can be repeated.
"""

import math
import random
from collections.abc import Iterable, Mapping
from functools import partial

from twisted_gantry.twin.world.cabinet import Cabinet
from twisted_gantry.twin.world.charging import ChargingSite
from twisted_gantry.twin.world.load import Load
from twisted_gantry.twin.world.loads import GantryLoads, gantry_appliances
from twisted_gantry.twin.world.mains import Consumer, Mains
from twisted_gantry.twin.world.storage import Storage
from twisted_gantry.twin.world.ups import Ups
from twisted_gantry.twin.world.variables import Part, Value, Variable

# Bounds of one step of the physics, in seconds.
LONGEST_STEP = 1.0
SHORTEST_STEP = 1e-6


class WorldError(ValueError):
    """A change that the world does not take; the text names every variable and its error."""


class World:
    """The parts of the site; the name of a part is the prefix of its variables.

    The first cabinet is `cab1`; each of `more_cabinets` is the name of another.
    """

    def __init__(self, random_numbers: random.Random, more_cabinets: Iterable[str] = ()) -> None:
        self.mains = Mains()
        self.cabinets = {name: Cabinet(self.mains) for name in ("cab1", *more_cabinets)}
        self.cabinet = self.cabinets["cab1"]
        # The UPSs stand in the first cabinet.
        air = self.cabinet.air
        self.ups = {
            name: Ups(self.mains, random_numbers, Load(appliances), lambda: air.temperature_c)
            for name, appliances in gantry_appliances().items()
        }
        self.cabinet.heat_sources += [
            partial(getattr, ups, "given_off_w") for ups in self.ups.values()
        ]
        self.storage = {"bms1": Storage(self.mains)}
        consumers: list[Consumer] = [
            *self.ups.values(),
            *self.cabinets.values(),
            *self.storage.values(),
        ]
        self.charging = ChargingSite(self.mains, consumers)
        self.elapsed_s = 0.0
        # Parts come after those that they depend on: the charging manager reads the site's meter.
        self._parts: dict[str, Part] = {
            "mains": self.mains,
            "loads": GantryLoads(self.ups),
            **self.ups,
            **self.cabinets,
            **self.storage,
            "cfos": self.charging,
        }
        self._variables = {"world.elapsed": Variable(lambda: self.elapsed_s)}
        for name, part in self._parts.items():
            self._variables |= {f"{name}.{variable}": how for variable, how in part.variables()}
        self.settle()

    def step(self, dt: float) -> None:
        """Let `dt` seconds pass. Raises ValueError unless `dt` is finite and at least 0."""
        if not (math.isfinite(dt) and dt >= 0):
            raise ValueError(f"not a length of time: {dt}")
        left = dt
        while left > 0:
            stretch = min(left, max(self.until_change_s, SHORTEST_STEP))
            # Dependent parts go first: they need the powers of this stretch, not the next.
            sagging = self.mains.sag_left_s > 0
            for part in reversed(self._parts.values()):
                part.step(stretch)
            if sagging:
                self.settle()  # each part has settled with the mains as they were
            left -= stretch
        for part in self._parts.values():
            part.draw_noise()
        self.elapsed_s += dt

    @property
    def until_change_s(self) -> float:
        """How long the present powers hold, in seconds, at most LONGEST_STEP."""
        return min(LONGEST_STEP, *(part.until_change_s for part in self._parts.values()))

    def snapshot(self) -> dict[str, Value]:
        readable = ((name, each.get) for name, each in self._variables.items())
        return {name: _tidy(get()) for name, get in readable if get is not None}

    def value(self, name: str) -> Value:
        """Return a readable variable. Raises KeyError."""
        get = self._variables[name].get
        if get is None:
            raise KeyError(name)
        return get()

    def change(self, values: Mapping[str, object]) -> None:
        """Set all of these variables or none, and let what needs no time follow at once.

        A variable that sets several (`mains.voltage`, `ups1.load_w`) comes before those, whatever
        the order of `values`. Raises WorldError.
        """
        self.check(values)
        for name, variable in self._variables.items():
            if name in values:
                variable.set(values[name])
        self.settle()

    def settle(self) -> None:
        for part in self._parts.values():
            part.settle()

    def check(self, values: Mapping[str, object]) -> None:
        """Raise WorldError if `change` would."""
        reasons = ((name, self._why(name, value)) for name, value in values.items())
        wrong = [f"{name}: {why}" for name, why in reasons if why]
        for name, part in self._parts.items():
            prefix = f"{name}."
            own = {k.removeprefix(prefix): v for k, v in values.items() if k.startswith(prefix)}
            wrong += [f"{prefix}{complaint}" for complaint in part.complaints(own)]
        if wrong:
            raise WorldError("; ".join(wrong))

    def _why(self, name: str, value: object) -> str | None:
        variable = self._variables.get(name)
        return "there is no such variable" if variable is None else variable.complaint(value)


def _tidy(value: Value) -> Value:
    if isinstance(value, float):
        return round(value, 4) + 0.0
    return str(value) if isinstance(value, str) else value
