"""Rules over the points of a device or its parts, judged as readings come."""

from collections.abc import Iterator
from operator import is_
from typing import Protocol

from twisted.internet.interfaces import IReactorTime

from twisted_gantry.core.conditions import ConditionCore, condition_machine
from twisted_gantry.core.points import Point
from twisted_gantry.core.rules import Read, Rule
from twisted_gantry.wire.reading import Value


class AlarmBoard(Protocol):
    """What a rule is judged for."""

    clock: IReactorTime

    def reader(self, prefix: str) -> Read: ...  # reads points by their names without `prefix`

    def claim(self, name: str) -> bool:
        """Tell whether the alarm is raised already, since before the rule was watched."""

    def rule_holds(self, name: str, rule: Rule, value: Value) -> None: ...

    def clear(self, name: str) -> None: ...


class Watch:
    """One alarm: a rule over the points of `subject`, a device or a part, or over those that `read`
    reads.
    """

    def __init__(
        self, subject: str, rule: Rule, board: AlarmBoard, read: Read | None = None
    ) -> None:
        self.name = f"{subject}.{rule.name}"
        self.rule, self._board = rule, board
        self._core = ConditionCore(
            board.clock, self._tell, rule.delay, rule.clear_delay, rule.silence_grace
        )
        machine = condition_machine(self._core)
        self.stop = machine.stop
        self._judge = {True: machine.holds, False: machine.gone, None: machine.silent}
        self._last: bool | None = None
        self._read = read or board.reader(f"{subject}.")
        self._seen: list[Point] = []
        self._in_a_row = 0
        if board.claim(self.name):
            machine.remembered()

    @property
    def bad(self) -> bool:
        return self._core.bad

    def evaluate(self) -> None:
        """Judge the points again; the same verdict again is no event."""
        if self.rule.readings > 1:
            self._evaluate_readings()
            return
        self._take(self.rule.test(self._read, self._core.raised))

    def end(self) -> None:
        """Stop, and clear the alarm: the points are gone."""
        self.stop()
        self._board.clear(self.name)

    def _take(self, holds: bool | None) -> None:
        if holds is not self._last:
            self._last = holds
            self._judge[holds if holds is None else bool(holds)]()

    def _evaluate_readings(self) -> None:
        """Judge as `evaluate`. A reading that needs another one is followed by silence: the delay
        runs, and the next reading decides.
        """
        holds, seen = self._test()
        known, self._seen = self._seen, seen
        if len(seen) == len(known) and all(map(is_, seen, known)):
            return  # a reading of other points
        if holds is not None:
            self._in_a_row = self._in_a_row + 1 if holds else 0
        self._take(holds)
        if holds and self._in_a_row < self.rule.readings and not self._core.raised:
            self._take(None)

    def _test(self) -> tuple[bool | None, list[Point]]:
        """Return the verdict, and the points that it was made of."""
        seen: list[Point] = []

        def read(name: str) -> Point:
            seen.append(self._read(name))
            return seen[-1]

        return self.rule.test(read, self._core.raised), seen

    def _tell(self, raised: bool) -> None:
        if raised:
            self._board.rule_holds(self.name, self.rule, self._value())
        else:
            self._board.clear(self.name)

    def _value(self) -> Value:
        """Return the value that raises the alarm: of the points that make the verdict the last one
        with a value, since a test ends at the first that is bad.
        """
        _, seen = self._test()
        return next((point.good for point in reversed(seen) if point.good is not None), None)


class PartWatches:
    """The alarms of one rule for the parts of a device, as these come and go."""

    def __init__(self, device: str, rule: Rule, board: AlarmBoard) -> None:
        self._device, self._rule, self._board = device, rule, board
        self._watches: dict[str, Watch] = {}

    def may_watch(self, name: str) -> bool:
        """Tell whether an alarm may be that of a part that has not come yet."""
        return name.startswith(f"{self._device}.") and name.endswith(f".{self._rule.name}")

    def watches(self) -> Iterator[Watch]:
        """Yield the alarms of the present parts; those of parts that are gone are ended."""
        assert self._rule.parts is not None
        present = dict.fromkeys(self._rule.parts())
        for part in self._watches.keys() - present.keys():
            self._watches.pop(part).end()
        for part in present:
            if part not in self._watches:
                subject = f"{self._device}.{part}"
                self._watches[part] = Watch(subject, self._rule, self._board)
        yield from self._watches.values()
