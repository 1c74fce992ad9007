"""`[[alarm]]`: alarms of the site's own making, over any points, each named `rule.<name>`.

A rule is judged when one of its points changes, and costs nothing otherwise. A missing value
neither raises nor clears the alarm; life cycle, flap control and store are those of every alarm.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from twisted.logger import Logger

from twisted_gantry.core.alarms import Alarms, Read, Rule, Severity, Watch
from twisted_gantry.core.condition import Condition
from twisted_gantry.core.points import Batch, Point, Points

_log = Logger()

SOURCE = "rule"
"""The beginning of the names of these alarms; no device may be called so."""


@dataclass(frozen=True)
class OwnRule:
    """The alarm is raised when `when` has held for `delay` seconds, and is over when `clear` holds;
    without `clear`, when `when` does not hold. `group` is that of the cabinet report whose
    `warningMsg` tells the platform, empty for none.
    """

    name: str
    when: Condition
    severity: Severity
    en: str
    zh: str
    clear: Condition | None = None
    delay: float = 0.0
    group: str = ""

    @property
    def subject(self) -> str:
        """The device or part that has the point of `when`."""
        return self.when.point.rpartition(".")[0]

    @property
    def points(self) -> set[str]:
        return {each.point for each in (self.when, self.clear) if each is not None}

    def test(self, read: Read, raised: bool) -> bool | None:
        """Judge as `Rule.test`. The point of `when` is read last: its value is the alarm's."""
        if not raised or self.clear is None:
            return self.when.holds(read(self.when.point).good)
        over = self.clear.holds(read(self.clear.point).good)
        read(self.when.point)
        return None if over is None else not over

    def rule(self) -> Rule:
        texts = self.en, self.zh
        return Rule(
            self.name,
            self.severity,
            *texts,
            self.test,
            self.group,
            self.delay,
            subject=self.subject,
        )


class OwnRules:
    """The own rules of a site, indexed by point; they come and go one by one."""

    def __init__(self, points: Points, alarms: Alarms) -> None:
        self._points, self._alarms = points, alarms
        self._by_point: dict[str, list[Watch]] = defaultdict(list)
        points.subscribe(self._changed)

    def add(self, rule: OwnRule) -> Callable[[], None]:
        """Judge a rule from now on; returns the end of that, which leaves its alarm as it is."""
        watch = Watch(SOURCE, rule.rule(), self._alarms, self._read)
        for point in rule.points:
            self._by_point[point].append(watch)

        def end() -> None:
            watch.stop()
            for point in rule.points:
                self._by_point[point].remove(watch)
                if not self._by_point[point]:
                    del self._by_point[point]

        watch.evaluate()
        return end

    def _read(self, name: str) -> Point:
        return self._points.get(name) or Point(name)  # a part comes and goes with its device

    def _changed(self, device: str, batch: Batch) -> None:
        by_point = self._by_point
        for change in batch:
            old, new = change.old, change.new
            if new.name not in by_point:
                continue
            if new.value == old.value and new.quality is old.quality:
                continue
            for watch in by_point[new.name]:
                try:
                    watch.evaluate()
                except Exception:
                    _log.failure("the rule {rule} failed", rule=watch.name)
