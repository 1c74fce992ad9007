"""What Prometheus and Grafana are given: metrics by the conventions, and queries that find them."""

import json
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from twisted.web.resource import IResource

from tests.http_client import Client
from tests.web.small_site import FakeBridge, SmallSite, small_site
from twisted_gantry.core.alarms import Severity
from twisted_gantry.core.status import State, Status
from twisted_gantry.net.histogram import Histogram
from twisted_gantry.web.metrics import Metrics
from twisted_gantry.wire.reading import Quality

FOLDER = Path(__file__).parents[1] / "scripts" / "prometheus"
RULES, DASHBOARD = FOLDER / "gantry.rules.yml", FOLDER / "gantry-dashboard.json"

_METRIC = re.compile(r"\b(?:gantry|process)_[a-z_]+\b")


@pytest.fixture
def full() -> Iterator[SmallSite]:
    """A site of which every metric has a value."""
    small = small_site()
    latency = Histogram()
    latency.observe(0.02)
    for owner, name, value in (
        (small.ups, "poll_seconds", latency),
        (small.site.store, "transaction_seconds", latency),
        (small.ups.status, "transitions", Counter({State.ONLINE: 2, State.OFFLINE: 1})),
        (small.etc.status, "transitions", Counter({State.ONLINE: 1})),
        (small.etc, "counts", {"succeeded": 5}),
    ):
        vars(owner)[name] = value
    small.etc.last_delivered = small.now()
    bridge = small.site.bridges["mqtt"] = FakeBridge("mqtt", small.now)
    bridge.status.online()
    status = Status("duty", small.now)
    status.online()
    told = {"kind": "email", "status": status, "counts": {"done": 2}, "last_delivered": small.now()}
    small.site.notify["duty"] = SimpleNamespace(**told)  # type: ignore[assignment]
    small.add_report()
    small.http_counts["web"] = Counter({"requests": 7})
    small.site.points.update("ups1", {"input_voltage_r": (221.5, Quality.GOOD)})
    small.site.alarms.set("ups1.overload", Severity.CRITICAL, "overload", "过载")
    small.site.alarms.maintain("ups1", 60.0, "li")
    yield small
    small.db.close()


@pytest.fixture
def scrape(full: SmallSite) -> str:
    """What Prometheus reads from that site."""
    latency = Histogram()
    latency.observe(0.001)
    resource: IResource = Metrics(
        full.site, full.now, "1.2.3", full.http_counts, latency
    ).app.resource()
    return Client(resource).get("/metrics").body.decode()


def promtool(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run promtool; CI has it."""
    tool = shutil.which("promtool")
    if tool is None:
        assert "CI" not in os.environ, "promtool is missing: apt-get install prometheus"
        pytest.skip("no promtool on this machine")
    return subprocess.run(
        [tool, *arguments], input=text, capture_output=True, text=True, cwd=FOLDER, check=False
    )


def names(scrape: str) -> set[str]:
    """Return the names of all series."""
    families = text_string_to_metric_families(scrape)
    return {sample.name for family in families for sample in family.samples}


def queries() -> dict[str, str]:
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    found = {
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in dashboard["panels"]
        for target in panel["targets"]
    }
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            query = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["definition"])
            assert query is not None, variable
            found[variable["name"]] = query[1]
    return found


def linted(scrape: str) -> str:
    """Return what promtool says about names, types and help texts."""
    checked = promtool("check", "metrics", text=scrape)
    return f"{checked.stdout}{checked.stderr}" if checked.returncode == 0 else f"{checked}"


def test_the_conventions(scrape: str) -> None:
    """Promtool finds nothing to say about the names, types and help texts."""
    assert linted(scrape) == ""


def test_base_units(scrape: str) -> None:
    """What has a unit is in seconds or bytes, and says so."""
    for family in text_string_to_metric_families(scrape):
        assert not re.search(r"_(ms|millis|minutes|hours|kb|kib|mb|percent)\b", family.name)
        if family.type == "histogram":
            assert family.name.endswith("_seconds")


def test_the_rules_ring() -> None:
    """Each alert rings when it should, and not on a site on which all is well."""
    for arguments in (("check", "rules", RULES.name), ("test", "rules", "gantry.rules.test.yml")):
        checked = promtool(*arguments)
        assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_rule_is_tested() -> None:
    """The tests of the rules name every one of them."""
    alerts = re.findall(r"- alert: (\w+)", RULES.read_text(encoding="utf-8"))
    tested = (FOLDER / "gantry.rules.test.yml").read_text(encoding="utf-8")
    assert len(alerts) == len(set(alerts)) > 10
    assert [alert for alert in alerts if f'"{alert}"' not in tested] == []


def test_queries_name_metrics_that_exist(scrape: str) -> None:
    """The rules and the dashboard ask for nothing that is not there."""
    known = names(scrape)
    for where, text in {"rules": RULES.read_text(encoding="utf-8"), **queries()}.items():
        asked = set(_METRIC.findall(re.sub(r"\$\w+", "", text)))
        assert asked, where
        assert asked <= known, where


def test_the_dashboard_shows_every_metric(scrape: str) -> None:
    """There is no metric of ours that nobody would ever see."""
    shown = {name for text in queries().values() for name in _METRIC.findall(text)}
    ours = {name for name in names(scrape) if name.startswith("gantry_")}
    families = {re.sub(r"_(bucket|sum|count|created)$", "", name) for name in ours}
    assert {name for name in families if not any(each.startswith(name) for each in shown)} == set()


def test_the_queries_are_right(tmp_path: Path) -> None:
    """Prometheus understands every query of the dashboard."""
    ready = [
        {"record": f"q{number}", "expr": _filled(expr)}
        for number, expr in enumerate(queries().values())
    ]
    rules = tmp_path / "queries.yml"
    groups: dict[str, Any] = {"groups": [{"name": "queries", "rules": ready}]}
    rules.write_text(json.dumps(groups), encoding="utf-8")  # JSON is YAML
    checked = promtool("check", "rules", str(rules))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def _filled(expr: str) -> str:
    """Put in what Grafana puts in for its variables."""
    filled = expr.replace("$__rate_interval", "5m").replace("$instance", ".*")
    filled = filled.replace("$point", ".*")
    assert "$" not in filled
    return filled


def test_the_dashboard_is_laid_out() -> None:
    """No panel lies on another, and each has a number of its own."""
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert len({panel["id"] for panel in panels}) == len(panels)
