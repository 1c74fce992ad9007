"""Sends the ETC outbox to the platform: one report at a time, each until it is acknowledged.

The oldest goes first, a fresh urgent report ahead of it. `docs/protocols/etc-gantry.md`,
"Delivery", says what the answers mean.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_gantry.core.alarms import Alarms, Severity
from twisted_gantry.core.interfaces import REPAIRED
from twisted_gantry.core.status import Status
from twisted_gantry.core.stored import Report
from twisted_gantry.net.sending_loop import SendingLoop
from twisted_gantry.net.session import Backoff
from twisted_gantry.uplinks.etc.agreement import ClockAgreement
from twisted_gantry.uplinks.etc.channel import Channel, Kind, Taken, host_shown
from twisted_gantry.uplinks.outbox import Outbox
from twisted_gantry.uplinks.reachability import Reachability
from twisted_gantry.wire.etc.envelope import restamped, stamp_of

_log = Logger()

# Seconds for which a report is fresh: it may overtake the back-log, and a 1003 means our clock.
FRESH = 60.0
# Urgent reports that go ahead in a row before one that waited: a platform that asks for a report
# every second must not hold back the others.
AHEAD = 5
UNCLEAR_TRIES = 10  # tries of a report whose answers say nothing, while others are taken
SIGNATURE_TRIES = 3  # tries of a report with a refused signature (1004)
_PROBED = 1024 * 1024  # bytes of reports that are looked at for another one to send


class Servers(Protocol):
    """The servers that reports go to."""

    def server_for(self, kind: str) -> str: ...

    def acknowledged(self, kind: str, url: str) -> None: ...  # note that a server took a request


class EtcSender:
    """The sending half of the uplink. `now` returns Unix seconds; `restamp` is for old reports."""

    def __init__(
        self,
        outbox: Outbox,
        channel: Channel,
        servers: Servers,
        clock: IReactorTime,
        now: Callable[[], float],
        backoff: Backoff,
        alarms: Alarms,
        status: Status,
        *,
        restamp: bool,
    ) -> None:
        self.last_delivered: float | None = None
        self.counts: Counter[str] = Counter()
        self._outbox, self._channel, self._servers = outbox, channel, servers
        self._now, self._backoff, self._alarms = now, backoff, alarms
        self.agreement = ClockAgreement(outbox.moment)
        self._restamp, self._clock_alarm = restamp, f"{outbox.name}.clock-skew"
        texts = "reports are kept, the platform does not take them", "平台未接收上报，数据已保存"
        self._platform = Reachability(status, alarms, *texts)
        self._loop = SendingLoop(clock, self._send_one, self._could_not)
        self._signature_tries: Counter[int] = Counter()
        self._stamped_anew: set[int] = set()
        self._unclear_tries: Counter[int] = Counter()
        self._others_taken: set[int] = set()  # unclear reports since whose first try another went
        self._probes = False
        self._newest: dict[str, int] = {}
        self._overtaken: set[str] = set()
        self._ahead = 0  # urgent reports in a row
        self.start, self.stop, self.wake = self._loop.start, self._loop.stop, self._loop.wake
        outbox.on_stored.append(self.wake)
        outbox.on_left.append(self._forget)

    def _could_not(self, failure: Failure) -> float:
        _log.failure("{uplink} could not send", failure=failure, uplink=self._outbox.name)
        return self._backoff.next()

    async def _send_one(self) -> float | None:
        """Send the next report; returns the pause in seconds, None for none, 0 until woken."""
        fresh = FRESH if self._ahead < AHEAD else 0.0
        report = await self._outbox.next_report(fresh)
        self._ahead = self._ahead + 1 if report is not None and report.urgent else 0
        if report is None:
            overtaken, self._overtaken = self._overtaken, set()
            if overtaken:
                self._outbox.stale(sorted(overtaken))
            return 0.0
        report = await self._probe(report)
        url = self._servers.server_for(report.kind)
        body = self._stamped(report)
        taken = await self._channel.post(body, url)
        if self._loop.stopped:
            return None  # cut off: how it was taken is not known
        self.counts[taken.kind.name.lower()] += 1
        if taken.answer is not None and taken.answer.repairs:
            self.counts[REPAIRED] += 1
        return await self._settle(report, taken, url, body)

    def _stamped(self, report: Report) -> bytes:
        """Return the body to send. When the clock has stepped since the report was made, the body
        gets the time of the measurement by the present clock.
        """
        made_at = self._outbox.made_at(report)
        stepped = abs(made_at - report.made.wall) >= FRESH
        # A body that was stamped anew after a 1003 keeps that time.
        if not stepped or abs(stamp_of(report.body) - report.made.wall) >= FRESH:
            return report.body
        return restamped(report.body, made_at)

    async def _settle(self, report: Report, taken: Taken, url: str, body: bytes) -> float | None:
        if taken.kind is Kind.DELIVERED:
            if self._outbox.age(report) < FRESH:
                self.agreement.note()
            self._servers.acknowledged(report.kind, url)
            await self._delivered(report)
        elif taken.kind is Kind.REFUSED:
            await self._set_aside(report, taken.reason, taken)
        elif taken.kind is Kind.SIGNATURE:
            self._signature_tries[report.id] += 1
            if self._signature_tries[report.id] >= SIGNATURE_TRIES:
                await self._set_aside(report, f"{taken.reason}, {SIGNATURE_TRIES} times", taken)
            else:
                await self._outbox.tried(report, taken.reason)
        elif taken.kind is Kind.UNCLEAR:
            return await self._unclear(report, taken, url)
        elif taken.kind is Kind.CLOCK:
            return await self._clock_refused(report, taken, url, body)
        else:
            return await self._channel_fault(report, taken, url)
        return None

    async def _unclear(self, report: Report, taken: Taken, url: str) -> float | None:
        """Handle an answer that says nothing: the report's fault if others are taken meanwhile."""
        self._unclear_tries[report.id] += 1
        tries = self._unclear_tries[report.id]
        if tries >= UNCLEAR_TRIES and report.id in self._others_taken:
            why = f"{taken.reason}, {tries} times, while other reports are taken"
            await self._set_aside(report, why, taken)
            return None
        return await self._channel_fault(report, taken, url)

    async def _probe(self, report: Report) -> Report:
        """Return the report to send: at times another than one whose answers say nothing, to learn
        which of the two, the report or the platform, is at fault.
        """
        stuck = self._unclear_tries[report.id] >= UNCLEAR_TRIES
        self._probes = stuck and report.id not in self._others_taken and not self._probes
        if not self._probes:
            return report
        waiting = await self._outbox.next_reports(len(self._unclear_tries) + 1, _PROBED)
        others = (each for each in waiting if each.id not in self._unclear_tries)
        return next(others, report)

    async def _delivered(self, report: Report) -> None:
        self._works()
        self._others_taken |= self._unclear_tries.keys() - {report.id}
        self._alarms.clear(self._clock_alarm)
        await self._outbox.delivered([report.id])
        self.last_delivered = self._now()
        newest = self._newest.get(report.subject, 0)
        if report.id < newest:
            self._overtaken.add(report.subject)
        else:
            self._newest[report.subject] = report.id
            self._overtaken.discard(report.subject)

    async def _set_aside(self, report: Report, reason: str, taken: Taken) -> None:
        self._works()
        _log.error(
            "{uplink} refuses report {id} ({kind}) for good: {reason}; it is set aside",
            uplink=self._outbox.name,
            id=report.id,
            kind=report.kind,
            reason=reason,
        )
        await self._outbox.set_aside(report, reason, reason, taken.content)

    def _is_present(self, body: bytes) -> bool:
        return abs(self._now() - stamp_of(body)) < FRESH

    async def _clock_refused(
        self, report: Report, taken: Taken, url: str, body: bytes
    ) -> float | None:
        """Handle 1003. An old time stamp has one more try, with the present time if `restamp`. A
        second 1003 is the report's own only if the platform agrees with our clock; otherwise the
        clock is wrong, and the report waits until it is right.
        """
        again = report.id in self._stamped_anew
        if not self._is_present(body) and (self._restamp or not again):
            self._stamped_anew.add(report.id)
            anew = restamped(report.body, self._now()) if self._restamp else None
            await self._outbox.tried(report, taken.reason, anew)
            return None
        self._skewed(taken.reason)
        if again and self.agreement.holds:
            await self._set_aside(report, f"{taken.reason}, twice", taken)
            return None
        return await self._channel_fault(report, taken, url)

    async def _channel_fault(self, report: Report, taken: Taken, url: str) -> float:
        self._platform.fails(replace(taken.outage, en=taken.reason).at(host_shown(url)))
        await self._outbox.tried(report, taken.reason)
        return self._backoff.next()

    def _works(self) -> None:
        """Note that the channel works, even if the platform refused the report."""
        self._backoff.reset()
        self._platform.works()

    def _skewed(self, reason: str) -> None:
        en = f"the clock of this computer or of the platform is wrong: {reason}"
        self._alarms.set(
            self._clock_alarm, Severity.CRITICAL, en, f"本机或平台时钟偏差过大：{reason}"
        )

    def _forget(self, reports: Iterable[int], _: bool) -> None:
        for report in reports:
            del self._signature_tries[report]
            self._stamped_anew.discard(report)
            self._others_taken.discard(report)
            self._unclear_tries.pop(report, None)
