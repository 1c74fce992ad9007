"""The driver of a mapped kind: it polls, and keeps the points and the status."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from twisted.internet.defer import Deferred, fail
from zope.interface import implementer

from twisted_gantry.core.commands.types import CommandResult, CommandType
from twisted_gantry.core.interfaces import DeviceContext, IRefreshable
from twisted_gantry.core.status import State, Status
from twisted_gantry.devices.mapped.points import MappedPoints
from twisted_gantry.devices.polled import Poller, Refreshed, gist
from twisted_gantry.devices.power import RECHECK
from twisted_gantry.net.outage import Cause, Reason, as_outage, outage
from twisted_gantry.net.service import NamedService
from twisted_gantry.wire.reading import Value

_UNPROVED = frozenset({State.CONNECTING, State.OFFLINE})


class NothingRead(Exception):
    """A reading brought nothing; the text says why, and holds no secret."""

    def __init__(self, why: Reason) -> None:
        super().__init__(str(why))
        self.outage = as_outage(why)


Reading = tuple[Mapping[str, Value], Sequence[str]]
"""The values of one reading by their points, and what went wrong beside them."""


@implementer(IRefreshable)
class MappedDevice(NamedService):
    """Reads by `read`, which may raise NothingRead, every `poll` s. `close` ends connections."""

    commands: Mapping[str, CommandType] = MappingProxyType({})

    def __init__(
        self,
        name: str,
        kind: str,
        poll: float,
        context: DeviceContext,
        mapped: MappedPoints,
        read: Callable[[], Coroutine[Any, Any, Reading]],
        close: Callable[[], Deferred[None]],
    ) -> None:
        super().__init__(name)
        self.device, self.kind, self.status = name, kind, Status(name, context.now)
        self._mapped, self._ask, self._close = mapped, read, close
        self.rules = mapped.rules
        self.poller = Poller(
            context, self.status, self._read, poll, backs_off=_UNPROVED, losing=mapped.fail
        )
        self.poll_seconds = self.poller.seconds
        self.attempt = self.poller.attempt
        self._refreshed = Refreshed(self.poller.now)
        self.refresh = self._refreshed.wait

    def startService(self) -> None:
        super().startService()
        self.poller.start()

    def stopService(self) -> Deferred[None]:
        super().stopService()
        self.poller.stop()
        return self._close()

    def execute(self, command: str, args: Mapping[str, Any]) -> Deferred[CommandResult]:
        return fail(ValueError(f"{self.kind} has no command {command}"))

    async def _read(self) -> float | None:
        try:
            values, wrong = await self._ask()
        except NothingRead as error:
            if self.running:
                self._mapped.fail()
                self.poller.failed(error.outage)
            return None
        finally:
            self._refreshed.done()
        troubles = [*wrong, *self._mapped.take(values)]
        self.poller.good()
        if troubles:
            self.status.error(outage(Cause.MALFORMED, gist(troubles), en=gist(troubles)))
        return min(RECHECK, self.poller.period) if self._mapped.doubtful else None
