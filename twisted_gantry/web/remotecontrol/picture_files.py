"""The pictures of one cabinet on the disk, found by the time when a door opened.

A folder is read again only when it changed. Everything here blocks and runs in a thread.
Decisions: `docs/protocols/etc-gantry.md`, "Pictures": no path leads out of the folder.
"""

import hashlib
import os
import stat
from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import merge
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from twisted_gantry.wire.etc.pictures import CONTENT_TYPES

SETTLED = 2.0  # a file that has not changed for so many seconds is complete
_EXTENSIONS = tuple(each for name in CONTENT_TYPES for each in (name, name.upper()))
_CODES = {extension: code for code, extension in enumerate(_EXTENSIONS)}
_TIME_LENGTH = 17  # yyyyMMddhhmmsszzz
_MAX_TRIES = 64  # names that turn out to be no files, before a search ends
_MAX_DIGESTS = 1024
_MAX_SEEN = 64
_BLOCK = 1024 * 1024
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# No link is followed, and a pipe does not block the thread.
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class BeingWritten(Exception):
    """The picture is not complete yet."""


@dataclass(frozen=True)
class Found:
    """An open file; the receiver closes `descriptor`. `size` is bytes, `changed` nanoseconds."""

    descriptor: int
    name: str
    size: int
    changed: int

    @property
    def content_type(self) -> str:
        return CONTENT_TYPES[self.name.rpartition(".")[2].lower()]


class _Now(NamedTuple):
    wall: float
    seconds: float


class PictureFolder:
    """The files `<gantryId>_yyyyMMddhhmmsszzz.<ext>` of one cabinet. `window` is the seconds by
    which a picture's time may be off.
    """

    def __init__(self, path: Path, gantry_id: str, window: float) -> None:
        self._path, self._prefix = path, f"{gantry_id}_"
        self._window = timedelta(seconds=window)
        self._lock = Lock()
        # A number for each name, sorted: the digits of the time, then the code of the extension.
        self._keys: array[int] = array("q")
        self._read_at: int | None = None
        self._seen: OrderedDict[str, tuple[int, int, float]] = OrderedDict()
        self._digests: OrderedDict[tuple[str, int, int], str] = OrderedDict()

    def find(self, time: str, now: float, seconds: float) -> Found | None:
        """Open the picture of `time` (`yyyyMMddhhmmsszzz`), or the nearest one in the window. `now`
        is Unix seconds, to be compared with times of files; `seconds` is of a monotonic clock.
        Raises BeingWritten.
        """
        at = _Now(now, seconds)
        try:
            folder = os.open(self._path, _FOLDER_FLAGS)
        except OSError:
            return None
        try:
            with self._lock:
                exact = [f"{self._prefix}{time}.{each}" for each in _EXTENSIONS]
                found = self._first(folder, exact, at)
                if found is None:
                    self._refresh(folder, now)
                    found = self._first(folder, islice(self._near(time), _MAX_TRIES), at)
                return found
        finally:
            os.close(folder)

    def digest(self, found: Found, gone: Callable[[], bool]) -> str:
        """Return the MD5 of an open file in hex, or an empty text once `gone()` is true. Raises
        BeingWritten when the file changed meanwhile, OSError when it cannot be read.
        """
        key = (found.name, found.size, found.changed)
        with self._lock:
            if key in self._digests:
                self._digests.move_to_end(key)
                return self._digests[key]
        md5 = hashlib.md5(usedforsecurity=False)
        at = 0
        while block := os.pread(found.descriptor, _BLOCK, at):
            if gone():
                return ""
            md5.update(block)
            at += len(block)
        after = os.fstat(found.descriptor)
        if (at, after.st_size, after.st_mtime_ns) != (found.size, found.size, found.changed):
            raise BeingWritten
        with self._lock:
            self._digests[key] = md5.hexdigest()
            if len(self._digests) > _MAX_DIGESTS:
                self._digests.popitem(last=False)
        return md5.hexdigest()

    def _refresh(self, folder: int, now: float) -> None:
        """Read the names again unless the folder has been unchanged since."""
        changed = os.fstat(folder).st_mtime_ns
        if changed == self._read_at:
            return
        keys, begin, end = [], len(self._prefix), len(self._prefix) + _TIME_LENGTH
        for name in os.listdir(folder):
            code = _CODES.get(name[end + 1 :])
            if code is None or name[end] != "." or not name.startswith(self._prefix):
                continue
            time = name[begin:end]
            if time.isascii() and time.isdigit():
                keys.append(int(time) * len(_EXTENSIONS) + code)
        keys.sort()
        self._keys = array("q", keys)
        # File times are coarse: another name may come without a change of the folder's time.
        self._read_at = changed if _is_past(changed, now) else None

    def _near(self, time: str) -> Iterator[str]:
        """Yield the names within the window, the nearest first."""
        wanted = _moment(int(time))
        if wanted is None:
            return
        middle = bisect_left(self._keys, int(time) * len(_EXTENSIONS))
        before = self._side(wanted, range(middle - 1, -1, -1))
        after = self._side(wanted, range(middle, len(self._keys)))
        for _, index in merge(before, after):
            digits, code = divmod(self._keys[index], len(_EXTENSIONS))
            yield f"{self._prefix}{digits:0{_TIME_LENGTH}d}.{_EXTENSIONS[code]}"

    def _side(self, wanted: datetime, indices: range) -> Iterator[tuple[timedelta, int]]:
        for index in indices:
            moment = _moment(self._keys[index] // len(_EXTENSIONS))
            if moment is None:
                continue
            away = abs(moment - wanted)
            if away > self._window:
                return
            yield away, index

    def _first(self, folder: int, names: Iterator[str] | list[str], at: _Now) -> Found | None:
        opened = (self._open(folder, name, at) for name in names)
        return next((found for found in opened if found is not None), None)

    def _open(self, folder: int, name: str, at: _Now) -> Found | None:
        """Open a regular file that is not empty. Raises BeingWritten."""
        try:
            descriptor = os.open(name, _FILE_FLAGS, dir_fd=folder)
        except OSError:
            return None
        status = os.fstat(descriptor)
        is_file = stat.S_ISREG(status.st_mode)
        settled = is_file and self._settled(name, status, at)
        if settled and status.st_size:
            return Found(descriptor, name, status.st_size, status.st_mtime_ns)
        os.close(descriptor)
        if is_file and not settled:
            raise BeingWritten
        return None

    def _settled(self, name: str, status: os.stat_result, at: _Now) -> bool:
        if _is_past(status.st_mtime_ns, at.wall):
            return True
        # Another computer's clock may have set the file's time: compare with what we saw before.
        size, changed, since = self._seen.get(name, (-1, 0, at.seconds))
        if (size, changed) == (status.st_size, status.st_mtime_ns):
            return at.seconds - since >= SETTLED
        self._seen[name] = (status.st_size, status.st_mtime_ns, at.seconds)
        if len(self._seen) > _MAX_SEEN:
            self._seen.popitem(last=False)
        return False


def _is_past(nanoseconds: int, now: float) -> bool:
    return now - nanoseconds / 1e9 >= SETTLED


def _moment(digits: int) -> datetime | None:
    """Return the local time that the digits of a name stand for, if any."""
    text = f"{digits:0{_TIME_LENGTH}d}"
    try:
        return datetime.strptime(f"{text}000", "%Y%m%d%H%M%S%f")  # noqa: DTZ007
    except ValueError:
        return None
