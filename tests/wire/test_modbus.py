"""Modbus from both sides: values, framing, and what hostile peers send."""

import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twisted_gantry.wire import modbus as wire
from twisted_gantry.wire.errors import BadMessage

ALL = wire.READ_BITS | wire.READ_REGISTERS | wire.WRITES
CODEC = wire.ServerCodec(ALL)


def frame(body: bytes, *, number: int = 7, unit: int = 1) -> bytes:
    """Return a frame of Modbus TCP, built by hand."""
    return struct.pack(">HHHB", number, 0, len(body) + 1, unit) + body


@settings(max_examples=50)
@given(
    st.floats(width=32, allow_nan=False, allow_infinity=False),
    st.sampled_from(["ABCD", "CDAB", "BADC", "DCBA"]),
)
def test_a_float_comes_back_in_every_order(value: float, order: str) -> None:
    """What is written in an order is read in that order."""
    words = wire.registers_of(value, "f32", order)
    assert wire.value_of(words, "f32", order) == value
    assert wire.value_of(words, "f32", order) is not None


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ("ABCD", (0x1122, 0x3344)),
        ("CDAB", (0x3344, 0x1122)),
        ("BADC", (0x2211, 0x4433)),
        ("DCBA", (0x4433, 0x2211)),
    ],
)
def test_orders(order: str, words: tuple[int, int]) -> None:
    """A is the highest byte."""
    assert wire.value_of(words, "u32", order) == 0x11223344


@pytest.mark.parametrize("value", [70000, -1, float("nan"), float("inf")])
def test_a_value_that_does_not_fit_is_refused(value: float) -> None:
    """No register ever holds another value than the one that was asked for."""
    with pytest.raises(BadMessage):
        wire.registers_of(value, "u16")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"\x08\0\0\0\0", 1),
        (b"\x2b\x0e\x01\x00", 1),
        (b"\x83\x02", 1),
        (b"\x03\0\0\0\0", 3),
        (b"\x03\0\0\0\x7e", 3),
        (b"\x03\0\0\0", 3),
        (b"\x03\0\0\0\x01\xff", 3),
        (b"\x01\0\0\x07\xd1", 3),
        (b"\x03\xff\xff\0\x02", 2),
        (b"\x05\0\0\x12\x34", 3),
        (b"\x10\0\0\0\x02\x04\0\0", 3),
        (b"\x10\0\0\0\x02\x02\0\0\0\0", 3),
        (b"\x10\0\0\0\0\0", 3),
    ],
)
def test_a_wrong_request_is_refused_by_the_specification(body: bytes, code: int) -> None:
    """Illegal function, address and value have their codes."""
    asked = CODEC.asked(frame(body))
    assert asked.refused == code
    reply = CODEC.refusal(asked, wire.Code(code))
    assert reply == struct.pack(">HHHBBB", 7, 0, 3, 1, (body[0] & 0x7F) | 0x80, code)


@settings(max_examples=60)
@given(st.binary(max_size=400), st.integers(1, 64))
def test_bytes_of_any_kind(data: bytes, step: int) -> None:
    """Whatever comes, in whatever pieces, is a request, an exception or no Modbus."""
    buffer = bytearray()
    for at in range(0, len(data), step):
        buffer += data[at : at + step]
        try:
            for each in wire.frames(buffer):
                CODEC.asked(each)
        except BadMessage:
            return
    assert len(buffer) <= wire.LONGEST_FRAME


@settings(max_examples=60)
@given(st.binary(max_size=600), st.sampled_from(["tcp", "rtu-over-tcp"]))
def test_replies_of_any_kind(data: bytes, framing: Any) -> None:
    """A device that answers nonsense is no Modbus, or says nothing."""
    codec = wire.ClientCodec(framing, 1)
    codec.request(wire.read(3, 0, 10))
    for at in range(0, len(data), 7):
        try:
            reply = codec.take(data[at : at + 7])
            if reply is not None:
                wire.values_read(reply, 3, 10)
        except (BadMessage, wire.ModbusRefused):
            return
