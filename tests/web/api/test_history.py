"""`GET /api/v1/history`: its shape, its arguments, what it refuses."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from klein import Klein
from twisted.internet.defer import CancelledError, Deferred
from twisted.web.server import Request

from tests.http_client import Client, now_of
from tests.web.small_site import START, SmallSite
from twisted_gantry.core.history import Sample, Series
from twisted_gantry.net.http.arguments import length_of, time_of
from twisted_gantry.net.http.json import handle_errors, respond
from twisted_gantry.net.times import times_in
from twisted_gantry.store.history.schema import MIGRATIONS
from twisted_gantry.store.history.sqlite import SqliteHistory
from twisted_gantry.store.writer import InlineWriter
from twisted_gantry.web.api.history import PATIENCE, HistoryView

POINT = "ups1.input_voltage_r"
HISTORY = "/api/v1/history"


class Api:
    app = Klein()

    def __init__(self, view: HistoryView) -> None:
        self._view = view

    @app.route(HISTORY, methods=["GET"])
    async def history(self, request: Request) -> bytes:
        return respond(request, await self._view.read(request))


handle_errors(Api.app)


@dataclass
class Desk:
    """A client of a site that has a history, in memory."""

    small: SmallSite
    db: sqlite3.Connection
    history: SqliteHistory
    client: Client

    def keep(self, *samples: tuple[float, float | None], point: str = POINT) -> None:
        """Keep samples; their times are seconds since the start."""
        now_of(self.history.add([Sample(point, START + at, value) for at, value in samples]))

    def times(self, query: str) -> list[str]:
        answer = self.client.get(f"{HISTORY}?point={POINT}&{query}")
        assert answer.status == 200, answer.body
        return [time for time, *_ in answer.json["samples"]]


@pytest.fixture
def desk(small: SmallSite) -> Iterator[Desk]:
    """Return a site whose history is empty, an hour after its start."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    for script in MIGRATIONS:
        db.executescript(script)
    history = SqliteHistory(InlineWriter(db), small.now, 90.0)
    view = HistoryView(
        small.site.points, history, small.now, times_in("Asia/Shanghai"), small.clock
    )
    small.clock.advance(3600)
    yield Desk(small, db, history, Client(Api(view).app.resource()))
    db.close()


def test_shape(desk: Desk) -> None:
    """Point, unit, span, step and samples: time with the site's offset, min, mean, max."""
    desk.keep((0, 220.0), (20, 221.0), (29.75, None))
    answer = desk.client.get(f"{HISTORY}?point={POINT}&step=60")
    assert answer.json == {
        "point": POINT,
        "unit": "V",
        "since": "2026-11-20T11:00:00.250+08:00",
        "until": "2026-11-21T11:00:00.250+08:00",
        "step": 60.0,
        "states": [],
        "samples": [
            [
                "2026-11-21T10:00:00.000+08:00",
                220.0,
                pytest.approx((220 * 20 + 221 * 9.75) / 29.75),
                221.0,
            ]
        ],
    }
    assert answer.headers["Cache-Control"] == "no-store"


def test_only_the_point_is_required(desk: Desk) -> None:
    """Without the rest it is the day before now, in at most 2,000 buckets, the running one too."""
    desk.keep(*((at, 1.0) for at in range(-90_000, 3601, 60)))
    samples = desk.client.get(f"{HISTORY}?point={POINT}").json["samples"]
    assert 1400 < len(samples) <= 2000
    assert samples[0][0].startswith("2026-11-20T11:00")
    assert samples[-1][0].startswith("2026-11-21T11:00")


def test_a_point_without_history(desk: Desk) -> None:
    """A point that was never read, or is a text, has no samples; it is no error."""
    for point in (POINT, "ups1.state"):
        answer = desk.client.get(f"{HISTORY}?point={point}")
        assert (answer.status, answer.json["samples"]) == (200, [])


def test_gaps_are_left_out(desk: Desk) -> None:
    """A time in which the point was not good has no bucket, and certainly no zero."""
    desk.keep((0, 5.0), (60, None), (600, 6.0), (660, None))
    found = desk.times("step=60")
    assert [time[11:19] for time in found] == ["10:00:00", "10:01:00", "10:10:00", "10:11:00"]


@pytest.mark.parametrize(
    ("query", "times"),
    [
        ("since=2026-11-21T10:01:00%2B08:00&until=2026-11-21T10:02:59%2B08:00", ["01", "02"]),
        ("since=2026-11-21T10:01:00+08:00&until=2026-11-21T10:02:59+08:00", ["01", "02"]),
        ("since=2026-11-21T02:01:00Z&until=2026-11-21T02:02:59.999Z", ["01", "02"]),
        ("since=2026-11-20t22:01:00.5-04:00&until=2026-11-21T02:02:59z", ["01", "02"]),
        ("since=1795226460&until=1795226579.5", ["01", "02"]),
        ("since=3540s&until=1795226579", ["01", "02"]),
        ("since=59m&until=58m", ["01", "02"]),
        ("since=1h&until=2026-11-21T10:00:30Z", ["00", "01", "02", "03"]),
        ("since=1d&until=1795226579", ["00", "01", "02"]),
    ],
)
def test_times(desk: Desk, query: str, times: list[str]) -> None:
    """A time is RFC 3339 with an offset, Unix seconds, or so long ago."""
    desk.keep(*((at - 0.25, 1.0) for at in range(0, 240, 30)), (239.0, None))
    assert [time[14:16] for time in desk.times(f"step=60&{query}")] == times


@pytest.mark.parametrize(
    ("step", "used"), [("60", 60.0), ("2.5", 2.5), ("15m", 900.0), ("1h", 3600)]
)
def test_steps(desk: Desk, step: str, used: float) -> None:
    """A step is seconds, or a length of time."""
    answer = desk.client.get(f"{HISTORY}?point={POINT}&since=30m&step={step}")
    assert answer.json["step"] == used


def test_a_step_that_is_too_small_is_widened(desk: Desk) -> None:
    """However small a step and large a span, there are at most 2,000 buckets."""
    desk.keep(*((at, 1.0) for at in range(0, 3600, 60)))
    answer = desk.client.get(f"{HISTORY}?point={POINT}&since=0&until=253402214400&step=0.1")
    assert answer.status == 200
    assert answer.json["step"] > 1e6
    assert len(desk.times("since=1h&step=1")) <= 2000


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("", 400, "no-point"),
        ("?point=", 400, "no-point"),
        ("?point=ups1.nothing", 404, "no-such-point"),
        ("?point=input_voltage_r", 404, "no-such-point"),
        ("?point=%ff", 404, "no-such-point"),
        *(
            (f"?point={POINT}&{more}", 400, code)
            for more, code in (
                ("since=yesterday", "bad-time"),
                ("since=2026-11-21", "bad-time"),
                ("since=2026-11-21T10:00:00", "bad-time"),
                ("since=2026-13-21T10:00:00Z", "bad-time"),
                ("since=2026-11-21T10:00:00%2B25:00", "bad-time"),
                ("since=-5", "bad-time"),
                ("since=nan", "bad-time"),
                ("since=1e9", "bad-time"),
                ("since=9999999999999", "bad-time"),
                ("since=%D9%A1", "bad-time"),
                ("until=999999999999", "bad-time"),
                ("since=0001-01-01T00:00:00Z", "bad-time"),
                ("since=9999-12-31T23:59:59-23:59", "bad-time"),
                ("since=1700000000&until=1700000000", "bad-time"),
                ("since=1h&until=2h", "bad-time"),
                ("step=0", "bad-step"),
                ("step=-1", "bad-step"),
                ("step=0.01", "bad-step"),
                ("step=inf", "bad-step"),
                ("step=1y", "bad-step"),
                ("step=" + "9" * 5000, "bad-step"),
            )
        ),
    ],
)
def test_bad(desk: Desk, query: str, status: int, code: str) -> None:
    """An unknown point is a 404, a bad argument a 400, as JSON errors."""
    answer = desk.client.get(HISTORY + query)
    assert (answer.status, answer.error) == (status, code)


@given(st.text(alphabet="0123456789T:+-.Zzsmhd ", max_size=40))
def test_any_text_is_answered(text: str) -> None:
    """No text in place of a time or step fails otherwise than by saying so."""
    found = time_of(text)
    assert found is None or isinstance(found, float)
    length = length_of(text)
    assert length is None or length >= 0


def test_a_failing_disk(desk: Desk) -> None:
    """What cannot be read is a 503, without a word of the inside, and works again afterwards."""
    desk.db.execute("ALTER TABLE point RENAME TO gone")
    answer = desk.client.get(f"{HISTORY}?point={POINT}")
    assert (answer.status, answer.error) == (503, "history-failed")
    assert b"table" not in answer.body
    desk.db.execute("ALTER TABLE gone RENAME TO point")
    assert desk.client.get(f"{HISTORY}?point={POINT}").status == 200


def test_a_disk_that_hangs(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that does not answer has failed after some seconds: the client hears of it."""
    asked: Deferred[Series] = Deferred()
    monkeypatch.setattr(desk.history, "query", lambda *_: asked)
    exchange = desk.client.send("GET", f"{HISTORY}?point={POINT}")
    desk.small.clock.advance(PATIENCE - 0.1)
    assert not exchange.answered
    desk.small.clock.advance(0.2)
    assert (exchange.answer().status, exchange.answer().error) == (503, "history-failed")
    asked.callback(Series(60.0, []))  # late: nobody waits
    monkeypatch.undo()
    assert desk.client.get(f"{HISTORY}?point={POINT}").status == 200


def test_the_client_disconnects(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that goes away while the history is read is no failure of the disk."""
    asked: Deferred[Series] = Deferred()
    monkeypatch.setattr(desk.history, "query", lambda *_: asked)
    exchange = desk.client.send("GET", f"{HISTORY}?point={POINT}")
    assert not exchange.answered
    exchange.hang_up()
    seen: list[object] = []
    asked.addErrback(lambda failure: seen.append(failure.type))
    assert seen in ([], [CancelledError])
    monkeypatch.undo()
    assert desk.client.get(f"{HISTORY}?point={POINT}").status == 200
