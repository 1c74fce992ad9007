"""Prometheus metrics, made anew from the site at every scrape."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Metric, ProcessCollector
from prometheus_client import core as families
from prometheus_client.registry import Collector
from twisted.web.server import Request

from twisted_gantry.core.alarms import Severity
from twisted_gantry.core.interfaces import REPAIRED
from twisted_gantry.core.site import Site
from twisted_gantry.core.status import State
from twisted_gantry.core.stored import Ledger
from twisted_gantry.net.histogram import Histogram
from twisted_gantry.net.http.app import App
from twisted_gantry.net.http.json import handle_errors
from twisted_gantry.net.http.prometheus import Families, Samples, exposition
from twisted_gantry.web.api.views import Ledgers

HttpCounts = Mapping[str, Counter[str]]


_families = Families("gantry")
_gauge, _counter, _histogram = _families.gauge, _families.counter, _families.histogram


def _transitions(owner: str, owners: Mapping[str, Any]) -> Metric:
    became = f"How often the {owner} became what it is"
    text = f"{became}: each `online` but the first is a reconnection."
    samples = [
        ((name, state.value), count)
        for name, each in owners.items()
        for state, count in getattr(each.status, "transitions", {}).items()
    ]
    return _counter(f"{owner}_transitions", text, f"{owner} state", samples)


def _counted(owners: Mapping[str, object]) -> Samples:
    """Yield the own counts of those devices or uplinks that have any."""
    for name, owner in owners.items():
        counts = getattr(owner, "counts", None)
        if isinstance(counts, Mapping):
            yield from (((name, e), count) for e, count in counts.items() if e != REPAIRED)


def _repaired(owners: Mapping[str, object]) -> Samples:
    for name, owner in owners.items():
        counts = getattr(owner, "counts", None)
        if isinstance(counts, Mapping) and REPAIRED in counts:
            yield (name,), counts[REPAIRED]


class Metrics(Collector):
    """`GET /metrics` of one site, over a registry of its own. `now` returns Unix seconds.
    `http_counts` are the counts of HTTP servers by name; `reactor_lag` is that of `ReactorLag`.
    Devices may have a `Histogram` as `poll_seconds`, the store as `transaction_seconds`.
    """

    app = App()

    def __init__(
        self,
        site: Site,
        now: Callable[[], float],
        version: str,
        http_counts: HttpCounts,
        reactor_lag: Histogram | None = None,
    ) -> None:
        self._site, self._now, self._version, self._http = site, now, version, http_counts
        self._reactor_lag, self._reader = reactor_lag, Ledgers(site)
        self._ledgers: Mapping[str, Ledger | None] = {}  # set before each collection
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    @app.route("/metrics", methods=["GET"])
    async def metrics(self, request: Request) -> bytes:
        """Return all metrics in the format that the Accept header asks for."""
        self._ledgers = await self._reader.read()
        return exposition(request, self._registry)

    def collect(self) -> Iterator[Metric]:
        """Yield every family, also those without a series."""
        site = self._site
        info = {"version": self._version, "gantry_id": site.gantry_id}
        yield families.InfoMetricFamily(
            "gantry", "Which gantry this is, and its version.", value=info
        )
        started = [((), site.started_at)]
        text = "When this gantry started, in Unix seconds."
        yield _gauge("start_time_seconds", text, "", started)
        yield from self._devices()
        yield from self._uplinks()
        yield from self._bridges()
        yield from self._notify()
        yield from self._outbox()
        yield from self._alarms()
        text = "Messages of a device or an uplink that were read only after a repair."
        yield _counter("repaired", text, "peer", _repaired({**site.devices, **site.uplinks}))
        ended = [((outcome.value,), count) for outcome, count in site.door.counts.items()]
        yield _counter("commands", "Commands by how they ended.", "result", ended)
        reloads = [((result,), site.reloads[result]) for result in ("done", "failed")]
        text = "Configurations that were read anew, by whether they were taken."
        yield _counter("config_reloads", text, "result", reloads)
        events = [((s, event), n) for s, each in self._http.items() for event, n in each.items()]
        yield _counter("http_events", "What happened at the HTTP servers.", "server event", events)
        text = "By how much a timer of the reactor came too late, once a second."
        yield _histogram("reactor_lag_seconds", text, "", [((), self._reactor_lag)])
        store = site.store
        text = "1 while the disk of the store fails or hangs."
        yield _gauge("store_failing", text, "", [((), store.failing is not None)])
        text = "What memory had to take in place of the disk."
        taken = getattr(store, "counts", {})
        yield _counter("store_not_stored", text, "what", [((w,), n) for w, n in taken.items()])
        text = "How long a transaction took, to the disk and back; it may hold many writes."
        transactions = getattr(site.store, "transaction_seconds", None)
        yield _histogram("store_transaction_duration_seconds", text, "", [((), transactions)])

    def _devices(self) -> Iterator[Metric]:
        devices = self._site.devices
        up = [((n, d.kind), d.status.state is State.ONLINE) for n, d in devices.items()]
        yield _gauge("device_up", "Whether a device is online.", "device kind", up)
        values = [
            ((point.name,), float(point.good))
            for point in self._site.points.under()
            if isinstance(point.good, int | float)
        ]
        text = "The last reading of a point, in its unit; true is 1. Only while it is good."
        yield _gauge("point_value", text, "point", values)
        yield _counter("device_events", "What a driver counted.", "device event", _counted(devices))
        yield _transitions("device", devices)
        polls = [((n,), getattr(d, "poll_seconds", None)) for n, d in devices.items()]
        text = "How long a reading took, be it good or not."
        yield _histogram("device_poll_duration_seconds", text, "device", polls)

    def _uplinks(self) -> Iterator[Metric]:
        uplinks = self._site.uplinks
        up = [((n,), u.status.state is State.ONLINE) for n, u in uplinks.items()]
        yield _gauge("uplink_up", "Whether an uplink is online.", "uplink", up)
        text = "Requests of an uplink by how they ended."
        yield _counter("uplink_requests", text, "uplink result", _counted(uplinks))
        yield _transitions("uplink", uplinks)
        delivered = [((n,), u.last_delivered) for n, u in uplinks.items()]
        text = "When an uplink last had a report acknowledged, in Unix seconds."
        yield _gauge("uplink_last_delivered_timestamp_seconds", text, "uplink", delivered)

    def _bridges(self) -> Iterator[Metric]:
        bridges = self._site.bridges
        up = [((n,), b.status.state is State.ONLINE) for n, b in bridges.items()]
        yield _gauge("bridge_up", "Whether a bridge is online.", "bridge", up)
        peers = [((n,), b.peers) for n, b in bridges.items()]
        yield _gauge("bridge_peers", "Neighbours that are connected now.", "bridge", peers)
        text = "What a bridge counted; `dropped` is what a bound made it drop."
        yield _counter("bridge_events", text, "bridge event", _counted(bridges))
        yield _transitions("bridge", bridges)
        fills = [((n, q), fill) for n, b in bridges.items() for q, fill in b.queues.items()]
        lengths = [(labels, fill.length) for labels, fill in fills]
        yield _gauge("bridge_queue_length", "Entries of a queue.", "bridge queue", lengths)
        bounds = [(labels, fill.bound) for labels, fill in fills]
        text = "The most entries that a queue may have."
        yield _gauge("bridge_queue_bound", text, "bridge queue", bounds)

    def _notify(self) -> Iterator[Metric]:
        targets = self._site.notify
        up = [((n, t.kind), t.status.state is State.ONLINE) for n, t in targets.items()]
        text = "Whether a target of notifications took its last message."
        yield _gauge("notify_up", text, "target kind", up)
        text = "Messages of a target by how a try ended."
        yield _counter("notify_messages", text, "target result", _counted(targets))
        delivered = [((n,), t.last_delivered) for n, t in targets.items()]
        text = "When a target last took a message, in Unix seconds."
        yield _gauge("notify_last_delivered_timestamp_seconds", text, "target", delivered)

    def _outbox(self) -> Iterator[Metric]:
        known = {name: ledger for name, ledger in self._ledgers.items() if ledger is not None}
        kept = [((n, "queued"), ledger.queued) for n, ledger in known.items()]
        kept += [((n, "set-aside"), ledger.set_aside) for n, ledger in known.items()]
        yield _gauge("outbox_reports", "Reports that are kept.", "uplink state", kept)
        ages = [
            ((n,), self._site.store.moment().since(ledger.oldest))
            for n, ledger in known.items()
            if ledger.oldest is not None
        ]
        text = "The age of the oldest report that waits."
        yield _gauge("outbox_oldest_age_seconds", text, "uplink", ages)
        sizes = [((n,), ledger.size) for n, ledger in known.items()]
        yield _gauge("outbox_bytes", "The size of the reports that are kept.", "uplink", sizes)
        memory = [((n,), ledger.not_stored) for n, ledger in known.items()]
        text = "Reports that are in memory alone, because the disk fails."
        yield _gauge("outbox_not_stored", text, "uplink", memory)
        moment = self._site.store.moment()
        old = [
            ((n,), 0.0 if ledger.as_of is None else moment.since(ledger.as_of))
            for n, ledger in known.items()
        ]
        text = "How long ago the disk told these counts; 0 while it answers."
        yield _gauge("outbox_age_of_counts_seconds", text, "uplink", old)
        for became, text in (
            ("created", "Reports that were made, since the store was."),
            ("delivered", "Reports that were acknowledged, since the store was made."),
            ("dropped", "Reports that the cap dropped, since the store was made."),
        ):
            samples = [((n,), getattr(ledger, became)) for n, ledger in known.items()]
            yield _counter(f"reports_{became}", text, "uplink", samples)

    def _alarms(self) -> Iterator[Metric]:
        active = self._site.alarms.active()
        severities = Counter(alarm.severity for alarm in active)
        counts = [((severity.value,), severities[severity]) for severity in Severity]
        yield _gauge("alarms", "Active alarms.", "severity", counts)
        ledger = self._site.alarms.ledger
        text = "Alarms that were raised, since the store was made."
        yield _counter("alarms_raised", text, "", [((), ledger.raised)])
        text = "Alarms that were cleared, since the store was made."
        yield _counter("alarms_cleared", text, "", [((), ledger.cleared)])
        muted = [((alarm.name,), 1) for alarm in active if alarm.muted]
        yield _gauge("alarm_muted", "1 for each alarm for which nobody is called.", "alarm", muted)
        text = "1 for each active alarm; one that is over has no series."
        yield _gauge("alarm_active", text, "alarm", [((alarm.name,), 1) for alarm in active])


handle_errors(Metrics.app)
