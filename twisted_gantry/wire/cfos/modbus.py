"""Reads and writes of registers over the HTTP API of cFos, from both sides.

Source: the cFos document, "Modbus"; `docs/protocols/cfos.md`, "Modbus registers over HTTP".
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from twisted_gantry.wire.cfos import registers as maps
from twisted_gantry.wire.errors import BadMessage
from twisted_gantry.wire.numbers import whole

# Values in one request. Modbus itself carries at most 125 registers.
MAX_COUNT = 125
# Of an answer: the text of a register of the map has at most 32 characters.
LONGEST_TEXT, LONGEST_KEY = 64, 8


@dataclass(frozen=True, slots=True)
class Read:
    """`read=`: an address with its suffix, None for `all`; `count` None is a single value."""

    address: int | None
    suffix: str = ""
    count: int | None = None

    def query(self) -> tuple[tuple[str, str], ...]:
        if self.address is None:
            return (("read", "all"),)
        asked = (("read", f"{self.address}{self.suffix}"),)
        return asked if self.count is None else (*asked, ("count", str(self.count)))


@dataclass(frozen=True, slots=True)
class Write:
    """`write=` with `value=`, or with `values=` when `several`."""

    address: int
    values: tuple[int, ...]
    suffix: str = ""
    several: bool = False

    def query(self) -> tuple[tuple[str, str], ...]:
        where = ("write", f"{self.address}{self.suffix}")
        if self.several:
            return (where, ("values", f"[{','.join(map(str, self.values))}]"))
        return (where, ("value", str(self.values[0])))

    @property
    def addresses(self) -> range:
        return range(self.address, self.address + maps.WIDTHS[self.suffix] * len(self.values))

    @property
    def wears(self) -> bool:
        return not maps.WITHOUT_WEAR.issuperset(self.addresses)


_ADDRESS = re.compile(r"([0-9]{1,5})([dqs]?)")
_COUNT = re.compile(r"[0-9]{1,4}")
_INTEGER = re.compile(r"[-+]?[0-9]{1,20}")


def _bare(text: str) -> str:
    """Strip blanks, and the stray `"` of the example URLs."""
    return text.strip().removesuffix('"').strip()


def parse_read(read: str, count: str | None = None) -> Read:
    """Read `read=` and `count=`. Raises RegisterError."""
    if _bare(read) == "all":
        return Read(None)
    address, suffix = _parse_address(read)
    if count is None:
        return Read(address, suffix)
    text = _bare(count)
    if not _COUNT.fullmatch(text) or not 1 <= int(text) <= MAX_COUNT:
        raise maps.RegisterError(maps.BAD_COUNT)
    return Read(address, suffix, int(text))


def parse_write(write: str, value: str | None = None, values: str | None = None) -> Write:
    """Read `write=` with one of `value=` and `values=`. Raises RegisterError."""
    address, suffix = _parse_address(write)
    if suffix == "s":
        raise maps.RegisterError(maps.BAD_SIZE)  # no register of the map takes a text
    if (value is None) == (values is None):
        raise maps.RegisterError(maps.BAD_VALUE)
    if value is not None:
        text = _bare(value)
        if not _INTEGER.fullmatch(text):
            raise maps.RegisterError(maps.BAD_VALUE)
        return Write(address, (int(text),), suffix)
    try:
        given = msgspec.json.decode(_bare(values or ""), type=list[int])
    except (ValueError, RecursionError):
        raise maps.RegisterError(maps.BAD_VALUE) from None
    if not 1 <= len(given) <= MAX_COUNT:
        raise maps.RegisterError(maps.BAD_COUNT)
    return Write(address, tuple(given), suffix, several=True)


def _parse_address(text: str) -> tuple[int, str]:
    match = _ADDRESS.fullmatch(_bare(text))
    if match is None:
        raise maps.RegisterError(maps.BAD_ADDRESS)
    return int(match[1]), match[2]


def answer_read(read: Read, registers: maps.Map, words: Mapping[int, int]) -> Any:
    """Return the answer of a device with these `words` (of `image`): a value, list or object.
    Without a suffix each word of the map can be read. Raises RegisterError.
    """
    if read.address is None:
        return {
            each.printed: maps.unpack([words[at] for at in each.addresses], each.suffix)
            for each in registers.values()
            if each.printed
        }
    answers = []
    address = read.address
    for _ in range(1 if read.count is None else read.count):
        addresses = _wide(address, read.suffix, registers, words)
        answers.append(maps.unpack([words[at] for at in addresses], read.suffix))
        address = addresses.stop
    return answers[0] if read.count is None else answers


def _wide(address: int, suffix: str, registers: maps.Map, words: Iterable[int]) -> range:
    """Return the addresses that a suffix covers. Raises RegisterError."""
    if address not in words:
        raise maps.RegisterError(maps.unknown_register(address))
    if not suffix:
        return range(address, address + 1)
    register = registers.get(address)
    if register is None or register.suffix != suffix:
        raise maps.RegisterError(maps.BAD_SIZE)
    return register.addresses


def plan_write(write: Write, registers: maps.Map) -> dict[int, int]:
    """Return the new value of each register that a write changes, by address, signed if wide.
    Without a suffix the values are words, and a wide register needs all its words in one request.
    Raises RegisterError; then nothing may be changed.
    """
    changes: dict[int, int] = {}
    address, values = write.address, list(write.values)
    while values:
        register = registers.get(address)
        if register is None:
            inside = any(address in each.addresses for each in registers.values())
            raise maps.RegisterError(maps.BAD_SIZE if inside else maps.unknown_register(address))
        if write.suffix and register.suffix != write.suffix:
            raise maps.RegisterError(maps.BAD_SIZE)
        if maps.Access.WRITE.value not in register.access.value:
            raise maps.RegisterError(maps.READ_ONLY)
        taken = 1 if write.suffix else register.width
        if len(values) < taken:
            raise maps.RegisterError(maps.BAD_SIZE)
        words = [
            word for value in values[:taken] for word in maps.pack(value, register.width // taken)
        ]
        del values[:taken]
        changes[address] = int(maps.unpack(words, register.suffix))
        address += register.width
    return changes


def decode_read(read: Read, answer: Any) -> Any:
    """Check the answer to a read. Raises RegisterError with the device's text, or BadMessage."""
    if read.address is None:
        fits = isinstance(answer, dict) and len(answer) <= MAX_COUNT
        if fits and all(len(k) <= LONGEST_KEY and _is_value(v) for k, v in answer.items()):
            return answer
    elif read.count is not None:
        answer = [_plain(each, read) for each in answer] if isinstance(answer, list) else answer
        if isinstance(answer, list) and len(answer) == read.count and all(map(_is_value, answer)):
            return answer
    elif read.suffix == "s":
        if _is_value(answer) and isinstance(answer, str) and not _COMPLAINT.match(answer):
            return answer
    elif isinstance(plain := _plain(answer, read), int) and _is_value(plain):
        return plain
    if isinstance(answer, str):
        raise maps.RegisterError(answer[:200])
    raise BadMessage("an answer that does not fit the read")


def _plain(value: Any, read: Read) -> Any:
    """Return a number in any spelling as a whole number, unless a text is due."""
    number = None if read.suffix == "s" else whole(value)
    return value if number is None else number


# Where a text is due, only its words tell an error.
_COMPLAINT = re.compile(r"(?i)(bad|unknown|invalid|no such)\b.*\b(modbus|register|device)")


def _is_value(value: Any) -> bool:
    """Tell whether a register can hold a value: 64 bits, signed or not, or LONGEST_TEXT."""
    if isinstance(value, str):
        return len(value) <= LONGEST_TEXT
    return isinstance(value, int) and not isinstance(value, bool) and -(1 << 63) <= value < 1 << 64
