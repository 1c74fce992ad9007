"""An own map: the places that its author chose."""

from twisted_gantry.bridges.modbus import image as images
from twisted_gantry.bridges.modbus.fields import EmptyField, made_field
from twisted_gantry.bridges.modbus.image import Image, Target, reachable
from twisted_gantry.bridges.modbus.settings import MapFile
from twisted_gantry.core.points import Points
from twisted_gantry.core.site import Site
from twisted_gantry.wire import modbus as wire
from twisted_gantry.wire.local_api import Label
from twisted_gantry.wire.local_registers import AlarmBitView, RegisterCommandView, RegisterView


class OwnMap:
    """The image of a map file; it never changes, whatever the devices are."""

    full = 0

    def __init__(self, site: Site, given: MapFile, *, writes: bool) -> None:
        self.image = Image()
        self._site, self._given, self._writes = site, given, writes
        for each in given.point:
            made = made_field(each.point, each.type, each.scale, each.order)
            self.image.fields[each.register] = made
        for bit in given.bit:
            make = images.is_good if bit.good else images.is_true
            made_bit = images.is_raised(bit.alarm) if bit.alarm else make(bit.point)
            self.image.bits[bit.bit] = made_bit
        self.settle()

    def extend(self) -> bool:
        """Return False: nothing is to be stored."""
        return False

    def settle(self) -> None:
        """Put the commands of the present devices into their places."""
        image = self.image
        image.coils.clear()
        image.registers.clear()
        for each in self._given.command if self._writes else ():
            if each.coil is not None:
                image.bits[each.coil] = images.never
            if each.register is not None:
                image.fields[each.register] = EmptyField(wire.width(each.type))
            device = self._site.devices.get(each.target)
            kind = device.commands.get(each.command) if device is not None else None
            wanted = reachable(kind) if kind is not None else None
            if wanted is None:
                continue
            target = Target(each.target, each.command, *wanted)
            if each.coil is not None and target.type is bool:
                image.coils[each.coil] = target
            if each.register is not None:
                image.registers[each.register] = (each.type, target)

    def rows(self, points: Points) -> list[RegisterView]:
        rows = []
        for each in self._given.point:
            unit, label = "", Label()
            if each.point in points.catalogue:
                kind = points.catalogue[each.point]
                unit, label = kind.unit, Label(kind.en, kind.zh)
            rows.append(
                RegisterView(
                    point=each.point,
                    register=each.register,
                    type=each.type,
                    unit=unit,
                    label=label,
                    scale=each.scale,
                    order=each.order,
                )
            )
        for bit in (each for each in self._given.bit if each.point):
            what = "good" if bit.good else "bit"
            rows.append(RegisterView(point=bit.point, type=what, bit=bit.bit))
        return rows

    def alarm_rows(self) -> list[AlarmBitView]:
        return [AlarmBitView(each.alarm, each.bit) for each in self._given.bit if each.alarm]

    def command_rows(self) -> list[RegisterCommandView]:
        return [
            RegisterCommandView(
                each.target,
                each.command,
                each.coil,
                each.register,
                each.type if each.register is not None else "",
            )
            for each in (self._given.command if self._writes else ())
        ]
