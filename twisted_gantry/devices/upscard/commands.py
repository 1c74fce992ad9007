"""Executes the commands of a UPS card: controls, queries, a change of its password.

Decisions: `docs/protocols/ups-card.md`. A command whose reply is lost is not repeated; `new_pass`
goes with a `QAD` alone.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any
from unicodedata import normalize

from attrs import define
from twisted.internet.defer import CancelledError

from twisted_gantry.core.commands.types import CommandResult, Outcome
from twisted_gantry.devices.upscard.battery import BatteryTests
from twisted_gantry.devices.upscard.link import CardLink
from twisted_gantry.devices.upscard.points import MAX_COMMAND, STOP_TEST
from twisted_gantry.wire.errors import WireError
from twisted_gantry.wire.secret import Secret
from twisted_gantry.wire.upscard.messages import (
    CLEAR_PASSWORD,
    CONTROLS,
    CardRefusal,
    ErrorCode,
    Result,
)
from twisted_gantry.wire.upscard.session import Ending, NoReply, NotSent
from twisted_gantry.wire.upscard.values import control_succeeded

TEST = "T"

# Controls that must not pass as a query: those of the card, and the shutdowns (`S.3`, `S02R0005`)
# and load segments (`LOFF1`) of the protocols that most such UPSs speak underneath.
_NO_STOP_TEXT = rf"{'|'.join(sorted(CONTROLS))}|S\.?\d.*|T(L|\.?\d+)|L(ON|OFF)\d*"
_CONTROL_TEXT = re.compile(rf"({_NO_STOP_TEXT}|C|CT|Q)", re.IGNORECASE)
# Those that switch or begin a test, and so cannot be the way to stop one.
_NO_STOP = re.compile(_NO_STOP_TEXT, re.IGNORECASE)


def _bare(text: str) -> str:
    """Return `text` as a lenient card may read it: no brackets, no blanks, plain capitals."""
    return re.sub(r"[^A-Z0-9.]", "", normalize("NFKC", text).upper())


def can_stop_test(text: str) -> bool:
    return text.isprintable() and len(text) <= MAX_COMMAND and not _NO_STOP.fullmatch(_bare(text))


class Passwords:
    """The password that the card should have, and another that may hold instead. There is another
    while the outcome of a change is unknown.
    """

    def __init__(self, configured: Secret | None) -> None:
        self._current = configured
        self._other: str | None = None
        self._swapped = False

    def current(self) -> str | None:
        """Return the password to send, None for none."""
        return None if self._current is None else self._current.reveal()

    def adopt(self, new: str, other: str | None = None) -> None:
        """Use `new`, or none for the word that clears the password; `other` may hold too."""
        self._current = None if new == CLEAR_PASSWORD else Secret(new)
        self._other, self._swapped = other, False

    def doubt(self, other: str | None) -> str:
        """Note what may hold instead; returns the current password as a command names it."""
        self._other, self._swapped = other, False
        return self.current() or CLEAR_PASSWORD

    def proved(self) -> None:
        self._swapped = False

    def try_other(self) -> bool:
        """Use the other password after a refusal; returns False if both were refused. A card may
        confirm a change and make it a moment later: a password that is refused now may hold the
        next time.
        """
        if self._other is None:
            return False
        swapped = self._swapped
        self.adopt(self._other, other=self.current() or CLEAR_PASSWORD)
        self._swapped = not swapped
        return self._swapped


@define(eq=False)
class CardCommands:
    """Executes commands over a link. `look_again` asks for a reading at once, which shows the
    effect of a control. `tests` is told which battery tests begin and are stopped. `test_stop` is
    the card's command to stop a test, `why_not_test` returns what speaks against one.
    """

    _link: CardLink
    _passwords: Passwords
    _look_again: Callable[[], None]
    _tests: BatteryTests
    _test_stop: str
    _why_not_test: Callable[[], str]

    async def execute(self, command: str, args: Mapping[str, Any]) -> CommandResult:
        if command == "query":
            return await self._query(str(args["cmd"]))
        if command == "set-password":
            return await self._set_password(str(args["new"]))
        if command == STOP_TEST:
            result = await self._control(self._test_stop)
            if result.result is Outcome.DONE:
                self._tests.stopped()
            return result
        return await (self._test() if command == TEST else self._control(command))

    async def _test(self) -> CommandResult:
        if against := self._why_not_test():
            return CommandResult(Outcome.REFUSED, f"no battery test: {against}")
        try:
            result = await self._control(TEST)
        except CancelledError:  # the command may have been sent
            self._tests.doubt()
            self._look_again()
            raise
        if result.result is Outcome.DONE:
            self._tests.began()
        elif result.result is Outcome.TIMEOUT:
            self._tests.doubt()
        return result

    async def _control(self, command: str) -> CommandResult:
        ending = await self._link.say(command, ahead=True)
        if isinstance(ending, Result | NoReply):
            self._look_again()
        if not isinstance(ending, Result):
            return _unanswered(ending)
        try:
            if control_succeeded(ending.value):
                return CommandResult(Outcome.DONE, value=ending.value)
        except WireError as error:
            return CommandResult(Outcome.FAILED, f"an odd answer: {error}", ending.value)
        return CommandResult(Outcome.FAILED, "the UPS answers (FAILED", ending.value)

    async def _query(self, cmd: str) -> CommandResult:
        if not cmd.isprintable():
            return CommandResult(Outcome.REFUSED, "a query has no control characters")
        stops = bool(self._test_stop) and _bare(cmd) == _bare(self._test_stop)
        if stops or _CONTROL_TEXT.fullmatch(_bare(cmd)):
            return CommandResult(Outcome.REFUSED, f"{cmd!r} is a control, not a query")
        ending = await self._link.say(cmd, ahead=True)
        if not isinstance(ending, Result):
            return _unanswered(ending)
        if ending.value.strip() == "(FAILED":
            why = f"the UPS answers (FAILED to {cmd}: it knows no such query, or cannot"
            return CommandResult(Outcome.FAILED, why, ending.value)
        return CommandResult(Outcome.DONE, value=ending.value)

    async def _set_password(self, new: str) -> CommandResult:
        # The change goes with a QAD, and a QAD under the new password proves it. Until a reply
        # tells, either password may hold, also when this is cancelled.
        passwords = self._passwords
        before = passwords.doubt(new)
        ending = await self._link.say("QAD", ahead=True, new_password=new)
        if not isinstance(ending, Result):
            if not isinstance(ending, NoReply):
                passwords.doubt(None)
            return _unanswered(ending)
        passwords.adopt(new, other=before)
        proof = await self._link.say("QAD", ahead=True)
        if isinstance(proof, CardRefusal) and proof.result == ErrorCode.PASSWORD_ERROR:
            passwords.try_other()
        # A poll in between may have found that the card kept the old password.
        believed = passwords.current() or CLEAR_PASSWORD
        if not isinstance(proof, Result) or believed != new:
            why = "the card kept the old one" if believed != new else _unanswered(proof).detail
            return CommandResult(Outcome.FAILED, f"the new password is not proved: {why}")
        passwords.doubt(None)
        return CommandResult(Outcome.DONE, "write it into the configuration before the next start")


def _unanswered(ending: Ending) -> CommandResult:
    if isinstance(ending, CardRefusal):
        return CommandResult(Outcome.FAILED, f"the card answers {ending.name}")
    if isinstance(ending, NotSent):
        return CommandResult(Outcome.FAILED, f"not sent: {ending}")
    # The outcome is unknown, so the command is not repeated.
    return CommandResult(Outcome.TIMEOUT, f"{ending}; the next reading shows what happened")
