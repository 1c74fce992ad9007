"""Metrics in the format of Prometheus, made new from the site at every scrape.

A value that is missing has no series: nothing is ever exported as 0 because it is not known.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from klein import Klein
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from twisted.web.server import Request

from twisted_gantry.core.alarms import Severity
from twisted_gantry.core.latency import Latency
from twisted_gantry.core.site import Site
from twisted_gantry.core.status import State
from twisted_gantry.core.stored import Ledger
from twisted_gantry.net.http.json import handle_errors, header
from twisted_gantry.web.api.views import Ledgers

HttpCounts = Mapping[str, Counter[str]]
_Samples = Iterable[tuple[tuple[str, ...], float | None]]


def _fill(family: Any, samples: _Samples) -> Metric:
    for labels, value in samples:
        if value is not None and math.isfinite(value):
            family.add_metric(labels, value)
    filled: Metric = family
    return filled


def _gauge(name: str, text: str, labels: tuple[str, ...], samples: _Samples) -> Metric:
    return _fill(GaugeMetricFamily(name, text, labels=labels), samples)


def _counter(name: str, text: str, labels: tuple[str, ...], samples: _Samples) -> Metric:
    return _fill(CounterMetricFamily(name, text, labels=labels), samples)


def _histogram(
    name: str,
    text: str,
    labels: tuple[str, ...],
    latencies: Iterable[tuple[tuple[str, ...], object]],
) -> Metric:
    """Return the latencies there are; one that nobody has measured has no series."""
    family = HistogramMetricFamily(name, text, labels=labels)
    for values, latency in latencies:
        if isinstance(latency, Latency):
            buckets = [
                (str(bound) if math.isfinite(bound) else "+Inf", count)
                for bound, count in latency.buckets()
            ]
            family.add_metric(values, buckets, latency.sum)
    return family


def _transitions(owner: str, whose: Mapping[str, Any]) -> Metric:
    """Return how often each device or uplink came to be online and offline."""
    return _counter(
        f"gantry_{owner}_transitions",
        f"How often the {owner} became what it is: each `online` but the first is a reconnection.",
        (owner, "state"),
        [
            ((name, state.value), count)
            for name, each in whose.items()
            for state, count in getattr(each.status, "transitions", {}).items()
        ],
    )


def _counts(owner: object) -> Mapping[str, int]:
    """Return what a device or an uplink counts of itself, if it does."""
    counts = getattr(owner, "counts", None)
    return counts if isinstance(counts, Mapping) else {}


class _SiteCollector(Collector):
    """The site as metrics. `ledgers` must be fresh when it is collected."""

    def __init__(
        self,
        site: Site,
        now: Callable[[], float],
        version: str,
        http_counts: HttpCounts,
        reactor_lag: Latency | None,
    ) -> None:
        self._site, self._now, self._version, self._http = site, now, version, http_counts
        self._reactor_lag = reactor_lag
        self.ledgers: Mapping[str, Ledger | None] = {}

    def collect(self) -> Iterator[Metric]:
        """Yield every family, also the empty ones."""
        site = self._site
        info = {"version": self._version, "gantry_id": site.gantry_id}
        yield InfoMetricFamily("gantry", "Which gantry this is, and its version.", value=info)
        yield _gauge(
            "gantry_start_time_seconds",
            "When this gantry started, in Unix seconds.",
            (),
            [((), site.started_at)],
        )
        yield from self._devices()
        yield from self._uplinks()
        yield from self._outbox()
        yield from self._alarms()
        yield _counter(
            "gantry_commands",
            "Commands by how they ended.",
            ("result",),
            [((outcome.value,), count) for outcome, count in site.door.counts.items()],
        )
        yield _counter(
            "gantry_config_reloads",
            "Configurations that were read anew, by whether they were taken.",
            ("result",),
            [((result,), site.reloads[result]) for result in ("done", "failed")],
        )
        yield _counter(
            "gantry_http_events",
            "What happened at the HTTP servers.",
            ("server", "event"),
            [((s, event), n) for s, counts in self._http.items() for event, n in counts.items()],
        )
        yield _histogram(
            "gantry_reactor_lag_seconds",
            "By how much a timer of the reactor came too late, once a second.",
            (),
            [((), self._reactor_lag)],
        )
        yield _histogram(
            "gantry_store_transaction_duration_seconds",
            "How long a transaction took, to the disk and back; it may hold many writes.",
            (),
            [((), getattr(site.store, "transaction_seconds", None))],
        )

    def _devices(self) -> Iterator[Metric]:
        devices = self._site.devices
        yield _gauge(
            "gantry_device_up",
            "Whether a device is online.",
            ("device", "kind"),
            [((n, d.kind), d.status.state is State.ONLINE) for n, d in devices.items()],
        )
        yield _gauge(
            "gantry_point_value",
            "The last reading of a point, in its unit; true is 1. Only while it is good.",
            ("point",),
            [
                ((point.name,), float(point.good))
                for point in self._site.points.under()
                if isinstance(point.good, int | float)
            ],
        )
        yield _counter(
            "gantry_device_events",
            "What a driver counted.",
            ("device", "event"),
            [((n, event), c) for n, d in devices.items() for event, c in _counts(d).items()],
        )
        yield _transitions("device", devices)
        yield _histogram(
            "gantry_device_poll_duration_seconds",
            "How long a reading took, be it good or not.",
            ("device",),
            [((n,), getattr(d, "poll_seconds", None)) for n, d in devices.items()],
        )

    def _uplinks(self) -> Iterator[Metric]:
        uplinks = self._site.uplinks
        yield _gauge(
            "gantry_uplink_up",
            "Whether an uplink is online.",
            ("uplink",),
            [((n,), u.status.state is State.ONLINE) for n, u in uplinks.items()],
        )
        yield _counter(
            "gantry_uplink_requests",
            "Requests of an uplink by how they ended.",
            ("uplink", "result"),
            [((n, result), c) for n, u in uplinks.items() for result, c in _counts(u).items()],
        )
        yield _transitions("uplink", uplinks)
        yield _gauge(
            "gantry_uplink_last_delivered_timestamp_seconds",
            "When an uplink last had a report acknowledged, in Unix seconds.",
            ("uplink",),
            [((n,), u.last_delivered) for n, u in uplinks.items()],
        )

    def _outbox(self) -> Iterator[Metric]:
        known = {name: ledger for name, ledger in self.ledgers.items() if ledger is not None}
        yield _gauge(
            "gantry_outbox_reports",
            "Reports that are kept.",
            ("uplink", "state"),
            [((n, "queued"), ledger.queued) for n, ledger in known.items()]
            + [((n, "set-aside"), ledger.set_aside) for n, ledger in known.items()],
        )
        yield _gauge(
            "gantry_outbox_oldest_age_seconds",
            "The age of the oldest report that waits.",
            ("uplink",),
            [
                ((n,), max(0.0, self._now() - ledger.oldest))
                for n, ledger in known.items()
                if ledger.oldest is not None
            ],
        )
        yield _gauge(
            "gantry_outbox_bytes",
            "The size of the reports that are kept.",
            ("uplink",),
            [((n,), ledger.size) for n, ledger in known.items()],
        )
        for became, text in (
            ("created", "Reports that were made, since the store was."),
            ("delivered", "Reports that were acknowledged, since the store was made."),
            ("dropped", "Reports that the cap dropped, since the store was made."),
        ):
            samples = [((n,), getattr(ledger, became)) for n, ledger in known.items()]
            yield _counter(f"gantry_reports_{became}", text, ("uplink",), samples)

    def _alarms(self) -> Iterator[Metric]:
        active = self._site.alarms.active()
        by_severity = Counter(alarm.severity for alarm in active)
        yield _gauge(
            "gantry_alarms",
            "Active alarms.",
            ("severity",),
            [((severity.value,), by_severity[severity]) for severity in Severity],
        )
        yield _gauge(
            "gantry_alarm_active",
            "1 for each active alarm; one that is over has no series.",
            ("alarm",),
            [((alarm.name,), 1) for alarm in active],
        )


class Metrics:
    """`GET /metrics` of one site, over a registry of its own. `now` returns Unix seconds.

    `http_counts` are the counts of HTTP servers by name, as `bounded_site` fills them;
    `reactor_lag` is what `ReactorLag` counts. What a device or the store measures of itself it has
    as `poll_seconds` and `transaction_seconds`, each a `Latency`.
    """

    app = Klein()

    def __init__(
        self,
        site: Site,
        now: Callable[[], float],
        version: str,
        http_counts: HttpCounts,
        reactor_lag: Latency | None = None,
    ) -> None:
        self._registry = CollectorRegistry()
        self._ledgers = Ledgers(site)
        self._collector = _SiteCollector(site, now, version, http_counts, reactor_lag)
        self._registry.register(self._collector)
        ProcessCollector(registry=self._registry)

    @app.route("/metrics", methods=["GET"])
    async def metrics(self, request: Request) -> bytes:
        """Return all metrics, in the format that the Accept header asks for."""
        self._collector.ledgers = await self._ledgers.read()
        encode, content_type = choose_encoder(header(request, "accept"))
        request.setHeader("Content-Type", content_type)
        request.setHeader("Cache-Control", "no-store")
        body: bytes = encode(self._registry)
        return body


handle_errors(Metrics.app)
