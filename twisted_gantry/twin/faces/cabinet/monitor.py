"""The requests of a cabinet to a gantry: reports, and questions for the white list.

Source: the ETC document, sections 1.5, 3.1 and 4.
"""

from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from twisted_gantry.net.http.client import NoAnswer
from twisted_gantry.net.session import Backoff
from twisted_gantry.net.timers import Repeated
from twisted_gantry.twin.faces.cabinet.cards import WhiteList
from twisted_gantry.twin.faces.etc.sender import EtcSender
from twisted_gantry.wire.errors import WireError
from twisted_gantry.wire.etc import envelope as etc

_log = Logger()

FIRST_RETRY_S, LAST_RETRY_S = 1.0, 30.0
MAX_ANSWER = 8 * 1024 * 1024  # a white list of ten thousand cards is about 1 MB
MAX_WAITING = 32  # changes that wait for the gantry; above, the oldest are dropped


class NotTaken(Exception):
    """The gantry did not take a request; `code` is that of its answer, if there was one."""

    def __init__(self, why: str, code: str = "") -> None:
        super().__init__(why)
        self.code = code


class Monitor:
    """A client of `url`, a gantry's `monitor.do`.

    `counts` gains `sent-` and `lost-`, each with the name of the method.
    """

    def __init__(self, sender: EtcSender, counts: Counter[str], url: str) -> None:
        self.url = url
        self._sender, self._counts = sender, counts
        self._works = True

    async def post(self, method: etc.Method, fields: Any) -> etc.Answer:
        """Send a request with the present time stamp, and return its answer. Raises NotTaken."""
        try:
            answer = await self._post(method, fields)
        except NotTaken as error:
            self._counts[f"lost-{method.value}"] += 1
            if self._works:
                _log.info("a cabinet does not reach the gantry: {why}", why=error)
            self._works = False
            raise
        self._counts[f"sent-{method.value}"] += 1
        self._works = True
        return answer

    async def _post(self, method: etc.Method, fields: Any) -> etc.Answer:
        try:
            answer = await self._sender.send(self.url, method, fields, MAX_ANSWER)
            if answer.status != 200:
                raise NotTaken(f"HTTP {answer.status}")
            decoded = etc.decode_answer(answer.body)
        except (NoAnswer, WireError) as error:
            raise NotTaken(str(error)) from None
        code = decoded.code.strip()
        if code != str(etc.EtcCode.SUCCESS.value):
            raise NotTaken(f"code {code[:10]!r}", code)
        return decoded


def _backoff() -> Backoff:
    # Without jitter: there is only one cabinet.
    return Backoff(FIRST_RETRY_S, LAST_RETRY_S, lambda: 1.0)


class Reports:
    """Sends the reports of a cabinet while it is `powered`; `make` returns the present fields.

    One report goes out every `period` seconds. `urgent` adds one with the fields of that moment,
    which goes out at once and in its order.
    """

    def __init__(
        self,
        monitor: Monitor,
        clock: IReactorTime,
        counts: Counter[str],
        make: Callable[[], Any],
        powered: Callable[[], bool],
        *,
        period: float,
    ) -> None:
        self.period = period
        self._monitor, self._clock, self._counts = monitor, clock, counts
        self._make, self._powered = make, powered
        self._waiting: deque[Any] = deque()
        self._due_at = 0.0
        self._backoff = _backoff()
        self._repeated = Repeated(clock, self._send_all, "a cabinet's reports")

    def start(self) -> None:
        self._due_at = self._clock.seconds()
        self._backoff.reset()
        self._repeated.start()

    def stop(self) -> None:
        self._repeated.stop()
        self._waiting.clear()

    def urgent(self) -> None:
        self._waiting.append(self._make())
        if len(self._waiting) > MAX_WAITING:
            self._waiting.popleft()
            self._counts["forgotten"] += 1
        if not self._repeated.doing:  # otherwise the report follows the present one
            self._repeated.now()

    def set_period(self, period: float) -> None:
        self.period = period
        self._due_at = self._clock.seconds() + period
        self._repeated.now()

    async def _send_all(self) -> float:
        while self._powered() and self._waiting:
            fields = self._waiting[0]
            if not await self._send(fields):
                return self._backoff.next()
            if self._waiting and self._waiting[0] is fields:  # not dropped meanwhile
                self._waiting.popleft()
        if self._clock.seconds() >= self._due_at:
            if self._powered() and not await self._send(self._make()):
                return self._backoff.next()
            self._due_at = self._clock.seconds() + self.period
        self._backoff.reset()
        more = self._waiting and self._powered()
        return 0.0 if more else self._due_at - self._clock.seconds()

    async def _send(self, fields: Any) -> bool:
        """Send one report, and return whether it is finished: taken, or refused for good."""
        try:
            await self._monitor.post(etc.Method.CABINET_STATUS, fields)
        except NotTaken as error:
            refused = error.code == str(etc.EtcCode.BAD_PARAMETERS.value)
            self._counts["refused"] += refused
            return refused
        return True


class CardQuestions:
    """Asks for a newer white list every `period` seconds.

    `counts` gains `cards-taken` and `cards-refused`. `key` is the spelling of `curVersion`.
    """

    def __init__(
        self,
        monitor: Monitor,
        clock: IReactorTime,
        counts: Counter[str],
        white_list: WhiteList,
        powered: Callable[[], bool],
        *,
        period: float,
        key: str = "curVersion",
    ) -> None:
        self._monitor, self._counts, self._white_list = monitor, counts, white_list
        self._powered, self._period, self._key = powered, period, key
        self._backoff = _backoff()
        self._repeated = Repeated(clock, self._ask, "a cabinet's question for cards")

    def start(self) -> None:
        self._backoff.reset()
        self._repeated.start()

    def stop(self) -> None:
        self._repeated.stop()

    async def _ask(self) -> float:
        if not self._powered():
            return self._period
        self._white_list.refresh()
        try:
            answer = await self._monitor.post(
                etc.Method.CARDS, {self._key: self._white_list.version}
            )
        except NotTaken:
            return self._backoff.next()
        self._backoff.reset()
        try:
            taken = self._white_list.take(answer.data)
        except WireError as error:
            if not self._counts["cards-refused"]:  # the first of many
                _log.info("a cabinet refuses a white list: {error}", error=error)
            self._counts["cards-refused"] += 1
        else:
            self._counts["cards-taken"] += taken
        return self._period
