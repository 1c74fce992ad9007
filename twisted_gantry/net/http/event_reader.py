"""One reader of the event stream: a place in the common ring of events, without its own queue.

Nothing more is written to a reader that does not read. If the events that it missed are no longer
kept, it gets a new snapshot as soon as it reads again.
"""

import socket
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.web.server import Request
from zope.interface import implementer

from twisted_gantry.net.http.gzip import Packer
from twisted_gantry.net.http.server import cut

# Events kept for readers that are slow or reconnect: more events mean fewer new snapshots.
RING_EVENTS = 2048
RING_BYTES = 1 << 20
# Bytes of one write. For a reader that stops, a transport holds its own limit (64 KiB in Twisted)
# and one such write.
CHUNK = 16 * 1024
# Bytes in the kernel for one reader, instead of megabytes: a reader that stops is noticed within
# seconds, and costs little memory.
KERNEL_BYTES = 128 * 1024


class Ring:
    """The last events as they are sent, numbered without gaps from `first` to before `next`; at
    most `events` of them, and about `size` bytes.
    """

    def __init__(self, events: int | None = None, size: int | None = None) -> None:
        self._most_events, self._most_bytes = events, size
        self.first = self.next = 1
        self._frames: deque[bytes] = deque()
        self._bytes = 0
        # Most readers are at the same place: the events after it are joined once for all of them.
        self._joined: tuple[int, int, int, bytes] = (0, 0, 0, b"")  # place, next, after, bytes

    def add(self, frame: bytes) -> None:
        """Keep the event `next`; the oldest are dropped beyond the limits."""
        self._frames.append(frame)
        self._bytes += len(frame)
        self.next += 1
        events, size = self._most_events or RING_EVENTS, self._most_bytes or RING_BYTES
        while len(self._frames) > events or self._bytes > size:
            self._bytes -= len(self._frames.popleft())
            self.first += 1

    def forget(self) -> None:
        """Drop all events; a reader that has read all of them has missed one as well."""
        self._frames.clear()
        self._bytes = 0
        self.next += 1
        self.first = self.next

    def since(self, number: int) -> tuple[int, bytes]:
        """Return events from `number` on, about `CHUNK` bytes, and the number after them.

        `number` is from `first` to `next`.
        """
        place, until, after, joined = self._joined
        if (place, until) == (number, self.next):
            return after, joined
        frames: list[bytes] = []
        size = 0
        for frame in islice(self._frames, number - self.first, None):
            if frames and size + len(frame) > CHUNK:
                break
            frames.append(frame)
            size += len(frame)
        after, joined = number + len(frames), b"".join(frames)
        self._joined = (number, self.next, after, joined)
        return after, joined


def chunks_of(frames: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return frames joined into pieces of about `CHUNK` bytes."""
    pieces: list[bytes] = []
    piece: list[bytes] = []
    size = 0
    for frame in frames:
        if piece and size + len(frame) > CHUNK:
            pieces.append(b"".join(piece))
            piece, size = [], 0
        piece.append(frame)
        size += len(frame)
    return (*pieces, b"".join(piece))


def _bound_kernel(request: Request) -> None:
    channel: Any = request.channel
    handle = getattr(channel.transport, "getHandle", lambda: None)()  # TLS hands out another thing
    if isinstance(handle, socket.socket):
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BYTES)


@implementer(IPushProducer)
class Reader:
    """Writes events to one request, as fast as it reads.

    `place` is the number of the next event, None for a reader that begins with a snapshot, which
    `snapshot()` returns in pieces. A `packer` packs all that is sent. `seconds()` is a clock.
    `missed()` is called when events were lost, `left(reader)` once at the end. The request's
    handler returns `done`.
    """

    def __init__(
        self,
        request: Request,
        ring: Ring,
        place: int | None,
        packer: Packer | None,
        *,
        snapshot: Callable[[], tuple[bytes, ...]],
        seconds: Callable[[], float],
        missed: Callable[[], None],
        left: Callable[["Reader"], None],
    ) -> None:
        self._request, self._ring, self._place, self._packer = request, ring, place, packer
        self._snapshot, self._seconds = snapshot, seconds
        self._missed, self._left = missed, left
        self._pieces: deque[bytes] = deque()
        self._gone = False
        self.paused_at: float | None = None
        """The time since which the reader has not read, None while it reads."""
        self.done: Deferred[bytes] = Deferred(lambda _: self._leave())
        _bound_kernel(request)
        request.registerProducer(self, True)

    def write(self, data: bytes) -> None:
        """Write `data` without an event, unless the reader does not read."""
        if self.paused_at is None and not self._gone:
            self._write(data)

    def _write(self, data: bytes) -> None:
        self._request.write(data if self._packer is None else self._packer.pack(data))

    def pump(self) -> None:
        """Write events until none is left or the transport is full."""
        while self.paused_at is None and not self._gone:
            data = self._more()
            if not data:
                return
            self._write(data)

    def _more(self) -> bytes:
        if self._pieces:
            return self._pieces.popleft()
        if self._place is not None and self._place < self._ring.first:
            self._missed()
            self._place = None
        if self._place is None:
            self._place = self._ring.next
            self._pieces.extend(self._snapshot())
            return self._pieces.popleft()
        self._place, data = self._ring.since(self._place)
        return data

    def pauseProducing(self) -> None:  # noqa: N802
        if self.paused_at is None:
            self.paused_at = self._seconds()

    def resumeProducing(self) -> None:  # noqa: N802
        self.paused_at = None
        self.pump()

    def stopProducing(self) -> None:  # noqa: N802
        self._leave()

    def end(self) -> None:
        """End the answer and the connection; a reader that does not read is disconnected."""
        if self._gone:
            return
        if self.paused_at is not None:
            self._leave()
            cut(self._request)
            return
        if self._packer is not None:
            self._request.write(self._packer.end())
        channel: Any = self._request.channel  # gone from the request once it is done
        self._request.unregisterProducer()
        self._leave()
        self.done.callback(b"")
        channel.loseConnection()

    def _leave(self) -> None:
        if not self._gone:
            self._gone = True
            self._pieces.clear()
            self._left(self)
