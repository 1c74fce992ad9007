"""JSON objects out of a byte stream that has no terminator: framed by structure."""

import re
from collections.abc import Iterator

from twisted_gantry.wire.errors import FrameTooLong

# The bytes that change the state of the scan, outside and inside a string.
_STRUCTURE = re.compile(rb'["{}]')
_IN_STRING = re.compile(rb'["\\]')
_NO_LOSS = re.compile(rb"[\s\x00]*")

# An object of the UPS card is under 1 KiB; the bound leaves room for unknown ones.
MAX_OBJECT = 64 * 1024
# Bytes between objects that are kept for an error text.
MOST_JUNK = 400


class ObjectFramer:
    """Cuts a stream into JSON objects by counting braces outside strings, with escapes. White
    space, NUL and CR LF between objects are skipped, other bytes there are skipped and counted in
    `skipped`; `junk` holds the last of them. The content of an object is not checked.
    """

    def __init__(self, limit: int = MAX_OBJECT) -> None:
        self.limit = limit
        self.skipped = 0
        self.junk = b""
        self._buffer = bytearray()
        self._at = 0
        self._depth = 0
        self._in_string = False

    @property
    def inside(self) -> bool:
        return self._depth > 0

    def reset(self) -> bytes:
        """Drop an unfinished object, and return its bytes."""
        dropped = bytes(self._buffer)
        self._buffer.clear()
        self._at = self._depth = 0
        self._in_string = False
        return dropped

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take the bytes of one read; yields each object that is complete, as bytes. Raises
        FrameTooLong once an object passes `limit`; call `reset` before the next `feed`.
        """
        self._buffer += data
        while self._advance():
            frame = bytes(self._buffer[: self._at])
            del self._buffer[: self._at]
            self._at = 0
            if len(frame) > self.limit:
                raise FrameTooLong(f"an object of {len(frame)} bytes; the bound is {self.limit}")
            yield frame
        if len(self._buffer) > self.limit:
            raise FrameTooLong(f"an object of over {self.limit} bytes")

    def _advance(self) -> bool:
        """Scan on; returns whether an object ends at `_at`."""
        if self._depth == 0 and not self._skip_to_object():
            return False
        while True:
            pattern = _IN_STRING if self._in_string else _STRUCTURE
            found = pattern.search(self._buffer, self._at)
            if found is None:
                self._at = len(self._buffer)
                return False
            mark = self._buffer[found.start()]
            if mark == 0x5C:  # a backslash takes the byte behind it along
                if found.end() == len(self._buffer):
                    self._at = found.start()
                    return False
                self._at = found.end() + 1
                continue
            self._at = found.end()
            if mark == 0x22:
                self._in_string = not self._in_string
            elif mark == 0x7B:
                self._depth += 1
            else:
                self._depth -= 1
                if self._depth == 0:
                    return True

    def _skip_to_object(self) -> bool:
        start = self._buffer.find(b"{")
        between = bytes(self._buffer if start < 0 else self._buffer[:start])
        lost = sum(len(part) for part in _NO_LOSS.split(between) if part)
        if lost:
            self.skipped += lost
            self.junk = between[:MOST_JUNK]
        if start < 0:
            self._buffer.clear()
            return False
        del self._buffer[:start]
        self._at, self._depth = 1, 1
        return True


def split(line: bytes) -> list[bytes]:
    """Return the objects that stand in one line, one behind the other, also an unfinished one at
    the end. What stands between them is left out.
    """
    framer = ObjectFramer(len(line))
    found = [*framer.feed(line)]
    rest = framer.reset()
    return [*found, rest] if rest else found


def whole(data: bytes) -> int:
    """Return how many bytes at the beginning of `data` make whole objects, 0 for none."""
    framer = ObjectFramer(len(data))
    found = sum(1 for _ in framer.feed(data))
    return len(data) - len(framer.reset()) if found else 0
