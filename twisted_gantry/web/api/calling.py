"""Tests of the targets of notifications, on a person's wish."""

from collections.abc import Callable

from twisted.web.server import Request

from twisted_gantry.core.commands.types import Outcome
from twisted_gantry.core.interfaces import NotTaken
from twisted_gantry.core.lasting import lasting
from twisted_gantry.core.site import Site
from twisted_gantry.core.stored import AuditEntry
from twisted_gantry.net.http.arguments import read_body
from twisted_gantry.net.http.json import HttpError, refuse_foreign_origin
from twisted_gantry.web.api.audited import audited, who_asks
from twisted_gantry.wire.local_api import NotifyTestBody, NotifyTested


class Calling:
    """Sends test messages; each has an entry in the audit. `now` returns Unix seconds. A test goes
    on when its client disconnects.
    """

    def __init__(self, site: Site, now: Callable[[], float]) -> None:
        self._site, self._now = site, now

    async def test(self, request: Request) -> NotifyTested:
        """Send a test message; returns its outcome. Raises HttpError (400, 404)."""
        refuse_foreign_origin(request)
        body = read_body(request, NotifyTestBody)
        if body.name not in self._site.notify:
            known = ", ".join(self._site.notify) or "none"
            why = f"there is no such target of notifications; there are: {known}"
            raise HttpError(404, "no-such-target", why)
        who, number = who_asks(request), self._site.door.new_id()
        target = f"notify.{body.name}"
        return await lasting(self._test(AuditEntry(number, self._now(), who, target, "test", {})))

    async def _test(self, entry: AuditEntry) -> NotifyTested:
        name = entry.target.partition(".")[2]
        async with audited(self._site.store, entry) as ending:
            try:
                await self._site.notify[name].test()
            except NotTaken as error:
                ending.result, ending.detail = Outcome.FAILED, str(error)
        return NotifyTested(name, ending.result.value, ending.detail or None)
