"""Commands from the broker: which messages are commands, and how the command door hears of them.

A command that was retained would be done again at each connection, and is ignored. So is one that
the broker sends again because it missed our acknowledgement.
"""

import math
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_gantry.core.commands.door import EXPIRY, CommandDoor, Request
from twisted_gantry.core.commands.types import CommandResult, Outcome
from twisted_gantry.net.budget import Budget
from twisted_gantry.wire.local_api import CommandAnswer, CommandBody

_log = Logger()

RATE, BURST = 2.0, 20.0
"""Commands a second, and at once."""
MOST_RUNNING = 16
MOST_BYTES = 4096  # of the payload of a command
REMEMBERED, REMEMBERED_S = 256, 3600.0
"""Messages that are known again when the broker repeats them, and for how many seconds."""
_MEMBERS = frozenset({"args", "confirm", "id", "expires"})


@dataclass(frozen=True)
class Message:
    """A message from the broker; `again` is the DUP of QoS 1."""

    topic: str
    payload: bytes
    retained: bool = False
    again: bool = False


class Commands:
    """Hands commands to `door`, as those of `who`. `answer(target, command, content)` publishes."""

    def __init__(
        self,
        door: CommandDoor,
        clock: IReactorTime,
        who: str,
        answer: Callable[[str, str, bytes], None],
        counts: Counter[str],
    ) -> None:
        self._door, self._clock, self._who, self._answer = door, clock, who, answer
        self._counts = counts
        self._budget = Budget(clock, RATE, BURST)
        self._seen: OrderedDict[tuple[str, bytes], float] = OrderedDict()
        self.running = 0

    def take(self, target: str, command: str, message: Message) -> None:
        """Do the command that a message asks for, and answer with its outcome."""
        if message.retained:
            self._counts["retained-commands"] += 1
            _log.warn("a retained command is ignored: {topic}", topic=message.topic[:200])
            return
        if self._is_known(message):
            self._counts["repeated-commands"] += 1
            return
        if len(message.payload) > MOST_BYTES:
            self._refuse(target, command, f"a command has at most {MOST_BYTES} bytes")
        elif not self._budget.spend() or self.running >= MOST_RUNNING:
            self._counts["dropped"] += 1
            self._refuse(target, command, "too many commands at once")
        else:
            self._do(target, command, message.payload)

    def _is_known(self, message: Message) -> bool:
        """Tell whether the broker repeats a message that was taken; remember this one."""
        key, now = (message.topic, message.payload[: MOST_BYTES + 1]), self._clock.seconds()
        before = self._seen.pop(key, -math.inf)
        self._seen[key] = now
        while len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return message.again and now - before < REMEMBERED_S

    def _do(self, target: str, command: str, payload: bytes) -> None:
        try:
            body = read(target, command, payload)
        except (ValueError, RecursionError) as error:
            self._refuse(target, command, f"not understood: {error}")
            return
        request = Request(
            target,
            command,
            body.args,
            self._who,
            body.id or self._door.new_id(),
            confirmed=body.confirm,
            expiry=body.expires if isinstance(body.expires, float | int) else EXPIRY,
        )
        self._counts["commands"] += 1
        self.running += 1
        done: Deferred[CommandResult] = self._door.run(request)
        done.addErrback(_not_done)
        done.addCallback(self._ended, request)
        done.addErrback(lambda failure: _log.failure("a command was not answered", failure))

    def _ended(self, result: CommandResult, request: Request) -> None:
        self.running -= 1
        detail, value = result.detail, result.value
        outcome = CommandAnswer(
            id=request.id, result=result.result.value, detail=detail, value=value
        )
        self._answer(request.target, request.command, msgspec.json.encode(outcome))

    def _refuse(self, target: str, command: str, why: str) -> None:
        self._counts["refused-commands"] += 1
        outcome = CommandAnswer(result=Outcome.REFUSED.value, detail=why)
        self._answer(target, command, msgspec.json.encode(outcome))


def read(target: str, command: str, payload: bytes) -> CommandBody:
    """Return the command of a payload: nothing, or an object with the members of the local API.

    What is none of these members is an argument, as are the members of `args`. Raises ValueError
    and RecursionError.
    """
    given: Any = msgspec.json.decode(payload) if payload.strip() else {}
    if not isinstance(given, dict):
        raise ValueError('the payload is a JSON object such as {"confirm": true}, or empty')  # noqa: TRY004
    args = {key: value for key, value in given.items() if key not in _MEMBERS}
    nested = given.get("args", {})
    if not isinstance(nested, dict):
        raise ValueError("args is an object")  # noqa: TRY004
    body = {key: given[key] for key in _MEMBERS & given.keys()}
    body |= {"target": target, "command": command, "args": {**args, **nested}}
    return msgspec.convert(body, CommandBody)


def _not_done(failure: Failure) -> CommandResult:
    """Turn an error of the store into an outcome: without an audit entry nothing is done."""
    _log.failure("a command from the broker was not done", failure)
    return CommandResult(Outcome.REFUSED, "not done: the store failed")
