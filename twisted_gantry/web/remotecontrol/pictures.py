"""`getCabinetImageVedio`: the picture or video of a door that opened.

Source: the ETC document, section 3.3; decisions: `docs/protocols/etc-gantry.md`, "Pictures".
"""

import os
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from zoneinfo import ZoneInfo

from twisted.internet.interfaces import IReactorTime
from twisted.web.server import Request

from twisted_gantry.core.interfaces import Picture
from twisted_gantry.net.http.file_stream import BodyStream, Client, send_file
from twisted_gantry.net.threads import InThread
from twisted_gantry.web.remotecontrol.cameras import as_file
from twisted_gantry.web.remotecontrol.picture_files import BeingWritten, Found, PictureFolder
from twisted_gantry.wire.etc.commands import PictureRequest, file_time
from twisted_gantry.wire.etc.envelope import (
    AUTH_HEADER,
    MD5_HEADER,
    EtcCode,
    EtcRefused,
    local_time,
    same_id,
)

Below = Callable[[str, str], Awaitable[Picture | None]]
"""Asks a cabinet, by its id, for the picture of a door that opened at a local time."""

MAX_AT_ONCE = 4  # pictures that are searched, read or sent at a time; each uses a thread at times


class Pictures:
    """The pictures of all cabinets: in `folder`, a folder for each named by the cabinet's id.
    `window` is seconds, as in `PictureFolder`. `now` returns Unix seconds; `in_thread` runs a
    blocking function. What the folder lacks is asked of the cabinet: `below(cabinet, opened)`.
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
        below: Below,
    ) -> None:
        self._below = below
        self._zone, self._clock, self._now, self._in_thread = zone, clock, now, in_thread
        self.busy = 0
        # Only for configured cabinets, and not for an id that would lead out of the folder.
        self._folders = {
            same_id(each): PictureFolder(Path(folder) / each, gantry_id, window)
            for each in cabinets
            if folder and each not in {".", ".."} and "/" not in each and "\0" not in each
        }

    async def send(
        self, wanted: PictureRequest, request: Request, client: Client, auth: str
    ) -> bool:
        """Answer `request` with a picture; returns whether `client` took all of it. Raises
        EtcRefused (1009, 1005) before anything was written.
        """
        if self.busy >= MAX_AT_ONCE:
            raise EtcRefused(EtcCode.TOO_FREQUENT, f"{MAX_AT_ONCE} pictures are being sent")
        self.busy += 1
        found: Found | None = None
        md5 = ""
        try:
            folder = self._folders.get(wanted.cabinet_id)
            if folder is not None:
                time = file_time(wanted.door_open_time, self._zone)
                found = await self._in_thread(folder.find, time, self._now(), self._clock.seconds())
            if found is None:
                picture = await self._from_below(wanted)
                found, md5 = await self._in_thread(as_file, picture)
            elif folder is not None and not client.gone:
                md5 = await self._in_thread(folder.digest, found, lambda: client.gone)
            if client.gone:
                return False
            _describe(request, found, md5, auth)
            stream = BodyStream(request, client, self._clock)
            return await send_file(stream, self._in_thread, found.descriptor, found.size)
        except BeingWritten:
            raise EtcRefused(EtcCode.NO_PICTURE, "it is being written") from None
        finally:
            self.busy -= 1
            if found is not None:
                os.close(found.descriptor)

    async def _from_below(self, wanted: PictureRequest) -> Picture:
        """Return the picture that the cabinet itself has. Raises EtcRefused (1009)."""
        opened = local_time(wanted.door_open_time, self._zone)
        picture = await self._below(wanted.cabinet_id, opened)
        if picture is None:
            raise EtcRefused(EtcCode.NO_PICTURE, "there is none")
        return picture


def _describe(request: Request, found: Found, md5: str, auth: str) -> None:
    # Section 3.3.3.
    request.setHeader(b"Content-Type", found.content_type.encode())
    request.setHeader(b"Content-Length", str(found.size).encode())
    request.setHeader(b"Content-Disposition", f"attachment;filename={found.name}".encode())
    request.setHeader(MD5_HEADER.encode(), md5.encode())
    request.setHeader(AUTH_HEADER.encode(), auth.encode())
