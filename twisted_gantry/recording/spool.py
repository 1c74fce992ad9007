"""Where a recording is kept: files in a folder, bounded in all, written off the reactor.

The disk is not synced: a crash of the computer may lose the last seconds of a recording.
"""

import os
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_gantry.net.timers import Timer

_log = Logger()

PARTS = 8  # a file takes at most one part in so many of the space that a recording may take
# Seconds until waiting lines are written: normally, and after the disk failed.
GATHER, PAUSE = 1.0, 10.0
# Bytes that wait to be written; further lines are dropped.
MOST_WAITING = 4 * 1024 * 1024
_NAME = re.compile(r"gantry-[0-9]{8}T[0-9]{6}-[0-9]{4,}\.jsonl")


class PartFiles:
    """The files in `folder`, `gantry-<UTC>-<part>.jsonl`; together they hold at most `max_size`.

    `stamp` returns the UTC for a file name, `header` the first line of a part, by its number.
    The methods block on the disk; only one thread at a time may call them.
    """

    def __init__(
        self, folder: Path, max_size: int, stamp: Callable[[], str], header: Callable[[int], bytes]
    ) -> None:
        self._folder, self._max_size = folder, max_size
        self._stamp, self._header = stamp, header
        self._part = 0
        self._descriptor: int | None = None
        self._path: Path | None = None
        self._size = 0

    @property
    def longest(self) -> int:
        """The number of bytes that one `append` may write."""
        return self._max_size // PARTS // 2

    def append(self, lines: bytes) -> None:
        """Write whole lines, delete old files for room. Raises OSError; then no line is written."""
        if self._descriptor is None or self._size + len(lines) > self._max_size // PARTS:
            self.close()
            self._open()
        self._make_room(len(lines))
        self._write(lines)

    def close(self) -> None:
        """Close the file; the next `append` begins another."""
        descriptor, self._descriptor, self._path = self._descriptor, None, None
        if descriptor is not None:
            os.close(descriptor)

    def _open(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        # Not before the newest: the first by name go first, and the clock may have been set back.
        stamp = max([self._stamp(), *(name[7:22] for name in self._names())])
        while self._descriptor is None:
            self._part += 1
            path = self._folder / f"gantry-{stamp}-{self._part:04d}.jsonl"
            try:
                self._descriptor = os.open(path, flags, 0o600)
            except FileExistsError:  # of a run that began within this second
                continue
            self._path, self._size = path, 0
        header = self._header(self._part)
        self._make_room(len(header))
        self._write(header)

    def _names(self) -> list[str]:
        return [path.name for path in self._folder.iterdir() if _NAME.fullmatch(path.name)]

    def _write(self, lines: bytes) -> None:
        assert self._descriptor is not None
        rest = memoryview(lines)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            self._take_back()
            raise
        self._size += len(lines)

    def _take_back(self) -> None:
        try:
            assert self._descriptor is not None
            os.ftruncate(self._descriptor, self._size)
            if not self._size:
                assert self._path is not None
                self._path.unlink()
        except OSError as error:
            _log.info("a recording ends in half a line: {why}", why=error.strerror)
        self.close()

    def _make_room(self, size: int) -> None:
        sizes: dict[Path, int] = {}
        for path in sorted(self._folder.iterdir()):
            if _NAME.fullmatch(path.name) and path.is_file() and not path.is_symlink():
                sizes[path] = path.stat().st_size
        total = sum(sizes.values())
        for path, its_size in sizes.items():
            if total + size <= self._max_size:
                return
            if path != self._path:
                path.unlink(missing_ok=True)
                total -= its_size


class Spool:
    """Gathers lines and writes them in batches, each in a thread.

    `failing` gets the reason when the first write fails, and None when writing works again.
    `counts` holds `lines` written, `lost` (the disk failed), `dropped` (too many waiting, or the
    line too long) and `write-failed` (batches).
    """

    def __init__(
        self,
        files: PartFiles,
        clock: IReactorTime,
        in_thread: Callable[..., Deferred[Any]],
        failing: Callable[[str | None], None],
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._files, self._in_thread, self._failing = files, in_thread, failing
        self._lines: list[bytes] = []
        self._waiting = 0  # bytes
        self._timer = Timer(clock, self._due)
        self._writing: Deferred[None] | None = None
        self._failed = self._stopped = False

    def put(self, line: bytes) -> None:
        """Take a line, which ends in a newline."""
        too_long = len(line) > self._files.longest
        if self._stopped or too_long or self._waiting + len(line) > MOST_WAITING:
            self.counts["dropped"] += 1
            return
        self._lines.append(line)
        self._waiting += len(line)
        if not self._timer.running and self._writing is None:
            self._timer.start(GATHER)

    def stop(self) -> Deferred[None]:
        """Write the waiting lines and close the file; fires when that is done."""
        self._stopped = True
        self._timer.cancel()
        return ensureDeferred(self._finish())

    async def _finish(self) -> None:
        if self._writing is not None:
            await self._writing
        while self._lines:
            await self._write()
        await self._in_thread(self._files.close)

    def _due(self) -> None:
        written: Deferred[None] = Deferred()
        self._writing = written

        def done(result: Failure | None) -> None:
            self._writing = None
            if isinstance(result, Failure):
                _log.failure("a recording could not be kept", failure=result)
            if self._lines and not self._stopped:
                self._timer.start(PAUSE if self._failed else GATHER)
            written.callback(None)

        ensureDeferred(self._write()).addBoth(done)

    def _batch(self) -> list[bytes]:
        size = taken = 0
        for line in self._lines:
            if size + len(line) > self._files.longest:
                break
            size += len(line)
            taken += 1
        batch, self._lines = self._lines[:taken], self._lines[taken:]
        self._waiting -= size
        return batch

    async def _write(self) -> None:
        batch = self._batch()
        try:
            await self._in_thread(self._files.append, b"".join(batch))
        except OSError as error:
            self.counts["write-failed"] += 1
            self.counts["lost"] += len(batch)
            if not self._failed:
                self._failed = True
                self._failing(error.strerror or type(error).__name__)
            return
        self.counts["lines"] += len(batch)
        if self._failed:
            self._failed = False
            self._failing(None)
