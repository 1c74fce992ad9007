"""`POST /api/v1/backup`: a copy of the store, or of the history."""

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
from twisted_gantry.net.http.arguments import read_body
from twisted_gantry.net.http.file_stream import BodyStream, Client, send_file
from twisted_gantry.net.http.json import HttpError, refuse_foreign_origin
from twisted_gantry.net.threads import InThread
from twisted_gantry.web.api.audited import audited, who_asks
from twisted_gantry.wire.local_api import BackupBody

# The HTTP status for each reason why no copy is made.
_STATUS = {"backup-runs": 409, "no-room": 507, "no-history": 404, "no-file": 404}


class Maintenance:
    """Sends copies of the store of one site.

    `now` returns Unix seconds, `clock` times clients that read nothing, `in_thread` runs a
    blocking function.
    """

    def __init__(
        self, site: Site, now: Callable[[], float], clock: IReactorTime, in_thread: InThread
    ) -> None:
        self._site, self._now = site, now
        self._clock, self._in_thread = clock, in_thread

    async def backup(self, request: Request) -> None:
        """Send a copy of the store as of now, or of the history: an SQLite database.

        The method is POST: a copy loads the disk, is written into the audit, and has the bodies of
        all reports.

        Raises HttpError: 409 during another copy, 404 if the file does not exist, 507 if the disk
        has no room for the copy, 500 if the copy fails.
        """
        refuse_foreign_origin(request)
        body = read_body(request, BackupBody)
        whole = await lasting(self._backup(request, body.history, who_asks(request)))
        if not whole:  # klein would finish the request; the loss of the connection cancels this
            await request.notifyFinish()

    async def _backup(self, request: Request, history: bool, who: str) -> bool:
        """Send a copy; returns whether the client received all of it."""
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
        # The entry is made after the copy: inside the copy it would be without an outcome.
        args = {"history": history}
        entry = AuditEntry(site.door.new_id(), self._now(), who, "store", "backup", args)
        with file:
            size = os.fstat(file.fileno()).st_size
            async with audited(site.store, entry) as ending:
                _describe(request, history, size)
                whole = not client.gone and await send_file(
                    BodyStream(request, client, self._clock), self._in_thread, file.fileno(), size
                )
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
