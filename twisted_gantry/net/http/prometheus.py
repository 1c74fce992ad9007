"""Families of Prometheus metrics, and the answer to a scrape.

A missing value has no series: an unknown value is never exported as 0.
"""

import math
from collections.abc import Iterable
from typing import Any

from prometheus_client import CollectorRegistry, Metric
from prometheus_client import core as families
from prometheus_client.exposition import choose_encoder
from twisted.web.server import Request

from twisted_gantry.net.histogram import Histogram
from twisted_gantry.net.http.json import header

Samples = Iterable[tuple[tuple[str, ...], float | None]]
"""Values by those of the labels."""
Histograms = Iterable[tuple[tuple[str, ...], object]]


class Families:
    """Makes families whose names begin with `prefix`; `labels` are words, as in the samples."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def gauge(self, name: str, text: str, labels: str, samples: Samples) -> Metric:
        return self._family(families.GaugeMetricFamily, name, text, labels, samples)

    def counter(self, name: str, text: str, labels: str, samples: Samples) -> Metric:
        return self._family(families.CounterMetricFamily, name, text, labels, samples)

    def _family(self, kind: Any, name: str, text: str, labels: str, samples: Samples) -> Metric:
        family: Metric = kind(f"{self._prefix}_{name}", text, labels=labels.split())
        for values, value in samples:
            if value is not None and math.isfinite(value):
                kind.add_metric(family, values, value)
        return family

    def histogram(self, name: str, text: str, labels: str, samples: Histograms) -> Metric:
        """Return the histograms; an owner without a Histogram has no series."""
        kind = families.HistogramMetricFamily
        family = kind(f"{self._prefix}_{name}", text, labels=labels.split())
        for values, latency in samples:
            if isinstance(latency, Histogram):
                buckets = [
                    (str(bound) if math.isfinite(bound) else "+Inf", count)
                    for bound, count in latency.buckets()
                ]
                family.add_metric(values, buckets, latency.sum)
        return family


def exposition(request: Request, registry: CollectorRegistry) -> bytes:
    """Return all metrics in the format that the Accept header asks for; set the headers."""
    encode, content_type = choose_encoder(header(request, "accept"))
    request.setHeader("Content-Type", content_type)
    request.setHeader("Cache-Control", "no-store")
    body: bytes = encode(registry)
    return body
