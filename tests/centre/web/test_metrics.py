"""Metrics of the centre, and the alerts that are made of them."""

import re
from functools import partial

import pytest
from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.defer import fail

from tests.centre.store.samples import report
from tests.centre.web.rig import WebRig
from tests.test_prometheus import FOLDER, linted, promtool
from twisted_gantry.centre.interfaces import NotStored
from twisted_gantry.centre.store import leases, notices
from twisted_gantry.net.histogram import Histogram
from twisted_gantry.notify.plan import PlanState
from twisted_gantry.testing.centre_store import InlineStore
from twisted_gantry.testing.clock import ManualClock

RULES, TESTS = FOLDER / "centre-alerts.yml", FOLDER / "centre-alerts.test.yml"


@pytest.fixture
def scrape(memory: InlineStore, clock: ManualClock) -> str:
    """What Prometheus reads from a centre with a gantry, a report and a command."""
    latency = Histogram()
    latency.observe(0.1)
    rig = WebRig(memory, clock, histograms={"transaction": lambda: latency})
    rig.put("G1", road="G2", name="secret-name", auth="secret-code", remoteControl="http://x/r")
    rig.store.put_all([report("G1", raised="mains-abnormal")])
    rig.store.refused("1001")
    order = {"gantries": ["G1"], "method": "cabinetControl", "updateNow": "1"}
    assert rig.ask("POST", "/commands", order).status == 202
    memory.write(partial(leases.take, duty="notify", holder="one"))
    add = partial(notices.add, event="raised", message="id-1", body=b"", state=PlanState())
    memory.write(partial(add, target="duty"))
    return rig.send("GET", "/metrics").ended().body.decode()


def values(scrape: str) -> dict[tuple[str, str], float]:
    return {
        (sample.name, ",".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(scrape)
        for sample in family.samples
    }


def test_what_is_told(scrape: str) -> None:
    """Gantries by state, the ledger by result and code, and no name of any gantry."""
    found = values(scrape)
    assert found["centre_gantries", "critical"] == found["centre_reports_total", "stored"] == 1
    assert found["centre_reports_refused_total", "1001"] == 1
    assert found["centre_commands_open", "queued"] == 1
    assert found["centre_database_up", ""] == found["centre_duty_held", "notify"] == 1
    assert found["centre_notify_waiting", "duty"] == 1
    assert found["centre_notify_messages_total", "delivered,duty"] == 0
    assert not re.search(r"G1\b|G2|secret|mains-abnormal", scrape)


def test_without_a_database(rig: WebRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process tells of itself all the same, and shows nothing that it does not know."""
    monkeypatch.setattr(rig.store, "read", lambda job: fail(NotStored("away")))
    rig.store.trouble = "away"
    found = values(rig.send("GET", "/metrics").ended().body.decode())
    assert (found["centre_database_up", ""], found["centre_store_failing", ""]) == (0, 1)
    assert ("centre_gantries", "well") not in found


def test_the_conventions(scrape: str) -> None:
    """Promtool finds nothing to say about the names, types and help texts."""
    assert linted(scrape) == ""


def test_the_rules_ring() -> None:
    """Each alert rings when it should, and not at a centre that is well; all of them are tested."""
    for arguments in (("check", "rules", RULES.name), ("test", "rules", TESTS.name)):
        checked = promtool(*arguments)
        assert checked.returncode == 0, checked.stdout + checked.stderr
    alerts = re.findall(r"- alert: (\w+)", RULES.read_text(encoding="utf-8"))
    tested = TESTS.read_text(encoding="utf-8")
    assert [alert for alert in alerts if f'"{alert}"' not in tested] == []


def test_rules_name_metrics_that_exist(scrape: str) -> None:
    """They ask for nothing that is not there."""
    known = {name for name, _ in values(scrape)}
    asked = set(re.findall(r"\bcentre_[a-z_]+\b", RULES.read_text(encoding="utf-8")))
    assert asked - known == set()
