"""The command door: every command, from any side, goes through it.

The door finds a device by its commands, never by its kind, and writes the audit before and after.
A device does one command at a time; each command ends once and is never repeated. After a crash
the audit has `timeout` for a command that was under way.
"""

import math
import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from twisted.internet import defer
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_gantry.core.commands.types import CommandResult, CommandType, Outcome
from twisted_gantry.core.interfaces import IDevice, IStore, StoreFailed
from twisted_gantry.core.lasting import lasting
from twisted_gantry.core.stored import AuditEntry
from twisted_gantry.logs import MASKS
from twisted_gantry.net.expiry import expiring
from twisted_gantry.net.timers import Timer

_log = Logger()

MAX_WAITING = 16  # commands that wait for one device
EXPIRY, LONGEST_EXPIRY = 30.0, 300.0
"""Seconds after which a command without a result is given up: by default, and at most."""
LONGEST_SHOWN = 1000  # characters of an argument in the audit

_INTEGER = re.compile(r"-?[0-9]{1,18}")
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")
_MOST = 1e18  # a larger number has more digits than any argument


@dataclass(frozen=True)
class Request:
    """A requested command. `who` is for the audit: a person or program, interface and address.

    A request with the same `id` again is the same command. `confirmed` says yes to a command that
    asks. The `platform` is not asked, and may not do what is for local use only. `expiry` is
    seconds from `asked`, on the clock of the door; None for now. A command that was not sent
    within `sent_within` seconds of that is not sent.
    """

    target: str
    command: str
    args: Mapping[str, Any] = field(repr=False)  # one may be a password
    who: str
    id: str
    confirmed: bool = False
    expiry: float = EXPIRY
    asked: float | None = None
    sent_within: float = math.inf
    platform: bool = False


@dataclass(eq=False)
class _Wish:
    """A command that waits for its turn, until `send_by` on the clock, when `late` fires; `expires`
    is when it is given up.
    """

    request: Request
    send_by: float
    expires: float
    ended: Deferred[CommandResult]
    late: Timer


@dataclass
class _Lane:
    waiting: deque[_Wish] = field(default_factory=deque)
    running: Deferred[CommandResult] | None = None


def _refused(detail: str) -> CommandResult:
    return CommandResult(Outcome.REFUSED, detail)


class CommandDoor:
    """The only way to the commands of devices. `now` returns Unix seconds, `new_id` a unique id."""

    def __init__(
        self,
        devices: Mapping[str, IDevice],
        store: IStore,
        clock: IReactorTime,
        now: Callable[[], float],
        new_id: Callable[[], str],
    ) -> None:
        self.new_id = new_id
        self._devices, self._store, self._clock, self._now = devices, store, clock, now
        self._lanes: dict[str, _Lane] = {}
        self.counts: dict[Outcome, int] = dict.fromkeys(Outcome, 0)

    def able(self, command: str, among: Iterable[str] | None = None) -> list[str]:
        """Return the devices that can do `command`, among those named or all."""
        names = self._devices if among is None else among
        return [n for n in names if n in self._devices and command in self._devices[n].commands]

    def repeatable(self, target: str, command: str) -> bool:
        """Tell whether a command may be sent again although its outcome is unknown."""
        device = self._devices.get(target)
        known = device.commands.get(command) if device is not None else None
        return known is not None and not known.once

    def question(self, request: Request) -> CommandType | None:
        """Return the type of a command that lacks nothing but its confirmation, else None."""
        device = self._devices.get(request.target)
        kind = device.commands.get(request.command) if device is not None else None
        if kind is None or not kind.asks or request.confirmed or request.platform:
            return None
        return None if check_command(kind, request.command, request.args) else kind

    def run(self, request: Request) -> Deferred[CommandResult]:
        """Do a command; the Deferred fires with its result, whatever the device does.

        It fails with the error of the store: without an audit entry nothing is done. Cancelling
        the Deferred does not cancel the command: it is finished, and its result is kept.
        """
        return lasting(self._run(request))

    async def _run(self, request: Request) -> CommandResult:
        asked = self._clock.seconds() if request.asked is None else request.asked
        device = self._devices.get(request.target)
        kind = device.commands.get(request.command) if device is not None else None
        now, args = self._now(), _shown(kind, request.args)
        entry = AuditEntry(request.id, now, request.who, request.target, request.command, args)
        try:
            known = await self._store.begin_command(entry)
        except StoreFailed as error:  # the disk hangs: nothing is done, and later neither
            self.counts[Outcome.REFUSED] += 1
            return _refused(f"not done: {error}")
        if known is not None:
            return _again(known, entry)
        if device is None:
            result = _refused(f"there is no device {request.target!r}")
        elif kind is None:
            result = _refused(self._cannot(device, request))
        else:
            request = replace(request, args=_fitted(kind, request.args))
            result = _check(kind, request) or await self._wait_turn(request, asked)
        result = _masked(result)
        self.counts[result.result] += 1
        await self._store.end_command(
            replace(entry, result=result.result.value, detail=result.detail, value=result.value)
        )
        _log.info(
            "{who}: {target} {command}: {result} {detail}",
            who=request.who,
            target=request.target,
            command=request.command,
            result=result.result.value,
            detail=result.detail,
        )
        return result

    def _cannot(self, device: IDevice, request: Request) -> str:
        can = ", ".join(sorted(device.commands)) or "nothing"
        others = ", ".join(self.able(request.command))
        hint = f"; {others} can" if others else ""
        return f"{request.target} cannot do {request.command!r}{hint}; it can do: {can}"

    def _wait_turn(self, request: Request, asked: float) -> Deferred[CommandResult]:
        expires = asked + request.expiry
        send_by = min(expires, asked + request.sent_within)
        left = send_by - self._clock.seconds()
        if left <= 0:  # the store took its time
            return succeed(_expired())
        lane = self._lanes.setdefault(request.target, _Lane())
        if len(lane.waiting) >= MAX_WAITING:
            return succeed(_refused(f"{MAX_WAITING} commands wait for {request.target} already"))
        ended: Deferred[CommandResult] = Deferred()

        def give_up() -> None:
            lane.waiting.remove(wish)
            ended.callback(_expired())

        late = Timer(self._clock, give_up)
        late.start(left)
        wish = _Wish(request, send_by, expires, ended, late)
        lane.waiting.append(wish)
        if lane.running is None:
            self._next(request.target, lane)
        return ended

    def _next(self, target: str, lane: _Lane) -> None:
        lane.running = None
        if not lane.waiting:
            del self._lanes[target]
            return
        wish = lane.waiting.popleft()
        wish.late.cancel()
        running = lane.running = self._execute(wish)

        def finish(result: CommandResult) -> None:
            self._next(target, lane)
            wish.ended.callback(result)

        running.addCallback(finish)
        running.addErrback(lambda failed: _log.failure("the command door failed", failure=failed))

    def _execute(self, wish: _Wish) -> Deferred[CommandResult]:
        request, now = wish.request, self._clock.seconds()
        device, left = self._devices.get(request.target), wish.expires - now
        if now >= wish.send_by or device is None:
            return succeed(_expired())
        with expiring(wish.send_by):
            doing: Deferred[Any] = maybeDeferred(device.execute, request.command, request.args)
        doing.addTimeout(left, self._clock)
        return doing.addCallback(_checked).addErrback(_explain, request, left)


def _check(kind: CommandType, request: Request) -> CommandResult | None:
    if not 0 < request.expiry <= LONGEST_EXPIRY:
        return _refused(f"an expiry is over 0 and up to {LONGEST_EXPIRY:g} seconds")
    wrong = check_command(kind, request.command, request.args)
    if wrong:
        return _refused(wrong)
    if request.platform and kind.local_only:
        return _refused(f"{request.command} {kind.danger}: it is refused to the platform")
    if kind.asks and not (request.confirmed or request.platform):
        return _refused(f"{request.command} {kind.danger}: it needs a confirmation")
    return None


def check_command(kind: CommandType, command: str, args: Mapping[str, Any]) -> str:
    """Return why the device refuses a command of this type; empty if it does not."""
    wrong = _wrong_arguments(kind, _fitted(kind, args))
    if wrong:
        return wrong
    if kind.locked:
        return f"{command} is locked: it {kind.locked}"
    return ""


def _wrong_arguments(kind: CommandType, args: Mapping[str, Any]) -> str:
    for name in args:
        if name not in kind.arguments:
            return f"unknown argument {name[:40]!r}"
    for name, argument in kind.arguments.items():
        value = args.get(name)
        if value is None:
            if argument.required:
                return f"the argument {name!r} is missing"
        elif not _fits(value, argument.type):
            return f"the argument {name!r} must be of the type {argument.type.__name__}"
        elif argument.choices and value not in argument.choices:
            return f"the argument {name!r} must be one of {', '.join(argument.choices)}"
        elif isinstance(value, str) and not 0 < len(value) <= argument.longest:
            return f"the argument {name!r} has 1 to {argument.longest} characters"
    return ""


def _fitted(kind: CommandType, args: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments with texts converted: the protocols send numbers and truths as text."""
    fitted = dict(args)
    for name, argument in kind.arguments.items():
        value = fitted.get(name)
        if argument.type is str and isinstance(value, int | float) and not isinstance(value, bool):
            fitted[name] = str(value) if abs(value) < _MOST else value
        elif argument.type in (int, float) and isinstance(value, str):
            form = _INTEGER if argument.type is int else _NUMBER
            fitted[name] = argument.type(value) if form.fullmatch(value) else value
        elif argument.type is bool and not isinstance(value, bool) and str(value) in ("0", "1"):
            fitted[name] = str(value) == "1"
    return fitted


def _shown(kind: CommandType | None, args: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments as the audit shows them; those of an unknown command may be secrets."""
    known = kind.arguments if kind is not None else {}
    return {
        str(name)[:40]: _short(value) if name in known and not known[name].secret else "***"
        for name, value in list(args.items())[:20]
    }


def _short(value: Any) -> Any:
    text = repr(value)
    return value if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "…"


def _fits(value: Any, kind: type) -> bool:
    """Tell whether a JSON value has a type: 5 is also a float, and true is not a number."""
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def _again(known: AuditEntry, entry: AuditEntry) -> CommandResult:
    if (known.target, known.command) != (entry.target, entry.command):
        return _refused(f"the id {entry.id} belongs to another command")
    if not known.result:
        return _refused(f"the command {entry.id} is being done")
    return CommandResult(Outcome(known.result), known.detail, known.value)


def _masked(result: CommandResult) -> CommandResult:
    """Return a result without the secrets that the device may have said back."""
    value = MASKS.masked(result.value) if isinstance(result.value, str) else result.value
    return replace(result, detail=MASKS.masked(result.detail), value=value)


def _expired() -> CommandResult:
    return CommandResult(Outcome.TIMEOUT, "it expired before its turn; not sent")


def _checked(result: object) -> CommandResult:
    """Check what a driver returned: drivers come from other packages, too."""
    if not isinstance(result, CommandResult):
        raise TypeError(f"a driver returned {type(result).__name__} instead of a CommandResult")
    return result


def _explain(failure: Failure, request: Request, left: float) -> CommandResult:
    if isinstance(failure.value, defer.CancelledError | defer.TimeoutError):
        return CommandResult(Outcome.TIMEOUT, f"no outcome within {left:.1f} s")
    target, command = request.target, request.command
    _log.failure("{target} failed on {command}", failure, target=target, command=command)
    return CommandResult(Outcome.FAILED, "a fault of the driver; see the log")
