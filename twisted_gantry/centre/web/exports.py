"""`GET /api/v1/export/…`: lists of the centre as CSV or as a workbook, page by page.

The store is asked for a page, a thread formats it, and the client takes it, before the next one.
"""

import json
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from twisted.internet.interfaces import IReactorTime

from twisted_gantry.centre.conditions import condition
from twisted_gantry.centre.interfaces import IReportStore, Job
from twisted_gantry.centre.model import GantryState
from twisted_gantry.centre.store import alarm_views, audit
from twisted_gantry.centre.store import views as stored
from twisted_gantry.centre.store.alarm_views import Struck
from twisted_gantry.centre.store.alarms import GantryAlarm
from twisted_gantry.centre.store.audit import AuditEntry
from twisted_gantry.centre.store.pages import Key, Page
from twisted_gantry.centre.store.report_pages import StoredReport, reports_of
from twisted_gantry.centre.store.views import Standing
from twisted_gantry.centre.web.call import Call
from twisted_gantry.centre.web.gantries import PENDING, of_state
from twisted_gantry.centre.web.gantry_entry import COLUMNS, KNOWN_ONLY
from twisted_gantry.export.sending import Parts, TableSender
from twisted_gantry.export.tables import SEVERITIES_ZH, Cell, Format, local_time
from twisted_gantry.net.http.json import HttpError
from twisted_gantry.net.threads import InThread

PAGE = 500  # rows that are in memory at once
MOST = 1_000_000  # rows of one table: a sheet has little more
_SECRETS = ("auth", "api_key")
_STATES = {
    "well": "正常",
    "warning": "警告",
    "critical": "严重",
    "silent": "静默",
    "maintenance": "检修",
    "never": "从未上报",
    PENDING: "待批准",
}
_HEADINGS: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "gantries": (
        [each.en for each in (*COLUMNS, *KNOWN_ONLY)],
        [each.zh for each in (*COLUMNS, *KNOWN_ONLY)],
    ),
    "template": ([each.en for each in COLUMNS], [each.zh for each in COLUMNS]),
    "alarms": (
        (
            *("Raised", "Cleared", "Gantry", "Alarm", "Severity", "Text", "Late", "Incident"),
            *("Acknowledged by", "Acknowledged at", "Note"),
        ),
        (
            *("发生时间", "恢复时间", "门架编号", "告警", "级别", "内容", "迟到", "事件"),
            *("确认人", "确认时间", "备注"),
        ),
    ),
    "incidents": (
        (
            *("Since", "Until", "Incident", "Cause", "Text", "Severity", "Road", "Section"),
            *("Gantries", "Battery minutes", "Alarms", "Acknowledged by"),
        ),
        (
            *("开始时间", "结束时间", "事件", "原因", "内容", "级别", "路线编号", "路段"),
            *("门架数", "电池剩余分钟", "告警", "确认人"),
        ),
    ),
    "reports": (
        ("Stamp", "Received", "Method", "Late", "Body"),
        ("上报时间", "接收时间", "方法", "迟到", "内容"),
    ),
    "audit": (
        ("Time", "Who", "Action", "Target", "Details"),
        ("时间", "操作人", "操作", "对象", "详情"),
    ),
}

_Read = Callable[[Any], Job[Page[Any]]]
"""Returns what reads the page behind a key, None for the first one."""


class Exports:
    """The exports. `now` returns Unix seconds, `clock` times clients that read nothing, `in_thread`
    runs a blocking function. Raises ZoneInfoNotFoundError for an unknown time zone.
    """

    def __init__(
        self,
        store: IReportStore,
        timezone: str,
        now: Callable[[], float],
        clock: IReactorTime,
        in_thread: InThread,
    ) -> None:
        self._store, self._now, self._zone = store, now, ZoneInfo(timezone)
        self._sender = TableSender(clock, in_thread)
        self._tables: dict[str, Callable[[Call, bool], Parts]] = {
            "gantries": self._gantries,
            "template": self._template,
            "alarms": self._alarms,
            "incidents": self._incidents,
            "reports": self._reports,
            "audit": self._audit,
        }

    async def send(self, call: Call) -> None:
        """Send the table of the operation. Raises HttpError: 400 for a bad argument, 404 for an
        unknown gantry, 409 while others are sent.
        """
        what = call.operation.path.rpartition("/")[2]
        form: Format = "xlsx" if call.choice("format", "csv", "xlsx") == "xlsx" else "csv"
        # People who fill in the template read Chinese unless they say otherwise.
        default = "zh" if what == "template" else "en"
        is_zh = call.choice("lang", "en", "zh", default=default) == "zh"
        parts = self._tables[what](call, is_zh)
        at = datetime.fromtimestamp(self._now(), self._zone)
        name = f"{what}-{at:%Y%m%d-%H%M}"
        titles = _HEADINGS[what][is_zh]
        await self._sender.send(call.request, form, what, name, titles, parts)

    async def _pages(self, read: _Read, row: Callable[[Any], Sequence[Cell]]) -> Parts:
        """Yield the rows of all pages."""
        after: Key | None = None
        for _ in range(MOST // PAGE):
            page = await self._store.read(read(after))
            yield map(row, page.rows)
            after = page.after
            if after is None:
                return

    def _template(self, call: Call, is_zh: bool) -> Parts:
        return _no_rows()

    def _gantries(self, call: Call, is_zh: bool) -> Parts:
        state = call.choice("state", *(each.value for each in GantryState), PENDING)
        road, section, q = call.text("road"), call.text("section"), call.text("q")

        def read(after: Key | None) -> Job[Page[Standing]]:
            return lambda session: stored.gantry_views(
                session,
                **of_state(state),
                road=road or None,
                section=section or None,
                q=q,
                after=after,
                limit=PAGE,
                roads=call.scope.roads,
            )

        def row(each: Standing) -> Sequence[Cell]:
            gantry = each.gantry
            entry = [
                "" if column.field in _SECRETS else getattr(gantry, column.field)
                for column in COLUMNS
            ]
            state = PENDING if gantry.pending else each.state.value
            return [
                *entry,
                _STATES[state] if is_zh else state,
                self._local(each.since),
                self._local(each.last_report),
                _rounded(each.battery_minutes),
                " ".join(each.alarms),
            ]

        return self._pages(read, row)

    def _alarms(self, call: Call, is_zh: bool) -> Parts:
        gantry, road, (since, until) = call.text("gantry"), call.text("road"), call.times()

        def read(after: Key | None) -> Job[Page[GantryAlarm]]:
            return lambda session: alarm_views.alarm_history(
                session,
                gantry=call.scope.gantry(session, gantry).id if gantry else None,
                road=road or None,
                since=since,
                until=until,
                after=after,
                limit=PAGE,
                roads=call.scope.roads,
            )

        def row(each: GantryAlarm) -> Sequence[Cell]:
            return [
                self._local(each.began),
                self._local(each.ended),
                each.gantry,
                each.name,
                SEVERITIES_ZH.get(each.severity, each.severity) if is_zh else each.severity,
                _text(each.name, is_zh),
                each.late,
                each.incident,
                each.acked_by,
                self._local(each.acked_at),
                each.note,
            ]

        return self._pages(read, row)

    def _incidents(self, call: Call, is_zh: bool) -> Parts:
        road, (since, until) = call.text("road"), call.times()

        def read(after: Key | None) -> Job[Page[Struck]]:
            return lambda session: alarm_views.incident_views(
                session,
                road=road or None,
                since=since,
                until=until,
                after=after,
                limit=PAGE,
                roads=call.scope.roads,
            )

        def row(each: Struck) -> Sequence[Cell]:
            incident = each.incident
            severity = incident.severity
            return [
                self._local(incident.since),
                self._local(incident.ended),
                incident.id,
                incident.cause,
                _text(incident.cause, is_zh),
                SEVERITIES_ZH.get(severity, severity) if is_zh else severity,
                incident.road,
                incident.section,
                incident.gantries,
                _rounded(each.battery_minutes),
                " ".join(each.alarms),
                each.acked_by,
            ]

        return self._pages(read, row)

    def _reports(self, call: Call, is_zh: bool) -> Parts:
        gantry, (since, until) = call.text("gantry"), call.times()
        if not gantry:
            raise HttpError(400, "no-gantry", "gantry is the id of a gantry")

        def read(after: Any) -> Job[Page[StoredReport]]:
            def job(session: Any) -> Page[StoredReport]:
                which = call.scope.gantry(session, gantry).id
                found = reports_of(
                    session, which, since=since, until=until, before=after, limit=PAGE
                )
                return Page(found, found[-1].key if len(found) == PAGE else None)

            return job

        def row(each: StoredReport) -> Sequence[Cell]:
            body = each.body.decode("utf-8", "replace")
            return [
                self._local(each.filed),
                self._local(each.received_at),
                each.method,
                each.late,
                body,
            ]

        return self._pages(read, row)

    def _audit(self, call: Call, is_zh: bool) -> Parts:
        since, until = call.times()

        def read(after: Any) -> Job[Page[AuditEntry]]:
            def job(session: Any) -> Page[AuditEntry]:
                found = audit.entries(
                    session,
                    since=since,
                    until=until,
                    before=after,
                    limit=PAGE,
                    roads=call.scope.roads,
                    who=call.who,
                )
                last = found[-1] if len(found) == PAGE else None
                return Page(found, None if last is None else (last.at, last.id))

            return job

        def row(each: AuditEntry) -> Sequence[Cell]:
            details = json.dumps(each.details, ensure_ascii=False) if each.details else ""
            return [self._local(each.at), each.who, each.action, each.target, details]

        return self._pages(read, row)

    def _local(self, at: float | None) -> datetime | None:
        return local_time(at, self._zone)


async def _no_rows() -> AsyncIterator[Iterable[Sequence[Cell]]]:
    yield []


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _text(name: str, is_zh: bool) -> str:
    about = condition(name)
    return about.zh if is_zh else about.en
