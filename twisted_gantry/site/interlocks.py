"""Interlocks: a condition on a point that commands a device, and undoes it when it clears.

Everything goes through the command door and its audit. A missing value neither begins nor ends a
condition. What the device refuses is tried again; a command whose outcome nobody knows is not.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_gantry.site.alarms import Alarms, Severity
from twisted_gantry.site.commands import CommandDoor, Request
from twisted_gantry.site.interfaces import CommandResult, CommandType, IStore, Outcome
from twisted_gantry.site.points import Batch, Points
from twisted_gantry.wire.reading import Value

_log = Logger()

# Seconds after which a command that failed is tried again, while it is still wanted.
RETRY = 60.0

SETTING = "interlocks"
"""The setting of the store that has the names of those whose condition holds."""

_CONDITION = re.compile(
    r"(?P<point>[^\s<>=!]+)(\s*(?P<sign><=|>=|==|!=|<|>)\s*(?P<bound>[^<>=!]*[^<>=!\s]))?"
)
_SIGNS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": lambda value, bound: bool(value < bound),
    "<=": lambda value, bound: bool(value <= bound),
    ">": lambda value, bound: bool(value > bound),
    ">=": lambda value, bound: bool(value >= bound),
    "==": lambda value, bound: bool(value == bound),
    "!=": lambda value, bound: bool(value != bound),
}


@dataclass(frozen=True)
class Condition:
    """`ups1.mains_abnormal`, which must be true, or a comparison: `ups1.battery_charge < 30`."""

    point: str
    sign: str = "=="
    bound: Value = True

    @classmethod
    def parse(cls, text: str) -> "Condition":
        """Read a condition. Raises ValueError."""
        match = _CONDITION.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"no condition such as ups1.battery_charge < 30: {text!r}")
        if match["sign"] is None:
            return cls(match["point"])
        bound = _bound(match["bound"])
        if isinstance(bound, bool | str) and match["sign"] not in ("==", "!="):
            raise ValueError(f"{match['sign']} compares numbers: {text!r}")
        return cls(match["point"], match["sign"], bound)

    def holds(self, value: Value) -> bool | None:
        """Tell whether a value fulfils it; None if the value is missing or of another kind."""
        numbers = (int, float)
        alike = type(value) is type(self.bound) or (
            isinstance(value, numbers)
            and isinstance(self.bound, numbers)
            and bool not in (type(value), type(self.bound))
        )
        return _SIGNS[self.sign](value, self.bound) if alike else None


def _bound(text: str) -> Value:
    if text in ("true", "false"):
        return text == "true"
    if re.fullmatch(r"-?[0-9]{1,15}(\.[0-9]{1,15})?", text):
        return float(text)
    return text.strip("\"'")


@dataclass(frozen=True)
class Action:
    """A command to one device."""

    target: str
    command: str
    args: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Interlock:
    """When `when` has held for `delay` seconds, `do`; when it is over, `undo` if there is one.

    `confirmed` is the operator's yes to a dangerous command.
    """

    name: str
    when: Condition
    delay: float
    do: Action
    undo: Action | None = None
    confirmed: bool = False


def fight(first: Interlock, second: Interlock, types: Mapping[str, CommandType]) -> bool:
    """Tell whether two interlocks would work against each other.

    They do if they act on the same thing in different ways, or in the same way while one of them
    would undo it under the other. `types` has the type of each command, by `target.command`.
    """
    pairs = [
        (one, other)
        for one in (first.do, first.undo)
        for other in (second.do, second.undo)
        if one is not None and other is not None
    ]
    return any(_same_thing(*pair, types) and pair[0] != pair[1] for pair in pairs)


def _same_thing(one: Action, other: Action, types: Mapping[str, CommandType]) -> bool:
    if one.target != other.target:
        return False
    kinds = [types.get(f"{each.target}.{each.command}") for each in (one, other)]
    abouts = {kind.about for kind in kinds if kind is not None}
    if one.command != other.command and (len(abouts) > 1 or abouts <= {""}):
        return False
    subjects = [
        {
            name: str(action.args.get(name))
            for name, argument in (kind.arguments if kind is not None else {}).items()
            if argument.subject
        }
        for action, kind in zip((one, other), kinds, strict=True)
    ]
    return subjects[0] == subjects[1]


class _Watch:
    """One interlock, and where it stands."""

    def __init__(self, interlock: Interlock, interlocks: "Interlocks") -> None:
        self.interlock, self._all = interlock, interlocks
        self.engaged = False
        self._pending: IDelayedCall | None = None
        self._retry: IDelayedCall | None = None
        self._busy = False
        self._wanted: Action | None = None

    def look(self, value: Value) -> None:
        """Look at the point again."""
        holds = self.interlock.when.holds(value)
        if holds is None or holds == self.engaged:
            self._cancel_pending()
        elif not holds:
            self._set(False)
            self._want(self.interlock.undo)
        elif self._pending is None:
            self._pending = self._all.clock.callLater(self.interlock.delay, self._engage)

    def stop(self) -> None:
        """Cancel every timer."""
        self._cancel_pending()
        self._cancel_retry()
        self._wanted = None

    def _engage(self) -> None:
        self._pending = None
        self._set(True)
        self._want(self.interlock.do)

    def _set(self, engaged: bool) -> None:
        self.engaged = engaged
        self._all.keep()

    def _want(self, action: Action | None) -> None:
        """Let `action` be done, after what is under way; it replaces what was to be tried again."""
        self._cancel_retry()
        self._wanted = action
        if action is None:
            self._all.alarms.clear(self._alarm)
        elif not self._busy:
            self._act()

    def _act(self) -> None:
        action, self._retry = self._wanted, None
        if action is None:
            return
        self._busy = True
        done = self._all.run(self.interlock, action)
        done.addCallback(self._ended, action).addErrback(self._failed, action)

    def _ended(self, result: CommandResult, action: Action) -> None:
        self._settle(action, result.result, result.detail)

    def _failed(self, failure: Failure, action: Action) -> None:
        _log.failure("the interlock {name} failed", failure=failure, name=self.interlock.name)
        self._settle(action, Outcome.FAILED, "see the log")

    def _settle(self, action: Action, result: Outcome, detail: str) -> None:
        self._busy = False
        if self._wanted is not action:
            self._act()  # the condition changed meanwhile
            return
        if result is Outcome.DONE:
            self._wanted = None
            self._all.alarms.clear(self._alarm)
            return
        what = f"{action.target} {action.command}: {result.value} {detail}".rstrip()
        self._all.alarms.set(
            self._alarm,
            Severity.WARNING,
            f"the interlock {self.interlock.name} could not act: {what}",
            f"联锁 {self.interlock.name} 未能执行:{what}",
        )
        if result is Outcome.TIMEOUT:
            self._wanted = None  # it may have been done
        elif self._all.running:
            self._retry = self._all.clock.callLater(RETRY, self._act)

    @property
    def _alarm(self) -> str:
        return f"interlock.{self.interlock.name}"

    def _cancel_pending(self) -> None:
        call, self._pending = self._pending, None
        if call is not None:
            call.cancel()

    def _cancel_retry(self) -> None:
        call, self._retry = self._retry, None
        if call is not None:
            call.cancel()


class Interlocks:
    """All interlocks of a site. Which conditions hold is kept: a restart does not lose an undo."""

    def __init__(
        self,
        interlocks: Sequence[Interlock],
        points: Points,
        door: CommandDoor,
        alarms: Alarms,
        store: IStore,
        clock: IReactorTime,
    ) -> None:
        self.clock, self.alarms, self.running = clock, alarms, False
        self._points, self._door, self._store = points, door, store
        self._watches = [_Watch(each, self) for each in interlocks]
        self._unsubscribe: Callable[[], None] | None = None

    def start(self) -> None:
        """Begin to watch."""
        self.running = True
        self._store.settings().addCallback(self._begin).addErrback(_log_failure)

    def _begin(self, settings: Mapping[str, Any]) -> None:
        kept = settings.get(SETTING)
        for watch in self._watches:
            watch.engaged = isinstance(kept, list) and watch.interlock.name in kept
        if self.running:
            self._unsubscribe = self._points.subscribe(self._changed)
            for watch in self._watches:
                point = self._points.get(watch.interlock.when.point)
                watch.look(None if point is None else point.good)

    def keep(self) -> None:
        """Keep which conditions hold."""
        engaged = [watch.interlock.name for watch in self._watches if watch.engaged]
        self._store.put_setting(SETTING, engaged or None).addErrback(_log_failure)

    def stop(self) -> None:
        """Watch no more; what was done stays done."""
        self.running = False
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        for watch in self._watches:
            watch.stop()

    def run(self, interlock: Interlock, action: Action) -> Deferred[CommandResult]:
        """Do what an interlock wants, through the door."""
        return self._door.run(
            Request(
                target=action.target,
                command=action.command,
                args=action.args,
                who=f"interlock {interlock.name}",
                id=self._door.new_id(),
                confirmed=interlock.confirmed,
            )
        )

    def _changed(self, device: str, batch: Batch) -> None:
        good = {change.new.name: change.new.good for change in batch}
        for watch in self._watches:
            point = watch.interlock.when.point
            if point in good:
                watch.look(good[point])


def _log_failure(failure: Failure) -> None:
    _log.failure("the interlocks could not be kept", failure=failure)
