"""Modbus messages, from both sides: pymodbus' framers and PDUs, without its transports.

Needs the extra `modbus` (`installed`). Source: MODBUS Application Protocol V1.1b3; decisions:
`docs/protocols/modbus.md`. A register has 16 bits, bytes and words come highest first unless an
`order` says otherwise.
"""

import logging
import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

from twisted_gantry.wire.errors import BadMessage, WireError
from twisted_gantry.wire.quote import quote

if TYPE_CHECKING:
    from pymodbus.pdu import ModbusPDU

LACKING = "needs pymodbus: pip install 'twisted-gantry[modbus]'"
LONGEST_FRAME = 260  # bytes: 7 of the header, and a PDU of 253
MOST_REGISTERS, MOST_BITS, MOST_WRITTEN = 125, 2000, 123
"""Values of one request."""
MOST_STRAYS = 16
"""Replies, late ones among them, that are looked at for one request."""
READ_BITS, READ_REGISTERS = frozenset({1, 2}), frozenset({3, 4})
WRITES = frozenset({5, 6, 16})

Framing = Literal["tcp", "rtu-over-tcp"]
ValueType = Literal["u16", "s16", "u32", "s32", "f32", "bit"]
Order = Literal["ABCD", "CDAB", "BADC", "DCBA"]
"""How a value of two registers comes: A is the highest byte. One register has its low byte first in
`BADC` and `DCBA`.
"""

_FORMATS = {"u16": ">H", "s16": ">h", "u32": ">I", "s32": ">i", "f32": ">f"}
_HEADER = 7
_PROTOCOL_ENDS = 4  # bytes, the last two of them 0: what `frames` has judged
_SHORTEST, _LONGEST = 2, 254  # of a frame behind its length: unit and function at least

# A peer that sends nonsense would have a warning for each message.
logging.getLogger("pymodbus").setLevel(logging.CRITICAL)


class Code(IntEnum):
    """The exceptions of the specification."""

    ILLEGAL_FUNCTION = 1
    ILLEGAL_ADDRESS = 2
    ILLEGAL_VALUE = 3
    DEVICE_FAILURE = 4
    ACKNOWLEDGE = 5
    DEVICE_BUSY = 6
    GATEWAY_PATH = 10
    GATEWAY_TARGET = 11


class ModbusRefused(WireError):
    """The peer answered with an exception; `code` is its number."""

    def __init__(self, code: int) -> None:
        known = {each.value: each.name.lower().replace("_", " ") for each in Code}
        name = known.get(code, "unknown")
        super().__init__(f"Modbus exception {code}, {name}")
        self.code = code


class BadReply(BadMessage):
    """A reply of Modbus that is not what was asked for; `zh` says so in Chinese. `is_other`:
    another unit replies.
    """

    def __init__(self, en: str, zh: str, *, is_other: bool = False) -> None:
        super().__init__(en)
        self.zh, self.is_other = zh, is_other


def installed() -> bool:
    """Tell whether the library is there."""
    return find_spec("pymodbus") is not None


def width(kind: str) -> int:
    """Return how many registers a value takes; a bit takes part of one."""
    return 2 if kind in {"u32", "s32", "f32"} else 1


def value_of(registers: Sequence[int], kind: str, order: str = "ABCD") -> int | float | None:
    """Return the value of one or two registers; None for a float that is no finite number."""
    data = ordered(struct.pack(f">{len(registers)}H", *registers), order)
    value: int | float = struct.unpack(_FORMATS[kind], data)[0]
    return value if math.isfinite(value) else None


def registers_of(value: float, kind: str, order: str = "ABCD") -> tuple[int, ...]:
    """Return the registers of a value. Raises BadMessage for one that does not fit."""
    try:
        data = struct.pack(_FORMATS[kind], value if kind == "f32" else round(value))
    except (struct.error, OverflowError, ValueError):
        raise BadMessage(f"{value:g} does not fit into {kind}") from None
    return struct.unpack(f">{len(data) // 2}H", ordered(data, order))


def ordered(data: bytes, order: str) -> bytes:
    """Return the bytes of a value highest first, from `order`; the same change goes back."""
    if len(data) == 2:
        return data if order in {"ABCD", "CDAB"} else data[::-1]
    a, b, c, d = data
    return bytes({"A": a, "B": b, "C": c, "D": d}[letter] for letter in order)


# -- our requests


def read(function: int, address: int, count: int) -> "ModbusPDU":
    """Return the request that reads `count` values."""
    from pymodbus import pdu

    kinds: dict[int, Any] = {
        1: pdu.bit_message.ReadCoilsRequest,
        2: pdu.bit_message.ReadDiscreteInputsRequest,
        3: pdu.register_message.ReadHoldingRegistersRequest,
        4: pdu.register_message.ReadInputRegistersRequest,
    }
    request: ModbusPDU = kinds[function](address=address, count=count)
    return request


def write(function: int, address: int, values: Sequence[int]) -> "ModbusPDU":
    """Return the request that writes a coil (5), a register (6) or several (16)."""
    from pymodbus import pdu

    if function == 5:
        return pdu.bit_message.WriteSingleCoilRequest(address=address, bits=[bool(values[0])])
    kind = {
        6: pdu.register_message.WriteSingleRegisterRequest,
        16: pdu.register_message.WriteMultipleRegistersRequest,
    }[function]
    return kind(address=address, registers=list(values))


class ClientCodec:
    """Our side of one connection to a device: requests into bytes, bytes into replies."""

    def __init__(self, framing: Framing, unit: int) -> None:
        from pymodbus.framer.rtu import FramerRTU
        from pymodbus.framer.socket import FramerSocket
        from pymodbus.pdu import DecodePDU

        self._tcp, self._unit = framing == "tcp", unit
        self._framer = (FramerSocket if self._tcp else FramerRTU)(DecodePDU(False))
        self._buffer = bytearray()
        self._number = self._strays = 0
        self._stray: BadReply | None = None

    def request(self, pdu: "ModbusPDU") -> bytes:
        """Return the bytes of a request; what came before them is forgotten."""
        self._buffer.clear()
        self._strays, self._stray = 0, None
        self._number = self._number % 0xFFFF + 1
        pdu.dev_id, pdu.transaction_id = self._unit, self._number
        return self._framer.buildFrame(pdu)

    def take(self, data: bytes) -> "ModbusPDU | None":
        """Take bytes; returns the reply to the last request once it is whole. Raises BadMessage for
        what is not Modbus. A reply to an older request, or of another unit, is dropped.
        """
        self._buffer += data
        found: ModbusPDU | None = None
        if self._tcp:
            for frame in frames(self._buffer):
                found = self._decoded(frame) or found
                self._strays += 1
                if self._strays > MOST_STRAYS:
                    en, zh = "over {} replies to one request", "一次请求收到超过{}个应答"
                    raise BadReply(en.format(MOST_STRAYS), zh.format(MOST_STRAYS))
        else:
            found = self._decoded(bytes(self._buffer))
            if found is None and len(self._buffer) > 2 * LONGEST_FRAME:
                raise BadMessage(f"not Modbus RTU: {_shown(self._buffer)}")
        return found

    @property
    def instead(self) -> BadReply | None:
        """Why what came since the last request is no reply to it; None if no Modbus came."""
        if self._stray is None and self._tcp and len(self._buffer) >= _PROTOCOL_ENDS:
            en, zh = "a reply without its end", "应答不完整"
            return BadReply(f"{en}: {_shown(self._buffer)}", f"{zh}：{_shown(self._buffer)}")
        return self._stray

    def _decoded(self, frame: bytes) -> "ModbusPDU | None":
        from pymodbus.exceptions import ModbusException

        try:
            _, unit, number, body = self._framer.decode(frame)
            pdu = self._framer.decoder.decode(body) if body else None
        except (ModbusException, IndexError, ValueError, struct.error):
            raise BadMessage(f"not Modbus: {_shown(frame)}") from None
        if not body:
            return None
        if unit != self._unit:
            en, zh = f"unit {unit} replies instead of {self._unit}", "应答的单元号为{}，应为{}"
            self._stray = BadReply(en, zh.format(unit, self._unit), is_other=True)
            return None
        if self._tcp and number != self._number:
            en, zh = "a reply to another request", "应答的事务号与请求不符"
            self._stray = BadReply(f"{en}: number {number} instead of {self._number}", zh)
            return None
        if pdu is None:
            en, zh = "a Modbus reply that cannot be read", "Modbus应答无法解析"
            raise BadReply(f"{en}: {_shown(frame)}", f"{zh}：{_shown(frame)}")
        return pdu


def _shown(data: bytes | bytearray) -> str:
    """Return the first bytes: text as such, others in hexadecimal."""
    first = bytes(data[:40])
    is_text = first[:4].isascii() and first[:4].decode().isprintable()
    return quote(first) if is_text else first[:20].hex(" ")


def check_reply(pdu: "ModbusPDU", function: int) -> None:
    """Raise ModbusRefused for an exception, and BadMessage for the reply to something else."""
    if pdu.function_code == function | 0x80:
        raise ModbusRefused(pdu.exception_code)
    if pdu.function_code != function:
        found = pdu.function_code
        en = f"function {found} was answered instead of {function}"
        raise BadReply(en, f"应答的功能码为{found}，应为{function}")


def values_read(pdu: "ModbusPDU", function: int, count: int) -> Sequence[int]:
    """Return the `count` values of a reply. Raises ModbusRefused, and BadMessage for too few."""
    check_reply(pdu, function)
    found: Sequence[int] = pdu.bits if function in READ_BITS else pdu.registers
    if len(found) < count or (function in READ_REGISTERS and len(found) > count):
        en = f"{len(found)} values were answered instead of {count}"
        raise BadReply(en, f"应答了{len(found)}个值，应为{count}个")
    return found


# -- requests to us


def frames(buffer: bytearray) -> Iterator[bytes]:
    """Cut whole frames of Modbus TCP off the beginning. Raises BadMessage for anything else, as
    soon as the header shows it.
    """
    while len(buffer) >= _HEADER - 1 or (len(buffer) > 3 and buffer[2:4] != b"\0\0"):
        protocol, length = int.from_bytes(buffer[2:4], "big"), int.from_bytes(buffer[4:6], "big")
        if protocol or not _SHORTEST <= length <= _LONGEST:
            raise BadMessage(f"not Modbus TCP: {_shown(buffer)}")
        whole = length + _HEADER - 1
        if len(buffer) < whole:
            return
        frame = bytes(buffer[:whole])
        del buffer[:whole]
        yield frame


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: the number and the unit that its reply repeats, its function, and its body; or
    the code by which it is refused.
    """

    number: int
    unit: int
    function: int
    pdu: Any = None
    refused: Code | None = None


class ServerCodec:
    """The side that is asked. `functions` are those that it knows."""

    def __init__(self, functions: frozenset[int]) -> None:
        from pymodbus.framer.socket import FramerSocket
        from pymodbus.pdu import DecodePDU, ExceptionResponse, bit_message, register_message

        self._functions = functions
        self._framer = FramerSocket(DecodePDU(True))
        self._refusal: Any = ExceptionResponse
        self._replies: dict[int, Any] = {
            1: bit_message.ReadCoilsResponse,
            2: bit_message.ReadDiscreteInputsResponse,
            3: register_message.ReadHoldingRegistersResponse,
            4: register_message.ReadInputRegistersResponse,
            5: bit_message.WriteSingleCoilResponse,
            6: register_message.WriteSingleRegisterResponse,
            16: register_message.WriteMultipleRegistersResponse,
        }

    def asked(self, frame: bytes) -> Asked:
        """Read a whole frame."""
        _, unit, number, body = self._framer.decode(frame)
        function = body[0]
        if function not in self._functions:
            return Asked(number, unit, function, refused=Code.ILLEGAL_FUNCTION)
        pdu = self._framer.decoder.decode(body)
        if pdu is None or not _is_exact(pdu, body):
            return Asked(number, unit, function, refused=Code.ILLEGAL_VALUE)
        if pdu.address + max(pdu.count, 1) > 0x1_0000:
            return Asked(number, unit, function, refused=Code.ILLEGAL_ADDRESS)
        return Asked(number, unit, function, pdu)

    def bits(self, asked: Asked, bits: Sequence[bool]) -> bytes:
        return self._framed(asked, self._replies[asked.function](bits=bits))

    def registers(self, asked: Asked, values: bytes) -> bytes:
        """Return a reply with the registers as bytes, two each: the frame is made without a walk
        over the values.
        """
        head = struct.pack(
            ">HHHBBB", asked.number, 0, 3 + len(values), asked.unit, asked.function, len(values)
        )
        return head + values

    def written(self, asked: Asked) -> bytes:
        pdu = asked.pdu
        if asked.function == 16:
            return self._framed(asked, self._replies[16](address=pdu.address, count=pdu.count))
        given = {"bits": pdu.bits} if asked.function == 5 else {"registers": pdu.registers}
        return self._framed(asked, self._replies[asked.function](address=pdu.address, **given))

    def refusal(self, asked: Asked, code: Code) -> bytes:
        return self._framed(asked, self._refusal(asked.function & 0x7F, int(code)))

    def _framed(self, asked: Asked, pdu: Any) -> bytes:
        pdu.dev_id, pdu.transaction_id = asked.unit, asked.number
        return self._framer.buildFrame(pdu)


def _is_exact(pdu: "ModbusPDU", body: bytes) -> bool:
    """Tell whether a request has the length of its function, and values that its function has."""
    if pdu.function_code == 16:
        size = 2 * pdu.count
        return 1 <= pdu.count <= MOST_WRITTEN and len(body) == 6 + size and body[5] == size
    if pdu.function_code == 5:
        return len(body) == 5 and body[3:] in (b"\xff\0", b"\0\0")
    return len(body) == 5
