"""The event stream: what a reader gets, what one that does not read costs, and how it ends."""

import re
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from tests.http_client import Client
from tests.web.api.stream_rig import GOOD, PATH, PEER, FullTransport, Listener, Rig, names
from tests.web.small_site import FakeBridge, SmallSite, small_site
from twisted_gantry.core.alarms import Severity
from twisted_gantry.core.catalogue import PointType
from twisted_gantry.core.points import Points
from twisted_gantry.net.http import event_stream as module
from twisted_gantry.net.http.event_reader import (
    CHUNK,
    KERNEL_BYTES,
    RING_BYTES,
    RING_EVENTS,
    Ring,
    chunks_of,
)
from twisted_gantry.net.http.event_stream import COMMENT, LINGER, LOOK, MOST_READERS, STALLED
from twisted_gantry.web.api.stream import GATHER, POINTS_AT_A_TIME, Stream


class TestSnapshot:
    """What comes first."""

    def test_headers(self, rig: Rig) -> None:
        """The answer has its media type, forbids caching, and says when to reconnect."""
        listener = Listener(rig)
        assert listener.head.startswith("HTTP/1.1 200 ")
        for line in (
            "Content-Type: text/event-stream; charset=utf-8",
            "Cache-Control: no-store",
            "X-Accel-Buffering: no",
        ):
            assert line.lower() in listener.head.lower()
        assert listener.body.startswith("retry: 3000\n\n")

    def test_whole(self, rig: Rig) -> None:
        """A new reader gets all parts, active alarms and points in the API's shapes; no queues."""
        rig.set(221.5)
        rig.small.site.alarms.set("ups1.overload", Severity.CRITICAL, "too much", "过载")
        rig.small.site.alarms.set("ups1.over", Severity.WARNING, "over", "结束")
        rig.small.site.alarms.clear("ups1.over")
        rig.small.add_report()
        rig.small.site.bridges["mqtt"] = FakeBridge("mqtt", rig.small.now)
        events = Listener(rig).events
        client = Client(rig.resource)
        site = client.get("/api/v1/site").json
        expected = [
            *(("device", each) for each in site["devices"]),
            *(("uplink", each) for each in site["uplinks"]),
            *(("bridge", {**each, "queues": []}) for each in site["bridges"]),
            *(("alarm", each) for each in client.get("/api/v1/alarms?active=1").json["alarms"]),
            *(("point", each) for each in client.get("/api/v1/points").json["points"]),
        ]
        assert len(expected) == 2 + 1 + 1 + 1 + 5
        assert (events[0].name, events[0].data) == ("snapshot", {"events": len(expected)})
        assert [(each.name, each.data) for each in events[1:-1]] == expected
        assert (events[-1].name, events[-1].data) == ("live", {})
        assert site["uplinks"][0]["queued"] == 1

    def test_only_its_end_has_an_id(self, rig: Rig) -> None:
        """A reader that loses the connection within the snapshot cannot resume after it."""
        events = Listener(rig).events
        assert [each.id for each in events[:-1]] == [""] * (len(events) - 1)
        assert re.fullmatch(r"[0-9a-f]+-[0-9]+", events[-1].id)

    def test_a_store_that_does_not_answer(self, rig: Rig, monkeypatch: Any) -> None:
        """Without the ledgers the snapshot comes all the same, a little later."""
        monkeypatch.setattr(rig.small.site.store, "ledger", lambda _: Deferred())
        listener = Listener(rig)
        assert listener.events == []
        rig.clock.advance(module.LOOK_WITHIN)
        [uplink] = [each.data for each in listener.events if each.name == "uplink"]
        assert (uplink["name"], uplink["ledger"]) == ("etc", None)
        assert listener.events[-1].name == "live"


class TestChanges:
    """What comes afterwards."""

    def test_a_point(self, rig: Rig) -> None:
        """A changed point is told in its shape, with the next id."""
        listener = Listener(rig)
        [*_, live] = listener.news()
        rig.told(230.0)
        [event] = listener.news()
        [shape] = [
            each
            for each in Client(rig.resource).get("/api/v1/points").json["points"]
            if each["point"] == "ups1.input_voltage_r"
        ]
        assert (event.name, event.data) == ("point", shape)
        assert event.number == live.number + 1

    def test_the_newest_alone(self, rig: Rig) -> None:
        """Of several changes of a point within a moment, the last is told, once."""
        listener = Listener(rig)
        listener.news()
        for value in (1.0, 2.0, 3.0):
            rig.set(value)
        rig.told("line", "state")
        assert [each.data["value"] for each in listener.news()] == [3.0, "line"]

    def test_nothing_new(self, rig: Rig) -> None:
        """A reading of the same value is not told, nor one that went there and back."""
        rig.set(5.0)
        listener = Listener(rig)
        listener.news()
        rig.told(5.0)
        rig.set(6.0)
        rig.told(5.0)
        rig.clock.advance(LOOK)
        assert listener.news() == []

    def test_quality(self, rig: Rig) -> None:
        """A reading that fails is told, with the last good value and its time; so is its return."""
        rig.set(5.0)
        listener = Listener(rig)
        listener.news()
        rig.points.fail("ups1", ["input_voltage_r"])
        rig.clock.advance(GATHER)
        [event] = listener.news()
        assert (event.data["value"], event.data["quality"]) == (5.0, "get-failed")
        rig.told(5.0)
        assert [each.data["quality"] for each in listener.news()] == ["good"]

    def test_true_is_not_one(self, rig: Rig) -> None:
        """A value that changes its type is told: JSON tells them apart."""
        rig.set(True, "mains_abnormal")
        listener = Listener(rig)
        listener.news()
        rig.told(1, "mains_abnormal")
        assert [each.data["value"] for each in listener.news()] == [1]

    def test_an_alarm(self, rig: Rig) -> None:
        """An alarm is told when it is raised and when it is cleared, however fast."""
        listener = Listener(rig)
        listener.news()
        rig.small.site.alarms.set("ups1.overload", Severity.CRITICAL, "too much", "过载")
        rig.small.site.alarms.clear("ups1.overload")
        rig.clock.advance(GATHER)
        raised, cleared = listener.news()
        assert (raised.name, raised.data["clearedAt"]) == ("alarm", None)
        assert (cleared.name, cleared.data["alarm"]) == ("alarm", "ups1.overload")
        assert cleared.data["clearedAt"] is not None

    def test_an_alarm_that_is_folded_anew(self, rig: Rig) -> None:
        """An alarm is told again when it explains others, or is explained, in another way."""
        alarms = rig.small.site.alarms
        alarms.set("ups1.mains-abnormal", Severity.CRITICAL, "mains abnormal", "市电异常")
        listener = Listener(rig)
        listener.news()

        def told() -> list[tuple[str, str | None, list[str]]]:
            rig.clock.advance(GATHER)
            events = [each.data for each in listener.news() if each.name == "alarm"]
            return [(each["alarm"], each["cause"], each["consequences"]) for each in events]

        alarms.set("ups1.on-battery", Severity.WARNING, "on battery", "电池放电")
        assert told() == [
            ("ups1.on-battery", "ups1.mains-abnormal", []),
            ("ups1.mains-abnormal", None, ["ups1.on-battery"]),
        ]
        alarms.set("ups1.overload", Severity.CRITICAL, "too much", "过载")
        assert told() == [("ups1.overload", None, [])]
        alarms.clear("ups1.mains-abnormal")
        assert told() == [("ups1.mains-abnormal", None, []), ("ups1.on-battery", None, [])]

    def test_a_device_an_uplink_and_a_bridge(self, rig: Rig) -> None:
        """A transition is told within a moment."""
        bridge = rig.small.site.bridges["mqtt"] = FakeBridge("mqtt", rig.small.now)
        listener = Listener(rig)
        listener.news()
        rig.small.ups.status.offline("no answer")
        rig.small.etc.status.online()
        bridge.status.online()
        rig.clock.advance(GATHER)
        told = [(each.name, each.data["name"], each.data["state"]) for each in listener.news()]
        assert told == [
            ("device", "ups1", "offline"),
            ("uplink", "etc", "online"),
            ("bridge", "mqtt", "online"),
        ]

    def test_a_ledger(self, rig: Rig) -> None:
        """A report that is stored shows at the next look, and what did not change is not told."""
        listener = Listener(rig)
        listener.news()
        rig.small.add_report()
        rig.clock.advance(LOOK)
        [event] = listener.news()
        assert (event.name, event.data["queued"], event.data["ledger"]["created"]) == (
            "uplink",
            1,
            1,
        )
        rig.clock.advance(LOOK)
        assert listener.news() == []

    def test_looks_only_while_somebody_reads(self, rig: Rig, monkeypatch: Any) -> None:
        """The store is asked at most once a second, and not at all without readers."""
        looks: list[str] = []
        ledger = rig.small.site.store.ledger

        def noted(name: str) -> Any:
            looks.append(name)
            return ledger(name)

        monkeypatch.setattr(rig.small.site.store, "ledger", noted)
        rig.clock.pump([1.0] * 5)
        assert looks == []
        listeners = [Listener(rig) for _ in range(5)]
        rig.clock.pump([0.1] * 52)
        assert 5 <= len(looks) <= 7
        for each in listeners:
            each.hang_up()
        looks.clear()
        rig.clock.pump([1.0] * 5)
        assert looks == []

    def test_a_replaced_device(self, rig: Rig) -> None:
        """A device that took the place of another, as after a reload, is watched like the first."""
        listener = Listener(rig)
        new = type(rig.small.ups)("ups1", "ups-card", rig.small.now)
        rig.small.site.devices["ups1"] = new
        rig.clock.advance(LOOK)
        listener.news()
        new.status.offline("no answer")
        rig.clock.advance(GATHER)
        assert [each.data["state"] for each in listener.news()] == ["offline"]

    def test_a_point_that_comes(self, rig: Rig) -> None:
        """A point that a device gains is told, not read yet."""
        listener = Listener(rig)
        listener.news()
        rig.points.declare("ups1", [PointType("extra", "V", "Extra", "附加")])
        rig.clock.advance(LOOK)
        assert [each.data["point"] for each in listener.news()] == ["ups1.extra"]

    def test_a_point_that_goes(self, rig: Rig) -> None:
        """When a point is no more, every reader gets a snapshot without it."""
        listener = Listener(rig)
        listener.news()
        rig.set(3.0)
        rig.points.retract("ups1", ["input_voltage_r"])
        rig.clock.advance(LOOK)
        events = listener.news()
        assert (events[0].name, events[-1].name) == ("snapshot", "live")
        assert "ups1.input_voltage_r" not in {each.data.get("point") for each in events}

    def test_a_device_that_goes(self, rig: Rig) -> None:
        """When a device is no more, every reader gets a snapshot without it."""
        listener = Listener(rig)
        listener.news()
        del rig.small.site.devices["pc1"]
        rig.clock.advance(LOOK)
        events = listener.news()
        assert names(events).count("device") == 1
        assert (events[0].name, events[-1].name) == ("snapshot", "live")

    def test_pace(self, rig: Rig) -> None:
        """Many points that change at once are told a part at a time, the newest value of each."""
        many = [PointType(f"p{i}", "V", "P", "点") for i in range(POINTS_AT_A_TIME * 2 + 7)]
        rig.points.declare("pc1", many)
        listener = Listener(rig)
        listener.news()
        rig.points.update("pc1", {each.name: (1.0, GOOD) for each in many})
        rig.clock.advance(GATHER)
        assert len(listener.news()) == POINTS_AT_A_TIME
        rig.points.update("pc1", {"p106": (2.0, GOOD)})
        rig.clock.advance(GATHER)
        assert len(listener.news()) == POINTS_AT_A_TIME
        rig.clock.advance(GATHER)
        rest = listener.news()
        assert len(rest) == 7
        assert rest[-1].data["value"] == 2.0

    def test_a_comment(self, rig: Rig) -> None:
        """A stream without news says something all the same, every 15 s."""
        listener = Listener(rig)
        before = listener.body.count("\n:\n")
        rig.clock.pump([0.5] * round(4 * COMMENT))
        assert 2 <= listener.body.count("\n:\n") - before + 1 <= 3
        assert names(listener.events)[-1] == "live"


class TestResume:
    """Who comes back."""

    def test_what_was_missed(self, rig: Rig) -> None:
        """A reader that names the last id it got gets what followed, and no snapshot."""
        first = Listener(rig)
        other = Listener(rig)
        rig.told(1.0)
        last = first.events[-1].id
        first.hang_up()
        rig.told(2.0)
        rig.told(3.0)
        again = Listener(rig, last)
        assert [each.data["value"] for each in again.events] == [2.0, 3.0]
        rig.told(4.0)
        assert [each.id for each in again.events] == [each.id for each in other.events[-3:]]
        assert rig.stream.counts["resumed"] == 1

    def test_nothing_missed(self, rig: Rig) -> None:
        """One that missed nothing gets nothing, until something changes."""
        first = Listener(rig)
        last = first.events[-1].id
        first.hang_up()
        again = Listener(rig, last)
        assert again.events == []
        rig.told(4.0)
        assert [each.data["value"] for each in again.events] == [4.0]

    def test_alone(self, rig: Rig) -> None:
        """Changes are kept for a while without readers."""
        first = Listener(rig)
        last = first.events[-1].id
        first.hang_up()
        rig.told(2.0)
        rig.clock.advance(LINGER - 1)
        assert [each.data["value"] for each in Listener(rig, last).events] == [2.0]

    def test_too_late(self, rig: Rig) -> None:
        """After a long time without readers nothing is kept; the next reader gets a snapshot."""
        first = Listener(rig)
        last = first.events[-1].id
        first.hang_up()
        rig.clock.advance(LINGER)
        assert rig.clock.getDelayedCalls() == []
        rig.set(2.0)
        assert rig.clock.getDelayedCalls() == []
        again = Listener(rig, last)
        assert names(again.events)[:1] == ["snapshot"]
        assert again.events[-1].number > int(last.partition("-")[2])

    def test_too_much(self, rig: Rig, monkeypatch: Any) -> None:
        """An id that is no longer kept gets a snapshot."""
        monkeypatch.setattr("twisted_gantry.net.http.event_reader.RING_EVENTS", 3)
        first = Listener(rig)
        Listener(rig)
        last = first.events[-1].id
        first.hang_up()
        for value in range(3):
            rig.told(float(value))
        assert len(Listener(rig, last).events) == 3
        rig.told(9.0)
        again = Listener(rig, last).events
        assert (again[0].name, again[-1].name) == ("snapshot", "live")

    @pytest.mark.parametrize(
        "strange",
        ["x", "-1", "1", "0-1", "zz-1", "{epoch}-", "{epoch}--1", "{epoch}-999", "{epoch}-0",
         "{epoch}-" + "9" * 400, "{epoch}-1\u0661", "' or 1=1"],
    )  # fmt: skip
    def test_strange_ids(self, rig: Rig, strange: str) -> None:
        """An id that was never given out gets a snapshot."""
        epoch = Listener(rig).events[-1].id.partition("-")[0]
        rig.clock.advance(1.0)
        last_id = strange.replace("{epoch}", epoch)
        if last_id == f"{epoch}-0":
            rig.stream._ring.forget()  # what the first id was after
        assert names(Listener(rig, last_id).events)[:1] == ["snapshot"]

    def test_another_process(self, rig: Rig) -> None:
        """An id of an earlier process is not taken for one of this."""
        last = Listener(rig).events[-1].id
        rig.clock.advance(5.0)
        later = Rig(rig.small)
        assert names(Listener(later, last).events)[:1] == ["snapshot"]
        later.stream.stopService()


class TestNotReading:
    """A reader that does not read."""

    def test_is_written_nothing(self, rig: Rig) -> None:
        """While it is paused nothing is written, however much happens; then all that is kept."""
        listener, other = Listener(rig), Listener(rig)
        listener.pause()
        before = len(listener.transport.value())
        for value in range(20):
            rig.told(float(value))
        rig.clock.pump([1.0] * 16)
        assert len(listener.transport.value()) == before
        listener.resume()
        assert [each.id for each in listener.events] == [each.id for each in other.events]

    def test_is_dropped_frames(self, rig: Rig, monkeypatch: Any) -> None:
        """Where more happened than is kept, it begins anew when it reads again, and is counted."""
        monkeypatch.setattr("twisted_gantry.net.http.event_reader.RING_EVENTS", 5)
        listener, other = Listener(rig), Listener(rig)
        listener.news()
        listener.pause()
        for value in range(20):
            rig.told(float(value))
        listener.resume()
        events = listener.news()
        assert (events[0].name, events[-1].name) == ("snapshot", "live")
        assert events[-1].id == other.events[-1].id
        assert rig.stream.counts["dropped"] == 1
        rig.told(99.0)
        assert [each.data["value"] for each in listener.news()] == [99.0]

    def test_is_cut_off(self, rig: Rig) -> None:
        """After a while it is disconnected without waiting for what it did not read."""
        listener, other = Listener(rig), Listener(rig)
        listener.pause()
        rig.clock.pump([1.0] * (round(STALLED) - 1))
        assert (listener.transport.disconnected, rig.stream.readers) == (False, 2)
        rig.clock.pump([1.0] * 2)
        assert listener.transport.disconnected
        assert not other.transport.disconnected
        assert (rig.stream.counts["stalled"], rig.stream.readers) == (1, 1)
        listener.hang_up()  # as a transport does then

    def test_closes_its_side(self, rig: Rig) -> None:
        """It is gone, although its answer goes on: its place is free before the next event."""
        listener = Listener(rig)
        listener.protocol.readConnectionLost()
        assert listener.transport.disconnected
        listener.hang_up()  # as a transport does then
        assert rig.stream.readers == 0

    def test_is_cut_off_alone(self, rig: Rig) -> None:
        """One that is slow, and reads again and again, stays."""
        listener = Listener(rig)
        for _ in range(4):
            listener.pause()
            rig.clock.pump([1.0] * (round(STALLED) - 5))
            listener.resume()
        assert rig.stream.readers == 1

    def test_a_snapshot_stops_half_way(self, rig: Rig) -> None:
        """A large snapshot is written in pieces: a reader that stops costs one, not all."""
        many = [PointType(f"p{i}", "V", "P" * 50, "点" * 50) for i in range(500)]
        rig.points.declare("pc1", many)
        whole = len(Listener(rig).body)
        assert whole > 5 * CHUNK
        full = FullTransport(peerAddress=PEER)  # type: ignore[no-untyped-call]
        stopper = Listener(rig, transport=full)
        for step in range(1, 4):
            assert step * CHUNK / 2 < len(stopper.body) <= step * CHUNK
            stopper.resume()
        while len(stopper.body) < whole:
            stopper.resume()
        assert stopper.events[-1].name == "live"


class TestEnd:
    """How it ends, and where it does not begin."""

    def test_stop(self, rig: Rig) -> None:
        """When the service stops, every stream ends at once, also one that is not read."""
        reading, stuck = Listener(rig), Listener(rig)
        stuck.pause()
        rig.stream.stopService()
        assert reading.transport.value().endswith(b"0\r\n\r\n")
        assert reading.transport.disconnecting
        assert stuck.transport.disconnected
        assert rig.clock.getDelayedCalls() == []
        assert rig.stream.readers == 0

    def test_stopped(self, rig: Rig) -> None:
        """What is not running turns readers away."""
        rig.stream.stopService()
        assert Listener(rig).head.startswith("HTTP/1.1 503 ")

    def test_stop_while_the_store_is_asked(self, rig: Rig, monkeypatch: Any) -> None:
        """It also stops while an answer of the store is to come, which may come later."""
        waiting: list[Deferred[Any]] = []

        def ledger(_: str) -> Deferred[Any]:
            waiting.append(Deferred())
            return waiting[-1]

        monkeypatch.setattr(rig.small.site.store, "ledger", ledger)
        Listener(rig)
        rig.stream.stopService()
        assert rig.clock.getDelayedCalls() == []
        [late] = waiting
        late.callback(None)

    def test_gone(self, rig: Rig) -> None:
        """A reader that leaves is forgotten, whichever side notices first."""
        listener = Listener(rig)
        listener.transport.producer.stopProducing()
        assert rig.stream.readers == 0
        listener.hang_up()
        Listener(rig).hang_up()
        assert rig.stream.readers == 0
        rig.told(1.0)

    def test_many(self, rig: Rig) -> None:
        """More than may read are turned away, until one leaves."""
        listeners = [Listener(rig) for _ in range(MOST_READERS)]
        refused = Listener(rig)
        assert refused.head.startswith("HTTP/1.1 503 ")
        assert "retry-after: 30" in refused.head.lower()
        assert rig.stream.counts["full"] == 1
        listeners[0].hang_up()
        assert Listener(rig).head.startswith("HTTP/1.1 200 ")

    def test_head(self, rig: Rig) -> None:
        """HEAD is answered without a stream."""
        listener = Listener(rig, method="HEAD")
        assert listener.head.startswith("HTTP/1.1 200 ")
        assert (listener.body, rig.stream.readers) == ("", 0)

    def test_not_timed_out(self, rig: Rig) -> None:
        """The bounds of the HTTP server are for requests: a stream lasts, with or without news."""
        listener = Listener(rig)
        for _ in range(300):
            rig.clock.advance(1.0)
            rig.http_clock.advance(1.0)
        assert not listener.transport.disconnecting
        assert not listener.transport.disconnected
        rig.told(1.0)
        assert names(listener.events)[-1] == "point"

    def test_counted(self, rig: Rig) -> None:
        """The counts are among those of the HTTP servers."""
        Listener(rig)
        assert rig.small.http_counts["stream"]["opened"] == 1

    def test_a_site_without(self, client: Client) -> None:
        """A resource without a stream says so."""
        assert client.get(PATH).status == 404


class _Client(Protocol):
    """Keeps what comes; `closed` fires when the server hangs up."""

    def __init__(self) -> None:
        self.data = b""
        self.closed: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(f"GET {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.closed.callback(None)


async def test_over_a_socket(small: SmallSite) -> None:
    """Over a real connection the kernel keeps little for a reader, and a stop ends it at once."""
    from twisted.internet import reactor

    real: Any = reactor
    rig = Rig(small, real)
    port: Any = await TCP4ServerEndpoint(real, 0, interface="127.0.0.1").listen(rig.factory)
    endpoint = TCP4ClientEndpoint(real, "127.0.0.1", port.getHost().port)
    client = await connectProtocol(endpoint, _Client())
    while b"event: live" not in client.data:
        await deferLater(real, 0.01)
    [guard] = rig.factory.protocols
    kept = guard.transport.getHandle().getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
    assert kept <= 2 * KERNEL_BYTES  # Linux doubles what it is told
    rig.set(231.0)
    while b"231.0" not in client.data:
        await deferLater(real, 0.01)
    rig.stream.stopService()
    await client.closed.addTimeout(5, real)
    assert client.data.endswith(b"0\r\n\r\n")
    await port.stopListening()


class TestRing:
    """What is kept."""

    @given(st.lists(st.integers(0, 3 * CHUNK), max_size=60), st.data())
    def test_gapless(self, sizes: list[int], data: st.DataObject) -> None:
        """From any number that is kept, pieces of bounded size bring all that followed."""
        ring = Ring()
        frames = [b"%d:" % i + b"x" * size for i, size in enumerate(sizes)]
        for frame in frames:
            ring.add(frame)
        assert ring.next - ring.first <= RING_EVENTS
        assert sum(map(len, frames[ring.first - 1 :])) <= RING_BYTES
        begin = place = data.draw(st.integers(ring.first, ring.next))
        got = b""
        while place < ring.next:
            place, piece = ring.since(place)
            assert len(piece) <= max(CHUNK, 3 * CHUNK + 10)
            got += piece
        assert got == b"".join(frames[begin - 1 :])
        assert ring.since(place) == (place, b"")

    def test_bounds(self) -> None:
        """The oldest go, by number and by size."""
        ring = Ring()
        for _ in range(RING_EVENTS + 10):
            ring.add(b"x")
        assert (ring.first, ring.next) == (11, RING_EVENTS + 11)
        ring.add(b"y" * RING_BYTES)
        assert ring.first == ring.next - 1

    def test_forget(self) -> None:
        """A reader that had read everything has missed an event as well."""
        ring = Ring()
        ring.add(b"x")
        at = ring.next
        ring.forget()
        assert at < ring.first == ring.next

    @given(st.lists(st.binary(min_size=1, max_size=CHUNK * 2), min_size=1, max_size=20))
    def test_pieces(self, frames: list[bytes]) -> None:
        """Pieces are the whole, none of them empty."""
        pieces = chunks_of(frames)
        assert b"".join(pieces) == b"".join(frames)
        assert all(pieces)


def test_only_while_read() -> None:
    """Without readers the stream subscribes to nothing."""
    small = small_site()
    stream = Stream(small.site, small.clock)
    stream.startService()
    points: Points = small.site.points
    before = len(points._subscribers), len(small.ups.status._subscribers)
    rig = Rig(small)
    listener = Listener(rig)
    assert len(points._subscribers) == before[0] + 1
    listener.hang_up()
    small.clock.advance(LINGER)
    assert (len(points._subscribers), len(small.ups.status._subscribers)) == before
    rig.stream.stopService()
    stream.stopService()
    small.db.close()
