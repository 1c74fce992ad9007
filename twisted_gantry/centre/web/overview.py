"""The overview, the ledger, and whether the process itself is well."""

from collections.abc import Callable, Mapping, Sequence

from twisted_gantry.access.gate import IStranger
from twisted_gantry.centre.interfaces import IReportStore, Session
from twisted_gantry.centre.store import alarm_views, ledger, refusals, troubles
from twisted_gantry.centre.store import views as stored
from twisted_gantry.centre.web.call import Call
from twisted_gantry.centre.web.scope import Scope
from twisted_gantry.centre.web.views import Views, counts
from twisted_gantry.wire import centre_api as api

Reasons = Callable[[], tuple[Sequence[str], Sequence[str]]]
"""Returns why the process is not well, and what is worth a note; no secret is in either."""
OwnFaults = Callable[[], Sequence[troubles.Trouble]]
"""Returns the faults of this process that the database does not have; called in any thread."""
BACKLOG = 600.0
"""Seconds within which a late report makes a backlog."""


class Overviews:
    """Answers for the whole centre: `name` and `version` are its own, `role` that of the process.
    A person who is kept to roads gets the numbers of these roads; the ledger is of all, as reports
    are counted before anything is known of their gantries.
    """

    def __init__(
        self,
        store: IReportStore,
        views: Views,
        *,
        name: str,
        version: str,
        role: str,
        reasons: Reasons,
        own: OwnFaults,
    ) -> None:
        self._store, self._views = store, views
        self._name, self._version, self._role = name, version, role
        self._reasons, self._own = reasons, own

    async def overview(self, call: Call) -> api.Overview:
        return await self._store.read(lambda session: self.of(session, call.scope))

    def of(self, session: Session, scope: Scope) -> api.Overview:
        """Return the overview as of now."""
        roads = scope.roads
        found = [*self._own(), *troubles.current(session)]
        return api.Overview(
            gantries=counts(stored.overview(session, roads), _pending(session, scope)),
            incidents=alarm_views.open_incidents(session, roads),
            ledger=api.LedgerTotals(**_totals(ledger.totals(session))),
            alarms=alarm_views.open_alarms(session, roads),
            alarm_rate=alarm_views.alarm_rate(session, roads=roads),
            troubles=[self._views.trouble(each) for each in found],
            name=self._name,
            version=self._version,
            as_of=self._views.time(session.now()),
        )

    async def ledger(self, call: Call) -> api.CentreLedger:
        since = call.moment("since")

        def job(session: Session) -> tuple[Mapping[str, int], float | None]:
            return ledger.totals(session, since or 0.0), ledger.oldest_backlog(session, BACKLOG)

        found, oldest = await self._store.read(job)
        return api.CentreLedger(
            **_totals(found),
            refused_by=ledger.refusals(found),
            rejected=found.get(ledger.REJECTED, 0),
            since=self._views.time(since and since // ledger.HOUR * ledger.HOUR),
            waiting=self._store.waiting,
            oldest_backlog=self._views.time(oldest),
        )

    async def refusals(self, call: Call) -> api.RefusedList:
        limit, gantry, roads = call.limit(), call.text("gantry"), call.scope.roads
        found = await self._store.read(
            lambda session: refusals.latest(session, limit, gantry, roads)
        )
        time = self._views.time
        return api.RefusedList(
            [
                api.RefusedView(
                    *(each.gantry, each.address, each.code, each.why, each.times),
                    first_at=time(each.first_at),
                    last_at=time(each.last_at),
                )
                for each in found
            ]
        )

    def health(self, call: Call) -> api.CentreHealth:
        """Answer 503 for a process that fails. Strangers get no reason and no note."""
        reasons, notes = self._reasons()
        trouble = [] if self._store.trouble is None else [self._store.trouble]
        reasons = [*trouble, *reasons]
        status = "failing" if reasons else "ok"
        if reasons:
            call.request.setResponseCode(503)
        if IStranger.providedBy(call.request):
            return api.CentreHealth(status)
        return api.CentreHealth(status, reasons, list(notes), self._role)


def _pending(session: Session, scope: Scope) -> int:
    """Return how many gantries wait for a person; they have no road yet."""
    if scope.roads is not None:
        return 0
    [(number,)] = session.rows("SELECT count(*) FROM gantries WHERE pending = 1")
    return int(number)


def _totals(found: Mapping[str, int]) -> dict[str, int]:
    names = (ledger.STORED, ledger.DUPLICATE, ledger.LATE)
    refused = sum(ledger.refusals(found).values())
    named = {name: found.get(name, 0) for name in names}
    return {"received": ledger.received(found), "refused": refused, **named}
