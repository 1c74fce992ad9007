"""How a benchmark prints: a line a figure, with its bar."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred


def bar(what: str, value: float, unit: str, limit: float, *, least: bool = False) -> bool:
    """Print a figure beside its bar; True if it is met."""
    met = value >= limit if least else value <= limit
    sign = "≥" if least else "≤"
    verdict = "met" if met else "MISSED"
    print(f"  {what:<58} {value:>10.2f} {unit:<5} bar {sign} {limit:g}: {verdict}", flush=True)
    return met


def goal(what: str, value: float, must: float, stretch: float) -> bool:
    """Print a ratio beside what it must be and what it should be; True if it is what it must be."""
    verdict = "stretch" if value >= stretch else "met" if value >= must else "MISSED"
    bars = f"must ≥ {must:g}, stretch ≥ {stretch:g}"
    print(f"  {what:<58} {value:>10.2f} times {bars}: {verdict}", flush=True)
    return value >= must


def figure(what: str, value: float, unit: str) -> None:
    """Print a figure that has no bar."""
    print(f"  {what:<58} {value:>10.2f} {unit}", flush=True)


def on_reactor(work: Callable[[Any], Any]) -> Any:
    """Run a coroutine function on the real reactor, which ends with it; returns its result."""
    from twisted.internet import reactor

    anyhow: Any = reactor
    results: list[Any] = []

    def run() -> None:
        done: Deferred[Any] = ensureDeferred(work(anyhow))
        done.addBoth(results.append)
        done.addBoth(lambda _: anyhow.stop())

    anyhow.callWhenRunning(run)
    anyhow.run()
    [result] = results
    if hasattr(result, "raiseException"):
        result.raiseException()
    return result
