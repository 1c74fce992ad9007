"""The stream: a snapshot, then what changes, once a second while somebody reads."""

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from twisted.internet.defer import fail
from twisted.python.failure import Failure

from tests.centre.store.samples import report
from tests.centre.web.rig import API, WebRig
from tests.http_client import Exchange
from twisted_gantry.centre.interfaces import NotStored
from twisted_gantry.centre.model import Told
from twisted_gantry.centre.store import incidents, registry
from twisted_gantry.wire.secret import Secret


class Reader:
    """Reads the stream; `news` are the events since it was last asked."""

    def __init__(self, rig: WebRig, last: str = "") -> None:
        self.rig, self.seen = rig, 0
        headers = {"Last-Event-ID": last} if last else {}
        self.exchange: Exchange = rig.send("GET", f"{API}/stream", **headers)
        rig.clock.advance(0)

    def frames(self) -> list[str]:
        body = self.exchange.transport.value().partition(b"\r\n\r\n")[2]
        text = b""
        while body:
            size, _, rest = body.partition(b"\r\n")
            text += rest[: int(size, 16)]
            body = rest[int(size, 16) + 2 :]
        return [each for each in text.decode().split("\n\n") if "event: " in each]

    def news(self) -> list[tuple[str, Any]]:
        frames = self.frames()[self.seen :]
        self.seen += len(frames)
        found = []
        for frame in frames:
            lines = dict(line.split(": ", 1) for line in frame.split("\n"))
            self.last = lines.get("id", "")
            found.append((lines["event"], json.loads(lines["data"])))
        return found


@pytest.fixture
def live(rig: WebRig) -> Iterator[WebRig]:
    for number in (1, 2):
        rig.put(f"G{number}", road="G2", section="A")
    rig.streams.startService()
    yield rig
    rig.streams.stopService()


def test_a_snapshot(live: WebRig) -> None:
    """All that the lists show, in their shapes, between `snapshot` and `live`."""
    live.store.put_all([report("G1", raised="smoke")])
    live.desk.write(incidents.refresh)
    events = Reader(live).news()
    assert [name for name, _ in events] == [
        *("snapshot", "overview", "gantry", "gantry", "incident", "live"),
    ]
    assert events[0][1] == {"events": 4}
    assert events[1][1] == live.get("/overview")
    assert [data for name, data in events if name == "gantry"] == live.get("/gantries")["gantries"]
    assert [events[4][1]] == live.get("/incidents?active=1")["incidents"]


def test_those_that_wait_for_approval(live: WebRig) -> None:
    """The page asks a person about them: they are told, and that they wait no longer."""
    reader = Reader(live)
    reader.news()
    sealing = live.desk.sealing
    live.desk.write(partial(registry.register, gantry_id="G9", code=Secret("c"), sealing=sealing))
    live.clock.advance(1)
    told = dict(reader.news())
    assert (told["gantry"]["id"], told["gantry"]["pending"]) == ("G9", True)
    assert told["overview"]["gantries"]["pending"] == 1
    assert live.ask("POST", "/gantries/approve", {"gantries": ["G9"]}).status == 200
    live.clock.advance(1)
    told = dict(reader.news())
    assert (told["gantry"]["id"], told["gantry"]["pending"]) == ("G9", False)
    assert "gone" not in told


def test_changes(live: WebRig) -> None:
    """A report changes its gantry and the counts; an incident comes, and is gone when it is over;
    what is as before is not told.
    """
    reader = Reader(live)
    reader.news()
    live.clock.advance(1)
    assert reader.news() == []
    live.store.put_all([report("G1", raised="smoke")])
    live.desk.write(incidents.refresh)
    live.clock.advance(1)
    news = reader.news()
    assert [name for name, _ in news] == ["overview", "gantry", "incident"]
    assert (news[0][1]["incidents"], news[0][1]["ledger"]["stored"]) == (1, 1)
    assert (news[1][1]["id"], news[1][1]["state"]) == ("G1", "critical")
    live.store.put_all([report("G1", live.clock.now())])
    live.desk.write(incidents.refresh)
    live.clock.advance(1)
    gone = [data for name, data in reader.news() if name == "gone"]
    assert gone == [{"kind": "incident", "id": news[2][1]["id"]}]
    live.ask("DELETE", "/gantries/G2")
    live.clock.advance(1)
    assert ("gone", {"kind": "gantry", "id": "G2"}) in reader.news()


def test_a_battery_that_counts_down_is_told_once_a_minute(live: WebRig) -> None:
    """Three thousand batteries would make as many events a second."""
    told = (Told("cabinet-1", frozenset({"mains-abnormal"}), frozenset(), 60.0, on_battery=True),)
    live.store.put_all([replace(report("G1"), told=told)])
    reader = Reader(live)
    reader.news()
    for _ in range(60):
        live.clock.advance(1)
    told_of = [data for name, data in reader.news() if name == "gantry"]
    assert len(told_of) == 1


def test_a_reader_goes_on(live: WebRig) -> None:
    """One that comes back with an id gets what came since; one of another process a snapshot."""
    first = Reader(live)
    first.news()
    first.exchange.hang_up()
    other = Reader(live)
    live.put("G1", name="new")
    live.clock.advance(1)
    other.news()
    again = Reader(live, first.last)
    assert [name for name, _ in again.news()] == ["gantry"]
    assert [name for name, _ in Reader(live, "abc-1").news()][:1] == ["snapshot"]


def test_it_rests_without_readers(
    live: WebRig, monkeypatch: pytest.MonkeyPatch, logged_failures: list[Failure]
) -> None:
    """The database is not asked for anybody who has left; a fault of it ends no stream."""
    reader = Reader(live)
    reader.news()
    asked: list[object] = []
    read = live.store.read

    def away(job: Any) -> Any:
        asked.append(job)
        return fail(NotStored("away"))

    monkeypatch.setattr(live.store, "read", away)
    live.clock.advance(1)
    live.clock.advance(1)
    assert len(asked) == 2
    assert len(logged_failures) == 1
    logged_failures.clear()
    monkeypatch.setattr(live.store, "read", read)
    live.put("G1", name="new")
    live.clock.advance(1)
    assert [name for name, _ in reader.news()] == ["gantry"]
    monkeypatch.setattr(live.store, "read", away)
    reader.exchange.hang_up()
    live.clock.advance(1)
    live.clock.advance(1)
    assert len(asked) == 2
    assert live.streams.readers == 0
