"""The twin's world: what a simulated day costs, and what it costs to keep up with the clock.

It is measured as the twin runs it: with the faces that look at the world at each of its steps.
"""

import sys
import time
from random import Random
from typing import Any

from twisted.internet.task import Clock

from scripts.benchmarks.process import again
from scripts.benchmarks.report import bar, figure
from twisted_gantry.net.http.client import BoundedClient
from twisted_gantry.twin.faces.cabinet.face import CabinetTwin
from twisted_gantry.twin.faces.cfos.face import PowerBrain
from twisted_gantry.twin.faults.settings import Faults
from twisted_gantry.twin.service import STEP_S
from twisted_gantry.twin.world.model import World

DAY_S, HOUR_S, MINUTE_S = 86_400, 3_600, 60
STEPS, ROUNDS = 2_000, 3


def looked_at() -> World:
    """Return a world with the faces that watch it; nothing listens, nothing is sent."""
    world, clock = World(Random(1)), Clock()
    faults = Faults(clock.seconds, Random(1))
    PowerBrain(world.charging, faults, clock, clock.seconds)
    nobody: Any = None  # a cabinet that is not started calls nobody
    client = BoundedClient(nobody, clock)
    CabinetTwin(world.cabinet, faults, clock, clock.seconds, client, gantry_id="1", auth="")
    return world


def cpu_s(world: World, step_s: float, count: int) -> float:
    """Return the CPU time of `count` steps of the world, in seconds."""
    began = time.process_time()
    for _ in range(count):
        world.step(step_s)
    return time.process_time() - began


def eventful_day(world: World) -> float:
    """Let a day pass with a failure of the mains in each hour; return its CPU time in seconds."""
    took = 0.0
    for hour in range(DAY_S // HOUR_S):
        for at, volts in ((0, 220), (20, 0), (21, 220)):
            world.change({"mains.voltage": volts, "bms1.power": 1000 * (hour - 12)})
            minutes = {0: 20, 20: 1, 21: 39}[at]
            took += cpu_s(world, MINUTE_S, minutes)
    return took


def main() -> bool:
    """Run it in a process of its own."""
    return again("world")


def work() -> bool:
    """Measure each; a shared machine only ever adds to it, so the best of a few rounds counts."""
    print(f"world: a day in steps of a second, and {1 / STEP_S:.0f} steps a second at speed 1")
    bare = min(cpu_s(World(Random(1)), MINUTE_S, 60) for _ in range(ROUNDS)) * 24
    figure("a quiet day of a world that nobody looks at", bare, "s")
    day = eventful_day(looked_at())
    step_s = min(cpu_s(looked_at(), STEP_S, STEPS) for _ in range(ROUNDS)) / STEPS
    figure("one step at speed 1", step_s * 1e6, "µs")
    met = [
        bar("CPU of an eventful day, with its faces", day, "s", 20),
        bar("of a core at speed 1", step_s / STEP_S * 100, "%", 0.5),
    ]
    return all(met)


if __name__ == "__main__":
    sys.exit(0 if work() else 1)
