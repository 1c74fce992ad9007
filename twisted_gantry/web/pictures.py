"""Pictures and videos of doors that opened, found and sent: `getCabinetImageVedio`.

Source: `001_3191ba0a590d87d6.txt`, section 3.3; decisions: `etc-gantry.md`, "Pictures".
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.web.server import Request
from zope.interface import implementer

from twisted_gantry.web.picture_files import BeingWritten, Found, PictureFolder
from twisted_gantry.wire.etc import AUTH_HEADER, MD5_HEADER, Code, Refused
from twisted_gantry.wire.etc_commands import PictureRequest, file_time

# Pictures that are looked for, read or sent at a time: each takes a thread now and then.
MAX_AT_ONCE = 4
# Seconds in which a client has to take what was written, or it is cut off.
STALLED = 30.0
_CHUNK = 64 * 1024

InThread = Callable[..., Deferred[Any]]


class Client:
    """Whoever waits for an answer; `gone` once he hung up."""

    def __init__(self, request: Request) -> None:
        self.gone = False
        request.notifyFinish().addErrback(self._left)

    def _left(self, _: object) -> None:
        self.gone = True


class Pictures:
    """The pictures of all cabinets, in `folder`, one folder each named by the cabinet's id.

    `now` returns Unix seconds; `in_thread` runs a blocking function. Without a folder there are no
    pictures.
    """

    def __init__(
        self,
        folder: str,
        cabinets: Iterable[str],
        gantry_id: str,
        zone: ZoneInfo,
        window: float,
        *,
        clock: IReactorTime,
        now: Callable[[], float],
        in_thread: InThread,
    ) -> None:
        self._zone, self._clock, self._now, self._in_thread = zone, clock, now, in_thread
        self.busy = 0
        # Of the configured cabinets alone, and none whose id would lead elsewhere.
        self._folders = {
            each: PictureFolder(Path(folder) / each, gantry_id, window)
            for each in cabinets
            if folder and each not in {".", ".."} and "/" not in each and "\0" not in each
        }

    async def send(
        self, wanted: PictureRequest, request: Request, client: Client, auth: str
    ) -> bool:
        """Answer `request` with the picture that is wanted; `client` waits for it.

        Returns whether it took all of it. Raises Refused (1009, 1005) before anything was written.
        """
        if self.busy >= MAX_AT_ONCE:
            raise Refused(Code.TOO_FREQUENT, f"{MAX_AT_ONCE} pictures are being sent")
        self.busy += 1
        found: Found | None = None

        def left() -> bool:
            return client.gone

        try:
            folder = self._folders.get(wanted.cabinet_id)
            if folder is not None:
                time = file_time(wanted.door_open_time, self._zone)
                found = await self._in_thread(folder.find, time, self._now())
            if folder is None or found is None:
                raise Refused(Code.NO_PICTURE, "there is none")
            if left():
                return False
            md5 = await self._in_thread(folder.digest, found, left)
            if left():
                return False
            _describe(request, found, md5, auth)
            return await _Stream(request, client, self._clock, self._in_thread).send(found)
        except BeingWritten:
            raise Refused(Code.NO_PICTURE, "it is being written") from None
        finally:
            self.busy -= 1
            if found is not None:
                os.close(found.descriptor)


def _describe(request: Request, found: Found, md5: str, auth: str) -> None:
    """Set the headers of section 3.3.3."""
    request.setHeader(b"Content-Type", found.content_type.encode())
    request.setHeader(b"Content-Length", str(found.size).encode())
    request.setHeader(b"Content-Disposition", f"attachment;filename={found.name}".encode())
    request.setHeader(MD5_HEADER.encode(), md5.encode())
    request.setHeader(AUTH_HEADER.encode(), auth.encode())


@implementer(IPushProducer)
class _Stream:
    """Sends a file as fast as the client takes it; a client that takes nothing is cut off."""

    def __init__(
        self, request: Request, client: Client, clock: IReactorTime, in_thread: InThread
    ) -> None:
        self._request, self._client = request, client
        self._clock, self._in_thread = clock, in_thread
        self._waiting: Deferred[None] | None = None
        self._paused, self._stopped = False, False
        self._late: IDelayedCall | None = None

    async def send(self, found: Found) -> bool:
        """Write the file and finish the request; a file that turns out short cuts the connection.

        What was promised in Content-Length cannot be taken back. Returns whether the client took
        all of it.
        """
        request: Any = self._request
        request.registerProducer(self, True)
        at = 0
        try:
            while at < found.size and not self._over:
                length = min(_CHUNK, found.size - at)
                chunk: bytes = await self._in_thread(os.pread, found.descriptor, length, at)
                if not chunk:
                    break
                if not self._over:
                    request.write(chunk)
                    at += len(chunk)
                await self._until_taken()
        finally:
            if not self._over:
                request.unregisterProducer()
                if at < found.size:
                    self._cut()
        if self._over:
            return False
        request.finish()
        return True

    @property
    def _over(self) -> bool:
        return self._stopped or self._client.gone

    async def _until_taken(self) -> None:
        if self._paused and not self._over:
            self._waiting = Deferred()
            self._late = self._clock.callLater(STALLED, self._cut)
            await self._waiting

    def _cut(self) -> None:
        """Drop the connection: its loss ends the rest."""
        channel: Any = self._request.channel
        channel.transport.abortConnection()
        self.stopProducing()

    def pauseProducing(self) -> None:  # noqa: N802
        """Wait: the client has not taken what was written."""
        self._paused = True

    def resumeProducing(self) -> None:  # noqa: N802
        """Go on."""
        self._paused = False
        self._go_on()

    def stopProducing(self) -> None:  # noqa: N802
        """End: the connection is lost."""
        self._stopped = True
        self._go_on()

    def _go_on(self) -> None:
        late, self._late = self._late, None
        if late is not None and late.active():
            late.cancel()
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)
