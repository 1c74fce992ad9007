"""The registers and bits of the site as one request sees them, and the commands behind them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property

from twisted_gantry.bridges.modbus.fields import Field, Find
from twisted_gantry.core.alarms import Alarm
from twisted_gantry.core.commands.types import CommandType
from twisted_gantry.wire.modbus import Code

_WIDEST = 16  # registers of a text


class Refused(Exception):
    """A request that has an exception for an answer."""

    def __init__(self, code: Code) -> None:
        super().__init__(code.name)
        self.code = code


@dataclass(frozen=True, slots=True)
class Target:
    """A command that is behind a coil or some registers. `argument` takes the value, if any."""

    device: str
    command: str
    argument: str = ""
    type: type = bool


def reachable(kind: CommandType) -> tuple[str, type] | None:
    """Return the argument that a command has to be given, and its type; ("", bool) if it needs
    none. None for a command that no register can give: one that asks, is locked, or needs more.
    """
    if kind.asks or kind.locked:
        return None
    needed = [(name, each) for name, each in kind.arguments.items() if each.required]
    if not needed:
        return ("", bool)
    if len(needed) > 1 or needed[0][1].type is str or needed[0][1].secret:
        return None
    return (needed[0][0], needed[0][1].type)


class View:
    """What one request sees: the points, and the alarms that are raised, looked up once."""

    def __init__(self, find: Find, alarms: Callable[[], Iterable[Alarm]]) -> None:
        self.find, self._alarms = find, alarms

    @cached_property
    def raised(self) -> frozenset[str]:
        return frozenset(alarm.name for alarm in self._alarms())


Bit = Callable[[View], bool]


@dataclass
class Image:
    """Fields by their first register, bits and coils by address. `commands` by the coil, or by the
    first register and the type.
    """

    fields: dict[int, Field] = field(default_factory=dict)
    bits: dict[int, Bit] = field(default_factory=dict)
    coils: dict[int, Target] = field(default_factory=dict)
    registers: dict[int, tuple[str, Target]] = field(default_factory=dict)

    def read(self, address: int, count: int, find: Find, now: float) -> bytes:
        """Return registers, two bytes each. Raises Refused."""
        at = self._begin(address)
        skipped, found, end = address - at, bytearray(), address + count
        while at < end:
            each = self.fields.get(at)
            if each is None:
                raise Refused(Code.ILLEGAL_ADDRESS)
            found += each.encode(find, now)
            at += each.width
        return bytes(found[2 * skipped : 2 * (skipped + count)])

    def read_bits(self, address: int, count: int, view: View) -> list[bool]:
        """Return discrete inputs or coils. Raises Refused."""
        try:
            return [self.bits[each](view) for each in range(address, address + count)]
        except KeyError:
            raise Refused(Code.ILLEGAL_ADDRESS) from None

    def _begin(self, address: int) -> int:
        for at in range(address, max(address - _WIDEST, -1), -1):
            each = self.fields.get(at)
            if each is not None and at + each.width > address:
                return at
        raise Refused(Code.ILLEGAL_ADDRESS)


def is_true(point: str) -> Bit:
    """Return the bit of a point: true while it is known to be true, or a number other than 0."""

    def bit(view: View) -> bool:
        found = view.find(point)
        value = None if found is None else found.good
        return not isinstance(value, str) and bool(value)

    return bit


def is_good(point: str) -> Bit:
    """Return the bit that tells whether the value of a point is good."""

    def bit(view: View) -> bool:
        found = view.find(point)
        return found is not None and found.good is not None

    return bit


def is_raised(alarm: str) -> Bit:
    """Return the bit that tells whether an alarm is raised."""
    return lambda view: alarm in view.raised


def never(view: View) -> bool:
    """Read a coil that only triggers."""
    return False
