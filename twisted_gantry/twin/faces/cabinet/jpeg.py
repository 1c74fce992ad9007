"""Small grey pictures as baseline JPEG (ITU-T T.81), and as frames of an AVI with Motion JPEG.

Each element of a picture is one block of 8 × 8 pixels of one grey, so a block is one number: the
difference to the block before, in a fixed code of four bits for its length, then its bits. One bit
ends the block. The tables that say so are in the file, and any decoder reads them.
"""

import struct
from collections.abc import Iterable, Sequence

Grid = Sequence[Sequence[int]]
"""A picture of blocks: rows of greys, 0 black to 255 white."""

BLOCK = 8  # pixels
# With quantisation by 8 the mean of a block, of 64 pixels, is its DC coefficient.
_QUANTISATION = b"\x00" + bytes([8]) + bytes([1]) * 63
_LENGTHS = 9  # categories of differences of -255 to 255: 0 to 8 bits
# Counts of codes by their length of 1 to 16 bits, then the symbols.
_DC_CODES = b"\x00" + bytes([0, 0, 0, _LENGTHS]) + bytes(12) + bytes(range(_LENGTHS))
_AC_CODES = b"\x10" + bytes([1]) + bytes(15) + b"\x00"  # the end of a block, as the bit 0


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def _bits(greys: Iterable[int]) -> str:
    bits, before = [], 0
    for grey in greys:
        level = grey - 128
        difference, before = level - before, level
        length = abs(difference).bit_length()
        shown = difference if difference > 0 else difference + (1 << length) - 1
        bits.append(f"{length:04b}" + (f"{shown:0{length}b}" if length else "") + "0")
    return "".join(bits)


def jpeg(grid: Grid) -> bytes:
    """Return a picture as a JPEG file, 8 pixels for each block."""
    height, width = len(grid) * BLOCK, len(grid[0]) * BLOCK
    bits = _bits(grey for row in grid for grey in row)
    bits += "1" * (-len(bits) % 8)
    data = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\x00")
    frame = struct.pack(">BHHB", 8, height, width, 1) + bytes([1, 0x11, 0])
    return b"".join(
        (
            b"\xff\xd8",
            _segment(0xE0, b"JFIF\x00\x01\x01\x00" + struct.pack(">HHBB", 1, 1, 0, 0)),
            _segment(0xDB, _QUANTISATION),
            _segment(0xC0, frame),
            _segment(0xC4, _DC_CODES),
            _segment(0xC4, _AC_CODES),
            _segment(0xDA, bytes([1, 1, 0x00, 0, 63, 0])),
            data,
            b"\xff\xd9",
        )
    )


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def _list(name: bytes, *chunks: bytes) -> bytes:
    return _chunk(b"LIST", name + b"".join(chunks))


def avi(frames: Sequence[Grid], seconds: float) -> bytes:
    """Return pictures of one size as an AVI file that lasts `seconds`."""
    height, width = len(frames[0]) * BLOCK, len(frames[0][0]) * BLOCK
    files = [jpeg(each) for each in frames]
    pause, largest = round(seconds / len(files) * 1e6), max(map(len, files))
    main = struct.pack(
        "<14I", pause, 0, 0, 0x10, len(files), 0, 1, largest, width, height, 0, 0, 0, 0
    )
    rate = (1_000_000, pause, len(files))  # frames a second as a fraction the other way round
    stream = struct.pack(
        "<4s4sIHHI2I2I3I4H", b"vids", b"MJPG", 0, 0, 0, 0, rate[1], rate[0], 0, rate[2], largest,
        0xFFFFFFFF, 0, 0, 0, width, height,
    )  # fmt: skip
    form = struct.pack("<IiiHH4sIiiII", 40, width, height, 1, 24, b"MJPG", 0, 0, 0, 0, 0)
    chunks = [_chunk(b"00dc", each) for each in files]
    index, at = b"", 4
    for file, chunk in zip(files, chunks, strict=True):
        index += struct.pack("<4s3I", b"00dc", 0x10, at, len(file))
        at += len(chunk)
    header = _list(
        b"hdrl",
        _chunk(b"avih", main),
        _list(b"strl", _chunk(b"strh", stream), _chunk(b"strf", form)),
    )
    return _chunk(b"RIFF", b"AVI " + header + _list(b"movi", *chunks) + _chunk(b"idx1", index))
