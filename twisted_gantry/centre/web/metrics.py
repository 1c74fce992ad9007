"""`GET /metrics`: the centre as a whole, from the database, and this process.

No label has the name of a gantry, a road or a person: there may be thousands.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Metric, ProcessCollector
from prometheus_client import core as families
from prometheus_client.registry import Collector

from twisted_gantry.centre.interfaces import IReportStore, NotStored, Session
from twisted_gantry.centre.model import GantryState
from twisted_gantry.centre.store import alarm_views, leases, ledger, notices, troubles
from twisted_gantry.centre.store import views as stored
from twisted_gantry.centre.web.call import Call
from twisted_gantry.centre.web.stream import Streams
from twisted_gantry.net.histogram import Histogram
from twisted_gantry.net.http.prometheus import Families, exposition

_families = Families("centre")
_gauge, _counter, _histogram = _families.gauge, _families.counter, _families.histogram

HttpCounts = Mapping[str, Counter[str]]
BACKLOG = 600.0
"""Seconds for which a late report counts as part of a backlog."""
_ORDERS = ("queued", "sent")


class _Read:
    """What the database told at a scrape."""

    def __init__(self, session: Session) -> None:
        self.states = stored.overview(session)
        self.incidents = alarm_views.open_incidents(session)
        self.alarms = alarm_views.open_alarms(session)
        self.rate = alarm_views.alarm_rate(session)
        self.ledger = ledger.totals(session)
        oldest = ledger.oldest_backlog(session, BACKLOG)
        self.backlog = 0.0 if oldest is None else max(0.0, session.now() - oldest)
        self.troubles = Counter(each.severity for each in troubles.current(session))
        now = session.now()
        self.duties = {each.duty: each.until > now for each in leases.all_leases(session)}
        self.targets = notices.targets(session)
        self.pending = _one(session, "SELECT count(*) FROM gantries WHERE pending = 1")
        rows = session.rows(
            "SELECT state, count(*) FROM orders WHERE state IN ('queued', 'sent') GROUP BY state"
        )
        self.orders = {str(state): int(number) for state, number in rows}


class CentreMetrics(Collector):
    """The metrics, over a registry of their own. `role` is that of the process; `http_counts` are
    the counts of its servers by name, `histograms` what it measures, in seconds, by name.
    """

    def __init__(
        self,
        store: IReportStore,
        *,
        version: str,
        role: str,
        http_counts: HttpCounts,
        histograms: Mapping[str, Callable[[], Histogram | None]],
        streams: Streams,
    ) -> None:
        self._store, self._version, self._role = store, version, role
        self._http, self._histograms, self._streams = http_counts, histograms, streams
        self._read: _Read | None = None
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    async def answer(self, call: Call) -> bytes:
        """Return all metrics; those of the database are missing while it cannot be read. Raises
        HttpError (403) for a person who sees some roads alone.
        """
        call.scope.check_whole()
        try:
            self._read = await self._store.read(_Read)
        except NotStored:
            self._read = None
        return exposition(call.request, self._registry)

    def collect(self) -> Iterator[Metric]:
        """Yield every family, also those without a series."""
        info = {"version": self._version, "role": self._role}
        yield families.InfoMetricFamily("centre", "The version, and the role.", value=info)
        text = "1 while the store takes no reports."
        yield _gauge("store_failing", text, "", [((), self._store.trouble is not None)])
        text = "Reports that wait for their commit in this process."
        yield _gauge("store_waiting_reports", text, "", [((), self._store.waiting)])
        up = [((), self._read is not None)]
        yield _gauge("database_up", "Whether the database could be read.", "", up)
        readers = [((), self._streams.readers)]
        yield _gauge("stream_readers", "Readers of the event stream.", "", readers)
        servers = {**self._http, "stream": self._streams.counts}
        events = [((s, event), n) for s, each in servers.items() for event, n in each.items()]
        yield _counter("http_events", "What happened at the HTTP servers.", "server event", events)
        for name, histogram in self._histograms.items():
            text = f"{name.replace('_', ' ')} of this process, in seconds.".capitalize()
            yield _histogram(f"{name}_seconds", text, "", [((), histogram())])
        if self._read is not None:
            yield from _of_database(self._read)


def _of_database(read: _Read) -> Iterator[Metric]:
    states = [((each.value,), read.states.get(each, 0)) for each in GantryState]
    yield _gauge("gantries", "Gantries by state.", "state", states)
    text = "Gantries that registered themselves and wait for a person."
    yield _gauge("gantries_pending", text, "", [((), read.pending)])
    yield _gauge("incidents", "Incidents that last.", "", [((), read.incidents)])
    yield _gauge("alarms", "Alarms of gantries that are active.", "", [((), read.alarms)])
    text = "Alarms that began within the last hour."
    yield _gauge("alarms_last_hour", text, "", [((), read.rate)])
    text = "Faults of the centre itself, over all its processes."
    faults = [((each,), read.troubles[each]) for each in ("warning", "critical")]
    yield _gauge("troubles", text, "severity", faults)
    text = "1 while some worker does a duty."
    yield _gauge("duty_held", text, "duty", [((d,), held) for d, held in read.duties.items()])
    text = "Messages to people since the store was made, by what became of them."
    messages = [
        ((each.name, result), number)
        for each in read.targets
        for result, number in (("delivered", each.delivered), ("set-aside", each.set_aside))
    ]
    yield _counter("notify_messages", text, "target result", messages)
    text = "Messages to people that wait to be sent."
    waiting = [((each.name,), each.queued) for each in read.targets]
    yield _gauge("notify_waiting", text, "target", waiting)
    text = "Reports since the store was made, by what became of them; late ones are stored, too."
    names = (ledger.STORED, ledger.DUPLICATE, ledger.LATE, ledger.REJECTED)
    totals = [((name,), read.ledger.get(name, 0)) for name in names]
    yield _counter("reports", text, "result", totals)
    text = "Reports that were refused since the store was made, by the code of the answer."
    refused = [((code,), number) for code, number in sorted(ledger.refusals(read.ledger).items())]
    yield _counter("reports_refused", text, "code", refused)
    text = "The age of the oldest report that came late in the last ten minutes; 0 without any."
    yield _gauge("backlog_age_seconds", text, "", [((), read.backlog)])
    orders = [((each,), read.orders.get(each, 0)) for each in _ORDERS]
    yield _gauge("commands_open", "Commands by gantry that are not over.", "state", orders)


def _one(session: Session, sql: str) -> int:
    [(number,)] = session.rows(sql)
    return int(number)
