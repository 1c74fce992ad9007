"""A cabinet's reports, and questions for cards: the ETC document, sections 1.5, 3.1 and 4."""

from collections import Counter, deque
from collections.abc import Callable
from typing import Any, ClassVar

from attrs import define, field
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from twisted_gantry.net.http.client import NoAnswer
from twisted_gantry.net.session import Backoff
from twisted_gantry.net.timers import Repeated
from twisted_gantry.net.turns import in_turns
from twisted_gantry.twin.faces.cabinet.cards import WhiteList
from twisted_gantry.twin.faces.etc.sender import EtcSender
from twisted_gantry.twin.world.cabinet import Cabinet
from twisted_gantry.wire.errors import WireError
from twisted_gantry.wire.etc import envelope as etc
from twisted_gantry.wire.etc.answers import decode_answer
from twisted_gantry.wire.etc.cards import read_offer

_log = Logger()

FIRST_RETRY_S, LAST_RETRY_S = 1.0, 30.0
MAX_ANSWER = 10 * 1024 * 1024  # a white list of a hundred thousand cards
MAX_WAITING = 32  # changes that wait for the gantry; above, the oldest are dropped


class NotTaken(Exception):
    """The gantry did not take a request; `code` is that of its answer, if there was one."""

    def __init__(self, why: str, code: str = "") -> None:
        super().__init__(why)
        self.code = code


class Monitor:
    """A client of `url`; `counts` gains `sent-` and `lost-`, each with the name of the method."""

    def __init__(self, sender: EtcSender, counts: Counter[str], url: str) -> None:
        self.url, self.counts = url, counts
        self._sender = sender
        self._works = True

    async def post(self, method: etc.Method, fields: Any) -> etc.Answer:
        """Send a request with the present time stamp, and return its answer. Raises NotTaken."""
        try:
            answer = await self._post(method, fields)
        except NotTaken as error:
            self.counts[f"lost-{method.value}"] += 1
            if self._works:
                _log.info("a cabinet does not reach the gantry: {why}", why=error)
            self._works = False
            raise
        self.counts[f"sent-{method.value}"] += 1
        self._works = True
        return answer

    async def _post(self, method: etc.Method, fields: Any) -> etc.Answer:
        try:
            answer = await self._sender.send(self.url, method, fields, MAX_ANSWER)
            if answer.status != 200:
                raise NotTaken(f"HTTP {answer.status}")
            decoded = decode_answer(answer.body)
        except (NoAnswer, WireError) as error:
            raise NotTaken(str(error)) from None
        if decoded.code != str(etc.EtcCode.SUCCESS.value):
            raise NotTaken(f"code {decoded.code[:10]!r}", decoded.code)
        return decoded


@define(eq=False)
class _Repeating:
    """Does something every `period` seconds while there is power, sooner after a failure."""

    what: ClassVar[str]
    _monitor: Monitor
    _clock: IReactorTime
    _cabinet: Cabinet
    period: float
    _backoff: Backoff = field(init=False)
    _repeated: Repeated = field(init=False)

    def __attrs_post_init__(self) -> None:
        # Without jitter: there is only one cabinet.
        self._backoff = Backoff(FIRST_RETRY_S, LAST_RETRY_S, lambda: 1.0)
        self._repeated = Repeated(self._clock, self._do, self.what)

    def start(self) -> None:
        self._backoff.reset()
        self._repeated.start()

    def stop(self) -> None:
        self._repeated.stop()

    async def _do(self) -> float:
        """Do it, and return the seconds until the next time."""
        raise NotImplementedError


@define(eq=False)
class Reports(_Repeating):
    """Sends the reports of a cabinet while it is powered; `make` returns the present fields.

    One report goes out every `period` seconds. `urgent` adds one with the fields of that moment,
    which goes out at once and in its order.
    """

    what = "a cabinet's reports"
    _make: Callable[[], Any]
    _waiting: deque[Any] = field(init=False, factory=deque)
    _due_at: float = field(init=False, default=0.0)

    def start(self) -> None:
        self._due_at = self._clock.seconds()
        super().start()

    def stop(self) -> None:
        super().stop()
        self._waiting.clear()

    def urgent(self) -> None:
        self._waiting.append(self._make())
        if len(self._waiting) > MAX_WAITING:
            self._waiting.popleft()
            self._monitor.counts["forgotten"] += 1
        if not self._repeated.doing:  # otherwise the report follows the present one
            self._repeated.now()

    def set_period(self, period: float) -> None:
        self.period = period
        self._due_at = self._clock.seconds() + period
        self._repeated.now()

    async def _do(self) -> float:
        while self._cabinet.powered and self._waiting:
            fields = self._waiting[0]
            if not await self._send(fields):
                return self._backoff.next()
            if self._waiting and self._waiting[0] is fields:  # not dropped meanwhile
                self._waiting.popleft()
        if self._clock.seconds() >= self._due_at:
            if self._cabinet.powered and not await self._send(self._make()):
                return self._backoff.next()
            self._due_at = self._clock.seconds() + self.period
        self._backoff.reset()
        more = self._waiting and self._cabinet.powered
        return 0.0 if more else self._due_at - self._clock.seconds()

    async def _send(self, fields: Any) -> bool:
        """Send one report, and return whether it is finished: taken, or refused for good."""
        try:
            await self._monitor.post(etc.Method.CABINET_STATUS, fields)
        except NotTaken as error:
            refused = error.code == str(etc.EtcCode.BAD_PARAMETERS.value)
            self._monitor.counts["refused"] += refused
            return refused
        return True


@define(eq=False)
class CardQuestions(_Repeating):
    """Asks for a newer white list; `key` is the spelling of `curVersion`."""

    what = "a cabinet's question for cards"
    _white_list: WhiteList
    _key: str

    async def _do(self) -> float:
        if not self._cabinet.powered:
            return self.period
        self._white_list.refresh()
        try:
            fields = {self._key: self._white_list.version}
            answer = await self._monitor.post(etc.Method.CARDS, fields)
        except NotTaken:
            return self._backoff.next()
        self._backoff.reset()
        counts = self._monitor.counts
        try:
            offer = await in_turns(self._clock, read_offer(answer))
            taken = self._white_list.take(offer.cards)
        except WireError as error:
            if not counts["cards-refused"]:  # the first of many
                _log.info("a cabinet refuses a white list: {error}", error=error)
            counts["cards-refused"] += 1
        else:
            counts["cards-taken"] += taken
            if offer.left_out:
                counts["cards-left-out"] += offer.left_out
        return self.period
