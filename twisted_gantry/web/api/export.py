"""`GET /api/v1/export/…`: points, alarms, the audit and reports as CSV or as a workbook.

A table is made in parts: the history and the store are asked for some rows, a thread formats them,
and the client takes them, before the next. So a long export costs neither memory nor the reactor.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from twisted.internet.interfaces import IReactorTime
from twisted.web.server import Request

from twisted_gantry.core.history import Row
from twisted_gantry.core.interfaces import IHistory
from twisted_gantry.core.site import Site
from twisted_gantry.core.stored import Report
from twisted_gantry.export.sending import Parts, TableSender
from twisted_gantry.export.tables import SEVERITIES_ZH, Cell, Format, local_time
from twisted_gantry.net.http.arguments import DAY, choice_of, moment_of, step_of
from twisted_gantry.net.http.json import HttpError, argument
from twisted_gantry.net.threads import InThread
from twisted_gantry.net.times import times_in
from twisted_gantry.texts.phrases import detail_in, table
from twisted_gantry.web.api import views

CELLS = 40_000
"""Values that are read, and in memory, at once."""
MOST_STEPS = 100_000  # rows of points: two months of minutes, or a day of seconds
MOST_POINTS = 16_000  # columns: a sheet has 16,384
RECORDS = 100_000  # alarms or entries of the audit: more than are kept in a year
PAGE = 200  # reports that are in memory at once
MOST_TEXTS = 2000  # details of the audit that are told in Chinese: each is searched among phrases

_HEADINGS = {
    "alarms": (
        (
            *("Raised", "Cleared", "Alarm", "Severity", "Message", "Value", "Count"),
            *("Acknowledged by", "Acknowledged at", "Note", "Ended by"),
        ),
        (
            *("发生时间", "恢复时间", "告警", "级别", "内容", "触发值", "次数"),
            *("确认人", "确认时间", "备注", "结束原因"),
        ),
    ),
    "audit": (
        ("Time", "Who", "Target", "Command", "Arguments", "Result", "Detail"),
        ("时间", "操作人", "对象", "命令", "参数", "结果", "详情"),
    ),
    "reports": (
        ("Made", "Uplink", "Kind", "Subject", "State", "Tries", "Reason", "Bytes", "Body"),
        ("生成时间", "上报通道", "类型", "对象", "状态", "尝试次数", "原因", "字节", "内容"),
    ),
}
_STATES = {"queued": "待发", "set-aside": "搁置"}


class Exports:
    """The exports of one site. `now` returns Unix seconds, `clock` times clients that read nothing,
    `in_thread` runs a blocking function.
    """

    def __init__(
        self,
        site: Site,
        history: IHistory,
        now: Callable[[], float],
        clock: IReactorTime,
        in_thread: InThread,
    ) -> None:
        self._site, self._history, self._now = site, history, now
        self._sender = TableSender(clock, in_thread)
        self._zone, self._time = ZoneInfo(site.timezone), times_in(site.timezone)

    async def send(self, request: Request, what: str) -> None:
        """Send the table `what`. Raises HttpError: 400 for a bad argument, 404 without such points,
        409 while others are sent.
        """
        form: Format = "xlsx" if choice_of(request, "format", "csv", "xlsx") == "xlsx" else "csv"
        is_zh = choice_of(request, "lang", "en", "zh") == "zh"
        now = self._now()
        until = moment_of(request, "until", now, now)
        since = moment_of(request, "since", now, max(0.0, until - DAY))
        if since >= until:
            raise HttpError(400, "bad-time", "since is before until")
        titles, parts = self._table(request, what, since, until, is_zh=is_zh)
        at = datetime.fromtimestamp(now, self._zone)
        name = f"{self._site.gantry_id}-{what}-{at:%Y%m%d-%H%M}"
        await self._sender.send(request, form, what, name, titles, parts)

    def _table(
        self, request: Request, what: str, since: float, until: float, *, is_zh: bool
    ) -> tuple[Sequence[str], Parts]:
        """Return the headings and the parts of a table."""
        if what == "points":
            return self._points(request, since, until, is_zh=is_zh)
        parts = {"alarms": self._alarms, "audit": self._audit, "reports": self._reports}
        return _HEADINGS[what][is_zh], parts[what](since, until, is_zh)

    def _points(
        self, request: Request, since: float, until: float, *, is_zh: bool
    ) -> tuple[Sequence[str], Parts]:
        prefix, catalogue = argument(request, "prefix"), self._site.points.catalogue
        points = [each.name for each in self._site.points.under(prefix)][:MOST_POINTS]
        if not points:
            raise HttpError(404, "no-such-point", "there is no point whose name begins so")
        units = [catalogue[name].unit for name in points]
        named = [f"{name} [{unit}]" if unit else name for name, unit in zip(points, units)]  # noqa: B905
        step = step_of(request) or self._history.fitting_step(since, until)
        if (until - since) / step > MOST_STEPS:
            text = f"a table has at most {MOST_STEPS} rows: a longer step, or a shorter time"
            raise HttpError(400, "bad-step", text)
        return ["时间" if is_zh else "Time", *named], self._rows(points, since, until, step)

    async def _rows(self, points: Sequence[str], since: float, until: float, step: float) -> Parts:
        width = max(1, CELLS // len(points)) * step
        begin = since - since % step
        while begin <= until:
            end = min(begin + width, until + step)
            rows = await self._history.rows(points, begin, end - 0.001, step)
            yield map(self._row, rows)
            begin = end if end < until else until + step

    def _row(self, row: Row) -> Sequence[Cell]:
        at, values = row
        return [self._local(at), *map(_rounded, values)]

    async def _alarms(self, since: float, until: float, is_zh: bool) -> Parts:
        found = await self._site.alarms.history(since, until, RECORDS)
        words = _words(is_zh)
        yield (
            (
                self._local(each.raised_at),
                self._local(each.cleared_at),
                each.name,
                SEVERITIES_ZH[each.severity.value] if is_zh else each.severity.value,
                each.zh if is_zh else each.en,
                each.value,
                each.count,
                each.acked_by,
                self._local(each.acked_at),
                each.note,
                words.get(each.ended_by, each.ended_by),
            )
            for each in found
        )

    async def _audit(self, since: float, until: float, is_zh: bool) -> Parts:
        found = await self._site.store.audit(RECORDS)
        words, detail = _words(is_zh), _Details().chinese if is_zh else str
        yield (
            (
                self._local(each.at),
                each.who,
                each.target,
                each.command,
                json.dumps(each.args, ensure_ascii=False),
                words.get(each.result, each.result),
                detail(each.detail),
            )
            for each in found
            if since <= each.at <= until
        )

    async def _reports(self, since: float, until: float, is_zh: bool) -> Parts:
        after = 0
        while page := await self._site.store.reports(None, None, PAGE, after):
            after = page[-1].id
            yield (self._report(each, is_zh) for each in page if since <= each.made.wall <= until)

    def _report(self, report: Report, is_zh: bool) -> Sequence[Cell]:
        shown = views.report(report, self._time, with_body=True)
        return (
            self._local(report.made.wall),
            report.uplink,
            report.kind,
            report.subject,
            _STATES.get(report.state, report.state) if is_zh else report.state,
            report.tries,
            report.reason,
            len(report.body),
            str(shown.body),
        )

    def _local(self, at: float | None) -> datetime | None:
        return local_time(at, self._zone)


def _words(is_zh: bool) -> Mapping[str, str]:
    return table("words") if is_zh else {}


class _Details:
    """Details of outcomes in Chinese, each text once; those beyond `MOST_TEXTS` stay as they are.

    The thread that writes the table uses it.
    """

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def chinese(self, detail: str) -> str:
        known = self._known.get(detail)
        if known is None:
            if len(self._known) >= MOST_TEXTS:
                return detail
            known = self._known[detail] = detail_in("zh", detail)
        return known


def _rounded(value: float | str | None) -> Cell:
    """Return a value with the decimals that the page shows."""
    return round(value, 3) if isinstance(value, float) else value
