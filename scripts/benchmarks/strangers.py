"""Rightful requests at each port while strangers hold all the connections that they can get."""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

from scripts.benchmarks import attackers
from scripts.benchmarks.report import bar, figure
from scripts.benchmarks.site_peers import (
    Cards,
    Ports,
    browser,
    cabinet,
    operator,
    platform,
)
from scripts.benchmarks.watched import WatchedGantry

REQUESTS, QUIET = 500, 100
KNOCKS, KNOCK_S = 100, 0.1  # a person does not log in more often
HOSTS, EACH = [f"127.0.0.{number}" for number in range(2, 6)], 400
SETTLE_S = 3.0


Ask = Callable[[int], tuple[list[float], int]]
"""Sends so many requests; returns the ms of each, and how many failed."""


def measure(one: Callable[[], bool], number: int, pause: float = 0.005) -> tuple[list[float], int]:
    """Return the ms of each request, and how many failed."""
    took, failed = [], 0
    for _ in range(number):
        began = time.perf_counter()
        failed += not one()
        took.append((time.perf_counter() - began) * 1000)
        time.sleep(pause)
    return took, failed


def knock(ports: Ports) -> tuple[list[float], int]:
    return measure(lambda: operator(ports), KNOCKS, KNOCK_S)


def results_of(cards: Cards, number: int) -> tuple[list[float], int]:
    """Return the same of the next results of the cards."""
    before, failed = len(cards.took), cards.failed
    deadline = time.monotonic() + 120
    while len(cards.took) < before + number and time.monotonic() < deadline:
        time.sleep(0.05)
    took = cards.took[before:]
    return [each * 1000 for each in took], cards.failed - failed + max(0, number - len(took))


def main() -> bool:
    """Measure port by port: quiet, then beside the strangers."""
    print(f"strangers: {len(HOSTS)} hosts with {EACH} idle connections each, reopened at once")
    ports = Ports()
    cards = Cards(ports)
    met = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data").mkdir()
        key = (
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP0yMvlYyBIHPUHkwYy3ZxbXyqyZs7kIx1Qq0H2aPz3L bench"
        )
        (folder / "data" / "manhole_authorized_keys").write_text(key)
        gantry = WatchedGantry(folder, ports.config())
        try:
            asks: tuple[tuple[str, int, Ask], ...] = (
                ("local API", ports.web, lambda n: measure(lambda: browser(ports), n)),
                ("monitor.do", ports.monitor, lambda n: measure(lambda: cabinet(ports), n)),
                ("remotecontrol.do", ports.remote, lambda n: measure(lambda: platform(ports), n)),
                ("callbacks", ports.callback, lambda n: results_of(cards, n)),
                ("manhole", ports.manhole, lambda _: knock(ports)),
            )
            only = sys.argv[1:] if __name__ == "__main__" else []
            for title, port, ask in asks:
                if only and title not in only:
                    continue
                quiet, _ = ask(QUIET)
                arguments = (HOSTS, EACH, port)
                stranger = get_context("spawn").Process(
                    target=attackers.idle, args=arguments, daemon=True
                )
                stranger.start()
                try:
                    time.sleep(SETTLE_S)
                    gantry.longest_hold()
                    beside, failed = ask(REQUESTS)
                    hold = gantry.longest_hold()
                finally:
                    stranger.terminate()
                    stranger.join()
                before, after = statistics.median(quiet), statistics.median(beside)
                figure(f"{title}: median, quiet", before, "ms")
                figure(f"{title}: median beside strangers", after, "ms")
                figure(f"{title}: 99th percentile beside strangers", _p99(beside), "ms")
                figure(f"{title}: longest hold of the reactor (CPU)", hold, "ms")
                met.append(bar(f"{title}: of {len(beside)} failed", failed, "", 0))
                met.append(bar(f"{title}: added to the median", after - before, "ms", 20))
            figure("resident at the end", gantry.resident(), "MiB")
        finally:
            gantry.stop()
            cards.stop()
    return all(met)


def _p99(took: list[float]) -> float:
    return statistics.quantiles(took, n=100)[-1]


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
