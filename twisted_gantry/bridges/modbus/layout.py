"""The default map: places that were given once, and never move.

Each point has five registers: float32 (2), s16, quality, age; and a bit. A text has registers of
its own besides. Decisions: `docs/bridges.md`, "The default map".
"""

from collections.abc import Iterable, Mapping
from math import isinf
from typing import Any

import msgspec

from twisted_gantry.bridges.modbus import image as images
from twisted_gantry.bridges.modbus.fields import BlockField, EmptyField, TextField
from twisted_gantry.bridges.modbus.image import Image, Target, reachable
from twisted_gantry.bridges.modbus.settings import TEXT_REGISTERS
from twisted_gantry.core.bounds import Bounds
from twisted_gantry.core.points import Points
from twisted_gantry.core.site import Site
from twisted_gantry.wire.local_api import Label
from twisted_gantry.wire.local_registers import AlarmBitView, RegisterCommandView, RegisterView

BLOCK = 5
MOST_POINTS, MOST_TEXTS, MOST_COMMANDS, MOST_ALARMS = 8000, 1500, 500, 10_000
TEXTS, COMMANDS = BLOCK * MOST_POINTS, BLOCK * MOST_POINTS + TEXT_REGISTERS * MOST_TEXTS
"""The first registers of texts, and of commands with an argument, which have three each."""
GOOD_BITS, COILS, ALARMS = 10_000, 20_000, 30_000
"""The first bits that tell whether a value is good, coils of commands, and bits of alarms."""
_LARGEST = 32_767
_FINEST, _COARSEST = 2, -9  # powers of ten


def _power(bounds: Bounds | None) -> int:
    """Return the power of ten that a value is multiplied with in its s16."""
    most = max(abs(bounds.low), abs(bounds.high)) if bounds is not None else 0.0
    if not most or isinf(most):
        return 0
    return next((p for p in range(_FINEST, _COARSEST, -1) if most * 10.0**p <= _LARGEST), 0)


class Places(msgspec.Struct):
    """The places by name: the number of a point and the power of ten of its s16, the numbers of
    texts, of commands, `ups1 BZOFF`, and of alarms. This is what the store keeps.
    """

    points: dict[str, tuple[int, int]] = {}
    texts: dict[str, int] = {}
    commands: dict[str, int] = {}
    alarms: dict[str, int] = {}

    @property
    def count(self) -> int:
        return len(self.points) + len(self.texts) + len(self.commands) + len(self.alarms)


class Layout:
    """Gives places to what has none, and makes the image. `full` counts what found no place."""

    def __init__(self, site: Site, *, writes: bool) -> None:
        self.image, self.full = Image(), 0
        self._site, self._writes = site, writes
        self._places = Places()

    def load(self, stored: Any) -> None:
        """Take what the store kept. Raises msgspec.ValidationError."""
        self._places = msgspec.convert(stored or {}, Places)
        self.settle()

    def stored(self) -> Any:
        return msgspec.to_builtins(self._places)

    def extend(self) -> bool:
        """Give places to what is new; returns whether there were any. They
        are served once `settle` is called: the store has kept them then.
        """
        points, places = self._site.points, self._places
        self.full = 0
        known = places.count
        for point in points.under():
            if (at := self._next(point.name, places.points, MOST_POINTS)) is not None:
                power = _power(points.catalogue[point.name].bounds)
                places.points[point.name] = (at, power)
            if points.catalogue[point.name].values is not str and not isinstance(point.value, str):
                continue
            if (at := self._next(point.name, places.texts, MOST_TEXTS)) is not None:
                places.texts[point.name] = at
        for name in self._reachable() if self._writes else ():
            if (at := self._next(name, places.commands, MOST_COMMANDS)) is not None:
                places.commands[name] = at
        for name in self._alarms():
            if (at := self._next(name, places.alarms, MOST_ALARMS)) is not None:
                places.alarms[name] = at
        return places.count != known

    def settle(self) -> None:
        """Serve every place; the commands are those of the present devices."""
        for name, (at, power) in self._places.points.items():
            if at not in self.image.bits:
                self._place(name, at, power)
        for name, at in self._places.texts.items():
            self.image.fields[TEXTS + TEXT_REGISTERS * at] = TextField(name)
        for name, at in self._places.alarms.items():
            self.image.bits[ALARMS + at] = images.is_raised(name)
        self._place_commands()

    def _next(self, name: str, taken: Mapping[str, Any], most: int) -> int | None:
        """Return the next free number for a name without one; none is ever given twice."""
        if name in taken:
            return None
        if len(taken) < most:
            return len(taken)
        self.full += 1
        return None

    def _place(self, name: str, at: int, power: int) -> None:
        first, image = BLOCK * at, self.image
        image.fields[first] = BlockField(name, 10.0**power)
        image.bits[at] = images.is_true(name)
        image.bits[GOOD_BITS + at] = images.is_good(name)

    def _alarms(self) -> Iterable[str]:
        """Yield the alarms that the present devices can have, then those that are raised."""
        for device, each in self._site.devices.items():
            yield f"{device}.offline"
            for rule in each.rules:
                for part in [""] if rule.parts is None else [f"{p}." for p in rule.parts()]:
                    yield f"{device}.{part}{rule.name}"
        for alarm in self._site.alarms.active():
            yield alarm.name

    def _reachable(self) -> Iterable[str]:
        for device, each in self._site.devices.items():
            for command, kind in each.commands.items():
                if reachable(kind) is not None:
                    yield f"{device} {command}"

    def _place_commands(self) -> None:
        """Put the present commands behind their coils and registers."""
        image = self.image
        image.coils.clear()
        image.registers.clear()
        if not self._writes:
            return
        for name, at in self._places.commands.items():
            device, _, command = name.partition(" ")
            image.bits[COILS + at] = images.never
            first = COMMANDS + 3 * at
            image.fields[first], image.fields[first + 2] = EmptyField(2), EmptyField(1)
            found = self._site.devices.get(device)
            kind = found.commands.get(command) if found is not None else None
            wanted = reachable(kind) if kind is not None else None
            if wanted is None:
                continue
            target = Target(device, command, *wanted)
            if wanted[1] is bool:
                image.coils[COILS + at] = target
            image.registers[first] = ("f32", target)
            image.registers[first + 2] = ("s16", target)

    def rows(self, points: Points) -> list[RegisterView]:
        """Return the places of the present points, by their registers."""
        rows = []
        for name, (at, power) in self._places.points.items():
            if name not in points.catalogue:
                continue
            kind, first = points.catalogue[name], BLOCK * at
            text = self._places.texts.get(name)
            rows.append(
                RegisterView(
                    point=name,
                    register=first,
                    type="f32",
                    unit=kind.unit,
                    label=Label(kind.en, kind.zh),
                    scaled=first + 2,
                    scale=10.0**power,
                    quality=first + 3,
                    age=first + 4,
                    bit=at,
                    text=None if text is None else TEXTS + TEXT_REGISTERS * text,
                )
            )
        return rows

    def alarm_rows(self) -> list[AlarmBitView]:
        return [AlarmBitView(name, ALARMS + at) for name, at in self._places.alarms.items()]

    def command_rows(self) -> list[RegisterCommandView]:
        """Return the present commands, by their coils and registers."""
        image, rows = self.image, []
        for name, at in self._places.commands.items():
            coil, first = COILS + at, COMMANDS + 3 * at
            if first in image.registers:
                device, _, command = name.partition(" ")
                known = coil if coil in image.coils else None
                rows.append(RegisterCommandView(device, command, known, first, "f32", first + 2))
        return rows
