"""The upkeep of the store through the local API: reports given up, and a backup."""

import os
from collections.abc import Callable
from typing import IO

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.web.server import Request

from twisted_gantry.core.commands.types import Outcome
from twisted_gantry.core.interfaces import CannotBackUp
from twisted_gantry.core.lasting import lasting
from twisted_gantry.core.site import Site
from twisted_gantry.core.stored import AuditEntry
from twisted_gantry.net.http.json import HttpError, refuse_foreign_origin, respond
from twisted_gantry.web.api.audited import audited, who_asks
from twisted_gantry.web.api.bodies import read_body
from twisted_gantry.web.api.set_aside import change_set_aside, uplinks_meant
from twisted_gantry.web.file_stream import Client, FileStream, InThread
from twisted_gantry.wire.local_api import BackupBody, DropBody, Dropped

# The HTTP statuses of what keeps a copy from being made.
_STATUS = {"backup-runs": 409, "no-room": 507, "no-history": 404, "no-file": 404}


class Maintenance:
    """Answers for one site, behind the routes of the local API.

    `now` returns Unix seconds, `clock` is for clients that take nothing, `in_thread` runs a
    blocking function.
    """

    def __init__(
        self, site: Site, now: Callable[[], float], clock: IReactorTime, in_thread: InThread
    ) -> None:
        self._site, self._now = site, now
        self._clock, self._in_thread = clock, in_thread

    async def drop(self, request: Request) -> bytes:
        """Give up reports that were set aside; return `{"dropped": <how many>}`.

        Raises HttpError: 400 for what makes no sense or lacks the `confirm`, 404 for an uplink that
        there is not.
        """
        refuse_foreign_origin(request)
        body = read_body(request, DropBody)
        if (body.ids is None) is not body.all_set_aside:
            raise HttpError(400, "bad-request", "either ids or allSetAside is needed")
        if not body.confirm:
            raise HttpError(
                400, "not-confirmed", "what is dropped is never reported: that needs confirm: true"
            )
        chosen = uplinks_meant(self._site, body.uplink)
        dropped = await lasting(self._drop(chosen, body.ids, who_asks(request)))
        return respond(request, Dropped(dropped))

    async def _drop(self, uplinks: list[str], ids: list[int] | None, who: str) -> int:
        return sum([await self._drop_one(uplink, ids, who) for uplink in uplinks])

    async def _drop_one(self, uplink: str, ids: list[int] | None, who: str) -> int:
        """Give up an uplink's reports, with an entry in the audit."""
        site = self._site
        args = {} if ids is None else {"ids": ids}
        entry = AuditEntry(site.door.new_id(), self._now(), who, uplink, "outbox-drop", args)
        return await change_set_aside(site, entry, site.store.drop_reports, ids, "reports dropped")

    async def backup(self, request: Request) -> None:
        """Send a copy of the store as of now, or of the history: an SQLite database.

        A POST, since it is no mere look: it takes the disk's time, goes into the audit, and what it
        sends holds the bodies of reports, which nothing else shows.

        Raises HttpError: 409 while another is made, 404 where there is no such file, 507 when the
        disk has no room for the copy, 500 when it fails.
        """
        refuse_foreign_origin(request)
        body = read_body(request, BackupBody)
        whole = await lasting(self._backup(request, body.history, who_asks(request)))
        if not whole:  # klein would finish what is cut off; its loss cancels this
            await request.notifyFinish()

    async def _backup(self, request: Request, history: bool, who: str) -> bool:
        """Send a copy; returns whether the client took all of it."""
        site, client = self._site, Client(request)
        copying: Deferred[IO[bytes]] = site.store.backup(history)
        request.notifyFinish().addErrback(lambda _: copying.cancel())
        try:
            file = await copying
        except CannotBackUp as error:
            raise HttpError(_STATUS.get(error.code, 500), error.code, str(error)) from None
        except CancelledError:
            if client.gone:
                return False
            raise HttpError(503, "stopping", "the gantry stops, and its store with it") from None
        # The entry comes after the copy, in which it would be one without an outcome.
        args = {"history": history}
        entry = AuditEntry(site.door.new_id(), self._now(), who, "store", "backup", args)
        with file:
            size = os.fstat(file.fileno()).st_size
            async with audited(site.store, entry) as ending:
                _describe(request, history, size)
                stream = FileStream(request, client, self._clock, self._in_thread)
                whole = not client.gone and await stream.send(file.fileno(), size)
                if whole:
                    ending.detail = f"bytes sent: {size}"
                else:
                    ending.result, ending.detail = Outcome.FAILED, "the client went away"
        return whole


def _describe(request: Request, history: bool, size: int) -> None:
    name = "history.db" if history else "gantry.db"
    request.setHeader(b"Content-Type", b"application/vnd.sqlite3")
    request.setHeader(b"Content-Length", str(size).encode())
    request.setHeader(b"Content-Disposition", f'attachment; filename="{name}"'.encode())
    request.setHeader(b"Cache-Control", b"no-store")
