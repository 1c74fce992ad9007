"""Alarms through the API: what people do about them, and the history on the disk."""

import json
from typing import Any

import pytest
from twisted.internet.defer import fail

from tests.http_client import Client, now_of
from tests.web.small_site import START, SmallSite
from twisted_gantry.core.alarms import Severity
from twisted_gantry.core.interfaces import StoreHung
from twisted_gantry.web.api.stream import Stream
from twisted_gantry.wire.secret import Secret

ALARMS, MAINTENANCE = "/api/v1/alarms", "/api/v1/maintenance"
NAME = "ups1.overload"
WEEK = 7 * 86_400


@pytest.fixture
def alarmed(small: SmallSite) -> SmallSite:
    small.site.alarms.set(NAME, Severity.CRITICAL, "overload", "UPS过载", value=104.5)
    return small


def _names(client: Client, query: str) -> list[str]:
    return [each["alarm"] for each in client.get(f"{ALARMS}?{query}").json["alarms"]]


def _active(client: Client, name: str = NAME) -> dict[str, Any]:
    [found] = [a for a in client.get(f"{ALARMS}?active=1").json["alarms"] if a["alarm"] == name]
    return dict(found)


def _audit(small: SmallSite) -> list[tuple[str, str, Any, str]]:
    entries = now_of(small.site.store.audit(10))
    return [(each.target, each.command, each.args, each.result) for each in reversed(entries)]


def test_acknowledge(alarmed: SmallSite) -> None:
    """The answer and the list tell who acknowledged, when and with which note; and no more after
    that was taken back.
    """
    client = alarmed.client()
    alarmed.clock.advance(60)
    shown = client.post(f"{ALARMS}/ack", {"alarm": NAME, "note": "马上去"}).json
    assert (shown["ackedBy"], shown["note"], shown["state"]) == ("local", "马上去", "acknowledged")
    assert shown["ackedAt"] == "2026-11-21T10:01:00.250+08:00"
    assert (shown["value"], shown["count"], shown["raisedAt"][:19]) == (
        104.5,
        1,
        "2026-11-21T10:00:00",
    )
    assert _active(client) == shown
    shown = client.post(f"{ALARMS}/unack", {"alarm": NAME}).json
    assert (shown["ackedBy"], shown["ackedAt"], shown["note"]) == (None, None, None)
    assert _audit(alarmed) == [
        (NAME, "alarm-ack", {"note": "马上去"}, "done"),
        (NAME, "alarm-unack", {}, "done"),
    ]


def test_shelve(alarmed: SmallSite) -> None:
    """A shelved alarm is muted until its time, also when it comes again."""
    client, alarms = alarmed.client(), alarmed.site.alarms
    shown = client.post(f"{ALARMS}/shelve", {"alarm": NAME, "for": 3600}).json
    assert (shown["shelvedUntil"], shown["muted"]) == ("2026-11-21T11:00:00.250+08:00", True)
    alarms.clear(NAME)
    assert client.post(f"{ALARMS}/ack", {"alarm": NAME}).error == "not-active"
    alarmed.clock.advance(1800)
    alarms.set(NAME, Severity.CRITICAL, "overload", "UPS过载")
    assert _active(client)["shelvedUntil"] == "2026-11-21T11:00:00.250+08:00"
    alarmed.clock.advance(1800)
    assert (_active(client)["shelvedUntil"], _active(client)["state"]) == (None, "raised")
    client.post(f"{ALARMS}/shelve", {"alarm": NAME, "for": WEEK})
    assert client.post(f"{ALARMS}/unshelve", {"alarm": NAME}).json["muted"] is False


def test_maintenance(alarmed: SmallSite) -> None:
    """Alarms of a device under maintenance are kept and muted, but smoke; it ends in time."""
    client, alarms = alarmed.client(), alarmed.site.alarms
    given = {"device": "ups1", "for": 600, "note": "电池更换"}
    begun = client.post(MAINTENANCE, given).json
    assert begun == {
        "device": "ups1",
        "since": "2026-11-21T10:00:00.250+08:00",
        "until": "2026-11-21T10:10:00.250+08:00",
        "by": "local",
        "note": "电池更换",
    }
    assert client.get(MAINTENANCE).json == {"maintenance": [begun]}
    alarms.set("ups1.battery-low", Severity.CRITICAL, "", "")
    alarms.set("ups1.smoke", Severity.CRITICAL, "", "")
    states = {a["alarm"]: a["state"] for a in client.get(f"{ALARMS}?active=1").json["alarms"]}
    assert states == {
        "ups1.smoke": "raised",
        "ups1.battery-low": "maintenance",
        NAME: "maintenance",
    }
    assert client.send("DELETE", f"{MAINTENANCE}?device=ups1").answer().json == begun
    assert _active(client)["state"] == "raised"
    assert client.send("DELETE", f"{MAINTENANCE}?device=ups1").answer().error == "no-maintenance"
    client.post(MAINTENANCE, given)
    alarmed.clock.advance(600)
    assert client.get(MAINTENANCE).json == {"maintenance": []}


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("alarms/ack", {"alarm": "ups1.never"}, 404, "no-such-alarm"),
        ("alarms/unack", {"alarm": "ups1.over"}, 409, "not-active"),
        ("alarms/shelve", {"alarm": "ups1.over", "for": 60}, 409, "not-active"),
        ("alarms/unshelve", {"alarm": "ups1.never"}, 404, "no-such-alarm"),
        ("alarms/shelve", {"alarm": "cab1.smoke", "for": 60}, 409, "never-muted"),
        ("alarms/shelve", {"alarm": "cab1.water", "for": 60}, 409, "never-muted"),
        ("alarms/shelve", {"alarm": NAME, "for": 0}, 400, "bad-request"),
        ("alarms/shelve", {"alarm": NAME, "for": -1}, 400, "bad-request"),
        ("alarms/shelve", {"alarm": NAME, "for": WEEK + 1}, 400, "bad-request"),
        ("alarms/shelve", {"alarm": NAME}, 400, "bad-request"),
        ("alarms/ack", {"alarm": NAME, "note": "x" * 501}, 400, "bad-request"),
        ("alarms/ack", {"alarm": NAME, "by": "me"}, 400, "bad-request"),
        ("maintenance", {"device": "nobody", "for": 60}, 404, "no-such-device"),
        ("maintenance", {"device": "ups1", "for": WEEK + 1}, 400, "bad-request"),
        ("maintenance", {"device": "ups1"}, 400, "bad-request"),
    ],
)
def test_what_cannot_be(
    alarmed: SmallSite, path: str, body: dict[str, Any], status: int, code: str
) -> None:
    """A wish that cannot be fulfilled is refused, says why, and changes nothing."""
    alarms, client = alarmed.site.alarms, alarmed.client()
    for name in ("cab1.smoke", "cab1.water", "ups1.over"):
        alarms.set(name, Severity.CRITICAL, "", "")
    alarms.clear("ups1.over")
    before = alarms.all()
    answer = client.post(f"/api/v1/{path}", body)
    assert (answer.status, answer.error) == (status, code)
    assert alarms.all() == before
    assert [each[3] for each in _audit(alarmed)] in ([], ["refused"])


def test_a_viewer_only_reads(alarmed: SmallSite) -> None:
    """A viewer sees alarms and maintenance, and changes neither; an operator's name is told."""
    resource = alarmed.resource(token="operates", viewer_token=Secret("looks"))
    client = Client(resource)
    viewer, operator = "Bearer looks", "Bearer operates"
    assert client.get(MAINTENANCE, Authorization=viewer).status == 200
    body = {"alarm": NAME}
    assert client.post(f"{ALARMS}/ack", body, Authorization=viewer).status == 403
    shown = client.post(f"{ALARMS}/ack", body, Authorization=operator).json
    assert shown["ackedBy"] == "operator"
    answer = client.send("DELETE", f"{MAINTENANCE}?device=ups1", Authorization=viewer).answer()
    assert answer.status == 403


def test_since_and_until(alarmed: SmallSite) -> None:
    """The history is filtered by when alarms were raised: RFC 3339 or Unix seconds."""
    alarms, client = alarmed.site.alarms, alarmed.client()
    for number in range(3):
        alarmed.clock.advance(3600)
        alarms.set(f"pc1.{number}", Severity.WARNING, "", "")
        alarms.clear(f"pc1.{number}")
    assert _names(client, "") == ["pc1.2", "pc1.1", "pc1.0", NAME]
    assert _names(client, f"since={START + 3600}") == ["pc1.2", "pc1.1", "pc1.0"]
    assert _names(client, "since=2026-11-21T12:00:00%2B08:00") == ["pc1.2", "pc1.1"]
    assert _names(client, "until=2026-11-21T10:30:00%2B08:00") == [NAME]
    assert _names(client, f"since={START + 3600}&until={START + 7200}&limit=1") == ["pc1.1"]
    assert _names(client, f"active=1&since={START + 1}") == []
    assert client.get(f"{ALARMS}?since=yesterday").error == "bad-time"


def test_ledger(alarmed: SmallSite) -> None:
    """The list and the metrics tell the ledger."""
    alarmed.site.alarms.set("pc1.over", Severity.WARNING, "", "")
    alarmed.site.alarms.clear("pc1.over")
    client = alarmed.client()
    assert client.get(ALARMS).json["ledger"] == {"raised": 2, "cleared": 1, "active": 1}
    metrics = client.get("/metrics").body.decode()
    assert "gantry_alarms_raised_total 2.0" in metrics
    assert "gantry_alarms_cleared_total 1.0" in metrics


def test_a_disk_that_does_not_answer(alarmed: SmallSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list is what memory has."""
    gone = StoreHung("hangs", "无响应")
    monkeypatch.setattr(alarmed.site.store, "alarms", lambda *_: fail(gone))
    assert _names(alarmed.client(), "") == [NAME]


def test_a_year_is_listed_at_once(small: SmallSite) -> None:
    """7,300 alarms: 500 are answered without a limit, and the filters choose among all."""
    db = small.db
    db.executemany(
        "INSERT INTO alarms (id, name, severity, en, zh, report_group, raised_at, cleared_at)"
        " VALUES (?, ?, 'warning', 'on battery', '电池放电', 'ups', ?, ?)",
        [
            (f"old-{n}", f"ups{n % 7}.on-battery", START - n, START - n + 1)
            for n in range(7300, 0, -1)
        ],
    )
    client = small.client()
    assert len(_names(client, "")) == 500
    assert _names(client, f"until={START - 7299}") == ["ups5.on-battery", "ups6.on-battery"]


def test_the_stream_tells_what_people_do(alarmed: SmallSite) -> None:
    """An acknowledgement and the end of a shelf are events of the stream."""
    stream = Stream(alarmed.site, alarmed.clock)
    stream.startService()
    client = Client(alarmed.resource(stream=stream))
    exchange = client.send("GET", "/api/v1/stream")
    alarmed.clock.pump([0.1] * 5)
    client.post(f"{ALARMS}/ack", {"alarm": NAME, "note": "ok"})
    alarmed.clock.pump([0.1] * 5)
    client.post(f"{ALARMS}/shelve", {"alarm": NAME, "for": 1})
    alarmed.clock.pump([0.1] * 20)
    events = [
        json.loads(piece.partition("data: ")[2].splitlines()[0])
        for piece in exchange.transport.value().decode().split("\n\n")
        if piece.partition("event: ")[2].startswith("alarm")
    ]
    told = [(each["ackedBy"], each["note"], each["shelvedUntil"] is None) for each in events]
    assert told == [
        (None, None, True),
        ("local", "ok", True),
        ("local", "ok", False),
        ("local", "ok", True),
    ]
    exchange.hang_up()
    stream.stopService()
