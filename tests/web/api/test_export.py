"""Exports: what a spreadsheet opens is what the site knows, and a long one costs nothing else."""

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from openpyxl import load_workbook

from tests.http_client import Answer, Client, Exchange, now_of
from tests.support import in_no_thread
from tests.web.small_site import START, SmallSite
from twisted_gantry.access.gate import Access, Gate
from twisted_gantry.core.alarms import Severity
from twisted_gantry.core.history import Sample
from twisted_gantry.core.stored import AuditEntry
from twisted_gantry.export import sending
from twisted_gantry.net.http import file_stream
from twisted_gantry.web.api import export
from twisted_gantry.web.api.export import Exports
from twisted_gantry.web.api.routes import LocalApi
from twisted_gantry.wire.reading import Quality

VOLTS, STATE = "ups1.input_voltage_r", "ups1.state"


class Desk:
    """A client of a site with a history; the site's ten hours begin at its START."""

    def __init__(self, small: SmallSite) -> None:
        self.small = small
        exports = Exports(small.site, small.history, small.now, small.clock, in_no_thread)
        api = LocalApi(small.site, small.history, small.now, "1", list, exports=exports)
        self.client = Client(Gate(Access(None, None), api.app.resource()))
        small.clock.advance(36_000)

    def keep(self, point: str, *samples: tuple[float, Any]) -> None:
        kept = [Sample(point, START + at, value) for at, value in samples]
        now_of(self.small.history.add(kept))

    def begin(self, what: str) -> Exchange:
        return self.client.send("GET", f"/api/v1/export/{what}")

    def get(self, what: str) -> Answer:
        return self.begin(what).ended()

    def csv(self, what: str) -> list[list[str]]:
        answer = self.get(what)
        assert answer.status == 200, answer.body
        assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
        return list(csv.reader(io.StringIO(answer.body.decode("utf-8-sig"), newline="")))

    def xlsx(self, what: str) -> list[Sequence[Any]]:
        answer = self.get(f"{what}{'&' if '?' in what else '?'}format=xlsx")
        assert answer.status == 200, answer.body
        [sheet] = load_workbook(io.BytesIO(answer.body)).worksheets
        return list(sheet.iter_rows(values_only=True))


@pytest.fixture
def desk(small: SmallSite) -> Desk:
    return Desk(small)


def test_points(desk: Desk) -> None:
    """One row a time, one column a point: means, the longest state, flags; local times."""
    desk.keep(VOLTS, (60, 220.0), (90, 230.0), (120, None))
    desk.keep(STATE, (60, "line"), (70, "battery"), (120, None))
    titles, *rows = desk.csv("points?prefix=ups1.&step=1m")
    assert titles[0] == "Time"
    volts, state = titles.index(f"{VOLTS} [V]"), titles.index(STATE)
    assert (rows[0][volts], rows[0][state]) == ("224.979", "battery")
    assert rows[0][0] == "2026-11-21 10:01:00"


def test_windows_meet(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """However the time is cut into parts, each step has one row."""
    desk.keep(VOLTS, *((float(at), float(at)) for at in range(0, 36_000, 30)))
    whole = desk.csv("points?prefix=ups1.input&step=60&since=10h")
    monkeypatch.setattr(export, "CELLS", 17)
    assert desk.csv("points?prefix=ups1.input&step=60&since=10h") == whole
    times = [row[0] for row in whole[1:]]
    assert len(times) == len(set(times)) == 601


def test_a_workbook(desk: Desk) -> None:
    """The same as numbers and times, in Chinese if asked."""
    desk.keep(VOLTS, (60, 220.0), (120, None))
    titles, *rows = desk.xlsx("points?prefix=ups1.input_voltage_r&step=1m&lang=zh")
    assert titles == ("时间", f"{VOLTS} [V]")
    assert rows[0][1] == 220.0
    assert str(rows[0][0]) == "2026-11-21 10:01:00"


def test_alarms(desk: Desk) -> None:
    """When, what, and what people did about each."""
    site = desk.small.site
    site.alarms.set("ups1.overload", Severity.CRITICAL, "overload", "过载")
    site.alarms.acknowledge("ups1.overload", "li", "=cmd()")
    titles, row = desk.csv("alarms")
    assert titles[:5] == ["Raised", "Cleared", "Alarm", "Severity", "Message"]
    assert row[2:5] == ["ups1.overload", "critical", "overload"]
    assert row[7] == "li"
    assert row[9] == "'=cmd()"
    titles, row = desk.csv("alarms?lang=zh")
    assert (titles[0], row[3], row[4]) == ("发生时间", "严重", "过载")
    assert desk.csv("alarms?until=1h") == desk.csv("alarms?until=1h")[:1]


def test_the_audit(desk: Desk) -> None:
    """Who did what; what is older than asked for is left out."""
    store = desk.small.site.store
    for number, ago in (("a", 60.0), ("b", 90_000.0)):
        at = desk.small.now() - ago
        entry = AuditEntry(number, at, "api 192.0.2.7 wang", "ups1", "BZOFF", {"n": 1}, "done")
        now_of(store.begin_command(entry))
    titles, *rows = desk.csv("audit")
    assert titles[1] == "Who"
    assert [row[1:5] for row in rows] == [["api 192.0.2.7 wang", "ups1", "BZOFF", '{"n": 1}']]


def test_the_audit_in_chinese(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results and details are told in Chinese; of many different details the rest in English."""
    monkeypatch.setattr(export, "MOST_TEXTS", 2)
    store = desk.small.site.store
    for number, detail in enumerate(("there is no alarm a", "said by a peer", "not sent: bad") * 2):
        entry = AuditEntry(f"{number}", desk.small.now(), "api", "ups1", "BZOFF", {})
        now_of(store.begin_command(entry))
        now_of(store.end_command(replace(entry, result="refused", detail=detail)))
    rows = desk.csv("audit?lang=zh")[1:]
    assert [row[5] for row in rows] == ["被拒绝"] * 6
    assert [row[6] for row in rows] == ["未发送：bad", "said by a peer", "there is no alarm a"] * 2


def test_reports_page_by_page(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each stored report once, with its body, however few are in memory at once."""
    monkeypatch.setattr(export, "PAGE", 2)
    for number in range(5):
        desk.small.add_report(body=b"body %d" % number)
    titles, *rows = desk.csv("reports?lang=zh")
    assert titles[1] == "上报通道"
    assert [row[-1] for row in rows] == [f"body {number}" for number in range(5)]
    assert {row[4] for row in rows} == {"待发"}


@pytest.mark.parametrize(
    ("what", "status", "code"),
    [
        ("points?format=pdf", 400, "bad-format"),
        ("points?lang=fr", 400, "bad-lang"),
        ("points?since=1h&until=2h", 400, "bad-time"),
        ("points?step=x", 400, "bad-step"),
        ("points?step=0.1&since=0", 400, "bad-step"),
        ("points?prefix=nobody.", 404, "no-such-point"),
    ],
)
def test_what_cannot_be_exported(desk: Desk, what: str, status: int, code: str) -> None:
    """A wrong argument is told before the first byte."""
    answer = desk.get(what)
    assert (answer.status, answer.error) == (status, code)


def test_a_client_that_takes_nothing_is_cut(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds no place for others beyond half a minute, and the place is free again."""
    desk.keep(VOLTS, *((float(at), float(at)) for at in range(0, 36_000, 30)))
    monkeypatch.setattr(export, "CELLS", 17)
    write = file_stream.BodyStream.write

    async def stall(stream: file_stream.BodyStream, chunk: bytes) -> None:
        stream.pauseProducing()
        await write(stream, chunk)

    with monkeypatch.context() as patch:
        patch.setattr(file_stream.BodyStream, "write", stall)
        stalled = [desk.begin("points?step=60") for _ in range(sending.RUNNING)]
        assert (desk.get("points").status, desk.get("points").error) == (409, "export-runs")
        desk.small.clock.advance(file_stream.STALLED)
    assert all(each.aborted for each in stalled)
    assert desk.get("points").status == 200


def test_a_client_that_leaves_frees_its_place(desk: Desk) -> None:
    """What it began is not finished."""
    for _ in range(sending.RUNNING + 1):
        exchange = desk.begin("points")
        exchange.hang_up()
    assert desk.get("points").status == 200


def test_the_file_has_a_name(desk: Desk) -> None:
    """The browser saves it under the gantry's number and the moment."""
    answer = desk.get("alarms?format=xlsx")
    name = f"{desk.small.site.gantry_id}-alarms-20261121-2000.xlsx"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'


def test_values_that_are_not_good_are_empty(desk: Desk) -> None:
    """A gap is an empty cell, not a zero."""
    desk.small.site.points.update("ups1", {"input_voltage_r": (None, Quality.GET_FAILED)})
    desk.keep(VOLTS, (0, 1.0), (60, None))
    desk.keep(STATE, (0, "line"), (60, "line"), (120, None))
    _, *rows = desk.csv("points?prefix=ups1.&step=60")
    assert any("" in row for row in rows)
