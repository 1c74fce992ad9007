"""Counts of a fleet: sent, acknowledged, refused and lost messages, and latencies."""

from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from twisted_gantry.net.histogram import Histogram, geometric_bounds

# Bounds of the buckets: from 0.1 ms to 80 s, each 5 % above the one before, so that a percentile
# is at most 5 % too high.
FIRST_S, GROWTH, BUCKETS = 1e-4, 1.05, 280
_BOUNDS = geometric_bounds(FIRST_S, GROWTH, BUCKETS)
SLICE_S, SLICES = 10.0, 6  # percentiles are of the last 50 to 60 seconds: whole slices come and go
# Codes that are told apart: a peer may invent any number.
MAX_CODES, LONGEST_CODE = 40, 20
OTHER = "other"


def count_code(counts: Counter[str], code: str) -> None:
    """Count a code of a peer; unknown codes beyond MAX_CODES count as OTHER."""
    code = code.strip()[:LONGEST_CODE]
    counts[code if code in counts or len(counts) < MAX_CODES else OTHER] += 1


class Latencies:
    """Latencies of a sliding window, in a fixed amount of memory; `seconds` is monotonic."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._slices: deque[tuple[int, Histogram]] = deque()  # each with its number

    def observe(self, took: float) -> None:
        number = int(self._seconds() / SLICE_S)
        if not self._slices or self._slices[-1][0] != number:
            self._forget(number)
            self._slices.append((number, Histogram(_BOUNDS)))
        self._slices[-1][1].observe(took)

    def shown(self) -> dict[str, float | int | None]:
        """Return `count`, and `p50`, `p95`, `p99` and `max` in milliseconds, None without any."""
        self._forget(int(self._seconds() / SLICE_S))
        window = Histogram(_BOUNDS).merge(histogram for _, histogram in self._slices)
        shown: dict[str, float | int | None] = {"count": window.count}
        for name, share in (("p50", 0.50), ("p95", 0.95), ("p99", 0.99), ("max", 1.0)):
            seconds = window.percentile(share)
            shown[name] = None if seconds is None else round(seconds * 1000, 1)
        return shown

    def _forget(self, number: int) -> None:
        while self._slices and self._slices[0][0] <= number - SLICES:
            self._slices.popleft()


class Tally:
    """The counts of one kind of message. A `sent` message ends `acknowledged`, `refused` (by the
    code of its answer) or `lost` (without an answer), or is `in_flight`. `skipped` messages were
    due and not sent. The latencies are those of all answers.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self.sent = self.acknowledged = self.lost = self.skipped = 0
        self.refused: Counter[str] = Counter()
        self.latencies = Latencies(seconds)

    @property
    def in_flight(self) -> int:
        return self.sent - self.acknowledged - self.refused.total() - self.lost

    def acknowledge(self, took: float) -> None:
        """Count one that was accepted, `took` seconds after it was due."""
        self.acknowledged += 1
        self.latencies.observe(took)

    def refuse(self, code: str, took: float) -> None:
        """Count one that was refused, `took` seconds after it was due."""
        count_code(self.refused, code)
        self.latencies.observe(took)

    def shown(self) -> dict[str, Any]:
        return {
            "sent": self.sent,
            "acknowledged": self.acknowledged,
            "refused": dict(self.refused),
            "lost": self.lost,
            "skipped": self.skipped,
            "inFlight": self.in_flight,
            "latencyMs": self.latencies.shown(),
        }

    def told(self) -> str:
        latency = self.latencies.shown()
        words = (
            f"{self.sent} sent, {self.acknowledged} acknowledged, "
            f"{self.refused.total()} refused, {self.lost} lost"
        )
        if self.skipped:
            words += f", {self.skipped} skipped"
        if latency["count"]:
            words += f", p50 {latency['p50']} p95 {latency['p95']} p99 {latency['p99']} ms"
        return words
