"""The Modbus registers of a cFos Power Brain, as its HTTP API reads and writes them.

Source: the cFos document, "Modbus" (addresses, suffixes, answers), and the vendor's register page
(`docs/protocols/cfos.md`, "Modbus registers over HTTP"). A register has 16 bits. Wider numbers have
the high word first; a text has two characters a register, the high byte first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from operator import attrgetter
from types import MappingProxyType

from twisted_gantry.wire.errors import WireError

BAD_SIZE = "bad modbus register size"
"""The document's answer to a suffix that is not that of the register."""
# The document shows no other error; these follow its style and name an unknown address or device.
BAD_ADDRESS = "bad modbus register address"
BAD_COUNT = "bad modbus register count"
BAD_VALUE = "bad modbus register value"
READ_ONLY = "modbus register is read only"


def unknown_register(address: int) -> str:
    return f"unknown modbus register {address}"


def unknown_device(device: str) -> str:
    return f"unknown modbus device {device[:40]}"


class RegisterError(WireError):
    """A register request that cannot be done; the text is the device's answer."""


class Access(StrEnum):
    """Whether a register is read, written, or both."""

    READ = "r"
    WRITE = "w"
    READ_WRITE = "rw"


@dataclass(frozen=True, slots=True)
class Register:
    """One entry of the map. A value times `scale` is in `unit`; `width` counts 16-bit registers.
    `printed` is the key in the answer to `read=all`, empty if it is not there.
    """

    address: int
    name: str
    width: int = 1
    unit: str = ""
    scale: float = 1.0
    access: Access = Access.READ
    is_text: bool = False
    printed: str = ""

    @property
    def suffix(self) -> str:
        return "s" if self.is_text else _SUFFIXES[self.width]

    @property
    def addresses(self) -> range:
        return range(self.address, self.address + self.width)


_SUFFIXES = {1: "", 2: "d", 4: "q"}
WIDTHS: Mapping[str, int] = MappingProxyType({"": 1, "d": 2, "q": 4})
"""Registers that a number with this suffix takes; a text (`s`) takes those of its entry."""

_R, _W, _RW = Access.READ, Access.WRITE, Access.READ_WRITE

Map = Mapping[int, Register]


def _table(*entries: Register) -> Map:
    ordered = sorted(entries, key=attrgetter("address"))
    return MappingProxyType({each.address: each for each in ordered})


def _number(
    address: int, name: str, width: int = 1, access: Access = _R, unit: str = "", scale: float = 1
) -> Register:
    printed = f"{address}{_SUFFIXES[width]}"
    return Register(address, name, width, unit, scale, access, printed=printed)


def _text(address: int, name: str, width: int) -> Register:
    return Register(address, name, width, is_text=True, printed=f"{address}s")


_COMMON = (
    _number(8000, "vendor_id", 2),
    _number(8002, "product_id"),
    _number(8003, "device_id"),
    # Printed without its `d`, although it is 32 bits wide: the build is its lower half.
    Register(8004, "product_version", 2, printed="8004"),
    Register(8005, "product_build"),
    _number(8006, "mapping_version"),
    _number(8007, "padding"),
    _text(8008, "serial_no", 8),
    _text(8016, "name", 16),
    _number(8040, "slave_id", 1, _RW),
    _number(8120, "restarts", 2, _RW),
)

_NOMINAL = (
    _number(8044, "phases", 1, _RW),
    *(_number(8044 + n, f"voltage_l{n}", 1, _RW, "V") for n in (1, 2, 3)),
    _number(8050, "pulses", 4, _RW),
)


def _metered(energy: Access) -> tuple[Register, ...]:
    return (
        _number(8057, "flags"),
        _number(8058, "energy", 4, energy, "Wh"),
        _number(8062, "power", 2, _R, "W"),
        *(_number(8062 + 2 * n, f"current_l{n}", 2, _R, "A", 0.1) for n in (1, 2, 3)),
    )


METER = _table(
    *_COMMON,
    *_NOMINAL,
    *_metered(_RW),
    _number(8041, "input"),
    _number(8042, "pulses_per_kwh", 2, _RW),
    _number(8054, "pulse_time", 2, _R, "s", 0.001),
    _number(8056, "level"),
    _number(8070, "reset_pulses", 1, _W),
    _number(8071, "reset_energy", 1, _W),
)

EVSE = _table(
    *_COMMON,
    *_NOMINAL,
    *_metered(_R),
    _number(8080, "default_fixed_current", 1, _RW, "A", 0.1),
    _number(8081, "default_current_limit", 1, _RW, "A", 0.1),
    _number(8082, "default_enabled", 1, _RW),
    _number(8083, "fail_safe_time", 2, _RW, "s"),
    _number(8085, "fail_safe_current", 1, _RW, "A", 0.1),
    _number(8086, "disconnect_cp", 1, _RW, "s"),
    _number(8087, "relay_select", 1, _RW),
    _number(8088, "relay2", 1, _RW),
    _number(8090, "cable_current", 1, _R, "A", 0.1),
    _number(8091, "fixed_current", 1, _RW, "A", 0.1),
    _number(8092, "pilot_state"),
    _number(8093, "current_limit", 1, _RW, "A", 0.1),
    _number(8094, "enabled", 1, _RW),
    _number(8095, "charging_current", 1, _R, "A", 0.1),
    _text(8096, "last_rfid", 15),
    _number(8111, "rfid_inputs"),
    _number(8112, "has_meter"),
    _number(8113, "s0_inputs"),
)
"""The map of `evse`, which has 8044-8047 and 8050 too: the document's examples write them."""

DEVICES: Mapping[str, Map] = {"meter1": METER, "meter2": METER, "evse": EVSE}

WITHOUT_WEAR = frozenset({8086, 8087, 8088, 8091, 8093, 8094})
"""Registers whose writes do not wear the flash."""


def registers_of(device: str) -> Map:
    """Return the map of a device. Raises RegisterError."""
    try:
        return DEVICES[device]
    except KeyError:
        raise RegisterError(unknown_device(device)) from None


def pack(value: int | str, width: int) -> list[int]:
    """Return the words of a value, high first; a text is cut. Raises RegisterError if too large."""
    if isinstance(value, str):
        octets = value.encode("ascii", "replace")[: 2 * width].ljust(2 * width, b"\0")
    else:
        bits = 16 * width
        if not -(1 << bits - 1) <= value < 1 << bits:
            raise RegisterError(BAD_VALUE)
        octets = (value & (1 << bits) - 1).to_bytes(2 * width)
    return [int.from_bytes(octets[at : at + 2]) for at in range(0, len(octets), 2)]


def unpack(words: Sequence[int], suffix: str) -> int | str:
    """Return the value of words: a text, a signed number, or unsigned if it is one word."""
    octets = b"".join(word.to_bytes(2) for word in words)
    if suffix == "s":
        return octets.rstrip(b"\0").decode("ascii", "replace")
    return int.from_bytes(octets, signed=len(words) > 1)


def image(registers: Map, values: Mapping[int, int | str]) -> dict[int, int]:
    """Return all words of a map by address; registers missing from `values` are 0 or empty."""
    words: dict[int, int] = {}
    for register in registers.values():
        if register.printed:  # else it is a part of another register
            blank: int | str = "" if register.is_text else 0
            value = values.get(register.address, blank)
            words.update(zip(register.addresses, pack(value, register.width), strict=True))
    return words
