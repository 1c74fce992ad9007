"""Reports that were set aside: to be queued again, or to be given up for good."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.web.server import Request

from twisted_gantry.core.lasting import lasting
from twisted_gantry.core.site import Site
from twisted_gantry.core.stored import AuditEntry, Ledger
from twisted_gantry.net.http.arguments import read_body
from twisted_gantry.net.http.json import HttpError, refuse_foreign_origin
from twisted_gantry.web.api.audited import audited, who_asks
from twisted_gantry.wire.local_api import DropBody, Dropped, Retried, RetryBody

Change = Callable[[str, list[int] | None], Deferred[Any]]
"""Changes reports of an uplink in the store; gives their number."""


def check_uplink(site: Site, name: str) -> None:
    """Raise HttpError (404), which names the queues of the site, unless `name` is one of them."""
    if name not in site.queues():
        known = ", ".join(site.queues()) or "none"
        raise HttpError(404, "no-such-uplink", f"there is no such uplink; there are: {known}")


class SetAside:
    """Changes reports that were set aside; each change has an entry in the audit.

    `now` returns Unix seconds. A change that was begun goes on when its client disconnects.
    """

    def __init__(self, site: Site, now: Callable[[], float]) -> None:
        self._site, self._now = site, now

    async def retry(self, request: Request) -> Retried:
        """Queue reports again, and let their uplinks send now. Raises HttpError (400, 404)."""
        refuse_foreign_origin(request)
        body = read_body(request, RetryBody)
        change = self._site.store.retry_reports
        count = await self._change(request, body, "retry", change, "reports queued again")
        return Retried(count)

    async def drop(self, request: Request) -> Dropped:
        """Give up reports. Raises HttpError: 400 also without `confirm`, 404."""
        refuse_foreign_origin(request)
        body = read_body(request, DropBody)
        if (body.ids is None) is not body.all_set_aside:
            raise HttpError(400, "bad-request", "either ids or allSetAside is needed")
        if not body.confirm:
            raise HttpError(
                400, "not-confirmed", "what is dropped is never reported: that needs confirm: true"
            )
        change = self._site.store.drop_reports
        return Dropped(await self._change(request, body, "drop", change, "reports dropped"))

    def _change(
        self, request: Request, body: RetryBody, verb: str, change: Change, said: str
    ) -> Deferred[int]:
        if body.uplink is not None:
            check_uplink(self._site, body.uplink)
        chosen = list(self._site.queues()) if body.uplink is None else [body.uplink]
        args = {} if body.ids is None else {"ids": body.ids}
        who = who_asks(request)

        async def change_each() -> int:
            count = 0
            for uplink in chosen:
                number, command = self._site.door.new_id(), f"outbox-{verb}"
                entry = AuditEntry(number, self._now(), who, uplink, command, args)
                count += await self._change_one(entry, change, body.ids, said)
                # Even if no report was set aside: a report may wait for the end of a pause.
                if verb == "retry":
                    self._site.queues()[uplink].retry()
            return count

        return lasting(change_each())

    async def _change_one(
        self, entry: AuditEntry, change: Change, ids: list[int] | None, said: str
    ) -> int:
        site, uplink = self._site, entry.target
        async with audited(site.store, entry) as ending:
            count: int = await change(uplink, ids)
            ledger: Ledger = await site.store.ledger(uplink)
            ending.detail = f"{said}: {count}"
        if ledger.set_aside == 0:
            site.alarms.clear(f"{uplink}.set-aside")
        return count
