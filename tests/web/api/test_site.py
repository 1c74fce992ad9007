"""What the API says of the site: health, devices, uplinks, points, alarms."""

import sqlite3
from typing import Any

import pytest
from twisted.python.failure import Failure

from tests.http_client import Client, now_of
from tests.web.small_site import FakeBridge, SmallSite, small_site
from twisted_gantry.core.alarms import Severity
from twisted_gantry.net.outage import WORDS, Cause
from twisted_gantry.wire.causes import Graph
from twisted_gantry.wire.reading import Quality

AT_START = "2026-11-21T10:00:00.250+08:00"
WELL = dict.fromkeys(("lastErrorZh", "lastErrorAt", "cause", "advice", "adviceZh"))


def _unwell(error: str, at: str) -> dict[str, str]:
    """Return what the API adds to an error without a cause of its own."""
    words = WORDS[Cause.OTHER]
    advice = {"advice": words.advice, "adviceZh": words.advice_zh}
    return {"lastErrorZh": error, "lastErrorAt": at, "cause": "other", **advice}


class TestHealth:
    """`/healthz`."""

    def test_well(self, client: Client) -> None:
        """A program without a problem is ok, and says nothing more."""
        answer = client.get("/healthz")
        assert answer.status == 200
        assert answer.json == {"status": "ok", "reasons": [], "notes": []}

    def test_reasons(self, small: SmallSite, client: Client) -> None:
        """What the wiring reports and an alarm of the store are reasons for a 503."""
        small.problems.append("the disk is full")
        small.site.alarms.set("store.failed", Severity.CRITICAL, "reports are lost", "丢失")
        small.site.alarms.set("ups1.overload", Severity.CRITICAL, "overload", "过载")
        answer = client.get("/healthz")
        assert answer.status == 503
        reasons = ["the disk is full", "reports are lost"]
        assert answer.json == {"status": "failing", "reasons": reasons, "notes": []}

    def test_recovers(self, small: SmallSite, client: Client) -> None:
        """An alarm of the store that is over is no reason any more."""
        small.site.alarms.set("store.failed", Severity.CRITICAL, "reports are lost", "丢失")
        small.site.alarms.clear("store.failed")
        assert client.get("/healthz").status == 200

    def test_offline_is_a_note(self, small: SmallSite, client: Client) -> None:
        """A device or a platform that is offline leaves the program healthy."""
        small.ups.status.offline("no answer")
        small.etc.status.offline("HTTP 503")
        small.pc.status.online()
        answer = client.get("/healthz")
        assert answer.status == 200
        notes = ["ups1 is offline", "etc is offline"]
        assert answer.json == {"status": "ok", "reasons": [], "notes": notes}


class TestSite:
    """`/api/v1/site`."""

    def test_shape(self, small: SmallSite, client: Client) -> None:
        """The site, its devices and uplinks come with exactly the keys that were promised."""
        small.clock.advance(1.5)
        small.ups.status.offline("no answer to QAD")
        small.etc.status.online()
        small.site.graph = Graph({"pc1": "ups1"})
        assert client.get("/api/v1/site").json == {
            "gantryId": "G000211001002110010",
            "name": "North gantry",
            "version": "1.2.3",
            "startedAt": AT_START,
            "devices": [
                {
                    "name": "ups1",
                    "kind": "ups-card",
                    "state": "offline",
                    "since": "2026-11-21T10:00:01.750+08:00",
                    "lastError": "no answer to QAD",
                    "fedBy": None,
                    **_unwell("no answer to QAD", "2026-11-21T10:00:01.750+08:00"),
                },
                {
                    "name": "pc1",
                    "kind": "computer",
                    "state": "connecting",
                    "since": AT_START,
                    "lastError": None,
                    "fedBy": "ups1",
                    **WELL,
                },
            ],
            "uplinks": [
                {
                    "name": "etc",
                    "state": "online",
                    "since": "2026-11-21T10:00:01.750+08:00",
                    "lastError": None,
                    **WELL,
                    "queued": 0,
                    "setAside": 0,
                    "lastDelivered": None,
                    "kind": "etc",
                    "ledger": {
                        "created": 0,
                        "delivered": 0,
                        "queued": 0,
                        "setAside": 0,
                        "dropped": 0,
                        "bytes": 0,
                        "oldest": None,
                        "notStored": 0,
                        "asOf": None,
                    },
                }
            ],
            "bridges": [],
            "notify": [],
        }

    def test_bridges(self, small: SmallSite, client: Client) -> None:
        """A bridge comes with its state, its neighbours, its drops and the bounds of its queues."""
        bridge = small.site.bridges["mqtt"] = FakeBridge("mqtt", small.now)
        bridge.status.offline("refused")
        assert client.get("/api/v1/site").json["bridges"] == [
            {
                "name": "mqtt",
                "kind": "bridge",
                "state": "offline",
                "since": AT_START,
                "lastError": "refused",
                **_unwell("refused", AT_START),
                "peers": 1,
                "dropped": 3,
                "queues": [{"name": "out", "length": 7, "bound": 200}],
            }
        ]
        assert client.get("/healthz").json["notes"] == ["bridge.mqtt is offline"]

    def test_ledger(self, small: SmallSite, client: Client) -> None:
        """The ledger of an uplink adds up, and its oldest report is the oldest that waits."""
        numbers = []
        for _ in range(4):
            numbers.append(small.add_report(body=b"x" * 10))
            small.clock.advance(1)
        now_of(small.site.store.delivered([numbers[0]]))
        now_of(small.site.store.set_aside(numbers[1], "refused"))
        small.etc.last_delivered = small.now()
        [uplink] = client.get("/api/v1/site").json["uplinks"]
        assert (uplink["queued"], uplink["setAside"]) == (2, 1)
        assert uplink["lastDelivered"] == "2026-11-21T10:00:04.250+08:00"
        assert uplink["ledger"] == {
            "created": 4,
            "delivered": 1,
            "queued": 2,
            "setAside": 1,
            "dropped": 0,
            "bytes": 30,
            "oldest": "2026-11-21T10:00:02.250+08:00",
            "notStored": 0,
            "asOf": None,
        }

    def test_store_fails(self, small: SmallSite, client: Client) -> None:
        """When the store cannot tell, the ledger is null and the rest of the site is still told."""
        small.db.execute("DROP TABLE ledger")
        content = client.get("/api/v1/site").json
        assert len(content["devices"]) == 2
        [uplink] = content["uplinks"]
        assert (uplink["ledger"], uplink["queued"], uplink["setAside"]) == (None, None, None)
        assert uplink["state"] == "connecting"

    @pytest.mark.parametrize(
        ("timezone", "expected"),
        [
            ("UTC", "2026-11-21T02:00:00.250+00:00"),
            ("America/New_York", "2026-11-20T21:00:00.250-05:00"),
        ],
    )
    def test_timezone(self, timezone: str, expected: str) -> None:
        """Times carry the offset of the site's timezone."""
        small = small_site(timezone)
        assert small.client().get("/api/v1/site").json["startedAt"] == expected
        small.db.close()


class TestPoints:
    """`/api/v1/points`."""

    def test_shape(self, small: SmallSite, client: Client) -> None:
        """A point comes with its value, unit, quality, time and its names in two languages."""
        small.site.points.update("ups1", {"input_voltage_r": (221.5, Quality.GOOD)})
        points = client.get("/api/v1/points").json["points"]
        assert points[0] == {
            "point": "ups1.input_voltage_r",
            "value": 221.5,
            "unit": "V",
            "quality": "good",
            "at": AT_START,
            "label": {"en": "Input voltage R", "zh": "输入电压R"},
        }
        assert points[1] == {
            "point": "ups1.input_voltage_s",
            "value": None,
            "unit": "V",
            "quality": "no-data",
            "at": None,
            "label": {"en": "Input voltage S", "zh": "输入电压S"},
        }

    def test_qualities(self, small: SmallSite, client: Client) -> None:
        """A failed reading keeps the last value and time; an unsupported point has neither."""
        points = small.site.points
        points.update("ups1", {"temperature": (31, Quality.GOOD), "state": ("line", Quality.GOOD)})
        points.update("ups1", {"mains_abnormal": (False, Quality.GOOD)})
        small.clock.advance(60)
        points.fail("ups1", ["temperature"])
        points.update("ups1", {"input_voltage_s": (None, Quality.NOT_SUPPORTED)})
        found = {
            each["point"].partition(".")[2]: (each["value"], each["quality"], each["at"])
            for each in client.get("/api/v1/points").json["points"]
        }
        assert found == {
            "input_voltage_r": (None, "no-data", None),
            "input_voltage_s": (None, "not-supported", None),
            "state": ("line", "good", AT_START),
            "mains_abnormal": (False, "good", AT_START),
            "temperature": (31, "get-failed", AT_START),
        }

    def test_prefix(self, client: Client) -> None:
        """A prefix chooses the points whose whole name begins with it."""
        for prefix, count in (
            ("", 5),
            ("ups1.", 5),
            ("ups1.input_", 2),
            ("ups", 5),
            ("ups2.", 0),
            ("%E7%94%B5", 0),
        ):
            points = client.get(f"/api/v1/points?prefix={prefix}").json["points"]
            assert len(points) == count, prefix


class TestAlarms:
    """`/api/v1/alarms`."""

    @pytest.fixture
    def alarmed(self, small: SmallSite) -> SmallSite:
        """Return a site with an alarm that is over, between two that are not."""
        alarms = small.site.alarms
        alarms.set("ups1.overload", Severity.CRITICAL, "overload", "UPS过载")
        small.clock.advance(1)
        alarms.set("ups1.battery-low", Severity.CRITICAL, "battery low", "电池电压低")
        small.clock.advance(1)
        alarms.set("etc.set-aside", Severity.WARNING, "refused", "被拒绝")
        alarms.clear("ups1.battery-low")
        return small

    def test_shape(self, alarmed: SmallSite) -> None:
        """Alarms come newest first, each with exactly the keys that were promised."""
        found = alarmed.client().get("/api/v1/alarms").json["alarms"]
        assert [each["alarm"] for each in found] == [
            "etc.set-aside",
            "ups1.battery-low",
            "ups1.overload",
        ]
        assert found[1] == {
            "alarm": "ups1.battery-low",
            "source": "ups1",
            "severity": "critical",
            "message": "battery low",
            "messageZh": "电池电压低",
            "raisedAt": "2026-11-21T10:00:01.250+08:00",
            "clearedAt": "2026-11-21T10:00:02.250+08:00",
            "cause": None,
            "consequences": [],
            "state": "cleared",
            "value": None,
            "count": 1,
            "ackedBy": None,
            "ackedAt": None,
            "note": None,
            "shelvedUntil": None,
            "muted": False,
            "unknown": False,
            "endedBy": None,
            "called": [],
        }
        assert found[0]["clearedAt"] is None

    def test_causes(self, alarmed: SmallSite) -> None:
        """An active alarm names the active one that explains it, and that one names it."""
        alarms = alarmed.site.alarms
        alarms.set("ups1.mains-abnormal", Severity.CRITICAL, "mains abnormal", "市电异常")
        alarms.set("ups1.on-battery", Severity.WARNING, "on battery", "电池放电")

        def said(query: str) -> dict[str, tuple[str | None, list[str]]]:
            found = alarmed.client().get(f"/api/v1/alarms{query}").json["alarms"]
            return {each["alarm"]: (each["cause"], each["consequences"]) for each in found}

        assert said("?active=1") == {
            "ups1.on-battery": ("ups1.mains-abnormal", []),
            "ups1.mains-abnormal": (None, ["ups1.on-battery"]),
            "etc.set-aside": (None, []),
            "ups1.overload": (None, []),
        }
        alarms.clear("ups1.mains-abnormal")
        assert said("?active=1")["ups1.on-battery"] == (None, [])
        assert said("")["ups1.mains-abnormal"] == (None, [])

    def test_active(self, alarmed: SmallSite) -> None:
        """`active=1` leaves out what is over, and sorts by severity."""
        client = alarmed.client()
        found = client.get("/api/v1/alarms?active=1").json["alarms"]
        assert [each["alarm"] for each in found] == ["ups1.overload", "etc.set-aside"]
        assert len(client.get("/api/v1/alarms?active=0").json["alarms"]) == 3

    def test_limit(self, alarmed: SmallSite) -> None:
        """`limit` keeps the newest."""
        found = alarmed.client().get("/api/v1/alarms?limit=1").json["alarms"]
        assert [each["alarm"] for each in found] == ["etc.set-aside"]

    @pytest.mark.parametrize("query", ["active=yes", "active=2", "limit=0", "limit=1001"])
    def test_bad(self, client: Client, query: str) -> None:
        """An argument that makes no sense is refused."""
        answer = client.get(f"/api/v1/alarms?{query}")
        assert (answer.status, answer.error[:4]) == (400, "bad-")


class TestUnknown:
    """Unknown pages and methods."""

    def test_path(self, client: Client) -> None:
        """An unknown path is a 404 in the shape of an error."""
        for path in (
            "/nope",
            "/api",
            "/api/v1",
            "/api/v1/site/",
            "/api/v1//site",
            "//api/v1/site",
            "/healthz/",
            "/metrics/x",
            "/overview.css/x",
            "/api/v1/../../etc/passwd",
            "/%2e%2e/setup.cfg",
        ):
            answer = client.get(path)
            assert (answer.status, answer.error) == (404, "not-found"), path

    def test_method(self, client: Client) -> None:
        """A method that a path does not know is a 405, which says what the path knows."""
        for method, path, known in (
            ("POST", "/api/v1/site", "GET, HEAD"),
            ("PUT", "/api/v1/commands", "GET, HEAD, POST"),
            ("DELETE", "/api/v1/audit", "GET, HEAD"),
            ("GET", "/api/v1/outbox/retry", "POST"),
            ("POST", "/metrics", "GET, HEAD"),
            ("POST", "/", "GET, HEAD"),
            ("BREW", "/healthz", "GET, HEAD"),
        ):
            answer = client.send(method, path).ended()
            assert (answer.status, answer.error) == (405, "method-not-allowed"), path
            assert set(answer.headers["Allow"].split(", ")) - {"OPTIONS"} == set(known.split(", "))

    def test_head(self, client: Client) -> None:
        """What can be got can be asked for by HEAD."""
        answer = client.send("HEAD", "/api/v1/site").answer()
        assert (answer.status, answer.body) == (200, b"")

    def test_own_fault(
        self,
        client: Client,
        monkeypatch: pytest.MonkeyPatch,
        small: SmallSite,
        logged_failures: list[Failure],
    ) -> None:
        """A fault of ours is a 500 that is logged and shows nothing of what is inside."""

        def broken(limit: int) -> Any:
            raise sqlite3.OperationalError("/var/lib/gantry.db is gone")

        monkeypatch.setattr(small.site.store, "audit", broken)
        answer = client.get("/api/v1/audit")
        assert (answer.status, answer.error) == (500, "internal")
        assert b"gantry.db" not in answer.body
        assert [failure.type for failure in logged_failures] == [sqlite3.OperationalError]
        logged_failures.clear()
