"""The picture of a door that opened, among 100,000: beside reading the folder each time."""

import os
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool

from scripts.benchmarks.process import again
from scripts.benchmarks.report import bar, figure, on_reactor
from twisted_gantry.web.remotecontrol.picture_files import PictureFolder

FILES, LOOKS, REFERENCES, NEW = 100_000, 400, 10, 10
GANTRY = "G000211001002110010"
WINDOW = 10.0
PREFIX = f"{GANTRY}_"


def digits(moment: datetime) -> str:
    """Return a moment as the names have it."""
    return moment.strftime("%Y%m%d%H%M%S%f")[:17]


def fill(folder: Path, random: Random) -> list[datetime]:
    """Make the files; returns their moments."""
    moment, moments = datetime(2025, 1, 1, tzinfo=UTC), []
    for _ in range(FILES):
        moment += timedelta(milliseconds=random.randrange(1000, 400_000))
        moments.append(moment)
        (folder / f"{PREFIX}{digits(moment)}.jpg").write_bytes(b"x")
    return moments


def by_scanning(folder: Path, wanted: str) -> str | None:
    """Find the nearest by reading the whole folder, as one would without an index."""

    def parsed(text: str) -> datetime:
        return datetime.strptime(f"{text}000", "%Y%m%d%H%M%S%f").replace(tzinfo=UTC)

    moment, best, found = parsed(wanted), timedelta(seconds=WINDOW), None
    with os.scandir(folder) as entries:
        for entry in entries:
            # Of the same minute or so, lest parsing be all that is measured.
            name = entry.name.removeprefix(PREFIX)
            if name[:10] == wanted[:10] and (away := abs(parsed(name[:17]) - moment)) <= best:
                best, found = away, entry.name
    return found


async def work(reactor: Any) -> bool:
    """Measure both in turn."""
    print(f"images: a look-up among {FILES:,} files, median of {LOOKS}")
    random = Random(1)

    async def look(pictures: PictureFolder, wanted: str) -> tuple[float, str | None]:
        began = time.perf_counter()
        found = await deferToThreadPool(
            reactor, reactor.getThreadPool(), pictures.find, wanted, time.time(), began
        )
        took = (time.perf_counter() - began) * 1000
        if found is not None:
            os.close(found.descriptor)
        return took, None if found is None else found.name

    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name)
        moments = fill(folder, random)
        await deferLater(reactor, 2.1)  # a file that changed this moment counts as half-written
        pictures = PictureFolder(folder, GANTRY, WINDOW)
        first, _ = await look(pictures, digits(moments[0] + timedelta(milliseconds=1)))
        took, reference, new = [], [], []
        for turn in range(LOOKS):
            off = timedelta(milliseconds=random.randrange(-9000, 9000))
            wanted = digits(random.choice(moments) + off)
            milliseconds, found = await look(pictures, wanted)
            took.append(milliseconds)
            if turn % (LOOKS // REFERENCES) == 0:
                began = time.perf_counter()
                expected = by_scanning(folder, wanted)
                reference.append((time.perf_counter() - began) * 1000)
                # Around the hour the reference looks through too little.
                assert found == expected or wanted[10:12] in {"00", "59"}, wanted
        for turn in range(NEW):
            (folder / f"{PREFIX}{digits(moments[-1] + timedelta(days=turn + 1))}.jpg").touch()
            new.append((await look(pictures, digits(moments[0] + timedelta(milliseconds=1))))[0])
    median = statistics.median(took)
    figure("os.scandir and parse, the same folder", statistics.median(reference), "ms")
    figure("the first look-up, which reads the names", first, "ms")
    figure("a look-up after a new file came", statistics.median(new), "ms")
    figure("the 95th percentile", statistics.quantiles(took, n=20)[-1], "ms")
    figure("scandir and parse to a look-up", statistics.median(reference) / median, "×")
    return bar("a look-up", median, "ms", 5)


def main() -> bool:
    """Run it in a process of its own."""
    return again("images")


if __name__ == "__main__":
    sys.exit(0 if on_reactor(work) else 1)
