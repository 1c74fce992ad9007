"""The Modbus server as a bridge: its listener, its map, and the way to the command door."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, ensureDeferred, maybeDeferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_gantry.bridges.listening import Listening
from twisted_gantry.bridges.modbus.connection import ModbusConnection
from twisted_gantry.bridges.modbus.image import Refused, Target, View
from twisted_gantry.bridges.modbus.layout import Layout
from twisted_gantry.bridges.modbus.own import OwnMap
from twisted_gantry.bridges.modbus.settings import ModbusTable
from twisted_gantry.core.commands.door import Request
from twisted_gantry.core.commands.types import CommandResult, Outcome
from twisted_gantry.core.interfaces import DROPPED, Fill, IRegisterMap
from twisted_gantry.core.site import BridgeContext
from twisted_gantry.core.status import Status
from twisted_gantry.net.addresses import host_of
from twisted_gantry.net.budget import Budget
from twisted_gantry.net.service import NamedService
from twisted_gantry.net.slots import Allowed, Slots
from twisted_gantry.net.timers import GuardedLoop, Timer
from twisted_gantry.wire import modbus as wire
from twisted_gantry.wire.local_registers import RegisterMap
from twisted_gantry.wire.modbus import Asked, Code

_log = Logger()

SETTING = "bridge.modbus.map"
"""The name under which the store keeps the places of the default map."""
CONNECTIONS, PER_ADDRESS, RESERVED = 32, 8, 8
WORK, WORK_BURST = 0.35, 0.1
"""CPU seconds a second that all requests together may cost, and at once."""
LOOK_S = 2.0
"""How often points and commands are looked for that have no place yet."""
ANSWERED_WITHIN = 3.0
"""Seconds for which a client is let wait for the outcome of a command; then it is told that the
command goes on.
"""
WRITES_A_SECOND, WRITES_BURST = 5.0, 20.0
MOST_RUNNING = 16
"""Commands of all clients that may be under way."""
_OUTCOMES = {
    Outcome.FAILED: Code.DEVICE_FAILURE,
    Outcome.REFUSED: Code.DEVICE_FAILURE,
    Outcome.TIMEOUT: Code.GATEWAY_TARGET,
}


@implementer(IRegisterMap)
class ModbusBridge(NamedService):
    """Answers requests from the points; writes go through the door."""

    def __init__(self, settings: ModbusTable, context: BridgeContext) -> None:
        super().__init__("bridge modbus")
        self._site, self._clock, self._now = context.site, context.reactor, context.now
        self._settings = settings
        self.status = Status("bridge.modbus", context.now)
        self.counts: Counter[str] = Counter({DROPPED: 0})
        functions = wire.READ_BITS | wire.READ_REGISTERS
        self._codec = wire.ServerCodec(functions | wire.WRITES if settings.writes else functions)
        self._units = frozenset({settings.unit, 0, 0xFF})
        self._map: Layout | OwnMap = Layout(context.site, writes=settings.writes)
        if settings.own is not None:
            self._map = OwnMap(context.site, settings.own, writes=settings.writes)
        self._running = 0
        self._writes = Budget(context.reactor, WRITES_A_SECOND, WRITES_BURST)
        self._factory = _ModbusFactory(self, settings, context.reactor)
        open_ones = self._factory.open
        self.listening = Listening(
            context.reactor, settings.place, self._factory, lambda: list(open_ones), self.status
        )
        self._look = GuardedLoop(
            context.reactor, lambda: ensureDeferred(self._extend()), "the map of the Modbus server"
        )
        self._beginning: Deferred[None] | None = None

    @property
    def peers(self) -> int:
        return len(self._factory.open)

    @property
    def queues(self) -> Mapping[str, Fill]:
        return {"writes": Fill(self._running, MOST_RUNNING)}

    def registers(self) -> RegisterMap:
        points = self._site.points
        return RegisterMap(self._map.rows(points), self._map.command_rows(), self._map.alarm_rows())

    def startService(self) -> None:
        super().startService()
        self._beginning = ensureDeferred(self._begin())
        self._beginning.addErrback(
            lambda failure: _log.failure("the Modbus server cannot start", failure)
        )

    def stopService(self) -> Deferred[Any]:
        super().stopService()
        self._look.stop()
        return maybeDeferred(self.listening.stop)

    async def _begin(self) -> None:
        """Learn the places that were given before, give places to what is new, and listen."""
        if isinstance(self._map, Layout):
            stored = (await self._site.store.settings()).get(SETTING)
            try:
                self._map.load(stored)
            except msgspec.ValidationError as error:
                _log.error("the stored map cannot be read: {error}", error=str(error))
                self.status.offline("the stored map cannot be read: nothing is served")
                return
        if not self.running:
            return
        await self._extend()
        if self.running:
            self._look.start(LOOK_S, now=False)
            self.listening.start()

    async def _extend(self) -> None:
        """Give places to what is new, keep them, then serve them."""
        changed = self._map.extend()
        if self._map.full and not self.counts["without-place"]:
            self.status.error(f"the map is full: {self._map.full} points or commands have no place")
        self.counts["without-place"] = self._map.full
        if changed and isinstance(self._map, Layout):
            await self._site.store.put_setting(SETTING, self._map.stored())
        self._map.settle()

    # -- requests

    def answer(self, frame: bytes, host: str) -> bytes | Deferred[bytes]:
        """Return the reply to a request; of a write, later."""
        self.counts["requests"] += 1
        asked = self._codec.asked(frame)
        try:
            if asked.refused is not None:
                raise Refused(asked.refused)
            if asked.unit not in self._units:
                raise Refused(Code.GATEWAY_TARGET)
            if asked.function in wire.WRITES:
                return self._write(asked, host)
            return self._read(asked)
        except Refused as refused:
            return self._refusal(asked, refused.code)

    def _read(self, asked: Asked) -> bytes:
        image, find, pdu = self._map.image, self._site.points.get, asked.pdu
        if asked.function in wire.READ_BITS:
            view = View(find, self._site.alarms.active)
            return self._codec.bits(asked, image.read_bits(pdu.address, pdu.count, view))
        found = image.read(pdu.address, pdu.count, find, self._now())
        return self._codec.registers(asked, found)

    def _refusal(self, asked: Asked, code: Code) -> bytes:
        self.counts["exceptions"] += 1
        return self._codec.refusal(asked, code)

    def _write(self, asked: Asked, host: str) -> bytes | Deferred[bytes]:
        wanted = self._wanted(asked)
        if wanted is None:  # a coil that only triggers was switched off
            return self._codec.written(asked)
        if self._running >= MOST_RUNNING or not self._writes.spend():
            self.counts[DROPPED] += 1
            raise Refused(Code.DEVICE_BUSY)
        target, args = wanted
        self.counts["writes"] += 1
        door, who = self._site.door, f"modbus {host}"
        request = Request(target.device, target.command, args, who, door.new_id())
        answered: Deferred[bytes] = Deferred()
        late = Timer(self._clock, lambda: answered.callback(self._refusal(asked, Code.ACKNOWLEDGE)))
        late.start(ANSWERED_WITHIN)
        self._running += 1

        def done(result: CommandResult | Failure) -> None:
            self._running -= 1
            if isinstance(result, Failure):
                _log.failure("a command of the Modbus server failed", result)
                result = CommandResult(Outcome.FAILED)
            if not late.running:
                return
            late.cancel()
            code = _OUTCOMES.get(result.result)
            reply = self._codec.written(asked) if code is None else self._refusal(asked, code)
            answered.callback(reply)

        running = door.run(request).addBoth(done)
        running.addErrback(lambda failure: _log.failure("the Modbus server failed", failure))
        return answered

    def _wanted(self, asked: Asked) -> tuple[Target, dict[str, Any]] | None:
        """Return the command of a write and its arguments; None if nothing is to be done. Raises
        Refused.
        """
        image, pdu = self._map.image, asked.pdu
        if asked.function == 5:
            target = image.coils.get(pdu.address)
            if target is None:
                raise Refused(Code.ILLEGAL_ADDRESS)
            if not target.argument:
                return (target, {}) if pdu.bits[0] else None
            return (target, {target.argument: bool(pdu.bits[0])})
        kind, target = image.registers.get(pdu.address, ("", None))
        if target is None or len(pdu.registers) != wire.width(kind):
            raise Refused(Code.ILLEGAL_ADDRESS)
        value = wire.value_of(tuple(pdu.registers), kind)
        if value is None:
            raise Refused(Code.ILLEGAL_VALUE)
        if not target.argument:
            return (target, {}) if value else None
        given = (
            value if target.type is float else bool(value) if target.type is bool else round(value)
        )
        return (target, {target.argument: given})


class _ModbusFactory(Factory[ModbusConnection]):
    noisy = False

    def __init__(self, bridge: ModbusBridge, settings: ModbusTable, clock: Any) -> None:
        self._bridge, self._clock = bridge, clock
        self.open: dict[ModbusConnection, None] = {}
        self._work = Budget(clock, WORK, WORK_BURST)
        self._slots = Slots(
            clock,
            connections=CONNECTIONS,
            per_address=PER_ADDRESS,
            reserved=RESERVED,
            counts=bridge.counts,
            allowed=Allowed(settings.allowed_clients),
        )

    def buildProtocol(self, addr: IAddress | None) -> ModbusConnection | None:
        slot = self._slots.admit(host_of(addr))
        if slot is None:
            self._bridge.counts[DROPPED] += 1
            return None
        made = ModbusConnection(
            self._bridge, slot, self._clock, self._work, self._count, self._gone
        )
        self.open[made] = None
        return made

    def _count(self, event: str) -> None:
        self._bridge.counts[event] += 1

    def _gone(self, connection: ModbusConnection) -> None:
        self.open.pop(connection, None)
