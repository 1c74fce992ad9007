"""Executes the commands of a battery through its EMS.

Decisions: `docs/protocols/bms.md`, "A contactor is dangerous". A POST is never repeated. A command
is done when a synchronised status shows its effect.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from attrs import define
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_gantry.core.commands.types import (
    Argument,
    CommandResult,
    CommandType,
    Endangers,
    Outcome,
)
from twisted_gantry.devices.bms.ems import TROUBLE, UNCLEAR, EmsClient
from twisted_gantry.net.timers import Timer
from twisted_gantry.wire.bms import BmsCommand, BmsRefused, OperatingStatus, Status

_log = Logger()

# Seconds between two readings that look for the effect of a command.
LOOK_PAUSE = 1.0

_FORCE: Mapping[str, Argument] = {"force": Argument(bool, required=False)}
_NONE: Mapping[str, Argument] = {}
_power = partial(CommandType, endangers=Endangers.POWER)
_contactor = partial(_power, _FORCE, about="contactor")

COMMANDS: Mapping[str, CommandType] = {
    "reset-fault": _power(
        _NONE,
        "reset the fault",
        "故障复位",
        danger="lets a battery work again that its protection has stopped",
        danger_zh="会使已被保护停机的电池重新工作",
    ),
    "close-contactor": _contactor(
        "close the contactor",
        "接触器闭合",
        danger="puts the battery on the supply: current may flow at once",
        danger_zh="会将电池接入供电回路：电流可能立即流过",
    ),
    "open-contactor": _contactor(
        "open the contactor",
        "接触器断开",
        danger="takes the battery off the supply: without mains the gantry darkens",
        danger_zh="会使电池脱离供电回路：市电中断时门架断电",
    ),
    "sync": CommandType(_NONE, "synchronise the status", "同步状态"),
}


@dataclass(frozen=True)
class _Action:
    """A command, which status proves it done, and which status forbids it."""

    command: BmsCommand
    done: Callable[[Status], bool]
    against: Callable[[Status], bool]


def _is_closed(status: Status) -> bool | None:
    state = status.operating_status
    return None if state is None else state.contactor_closed


_FLOWING = frozenset({OperatingStatus.CHARGING, OperatingStatus.DISCHARGING})
_ACTIONS: Mapping[str, _Action] = {
    "reset-fault": _Action(
        BmsCommand.RESET_FAULT, lambda status: status.alarm_status == 0, lambda status: False
    ),
    "close-contactor": _Action(
        BmsCommand.CLOSE_CONTACTOR,
        done=lambda status: _is_closed(status) is True,
        against=lambda status: status.alarm_status != 0,
    ),
    "open-contactor": _Action(
        BmsCommand.OPEN_CONTACTOR,
        done=lambda status: _is_closed(status) is False,
        against=lambda status: status.operating_status in {None, *_FLOWING},
    ),
}


def _state(status: Status) -> str | None:
    state = status.operating_status
    return None if state is None else state.text


@dataclass
class _Attempt:
    """One command under way."""

    action: _Action
    force: bool
    sent: bool = False
    told: bool = False
    """Whether the outcome has been returned: nothing more may be sent."""
    seen: Status | None = None
    lost: str = ""
    """Why the answer to the command was lost."""
    trouble: str = ""
    """Why the last reading failed."""

    def is_over(self) -> bool:
        """Return `told`; a method, for it changes between two awaits."""
        return self.told

    def ended(self, result: Outcome, detail: str) -> CommandResult:
        return CommandResult(result, detail, None if self.seen is None else _state(self.seen))

    def given_up(self, why: str) -> CommandResult:
        if not self.sent:
            return self.ended(Outcome.FAILED, f"not sent: {why}")
        lost = f"; its answer was lost: {self.lost}" if self.lost else ""
        seen = "nothing was seen since" if self.seen is None else f"last seen: {self.seen}"
        trouble = f" ({self.trouble})" if self.trouble else ""
        detail = f"{why}{lost}; {seen}{trouble}; it may still be done"
        return self.ended(Outcome.TIMEOUT, detail)


@define(eq=False)
class BmsCommands:
    """Executes commands. `look` synchronises and returns the status, or raises one of TROUBLE.
    `deadline` is the seconds from the beginning of a command to the proof that it was done.
    """

    _ems: EmsClient
    _look: Callable[[], Awaitable[Status]]
    _clock: IReactorTime
    _deadline: float

    async def execute(self, command: str, args: Mapping[str, Any]) -> CommandResult:
        """Execute a command whose arguments were checked; cancelled, it ends at once."""
        if command == "sync":
            return await self._sync()
        attempt = _Attempt(_ACTIONS[command], args.get("force") is True)
        began = self._clock.seconds()
        try:
            return await self._bounded(attempt)
        except CancelledError:
            return attempt.given_up(f"not proved done within {self._clock.seconds() - began:.0f} s")

    async def _sync(self) -> CommandResult:
        try:
            status = await self._look()
        except BmsRefused as refused:
            return CommandResult(Outcome.FAILED, f"the EMS answers {refused}")
        except UNCLEAR as error:
            return CommandResult(Outcome.TIMEOUT, str(error))
        return CommandResult(Outcome.DONE, str(status), _state(status))

    def _bounded(self, attempt: _Attempt) -> Deferred[CommandResult]:
        """Make the attempt; fails with CancelledError at the deadline, or when cancelled."""

        def give_up(_: object) -> None:
            # A call that is cut off may end with any error: `told` keeps the loop from going on.
            end()
            doing.cancel()

        def end() -> None:
            attempt.told = True
            late.cancel()

        def ended(result: CommandResult | Failure) -> None:
            if not attempt.is_over():
                end()
                bounded.callback(result)
            elif isinstance(result, Failure) and not result.check(CancelledError):
                _log.failure("a command failed after its end", failure=result)

        bounded: Deferred[CommandResult] = Deferred(give_up)
        late = Timer(self._clock, bounded.cancel)
        late.start(self._deadline)
        doing = ensureDeferred(self._do(attempt))
        doing.addBoth(ended)
        return bounded

    async def _do(self, attempt: _Attempt) -> CommandResult:
        action = attempt.action
        if not attempt.force:
            try:
                attempt.seen = await self._look()
            except TROUBLE as error:
                return attempt.ended(Outcome.FAILED, f"not sent, the status is not known: {error}")
            if action.against(attempt.seen):
                why = f"the battery is {attempt.seen}; force does it all the same"
                return attempt.ended(Outcome.REFUSED, why)
        if attempt.is_over():
            return attempt.given_up("its time was over")
        attempt.sent, attempt.seen = True, None
        try:
            await self._ems.send(action.command)
        except BmsRefused as refused:
            return attempt.ended(Outcome.FAILED, f"the EMS answers {refused}")
        except UNCLEAR as error:
            attempt.lost = str(error) if not attempt.is_over() else ""
        return await self._prove(attempt)

    async def _prove(self, attempt: _Attempt) -> CommandResult:
        """Read until the effect of the command shows; otherwise the deadline ends this."""
        while not attempt.is_over():
            try:
                attempt.seen = await self._look()
            except TROUBLE as error:
                if attempt.is_over():
                    break
                attempt.trouble = str(error)
            else:
                attempt.trouble = ""
                if attempt.action.done(attempt.seen):
                    return attempt.ended(Outcome.DONE, str(attempt.seen))
            await deferLater(self._clock, LOOK_PAUSE)
        return attempt.given_up("its time was over")
