"""Own rules: what 500 of them cost while 1,000 points change every second.

The reference is the same readings at a site without a rule. A tenth of the rules is raised and
cleared again and again, the others are judged and stay as they are.
"""

import sys
import time
from random import Random

from twisted.internet.task import Clock
from twisted.logger import globalLogBeginner

from scripts.benchmarks.process import again
from scripts.benchmarks.report import bar, figure
from twisted_gantry.core.alarms import Alarms, Severity
from twisted_gantry.core.catalogue import Catalogue, PointType
from twisted_gantry.core.condition import Condition
from twisted_gantry.core.own_rules import OwnRule, OwnRules
from twisted_gantry.core.points import Points, Update
from twisted_gantry.wire.reading import Quality

DEVICES, EACH = 50, 20  # 1,000 points
RULES, SECONDS, ROUNDS = 500, 30, 3


class Site:
    """Points of many devices, and `rules` own rules over the first of them."""

    def __init__(self, rules: int) -> None:
        self.clock, self.random = Clock(), Random(1)
        now = self.clock.seconds
        self.points = Points(Catalogue(), now)
        names = [f"p{n}" for n in range(EACH)]
        for device in range(DEVICES):
            self.points.declare(f"d{device}", [PointType(each, "V", "", "") for each in names])
        self.alarms = Alarms(self.points, self.clock, now)
        self.told = 0
        self.alarms.subscribe(self._tell)
        own = OwnRules(self.points, self.alarms)
        for number in range(rules):
            point = f"d{number % DEVICES}.p{number // DEVICES}"
            high = 235.0 if number // DEVICES == 0 else 300.0
            when, clear = Condition(point, ">", high), Condition(point, "<", high - 3)
            own.add(OwnRule(f"r{number}", when, Severity.WARNING, "high", "过高", clear))

    def _tell(self, _: object) -> None:
        self.told += 1

    def readings(self, seconds: int, changing: range) -> list[list[Update]]:
        """Return what is read in so many seconds: points in `changing` change each time."""
        value = self.random.uniform
        return [
            [
                {
                    f"p{n}": (value(200, 240) if n in changing else 220.0, Quality.GOOD)
                    for n in range(EACH)
                }
                for _ in range(DEVICES)
            ]
            for _ in range(seconds)
        ]

    def cpu_share(self, changing: range) -> float:
        """Return the share of a core in percent that it takes to keep up with a second."""
        readings = self.readings(SECONDS, changing)
        began = time.process_time()
        for second in readings:
            for device, update in enumerate(second):
                self.points.update(f"d{device}", update)
            self.clock.advance(1)
        return (time.process_time() - began) / SECONDS * 100


def best(rules: int, changing: range) -> tuple[float, int]:
    """Return the least share of a few rounds, and how many alarms were told in one."""
    sites = [Site(rules) for _ in range(ROUNDS)]
    return min(site.cpu_share(changing) for site in sites), sites[0].told


def main() -> bool:
    """Run it in a process of its own."""
    return again("rules")


def work() -> bool:
    """Measure with and without rules; a shared machine only ever adds to it."""
    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False)
    every, others = range(EACH), range(RULES // DEVICES, EACH)
    print(f"rules: {RULES} own rules, {DEVICES * EACH} changing points a second")
    bare, _ = best(0, every)
    figure("the same readings without a rule", bare, "%")
    busy, told = best(RULES, every)
    quiet, _ = best(RULES, others)
    figure("with rules, of which no point changes", quiet, "%")
    figure("alarms raised and cleared in a second", told / SECONDS, "")
    figure("with rules : without", busy / bare, "")
    return bar("of a core, the rules included", busy, "%", 10)


if __name__ == "__main__":
    sys.exit(0 if work() else 1)
