"""Metrics: read back with the parser of Prometheus' own client."""

from collections import Counter
from collections.abc import Mapping

import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as open_metrics_families,
)
from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.task import Clock

from tests.http_client import Client, now_of
from tests.web.small_site import FakeBridge, SmallSite
from twisted_gantry.core.alarms import Severity
from twisted_gantry.core.status import State
from twisted_gantry.net.histogram import Histogram
from twisted_gantry.net.reactor_lag import ReactorLag
from twisted_gantry.web.metrics import Metrics
from twisted_gantry.wire.reading import Quality

Series = Mapping[tuple[str, ...], float]


class Scrape:
    def __init__(self, client: Client) -> None:
        answer = client.get("/metrics")
        assert answer.status == 200
        text = answer.body.decode()
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        self.samples = [s for family in self.families.values() for s in family.samples]

    def __getitem__(self, name: str) -> Series:
        """Return the series of a name by the values of their labels, in the labels' order."""
        return {
            tuple(value for _, value in sorted(sample.labels.items())): sample.value
            for sample in self.samples
            if sample.name == name
        }


def test_site(small: SmallSite, client: Client) -> None:
    """Which gantry this is, since when, and what is online."""
    small.ups.status.online()
    small.etc.status.offline("x")
    scrape = Scrape(client)
    assert scrape["gantry_info"] == {("G000211001002110010", "1.2.3"): 1}
    assert scrape["gantry_start_time_seconds"] == {(): small.site.started_at}
    assert scrape["gantry_device_up"] == {("ups1", "ups-card"): 1, ("pc1", "computer"): 0}
    assert scrape["gantry_uplink_up"] == {("etc",): 0}


def test_bridges(small: SmallSite, client: Client) -> None:
    """A bridge shows whether it is online, what it counted, and how full its queues may become."""
    bridge = small.site.bridges["mqtt"] = FakeBridge("mqtt", small.now)
    bridge.status.online()
    scrape = Scrape(client)
    assert scrape["gantry_bridge_up"] == {("mqtt",): 1}
    assert scrape["gantry_bridge_peers"] == {("mqtt",): 1}
    events = {("mqtt", "dropped"): 3, ("mqtt", "commands"): 2}
    assert scrape["gantry_bridge_events_total"] == events
    assert scrape["gantry_bridge_transitions_total"] == {("mqtt", "online"): 1}
    assert scrape["gantry_bridge_queue_length"] == {("mqtt", "out"): 7}
    assert scrape["gantry_bridge_queue_bound"] == {("mqtt", "out"): 200}


def test_points(small: SmallSite, client: Client) -> None:
    """A good number or truth has a series; a text has none."""
    small.site.points.update(
        "ups1",
        {
            "input_voltage_r": (221.5, Quality.GOOD),
            "temperature": (31, Quality.GOOD),
            "mains_abnormal": (True, Quality.GOOD),
            "state": ("line", Quality.GOOD),
        },
    )
    assert Scrape(client)["gantry_point_value"] == {
        ("ups1.input_voltage_r",): 221.5,
        ("ups1.temperature",): 31,
        ("ups1.mains_abnormal",): 1,
    }


def test_missing_values_vanish(small: SmallSite, client: Client) -> None:
    """A value that is not known now has no series, and comes back when it is."""
    points = small.site.points
    assert Scrape(client)["gantry_point_value"] == {}
    points.update("ups1", {"input_voltage_r": (0.0, Quality.GOOD)})
    assert Scrape(client)["gantry_point_value"] == {("ups1.input_voltage_r",): 0}
    points.fail("ups1")
    assert Scrape(client)["gantry_point_value"] == {}
    points.update("ups1", {"input_voltage_r": (float("nan"), Quality.GOOD)})
    assert Scrape(client)["gantry_point_value"] == {}
    points.update("ups1", {"input_voltage_r": (None, Quality.NOT_SUPPORTED)})
    assert Scrape(client)["gantry_point_value"] == {}
    points.update("ups1", {"input_voltage_r": (220, Quality.GOOD)})
    assert Scrape(client)["gantry_point_value"] == {("ups1.input_voltage_r",): 220}


def test_outbox(small: SmallSite, client: Client) -> None:
    """The ledger is exported as it is at the moment of the scrape."""
    scrape = Scrape(client)
    assert scrape["gantry_outbox_oldest_age_seconds"] == {}
    assert scrape["gantry_uplink_last_delivered_timestamp_seconds"] == {}
    assert scrape["gantry_outbox_reports"] == {("queued", "etc"): 0, ("set-aside", "etc"): 0}
    for _ in range(3):
        small.add_report()
        small.clock.advance(10)
    now_of(small.site.store.delivered([1]))
    now_of(small.site.store.set_aside(3, "refused"))
    small.etc.last_delivered = small.now()
    scrape = Scrape(client)
    assert scrape["gantry_outbox_reports"] == {("queued", "etc"): 1, ("set-aside", "etc"): 1}
    assert scrape["gantry_outbox_oldest_age_seconds"] == {("etc",): 20}
    assert scrape["gantry_outbox_bytes"] == {("etc",): 10}
    assert scrape["gantry_reports_created_total"] == {("etc",): 3}
    assert scrape["gantry_reports_delivered_total"] == {("etc",): 1}
    assert scrape["gantry_reports_dropped_total"] == {("etc",): 0}
    assert scrape["gantry_uplink_last_delivered_timestamp_seconds"] == {("etc",): small.now()}


def test_store_fails(small: SmallSite, client: Client) -> None:
    """When the store cannot tell, its series vanish and the others stay."""
    small.add_report()
    assert Scrape(client)["gantry_outbox_bytes"] == {("etc",): 5}
    small.db.execute("DROP TABLE ledger")
    scrape = Scrape(client)
    names = {sample.name for sample in scrape.samples}
    assert not [n for n in names if n.startswith(("gantry_outbox", "gantry_reports"))]
    assert scrape["gantry_uplink_up"] == {("etc",): 0}


def test_alarms(small: SmallSite, client: Client) -> None:
    """An active alarm is a series of its own, and one that is over is none."""
    small.site.alarms.set("ups1.overload", Severity.CRITICAL, "overload", "过载")
    small.site.alarms.set("ups1.offline", Severity.WARNING, "offline", "离线")
    small.site.alarms.clear("ups1.offline")
    scrape = Scrape(client)
    assert scrape["gantry_alarms"] == {("critical",): 1, ("warning",): 0}
    assert scrape["gantry_alarm_active"] == {("ups1.overload",): 1}


def test_counts(small: SmallSite, client: Client) -> None:
    """What drivers, uplinks, HTTP servers and the command door count is exported."""
    small.http_counts["web"] = Counter({"requests": 7})
    vars(small.etc)["counts"] = {"succeeded": 5, "refused": 2, "repaired": 4}
    for target in ("ups1", "ups1", "nobody"):
        client.post("/api/v1/commands", {"target": target, "command": "BZOFF"})
    client.get("/", host="evil.example")
    scrape = Scrape(client)
    assert scrape["gantry_device_events_total"] == {("pc1", "timeouts"): 3}
    assert scrape["gantry_uplink_requests_total"] == {
        ("succeeded", "etc"): 5,
        ("refused", "etc"): 2,
    }
    assert scrape["gantry_repaired_total"] == {("etc",): 4}
    assert scrape["gantry_commands_total"] == {
        ("done",): 2,
        ("failed",): 0,
        ("refused",): 1,
        ("timeout",): 0,
    }
    events = scrape["gantry_http_events_total"]
    assert events["requests", "web"] == 7
    assert events["foreign-host", "gate"] == 1


def test_labels_are_escaped(small: SmallSite, client: Client) -> None:
    """A strange name of an alarm cannot break the format."""
    small.site.alarms.set('x.a"b\\c\n} 1', Severity.WARNING, "strange", "怪")
    assert Scrape(client)["gantry_alarm_active"] == {('x.a"b\\c\n} 1',): 1}


def test_conventions(client: Client) -> None:
    """Every family has a help text, and every counter ends in `_total`."""
    for name, family in Scrape(client).families.items():
        assert family.documentation.endswith("."), name
        if family.type == "counter":
            assert all(s.name.endswith("_total") for s in family.samples), name


def test_process(client: Client) -> None:
    """The process is measured too, in a registry that is not the global one."""
    scrape = Scrape(client)
    assert scrape["process_resident_memory_bytes"][()] > 1e6
    assert not [name for name in scrape.families if name.startswith("python_")]


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain; version=0.0.4"),
        ("*/*", "text/plain; version=0.0.4"),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text; version=1"),
    ],
)
def test_formats(client: Client, accept: str, content_type: str) -> None:
    """The Accept header chooses the format, and each can be parsed."""
    answer = client.get("/metrics", Accept=accept)
    assert answer.headers["Content-Type"].startswith(content_type)
    text = answer.body.decode()
    parse = open_metrics_families if "openmetrics" in accept else text_string_to_metric_families
    assert "gantry_device_up" in {family.name for family in parse(text)}


def test_two_sites_at_once(small: SmallSite) -> None:
    """Two resources in one process do not share a registry."""
    first, second = small.client(), small.client()
    assert Scrape(first)["gantry_info"] == Scrape(second)["gantry_info"]


def test_poll_latency(small: SmallSite, client: Client) -> None:
    """A device that measures its readings has a histogram; the others have no series."""
    latency = Histogram((0.1, 1.0))
    for seconds in (0.05, 0.5, 5.0):
        latency.observe(seconds)
    vars(small.ups)["poll_seconds"] = latency
    scrape = Scrape(client)
    assert scrape["gantry_device_poll_duration_seconds_bucket"] == {
        ("ups1", "0.1"): 1,
        ("ups1", "1.0"): 2,
        ("ups1", "+Inf"): 3,
    }
    assert scrape["gantry_device_poll_duration_seconds_count"] == {("ups1",): 3}
    assert scrape["gantry_device_poll_duration_seconds_sum"] == {("ups1",): 5.55}


def test_transitions(small: SmallSite, client: Client) -> None:
    """How often a device, or an uplink, came and went is counted."""
    vars(small.ups.status)["transitions"] = Counter({State.ONLINE: 3, State.OFFLINE: 2})
    vars(small.etc.status)["transitions"] = Counter({State.ONLINE: 1})
    scrape = Scrape(client)
    counted = scrape["gantry_device_transitions_total"]
    assert (counted["ups1", "online"], counted["ups1", "offline"]) == (3, 2)
    assert scrape["gantry_uplink_transitions_total"]["online", "etc"] == 1


def test_reactor_and_store(small: SmallSite) -> None:
    """The lag of the reactor and the time of the store are histograms, where they are measured."""
    lag = Histogram()
    lag.observe(0.002)
    measured = Metrics(small.site, small.now, "1", {}, lag)
    vars(small.site.store)["transaction_seconds"] = lag
    resource = measured.app.resource()
    scrape = Scrape(Client(resource))
    assert scrape["gantry_reactor_lag_seconds_count"] == {(): 1}
    assert scrape["gantry_store_transaction_duration_seconds_sum"] == {(): 0.002}
    del vars(small.site.store)["transaction_seconds"]
    scrape = Scrape(Client(Metrics(small.site, small.now, "1", {}).app.resource()))
    assert scrape["gantry_reactor_lag_seconds_count"] == {}
    assert scrape["gantry_store_transaction_duration_seconds_count"] == {}


def test_reactor_lag() -> None:
    """What blocks the reactor is counted as the time by which the next timer is late."""
    clock = Clock()
    probe = ReactorLag(clock)
    probe.startService()
    for _ in range(5):
        clock.advance(1)
    assert (probe.seconds.count, probe.seconds.sum) == (5, 0)
    clock.advance(4)
    assert (probe.seconds.count, probe.seconds.sum) == (6, 3)
    probe.stopService()
    clock.advance(5)
    assert probe.seconds.count == 6
    assert not clock.getDelayedCalls()
