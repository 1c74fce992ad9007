"""Server-sent events: one stream for any number of readers, over a common ring of events.

A reader first gets a snapshot: `snapshot` (`{"events": n}`: forget earlier events), n events, then
`live` (`{}`). Events have ids without gaps. In a snapshot only `live` has an id, so a reader that
lost the connection before it gets a new snapshot. A reader that sends an id which is still kept
gets the events after that id instead.

The answer is packed for a reader that takes gzip, each piece so that the reader has it at once.
"""

import re
from collections import Counter
from collections.abc import Awaitable, Iterable
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import Request

from twisted_gantry.net.http.event_reader import Reader, Ring, chunks_of
from twisted_gantry.net.http.gzip import Packer, takes_gzip
from twisted_gantry.net.http.json import HttpError, header
from twisted_gantry.net.http.server import endless
from twisted_gantry.net.service import NamedService
from twisted_gantry.net.timers import Timer

_log = Logger()

MOST_READERS = 128
LOOK = 1.0  # seconds between two looks for changes, while there are readers
LOOK_WITHIN = 2.0  # timeout of one look
COMMENT = 15.0  # seconds between comments: they keep a proxy from closing a quiet stream
STALLED = 30.0  # seconds without reading after which a reader is disconnected
LINGER = 30.0  # seconds for which changes are kept without readers, for a reader that reconnects
RETRY = 3000  # milliseconds that a reader is asked to wait before it reconnects

_ID = re.compile(r"([0-9a-f]{1,16})-([0-9]{1,15})\Z", re.ASCII)

Event = tuple[str, Any]
"""The name of an event and its content, which is encoded as JSON."""


def _frame(event: str, content: Any, event_id: str = "") -> bytes:
    head = f"event: {event}\ndata: "
    if event_id:
        head = f"id: {event_id}\n{head}"
    return head.encode() + msgspec.json.encode(content) + b"\n\n"


class Later(Timer):
    """A timer whose start, while it runs, changes nothing."""

    def start(self, delay: float) -> None:
        if not self.running:
            super().start(delay)


class EventStream(NamedService):
    """A stream of events, a running service. `epoch`, hexadecimal, is in the ids: those of another
    epoch are not valid.

    What is streamed says how: `wake` and `sleep` (there are readers, or none any more), `look`
    once a second, `looked` with its result, `whole` for the snapshot. Changes are told by `tell`,
    then `pump`.

    `counts` has `opened`, `resumed`, `dropped` (a reader missed events and got a new snapshot),
    `stalled` (disconnected) and `full` (refused). A stop ends every answer.
    """

    within = LOOK_WITHIN
    """Seconds for one look."""

    def __init__(
        self, name: str, clock: IReactorTime, epoch: str, ring: Ring | None = None
    ) -> None:
        super().__init__(name)
        self.counts: Counter[str] = Counter(
            dict.fromkeys(("opened", "resumed", "dropped", "stalled", "full"), 0)
        )
        self._clock, self._epoch = clock, epoch
        self._ring = ring or Ring()
        self._readers: set[Reader] = set()
        self._snapshot: tuple[int, tuple[bytes, ...]] = (0, ())
        self._awake = False
        self._ready = False  # the first look is over
        self._looking: Deferred[Any] | None = None
        self._commented = 0.0
        self._failing = False
        self._look_later = Later(clock, self._look)
        self._sleep_later = Later(clock, self._sleep)

    # -- what is streamed

    def wake(self) -> None:
        """Begin to watch."""

    def sleep(self) -> None:
        """Watch no longer, and forget what was told."""

    def look(self) -> Awaitable[Any]:
        """Read what does not notify."""
        raise NotImplementedError

    def looked(self, found: Any) -> None:
        """Take the result of `look`, and tell what changed; readers are pumped afterwards."""
        raise NotImplementedError

    def whole(self) -> Iterable[Event]:
        """Return all that is known, for a snapshot."""
        raise NotImplementedError

    def tell(self, event: str, content: Any) -> None:
        """Add an event to those that readers get at the next `pump`."""
        self._ring.add(_frame(event, content, f"{self._epoch}-{self._ring.next}"))

    def forget(self) -> None:
        """Let every reader begin anew with a snapshot: no event says what is gone."""
        self._ring.forget()

    def pump(self) -> None:
        """Write what was told to all that read."""
        if self._ready:
            for reader in list(self._readers):
                reader.pump()

    # -- readers

    @property
    def readers(self) -> int:
        return len(self._readers)

    def stopService(self) -> None:
        super().stopService()
        for reader in list(self._readers):
            reader.end()
        self._sleep()
        if self._looking is not None:
            self._looking.cancel()

    def read(self, request: Request) -> bytes | Deferred[bytes]:
        """Answer a request with the stream. Raises HttpError (503) for too many readers."""
        if not self.running or len(self._readers) >= MOST_READERS:
            self.counts["full"] += 1
            request.setHeader("Retry-After", "30")
            raise HttpError(503, "too-many-readers", f"at most {MOST_READERS} may read the stream")
        request.setHeader("Content-Type", "text/event-stream; charset=utf-8")
        # A proxy that packs or buffers would hold events back.
        request.setHeader("Cache-Control", "no-store, no-transform")
        request.setHeader("X-Accel-Buffering", "no")
        packer = Packer() if takes_gzip(request) else None
        if packer is not None:
            request.setHeader("Content-Encoding", "gzip")
        if request.method == b"HEAD":
            return b""
        endless(request)
        self._sleep_later.cancel()
        if not self._awake:
            self._awake = True
            self.wake()
        reader = Reader(
            request,
            self._ring,
            self._place_of(header(request, "last-event-id")),
            packer,
            snapshot=self._snapshot_pieces,
            seconds=self._clock.seconds,
            missed=lambda: self.counts.update(dropped=1),
            left=self._left,
        )
        self._readers.add(reader)
        self.counts["opened"] += 1
        reader.write(b"retry: %d\n\n" % RETRY)
        if self._ready:
            reader.pump()
        self._look_later.start(0.0)
        return reader.done

    def _place_of(self, last_id: str) -> int | None:
        """Return the number of the event after an id, None if that event is not kept."""
        found = _ID.match(last_id)
        if found is None or found[1] != self._epoch:
            return None
        place = int(found[2]) + 1
        if not self._ring.first <= place <= self._ring.next:
            return None
        self.counts["resumed"] += 1
        return place

    def _left(self, reader: Reader) -> None:
        self._readers.discard(reader)
        if not self._readers:
            self._look_later.cancel()
            if self.running:
                self._sleep_later.start(LINGER)

    def _sleep(self) -> None:
        """Stop watching; ids from before become invalid."""
        for later in (self._look_later, self._sleep_later):
            later.cancel()
        self.sleep()
        self._awake = self._ready = False
        self._snapshot = (0, ())
        self._ring.forget()

    # -- looking

    def _look(self) -> None:
        if self._looking is not None:
            return  # a reading under way serves new readers as well
        reading = self._looking = ensureDeferred(self._found())
        reading.addTimeout(self.within, self._clock)
        reading.addCallback(self._looked)
        reading.addErrback(self._look_failed)

    async def _found(self) -> Any:
        return await self.look()

    def _look_failed(self, failure: Failure) -> None:
        if not self._failing:
            _log.failure("the stream cannot tell what changed", failure)
        self._failing = True
        self._looking = None
        if self._readers:
            self._look_later.start(LOOK)

    def _looked(self, found: Any) -> None:
        self._looking, self._failing = None, False
        if not self._readers:
            return
        self._look_later.start(LOOK)
        self.looked(found)
        self._ready = True
        self.pump()
        now = self._clock.seconds()
        for reader in list(self._readers):
            if reader.paused_at is not None and now - reader.paused_at >= STALLED:
                self.counts["stalled"] += 1
                reader.end()
        if now - self._commented >= COMMENT:
            self._commented = now
            for reader in list(self._readers):
                reader.write(b":\n\n")

    def _snapshot_pieces(self) -> tuple[bytes, ...]:
        """Return all that is known in pieces, made once for readers that come together."""
        at, pieces = self._snapshot
        if at != self._ring.next:
            events = [_frame(name, content) for name, content in self.whole()]
            begin = _frame("snapshot", {"events": len(events)})
            end = _frame("live", {}, f"{self._epoch}-{self._ring.next - 1}")
            pieces = chunks_of([begin, *events, end])
            self._snapshot = (self._ring.next, pieces)
        return pieces
