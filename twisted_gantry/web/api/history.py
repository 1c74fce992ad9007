"""`GET /api/v1/history`: past values of a point, in buckets.

`since` and `until` are RFC 3339 with offset, Unix seconds, or an age (`24h`; units s, m, h, d);
`step` is seconds, or a duration such as `15m`.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.server import Request

from twisted_gantry.core.deliveries import STEP, last_day
from twisted_gantry.core.history import Series
from twisted_gantry.core.interfaces import IHistory
from twisted_gantry.core.points import Points
from twisted_gantry.core.site import Site
from twisted_gantry.net.http.arguments import DAY, moment_of, step_of
from twisted_gantry.net.http.json import HttpError, argument
from twisted_gantry.net.times import TimeText
from twisted_gantry.wire.local_api import DeliveriesView, History, QueueDay

_log = Logger()

PATIENCE = 5.0  # seconds for the disk


class HistoryView:
    """Past values of `points`. `now` returns Unix seconds. With a `clock`, a disk that does not
    answer has failed after PATIENCE.
    """

    def __init__(
        self,
        points: Points,
        history: IHistory,
        now: Callable[[], float],
        time: TimeText,
        clock: IReactorTime | None = None,
    ) -> None:
        self._points, self._history, self._now, self._time = points, history, now, time
        self._clock = clock
        self._failing = False

    async def read(self, request: Request) -> History:
        """Return past values of a point.

        `step` (seconds) may be larger than requested: there are at most 2,000 buckets.

        Raises HttpError: 400 for a bad argument, 404 for an unknown point, 503 if the history
        cannot be read.
        """
        name, now = argument(request, "point"), self._now()
        if not name:
            raise HttpError(400, "no-point", "point is the full name of a point")
        if name not in self._points.catalogue:
            raise HttpError(404, "no-such-point", "there is no such point; /api/v1/points has all")
        until = moment_of(request, "until", now, now)
        since = moment_of(request, "since", now, max(0.0, until - DAY))
        if since >= until:
            raise HttpError(400, "bad-time", "since is before until")
        series = await self._query(name, since, until, step_of(request))
        time, buckets = self._time, series.buckets
        return History(
            point=name,
            unit=self._points.catalogue[name].unit,
            since=time(since),
            until=time(until),
            step=series.step,
            samples=[(time(at) or "", least, mean, most) for at, least, mean, most in buckets],
            states=[(time(at) or "", text) for at, text in series.states],
        )

    async def deliveries(self, site: Site) -> DeliveriesView:
        """Return what became of the reports of the last day. Raises HttpError (503)."""
        now, time = self._now(), self._time
        found = await last_day(site, self._query, now)
        queues = [
            QueueDay(
                name,
                [
                    (time(at) or "", delivered, aside, dropped)
                    for at, delivered, aside, dropped in slots
                ],
            )
            for name, slots in found.items()
        ]
        return DeliveriesView(time(now - DAY), time(now), STEP, queues)

    async def _query(self, *question: Any) -> Series:
        try:
            asked = self._history.query(*question)
            if self._clock is not None:
                asked.addTimeout(PATIENCE, self._clock)
            series: Series = await asked
        except CancelledError:  # the client has disconnected
            raise
        except Exception as error:
            if not self._failing:
                _log.warn("the history cannot be read: {error}", error=str(error))
            self._failing = True
            raise HttpError(503, "history-failed", "the history cannot be read") from None
        self._failing = False
        return series
