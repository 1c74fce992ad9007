"""Sends the Fogslink outbox to the cloud: in order, one message at a time, each until its 8.

`docs/protocols/fogslink.md`, "Decisions", says what the answers mean. Reports are read from the
disk in batches, and removed in batches: after a crash some are sent twice, under the same `packID`.
"""

from collections import Counter, deque
from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_gantry.core.stored import Report
from twisted_gantry.net.outage import Cause, Outage, outage
from twisted_gantry.net.sending_loop import SendingLoop
from twisted_gantry.net.session import Backoff
from twisted_gantry.uplinks.fogslink.link import Link
from twisted_gantry.uplinks.outbox import Outbox
from twisted_gantry.wire.fogslink.client import DATA_PATIENCE, Ending
from twisted_gantry.wire.fogslink.messages import DELIMITER, readdressed

_log = Logger()

PACK, SINGLE = "req200", "req201"
"""The kinds of report; the subject of one is what its answer names."""

# Pauses after a 9 in seconds, doubling; and the 9s after which a report is set aside.
AGAIN_FIRST, AGAIN_MOST = 1.0, 30.0
MAX_NINES = 10
BATCH, BATCH_SIZE = 500, 2 * 1024 * 1024  # the bounds of a batch: reports and bytes
# Acknowledged reports are removed from the disk together: after this number, or these seconds. A
# crash in between has them sent again.
TOGETHER, TOGETHER_S = 100, 0.2


class Listener(Protocol):
    """What the sender reports to."""

    def answered(self) -> None: ...  # the cloud answers data, be it with a 9
    def unanswered(self, reason: Outage) -> None: ...  # it does not

    def drained(self) -> None:
        """The queue is empty, and what went last may not be the newest of every channel."""


class FogslinkSender:
    """The sending half of the uplink. `max_age` is seconds; `now` returns Unix seconds."""

    def __init__(
        self,
        outbox: Outbox,
        eq_sn: str,
        link: Link,
        clock: IReactorTime,
        now: Callable[[], float],
        backoff: Backoff,
        listener: Listener,
        *,
        max_age: float,
    ) -> None:
        self.last_delivered: float | None = None
        self.counts: Counter[str] = Counter()
        self._outbox, self._eq_sn, self._link = outbox, eq_sn, link
        self._clock, self._now, self._backoff = clock, now, backoff
        self._listener, self._max_age = listener, max_age
        self._batch: deque[Report] = deque()
        self._acknowledged: list[int] = []
        self._remove_at = 0.0
        self._changes: list[Deferred[None]] = []
        self._failure: Failure | None = None
        self._loop = SendingLoop(clock, self._send_one, self._could_not)
        self._stale = self._failing = self._aging = False
        self._newest = 0
        self.start, self.wake = self._loop.start, self._loop.wake
        outbox.on_stored.append(self.wake)

    def stop(self) -> None:
        """Stop to send; a message under way stays stored, and is sent again later."""
        self._loop.stop()
        self._remove()

    def online(self) -> None:
        """Note a new session: the newest state of every channel must go out last."""
        self._stale = True
        self.wake(now=True)

    def _could_not(self, failure: Failure) -> float:
        if not self._failing:  # said once, until it is over
            _log.failure("{uplink} could not send", failure=failure, uplink=self._outbox.name)
        self._failing = True
        self._batch.clear()
        return self._backoff.next()

    async def _send_one(self) -> float | None:
        """Send the next report; returns the pause in seconds, None for none, 0 until woken."""
        if not self._link.ready:
            return 0.0
        if not self._batch:
            if await self._fetch():
                return None  # to look at the link again: the disk took its time
            if self._stale:
                self._stale = False
                self._listener.drained()
            return 0.0
        report = self._batch[0]
        if self._too_old(report):
            self._put_away(report)
            return None
        line = readdressed(report.body, self._eq_sn) + DELIMITER
        ending = await self._link.deliver(line, report.subject, single=report.kind == SINGLE)
        self.counts[ending.name.lower()] += 1
        return await self._settle(report, ending)

    def _remove(self) -> None:
        reports, self._acknowledged = self._acknowledged, []
        self._remove_at = self._clock.seconds() + TOGETHER_S
        if reports:
            self._change(self._outbox.delivered(reports))

    async def _fetch(self) -> bool:
        self._remove()
        changes, self._changes = self._changes, []
        if changes:
            await gatherResults(changes)
            failure, self._failure = self._failure, None
            if failure is not None:
                failure.raiseException()
            self._backoff.reset()
            self._failing = False
        # A disk that forgets nothing would have the same reports sent over and over.
        limit = 1 if self._failing else BATCH
        self._batch.extend(await self._outbox.next_reports(limit, BATCH_SIZE))
        return bool(self._batch)

    def _change(self, change: Deferred[None]) -> None:
        """Let a change of the disk run beside the sending; `_fetch` checks its outcome."""

        def failed(failure: Failure) -> None:
            self._failure = failure

        self._changes.append(change.addErrback(failed))

    def _too_old(self, report: Report) -> bool:
        """Tell whether a report would show old values as present; a requeued one goes anyway."""
        return self._outbox.age(report) > self._max_age and not report.requeued

    def _put_away(self, report: Report) -> None:
        if not self._aging:
            said = "{uplink}: reports older than {age} s are set aside"
            _log.warn(said, uplink=self._outbox.name, age=self._max_age)
        self._batch.popleft()
        self._aging = self._stale = True
        self.counts["too-old"] += 1
        reason = f"older than {self._max_age:g} s, too old to be shown as present"
        self._change(self._outbox.set_aside(report, reason, "数据过旧，不再作为当前值上报"))

    async def _settle(self, report: Report, ending: Ending) -> float | None:
        if ending is Ending.TAKEN:
            self._batch.popleft()
            self._acknowledged.append(report.id)
            self._aging = False
            if len(self._acknowledged) >= TOGETHER or self._clock.seconds() >= self._remove_at:
                self._remove()
            self._stale = self._stale or report.id < self._newest
            self._newest = max(self._newest, report.id)
            self.last_delivered = self._now()
            self._listener.answered()
            return None
        self._remove()
        # The disk knows the oldest report and its tries, whatever happened in the meantime.
        self._batch.clear()
        if ending is Ending.FAILED:
            self._listener.answered()
            return await self._failed(report)
        if ending is Ending.SILENT:
            en = f"no answer to data within {DATA_PATIENCE:g} s"
            nothing = outage(Cause.SILENT, en=en, zh=f"{DATA_PATIENCE:g}秒内数据无应答")
            odd = self._link.odd
            self._listener.unanswered(outage(Cause.MALFORMED, en=odd) if odd else nothing)
        return None

    async def _failed(self, report: Report) -> float | None:
        nines = report.tries + 1
        if nines < MAX_NINES:
            await self._outbox.tried(report, "9")
            return min(AGAIN_MOST, AGAIN_FIRST * 2.0 ** (nines - 1))
        reason = f"code 9, {nines} times"
        _log.error(
            "{uplink}: {kind} {subject} is refused for good: {reason}; it is set aside",
            uplink=self._outbox.name,
            kind=report.kind,
            subject=report.subject,
            reason=reason,
        )
        zh = f"云平台{nines}次返回代码9（数据传输失败）"
        await self._outbox.set_aside(report, reason, zh)
        self._stale = True
        self.counts["set-aside"] += 1
        return None
