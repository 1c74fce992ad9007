"""An hour in which everything flaps, simulated: what the Python of the gantry allocates.

Devices, platform and cloud come and go, alarms rise and fall, doors open. After ten minutes what is
bounded has filled up: alarms that ended, repeated log lines, names, points. The records of the
twin, which keeps the last thousand requests, do not count; SQLite's own memory neither.
"""

import gc
import itertools
import sys
import tracemalloc

from scripts.benchmarks.report import bar, figure
from tests.simulation.site import SimulatedSite
from twisted_gantry.twin.faults.settings import FACES

MINUTES, SETTLED = 60, 10
LIMIT_MIB = 2.0

# Changes of the world, each undone by the next one of its line.
_WORLD = (
    ({"mains.voltage": 0}, {"mains.voltage": 220}),
    ({"cab1.smoke": True}, {"cab1.smoke": False}),
    ({"cab1.force_front_door": True}, {"cab1.front_door": "closed"}),
    ({"ups1.load_w": 8400}, {"ups1.load_w": 2000}),
)
_FAULTS = ({"drop": 1}, {"garbage": 1}, {"delay": 20.0}, {"half": 1.0})


# Frames of an allocation that are looked at, to tell whether the twin made it.
FRAMES = 16
_OURS = [tracemalloc.Filter(False, "*/twisted_gantry/twin/*", all_frames=True)]


def traced() -> float:
    """Return the MiB that Python has allocated for the gantry."""
    gc.collect()
    kept = tracemalloc.take_snapshot().filter_traces(_OURS)
    return float(sum(each.size for each in kept.statistics("filename"))) / 2**20


def main() -> bool:
    """Return True when the bar is met."""
    site = SimulatedSite({}, poll=2.0)
    turns = itertools.count()
    settled = 0.0
    with site.reactor.installed():
        site.start()
        site.run(60.0)
        tracemalloc.start(FRAMES)
        for minute in range(1, MINUTES + 1):
            for _ in range(6):
                turn = next(turns)
                world = _WORLD[turn % len(_WORLD)]
                site.twin.world.change(world[turn // len(_WORLD) % 2])
                face = FACES[turn % len(FACES)]
                site.twin.faults.put(face, _FAULTS[turn % len(_FAULTS)])
                site.run(6.0)
                site.twin.faults.clear(face)
                site.run(4.0)
            if minute % 10 == 0:
                now = traced()
                settled = now if minute == SETTLED else settled
                figure(f"after {minute} minutes", now, "MiB")
        grown = traced() - settled
        tracemalloc.stop()
        site.stop()
    return bar(f"grown since minute {SETTLED}", grown, "MiB", LIMIT_MIB)


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
