"""A table as the answer to a request, at the pace of its client and in bounded memory."""

from collections.abc import AsyncIterator, Iterable, Sequence

from twisted.internet.interfaces import IReactorTime
from twisted.web.server import Request

from twisted_gantry.export.tables import Cell, Format, ITable, table_of
from twisted_gantry.net.http.file_stream import BodyStream, Client
from twisted_gantry.net.http.json import HttpError
from twisted_gantry.net.threads import InThread

RUNNING = 2  # tables that are sent at the same time; each has a thread now and then

Parts = AsyncIterator[Iterable[Sequence[Cell]]]
"""The rows of a table, part by part: one part is in memory at a time."""


class TableSender:
    """Sends tables. `clock` times clients that read nothing, `in_thread` runs what blocks."""

    def __init__(self, clock: IReactorTime, in_thread: InThread) -> None:
        self._clock, self._in_thread = clock, in_thread
        self._running = 0

    async def send(
        self,
        request: Request,
        form: Format,
        sheet: str,
        name: str,
        titles: Sequence[str],
        parts: Parts,
    ) -> None:
        """Send a table as a file of `name`, without the suffix. Raises HttpError (409) while others
        are sent, and what the first of `parts` raises.
        """
        if self._running >= RUNNING:
            raise HttpError(409, "export-runs", "other exports run; try again in a moment")
        self._running += 1
        try:
            await self._send(request, form, sheet, name, titles, parts)
        finally:
            self._running -= 1

    async def _send(
        self,
        request: Request,
        form: Format,
        sheet: str,
        name: str,
        titles: Sequence[str],
        parts: Parts,
    ) -> None:
        client, in_thread = Client(request), self._in_thread
        table: ITable = await in_thread(table_of, form, sheet)
        try:
            first: bytes = await in_thread(table.begin, titles)
            # What fails before the first byte is told with a status.
            rows = await anext(parts, None)
            request.setHeader("Content-Type", table.content_type)
            disposition = f'attachment; filename="{name}.{table.suffix}"'
            request.setHeader("Content-Disposition", disposition)
            request.setHeader("Cache-Control", "no-store")
            stream, whole = BodyStream(request, client, self._clock), False
            try:
                await stream.write(first)
                while rows is not None and not stream.over:
                    await stream.write(await in_thread(table.rows, rows))
                    rows = await anext(parts, None)
                end = await in_thread(table.end)
                while not stream.over and (chunk := await in_thread(next, end, b"")):
                    await stream.write(chunk)
                whole = True
            finally:
                stream.close(whole=whole)
        finally:
            await in_thread(table.close)
