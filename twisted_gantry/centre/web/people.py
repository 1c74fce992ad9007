"""Who asks, who may come in, who did what, and whether people can be called."""

from collections.abc import Callable, Mapping, Sequence

from twisted.internet.defer import Deferred

from twisted_gantry.access.people import User
from twisted_gantry.centre.interfaces import IReportStore
from twisted_gantry.centre.store import audit
from twisted_gantry.centre.web.call import Call
from twisted_gantry.centre.web.views import Views, user
from twisted_gantry.net.http.json import HttpError
from twisted_gantry.notify.interfaces import NotSent
from twisted_gantry.wire import centre_api as api
from twisted_gantry.wire.local_api import NotifyTestBody, NotifyTested

Tests = Mapping[str, Callable[[], Deferred[None]]]
"""By the names of targets: sends a test message; fails with NotSent."""


class People:
    """Answers about people. `users` are those who may come in; `targets` are called."""

    def __init__(
        self, store: IReportStore, views: Views, users: Sequence[User], targets: Tests
    ) -> None:
        self._store, self._views, self._users, self._targets = store, views, users, targets

    def whoami(self, call: Call) -> api.CentrePerson:
        roads = call.scope.roads
        return api.CentrePerson(
            call.who, call.person.role.value, None if roads is None else sorted(roads)
        )

    def users(self, call: Call) -> api.CentreUsers:
        call.scope.check_whole()
        return api.CentreUsers([user(each) for each in self._users])

    async def audit(self, call: Call) -> api.CentreAudit:
        (since, until), limit, after = call.times(), call.limit(), call.after()
        found = await self._store.read(
            lambda session: audit.entries(
                session,
                since=since,
                until=until,
                before=None if after is None else (after[0], after[1]),
                limit=limit + 1,
                roads=call.scope.roads,
                who=call.who,
            )
        )
        last = found[limit - 1] if len(found) > limit else None
        shown = [self._views.audit(each) for each in found[:limit]]
        return api.CentreAudit(shown, call.cursor(None if last is None else (last.at, last.id)))

    async def test_notify(self, call: Call) -> NotifyTested:
        """Send a test message. The status is 200 for each outcome, 404 for an unknown target."""
        call.scope.check_whole()
        name = call.body(NotifyTestBody).name
        if name not in self._targets:
            known = ", ".join(self._targets) or "none"
            why = f"there is no such target of notifications; there are: {known}"
            raise HttpError(404, "no-such-target", why)
        try:
            await self._targets[name]()
            tested = NotifyTested(name, "done")
        except NotSent as error:
            tested = NotifyTested(name, "failed", str(error))
        details = {"result": tested.result}
        await self._store.write(
            lambda session: audit.note(session, call.who, call.operation.id, name, details=details)
        )
        return tested
