"""One connection to a Modbus device, made when it is needed; one request at a time."""

from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from twisted_gantry.net.connecting import connected
from twisted_gantry.net.outage import (
    Cause,
    Outage,
    Reason,
    as_outage,
    lost,
    not_protocol,
    outage,
    outage_of,
)
from twisted_gantry.net.timers import Timer
from twisted_gantry.wire import modbus as wire
from twisted_gantry.wire.errors import BadMessage

CONNECT_PATIENCE = 5.0  # seconds
LOOK = 100  # the first bytes of a connection, which tell whether the peer speaks Modbus


class NoReply(Exception):
    """The request was sent, and no reply came: whether it was done is unknown."""

    def __init__(self, why: Reason) -> None:
        super().__init__(str(why))
        self.outage = as_outage(why)


class _Connection(Protocol):
    def __init__(self, link: "ModbusLink") -> None:
        self._link = link
        self._codec = wire.ClientCodec(link.framing, link.unit)
        self._waiting: Deferred[Any] | None = None
        self._first, self._heard = b"", False
        self._late = Timer(link.clock, self._patience_over)

    def ask(self, pdu: Any) -> Deferred[Any]:
        transport: Any = self.transport
        waiting = self._waiting = Deferred(self._cancelled)
        self._late.start(self._link.patience)
        transport.write(self._codec.request(pdu))
        return waiting

    def connectionMade(self) -> None:
        transport: Any = self.transport
        if hasattr(transport, "setTcpNoDelay"):
            transport.setTcpNoDelay(True)
            transport.setTcpKeepAlive(True)

    def dataReceived(self, data: bytes) -> None:
        self._first = (self._first + data)[:LOOK]
        if self._waiting is None:  # a device speaks only when it is asked
            unasked = outage(Cause.MALFORMED, en="the device sends unasked", zh="设备主动发送数据")
            self.drop(NoReply(unasked if self._heard else not_protocol(self._first)))
            return
        try:
            pdu = self._codec.take(data)
        except BadMessage as error:
            self.drop(error)
            return
        if pdu is not None:
            self._heard = True
            self._over().callback(pdu)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._link.lost(self)
        found = outage_of(reason.value)
        found = Outage(found.cause, f"the connection was lost: {found.en}", found.zh)
        self._fail(NoReply(lost(found, self._first, self._heard)))

    def drop(self, why: Exception) -> None:
        """Cut the connection: a late reply must not be taken for the next one."""
        transport: Any = self.transport
        self._link.lost(self)
        transport.abortConnection()
        self._fail(why)

    def _patience_over(self) -> None:
        seconds = f"{self._link.patience:g}"
        silent = outage(
            Cause.SILENT, en=f"no reply within {seconds} s", zh=f"已连接，但{seconds}秒内无应答"
        )
        if (instead := self._codec.instead) is not None:
            self.drop(instead)
            return
        foreign = self._first and not self._heard
        self.drop(NoReply(not_protocol(self._first) if foreign else silent))

    def _fail(self, why: Exception) -> None:
        if self._waiting is not None:
            self._over().errback(why)

    def _over(self) -> Deferred[Any]:
        waiting, self._waiting = self._waiting, None
        assert waiting is not None
        self._late.cancel()
        return waiting

    def _cancelled(self, _: object) -> None:
        self._over()
        self.drop(NoReply("given up"))


class ModbusLink:
    """Asks the device at `endpoint`; `patience` in seconds is for one reply."""

    def __init__(
        self,
        endpoint: IStreamClientEndpoint,
        clock: IReactorTime,
        framing: wire.Framing,
        unit: int,
        patience: float,
    ) -> None:
        self.clock, self.framing, self.unit, self.patience = clock, framing, unit, patience
        self._endpoint = endpoint
        self._lock = DeferredLock()
        self._connection: _Connection | None = None

    async def ask(self, pdu: Any) -> Any:
        """Return the reply to a request. Raises NotReached, NoReply, or BadMessage for a peer
        that does not speak Modbus.
        """
        await self._lock.acquire()
        try:
            connection = self._connection or await self._connect()
            return await connection.ask(pdu)
        finally:
            self._lock.release()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.drop(NoReply("stopped"))

    def lost(self, connection: _Connection) -> None:
        if self._connection is connection:
            self._connection = None

    async def _connect(self) -> _Connection:
        make = partial(_Connection, self)
        made: _Connection = await connected(self._endpoint, make, self.clock, CONNECT_PATIENCE)
        self._connection = made
        return made
