"""Sends commands to gantries: each at most once, one at a time to a gantry.

Every worker sends; an order is claimed in a transaction and marked as sent before its first byte.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec
from twisted.internet.defer import CancelledError, Deferred, DeferredList, ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from twisted_gantry.centre.control.channels import DEADLINE, CannotAsk, Channels
from twisted_gantry.centre.interfaces import IReportStore, NotStored, Session
from twisted_gantry.centre.model import Gantry
from twisted_gantry.centre.store import commands, registry
from twisted_gantry.centre.store.commands import Claim, Ending, OrderState
from twisted_gantry.centre.store.sealing import Sealing
from twisted_gantry.net.expiry import expiring
from twisted_gantry.net.http.client import NoAnswer, NotConnected
from twisted_gantry.net.service import NamedService
from twisted_gantry.net.timers import Repeated, Timer
from twisted_gantry.remote.channel import ControlChannel, TurnedDown, code_of
from twisted_gantry.wire.errors import BadMessage
from twisted_gantry.wire.etc.commands import decode_battery_result, decode_control
from twisted_gantry.wire.etc.envelope import Answer, EtcCode, Method

_log = Logger()

PERIOD = 1.0
"""Seconds between two looks for orders."""
MOST_AT_ONCE = 64
"""Orders that one worker has under way."""
SEND_WITHIN = 10.0
"""Seconds after the claim within which the request leaves, or never."""
LEASE = SEND_WITHIN + DEADLINE + 20.0
"""Seconds after the claim without an end after which the outcome is unknown."""
GRACE = 5.0
"""Seconds that orders under way have at the stop."""

_NOT_SENT = "it expired before it was sent", "发送前已过期，未发送"
_UNKNOWN_WORDS = "结果未知"
"""How a gantry says within 1007 that it does not know the outcome itself."""


class CommandSender(NamedService):
    """Sends the orders that it claims. `owner` names this process and start."""

    def __init__(
        self,
        store: IReportStore,
        sealing: Sealing,
        channels: Channels,
        clock: IReactorTime,
        owner: str,
        *,
        most: int = MOST_AT_ONCE,
    ) -> None:
        super().__init__("commands")
        self._store, self._sealing, self._channels = store, sealing, channels
        self._clock, self._owner, self._most = clock, owner, most
        self._under_way: dict[int, Deferred[Any]] = {}
        self._ended: dict[int, Ending] = {}  # what is not stored yet, by the id of the order
        self._loop = Repeated(clock, self._look, "the look for commands")
        self._trouble = ""

    @property
    def under_way(self) -> int:
        """The number of orders that are being sent or answered."""
        return len(self._under_way)

    def startService(self) -> None:
        super().startService()
        self._loop.start()

    def stopService(self) -> Deferred[Any]:
        super().stopService()
        self._loop.stop()
        return ensureDeferred(self._finish())

    async def _finish(self) -> None:
        """Wait for answers for a moment. What has none by then is unknown, and stored as that."""
        patience = Timer(self._clock, self._give_up)
        patience.start(GRACE)
        await DeferredList(list(self._under_way.values()))
        patience.cancel()
        try:
            await self._store.write(partial(self._leave, ended=dict(self._ended)))
        except NotStored as error:  # the leases end, and another worker finds them unknown
            _log.warn("the last outcomes are not stored: {error}", error=error)

    def _give_up(self) -> None:
        for each in list(self._under_way.values()):
            each.cancel()

    # -- the orders

    async def _look(self) -> float:
        """Store the outcomes that came, and claim what may be sent, in one transaction."""
        began = float(self._clock.seconds())
        try:
            due: bool = await self._store.read(commands.is_due)
            if self._ended or due:
                ended, room = dict(self._ended), self._most - len(self._under_way)
                claims = await self._store.write(partial(self._turn, ended=ended, room=room))
                self._stored(ended)
                for claim, gantry in claims:
                    self._begin(claim, gantry, began)
        except NotStored as error:  # the outcomes wait here
            if not self._trouble:
                _log.warn("commands wait for the database: {error}", error=error)
            self._trouble = str(error)
        else:
            self._trouble = ""
        return PERIOD

    def _turn(
        self, session: Session, ended: Mapping[int, Ending], room: int
    ) -> list[tuple[Claim, Gantry | None]]:
        self._end(session, ended)
        commands.sweep(session)
        claims = commands.claim(session, self._owner, room, LEASE) if room > 0 else []
        found = registry.some(session, [each.gantry for each in claims], self._sealing)
        gantries = {each.id: each for each in found}
        return [(each, gantries.get(each.gantry)) for each in claims]

    def _end(self, session: Session, ended: Mapping[int, Ending]) -> None:
        for order in sorted(ended):
            commands.end(session, self._owner, order, ended[order])

    def _leave(self, session: Session, ended: Mapping[int, Ending]) -> None:
        self._end(session, ended)
        commands.release(session, self._owner)

    def _stored(self, ended: Mapping[int, Ending]) -> None:
        for order in ended:
            del self._ended[order]

    def _begin(self, claim: Claim, gantry: Gantry | None, began: float) -> None:
        doing = ensureDeferred(self._send(claim, gantry, began))
        self._under_way[claim.id] = doing

        def ended(ending: Ending) -> None:
            del self._under_way[claim.id]
            self._ended[claim.id] = ending
            self._loop.now()  # the next order of this gantry, or of another one

        doing.addCallback(ended)
        doing.addErrback(lambda failure: _log.failure("an order failed", failure=failure))

    async def _send(self, claim: Claim, gantry: Gantry | None, began: float) -> Ending:
        """Send an order, and return how it ended, whatever happens."""
        try:
            return await self._told(claim, gantry, began)
        except CancelledError:
            en, zh = "the worker stopped before the answer came", "应答到达前进程已停止"
            return Ending(OrderState.UNKNOWN, f"{en}: the outcome is unknown", f"{zh}，结果未知")
        except Exception:
            _log.failure("an order for {gantry} failed", gantry=claim.gantry)
            en, zh = "a fault of the centre; see its log", "中心程序故障，请查看日志"
            return Ending(OrderState.UNKNOWN, en, zh)

    async def _told(self, claim: Claim, gantry: Gantry | None, began: float) -> Ending:
        send_by = began + min(SEND_WITHIN, claim.left)
        if float(self._clock.seconds()) >= send_by:
            return Ending(OrderState.EXPIRED, *_NOT_SENT)
        try:
            channel = self._channels.to(gantry, lambda: claim.stamp)
        except CannotAsk as error:
            return Ending(OrderState.REFUSED, error.en, error.zh)
        method = Method(claim.method)
        control = decode_control(dict(claim.fields), cabinet=method is Method.CABINET_CONTROL)
        with expiring(send_by):  # the first step is within: what it sends knows the moment
            telling = ensureDeferred(channel.tell(control, method))
        try:
            answer = await telling
        except TurnedDown as error:
            return Ending(OrderState.FAILED, error.outage.en, error.outage.zh)
        except NotConnected as error:
            en, zh = f"not sent: {error.outage.en}", f"未发送：{error.outage.zh}"
            return Ending(OrderState.FAILED, en, zh)
        except NoAnswer as error:
            en = f"the outcome is unknown: {error.outage.en}"
            return Ending(OrderState.UNKNOWN, en, f"结果未知：{error.outage.zh}")
        return _judged(channel, answer)


def _judged(channel: ControlChannel, answer: Answer) -> Ending:
    """Return what an answer says of the outcome."""
    code, words = code_of(answer), channel.words(answer)
    if code is EtcCode.SUCCESS:
        return Ending(OrderState.DONE, code=str(code.value), result=_result(answer))
    en, zh = f"the gantry answers {words}", f"门架应答：{words}"
    if code is None:
        return Ending(OrderState.UNKNOWN, en, zh, answer.code.strip()[:10])
    own_doubt = code is EtcCode.CONTROL_FAILED and _UNKNOWN_WORDS in (answer.msg or "")
    state = OrderState.UNKNOWN if own_doubt else OrderState.FAILED
    return Ending(state, en, zh, str(code.value))


def _result(answer: Answer) -> dict[str, str] | None:
    if answer.batterys_test_result is None:
        return None
    try:
        result = decode_battery_result(answer.batterys_test_result)
    except BadMessage:
        return None
    fields: dict[str, str] = msgspec.to_builtins(result)
    return fields
