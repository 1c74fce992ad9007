"""A month of 200 points as a workbook, over HTTP, from a history on the disk.

The reference is XlsxWriter alone, which writes as many cells of the same kind in the same run.
"""

import io
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThread
from twisted.internet.utils import getProcessOutput
from xlsxwriter import Workbook

from scripts.benchmarks.history import END, HOLD, NAMES, POINTS, Probe, Signals, condensed
from scripts.benchmarks.process import again
from scripts.benchmarks.report import bar, figure, on_reactor
from scripts.benchmarks.stalled import make_site
from twisted_gantry.access.gate import Access, Gate
from twisted_gantry.core.catalogue import PointType
from twisted_gantry.net.http.server import Limits, bounded_site
from twisted_gantry.net.interpreter import settle
from twisted_gantry.store.history.sqlite import open_history
from twisted_gantry.store.history.tiers import DAY
from twisted_gantry.web.api.export import Exports
from twisted_gantry.web.api.routes import LocalApi

DAYS = 31
STEP = 1800  # seconds: what the export chooses for a month


class Memory:
    """Looks at the memory of this process while it works; `grown` is MiB."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._first = self._most = self._process.memory_info().rss
        self._loop = LoopingCall(self._look)
        self._loop.start(0.05)

    def _look(self) -> None:
        self._most = max(self._most, self._process.memory_info().rss)

    def stop(self) -> float:
        """End, and return what was taken at most."""
        self._loop.stop()
        return (self._most - self._first) / 2**20


def alone(rows: int, columns: int) -> float:
    """Return the seconds in which XlsxWriter alone writes a table of numbers."""
    began, at = time.perf_counter(), datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None)
    book = Workbook(io.BytesIO(), {"constant_memory": True})
    sheet, form = book.add_worksheet(), book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
    for row in range(rows):
        sheet.write_datetime(row, 0, at, form)
        for column in range(1, columns):
            sheet.write_number(row, column, row * 0.125 + column)
    book.close()
    return time.perf_counter() - began


async def work(reactor: Any) -> bool:
    """Measure."""
    print(f"export: {DAYS} days of {POINTS} points as a workbook")
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name)
        end = END // DAY
        condensed(folder, (end - DAYS, end, end), Signals()).close()
        site = make_site(folder, reactor)
        for device in sorted({each.partition(".")[0] for each in NAMES}):
            points = [each.partition(".")[2] for each in NAMES if each.startswith(f"{device}.")]
            site.points.declare(device, [PointType(each, "V", each, each) for each in points])
        now = END / 1000
        history = open_history(folder, reactor, lambda: now, HOLD)
        exports = Exports(site, history, lambda: now, reactor, deferToThread)
        api = LocalApi(site, history, lambda: now, "1", list, exports=exports)
        gate = Gate(Access(None, None), api.app.resource())
        factory = bounded_site(gate, reactor, Limits(), Counter())
        port: Any = await serverFromString(reactor, "tcp:0:interface=127.0.0.1").listen(factory)
        url = f"http://127.0.0.1:{port.getHost().port}/api/v1/export/points?since={DAYS}d"
        book = folder / "month.xlsx"
        settle()  # as the daemon does once it has started
        memory, probe, began = Memory(), Probe(reactor), time.perf_counter()
        await getProcessOutput("curl", ("-fsSo", str(book), f"{url}&format=xlsx"), reactor=reactor)
        took, held, grown = time.perf_counter() - began, probe.stop(), memory.stop()
        size = book.stat().st_size / 1e6
        await port.stopListening()
        await history.close()
        await site.store.close()
    reference = alone(DAYS * 86_400 // STEP, POINTS + 1)
    figure("the workbook", size, "MB")
    figure("reference: XlsxWriter alone", reference, "s")
    figure("times the reference", took / reference, "")
    return all(
        [
            bar("a month of 200 points", took, "s", 5),
            bar("memory that it takes", grown, "MiB", 30),
            bar("the reactor's longest hold", held, "ms", 20),
        ]
    )


def main() -> bool:
    """Run it in a process of its own."""
    return again("export")


if __name__ == "__main__":
    sys.exit(0 if on_reactor(work) else 1)
