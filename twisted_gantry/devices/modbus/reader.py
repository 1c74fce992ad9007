"""Reads the points of a Modbus device in few requests, and takes a request apart that is refused.

Decisions: `docs/protocols/modbus.md`, "Reading".
"""

from collections import deque
from collections.abc import Sequence

from twisted.internet.interfaces import IReactorTime

from twisted_gantry.devices.modbus.link import ModbusLink, NoReply
from twisted_gantry.devices.modbus.plan import Group, grouped
from twisted_gantry.devices.modbus.settings import ModbusSettings
from twisted_gantry.devices.polled import NothingRead
from twisted_gantry.net.connecting import NotReached
from twisted_gantry.net.outage import Cause, Outage, outage
from twisted_gantry.wire import modbus as wire
from twisted_gantry.wire.errors import WireError
from twisted_gantry.wire.modbus import BadReply, Code, ModbusRefused
from twisted_gantry.wire.reading import Value

REPLAN = 3600.0  # seconds after which requests that were taken apart are put together again
MOST_SPLITS = 64  # in one reading
MOST_SILENT = 2  # requests without a reply after which a reading ends
REST = 10  # readings in which a point is left out that the device does not answer
# Exceptions that say nothing about the registers.
_PASSING = frozenset({Code.ACKNOWLEDGE, Code.DEVICE_BUSY, Code.GATEWAY_PATH, Code.GATEWAY_TARGET})


class _Turn:
    """One reading as it goes on."""

    def __init__(self) -> None:
        self.values: dict[str, Value] = {}
        self.wrong: list[Outage] = []
        self.plan: list[Group] = []
        self.silent: list[Group] = []
        self.answered = False
        self.splits = 0


class RegisterReader:
    """Reads `settings.point`; the plan of the requests is kept from one reading to the next."""

    def __init__(self, link: ModbusLink, settings: ModbusSettings, clock: IReactorTime) -> None:
        self._link, self._settings, self._clock = link, settings, clock
        self._plan: Sequence[Group] = ()
        self._planned_at = 0.0
        self._resting: dict[Group, int] = {}

    async def read(self) -> tuple[dict[str, Value], list[Outage]]:
        """Return the values by their points, and what went wrong beside them. Raises NothingRead
        when nothing was read at all.
        """
        if not self._plan or self._clock.seconds() - self._planned_at >= REPLAN:
            self._planned_at = self._clock.seconds()
            given = self._settings
            self._plan = grouped(given.point, given.max_gap, given.max_registers)
            self._resting.clear()
        turn, queue = _Turn(), deque(self._plan)
        while queue and len(turn.silent) < MOST_SILENT:
            await self._take(queue.popleft(), queue, turn)
        turn.plan += queue  # the device is silent: these are read another time
        for group in turn.silent:
            halves = group.halves() if turn.answered else ()
            turn.plan += halves or (group,)
            if turn.answered and not halves:
                self._resting[group] = REST
        self._plan = turn.plan
        if not turn.values:
            raise NothingRead(turn.wrong[0] if turn.wrong else "nothing to read")
        return turn.values, turn.wrong

    async def _take(self, group: Group, queue: deque[Group], turn: _Turn) -> None:
        resting = self._resting.get(group, 0)
        if resting:
            self._resting[group] = resting - 1
            turn.plan.append(group)
            turn.wrong.append(outage(Cause.SILENT).at(group.named))
            return
        request = wire.read(group.function, group.address, group.count)
        try:
            reply = await self._link.ask(request)
            found = wire.values_read(reply, group.function, group.count)
        except NotReached as error:
            raise NothingRead(error.outage) from None
        except ModbusRefused as error:
            turn.answered = True
            halves = group.halves()
            if halves and error.code not in _PASSING and turn.splits < MOST_SPLITS:
                turn.splits += 1
                queue.extendleft(reversed(halves))
                return
            turn.plan.append(group)
            busy = error.code == Code.DEVICE_BUSY
            cause, zh = Cause.BUSY if busy else Cause.ERROR_ANSWER, f"Modbus异常码{error.code}"
            turn.wrong.append(outage(cause, en=str(error), zh=zh).at(group.named))
        except (NoReply, WireError) as error:
            self._link.close()
            turn.silent.append(group)
            turn.wrong.append(_why(error).at(group.named))
        else:
            turn.answered = True
            turn.plan.append(group)
            turn.values |= {point.name: point.value_in(part) for point, part in group.values(found)}


def _why(error: NoReply | WireError) -> Outage:
    if isinstance(error, NoReply):
        return error.outage
    if isinstance(error, BadReply):
        cause = Cause.WRONG_IDENTITY if error.is_other else Cause.MALFORMED
        return outage(cause, en=str(error), zh=error.zh)
    foreign = "not Modbus" in str(error)
    return outage(Cause.NOT_PROTOCOL if foreign else Cause.MALFORMED, str(error))
