"""What the Fogslink cloud received: the last values, and the gaps and duplicates of packs."""

from bisect import bisect_right
from collections import OrderedDict, deque
from dataclasses import dataclass
from enum import Enum
from typing import Any

from twisted_gantry.twin import times
from twisted_gantry.wire.fogslink.messages import Item, Pack, Single

KEPT_RECORDS = 20_000
KEPT_BYTES = 8 * 1024 * 1024  # of their texts: one value may have 64 KiB
# Packs whose content is kept to tell a duplicate from a conflict: of one device, of all devices,
# and at least of each device.
KEPT_PACKS, KEPT_PACKS_OF_ALL, FEWEST_PACKS = 10_000, 200_000, 16
KEPT_RUNS = 1000  # of one device; the lowest go first
KEPT_DEVICES = 20_000  # those that were silent for longest go first
_MAX_DIGITS = 20  # of a packID that counts as a number; other packIDs make no gaps


@dataclass(frozen=True, slots=True)
class Record:
    """One value; `at` is in Unix seconds, and `e_val` is None for an abnormal channel."""

    eq_sn: str
    e_chan: str
    e_chan_sta: str
    e_val: str | None
    pack_id: str | None
    at: float

    @property
    def size(self) -> int:
        texts = (self.eq_sn, self.e_chan, self.e_chan_sta, self.e_val, self.pack_id)
        return sum(len(text or "") for text in texts)

    def shown(self) -> dict[str, Any]:
        return {
            "eqSN": self.eq_sn,
            "eChan": self.e_chan,
            "eChanSta": self.e_chan_sta,
            "eVal": self.e_val,
            "packID": self.pack_id,
            "at": times.shown(self.at),
        }


class Runs:
    """Whole numbers, stored as runs without a gap."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []

    @property
    def gaps(self) -> int:
        return max(len(self._firsts) - 1, 0)

    @property
    def last(self) -> int | None:
        return self._lasts[-1] if self._lasts else None

    def add(self, number: int) -> bool:
        """Add a number; False if it was there."""
        at = bisect_right(self._firsts, number) - 1
        if at >= 0 and number <= self._lasts[at]:
            return False
        joins_next = at + 1 < len(self._firsts) and self._firsts[at + 1] == number + 1
        if at >= 0 and self._lasts[at] == number - 1:
            self._lasts[at] = self._lasts[at + 1] if joins_next else number
            if joins_next:
                del self._firsts[at + 1], self._lasts[at + 1]
        elif joins_next:
            self._firsts[at + 1] = number
        else:
            self._firsts.insert(at + 1, number)
            self._lasts.insert(at + 1, number)
        if len(self._firsts) > KEPT_RUNS:
            del self._firsts[0], self._lasts[0]
        return True


class Came(Enum):
    NEW = "new"
    OUT_OF_ORDER = "out-of-order"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"  # other content under the packID of an earlier pack


class _Device:
    def __init__(self) -> None:
        self.runs = Runs()
        self._contents: OrderedDict[str, int] = OrderedDict()

    def note(self, pack: Pack, most: int) -> Came:
        content = hash(pack.eq_data)
        known = self._contents.get(pack.pack_id)
        if known is not None:
            return Came.DUPLICATE if known == content else Came.CONFLICT
        came = Came.NEW
        if pack.pack_id.isascii() and pack.pack_id.isdigit() and len(pack.pack_id) <= _MAX_DIGITS:
            last = self.runs.last
            if not self.runs.add(int(pack.pack_id)):
                return Came.DUPLICATE  # too old: its content is not kept
            if last is not None and int(pack.pack_id) < last:
                came = Came.OUT_OF_ORDER
        self._contents[pack.pack_id] = content
        while len(self._contents) > most:
            self._contents.popitem(last=False)
        return came


class Records:
    """The last values, oldest first, and the number of gaps and duplicates."""

    def __init__(self) -> None:
        self.duplicates = 0
        self._records: deque[Record] = deque()
        self._size = 0
        self._devices: OrderedDict[str, _Device] = OrderedDict()

    @property
    def gaps(self) -> int:
        return sum(device.runs.gaps for device in self._devices.values())

    def add_pack(self, pack: Pack, at: float) -> Came:
        device = self._devices.setdefault(pack.eq_sn, _Device())
        self._devices.move_to_end(pack.eq_sn)
        if len(self._devices) > KEPT_DEVICES:
            self._devices.popitem(last=False)
        share = max(KEPT_PACKS_OF_ALL // len(self._devices), FEWEST_PACKS)
        came = device.note(pack, min(share, KEPT_PACKS))
        if came is Came.DUPLICATE:
            self.duplicates += 1
        else:
            for item in pack.eq_data:
                self._add(pack.eq_sn, item, pack.pack_id, at)
        return came

    def add_single(self, single: Single, at: float) -> None:
        """Take one value. Without a number, a duplicate cannot be detected."""
        self._add(single.eq_sn, single, None, at)

    def shown(self, limit: int) -> list[dict[str, Any]]:
        """Return the last `limit` records as the control API shows them, oldest first."""
        start = max(len(self._records) - limit, 0)
        return [self._records[at].shown() for at in range(start, len(self._records))]

    def _add(self, eq_sn: str, item: Item | Single, pack_id: str | None, at: float) -> None:
        value = item.e_val if isinstance(item.e_val, str) else None
        record = Record(eq_sn, item.e_chan, item.e_chan_sta, value, pack_id, at)
        self._records.append(record)
        self._size += record.size
        while len(self._records) > KEPT_RECORDS or self._size > KEPT_BYTES:
            self._size -= self._records.popleft().size
