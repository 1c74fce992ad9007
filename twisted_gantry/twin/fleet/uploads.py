"""The uploads of a fleet: each gantry's two reports and its request for cards, once a period.

Source: the ETC document, sections 1.5 to 1.8, 2.1, 3.1 and 4. A load generator has no outbox: a
refused or lost upload is counted, and not sent again.
"""

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_gantry.net.http.client import Answer, BoundedClient, NoAnswer
from twisted_gantry.twin.faces.cabinet.monitor import MAX_ANSWER
from twisted_gantry.twin.fleet.readings import Gantry
from twisted_gantry.twin.fleet.settings import FleetSettings
from twisted_gantry.twin.fleet.tally import LONGEST_CODE, Tally
from twisted_gantry.twin.fleet.wheel import Wheel
from twisted_gantry.wire.errors import WireError
from twisted_gantry.wire.etc import envelope as etc
from twisted_gantry.wire.etc.answers import decode_answer
from twisted_gantry.wire.etc.envelope import Method

_log = Logger()

ROUND = (Method.COMPUTER_STATUS, Method.CABINET_STATUS, Method.CARDS)
"""What a gantry sends each period."""
MALFORMED = "malformed"
"""The code of a 200 that is no answer of the interface; another HTTP status is `http-503`."""

_SUCCESS = str(etc.EtcCode.SUCCESS.value)


class Uploads:
    """Sends due messages to the platform in order, at most `connections` at a time. `now` gives
    Unix seconds, `random` the phases: they are uniform over the period. Latency counts from the
    moment a message was due, so that waiting for a slow platform shows. A message is skipped if its
    predecessor still waits. `methods` are what a gantry sends.
    """

    def __init__(
        self,
        gantries: Sequence[Gantry],
        wheel: Wheel,
        now: Callable[[], float],
        client: BoundedClient,
        random: Random,
        settings: FleetSettings,
        methods: Sequence[Method] = ROUND,
    ) -> None:
        self._methods = methods
        self.tally = Tally(wheel.seconds)
        self.last_failure = ""
        self._gantries, self._wheel, self._now = gantries, wheel, now
        self._client, self._random = client, random
        self._settings = settings
        self._waiting: deque[tuple[Gantry, Method, float]] = deque()
        self._pending: set[tuple[int, Method]] = set()
        self._under_way: set[Deferred[Any]] = set()
        self._versions = [etc.NO_VERSION] * len(gantries)
        self._sending = self._stopped = False

    def start(self) -> None:
        """Begin: each gantry's first round comes within a period."""
        period = self._settings.report_period
        for gantry in self._gantries:
            first = self._random.random() * period
            self._wheel.every(period, partial(self._due, gantry), first)

    def stop(self) -> None:
        self._stopped = True
        self._waiting.clear()
        for exchange in list(self._under_way):
            exchange.cancel()

    def shown(self) -> dict[str, Any]:
        """Return all counts, for JSON; `waiting` messages have no free connection yet."""
        return self.tally.shown() | {
            "waiting": len(self._waiting),
            "lastFailure": self.last_failure or None,
        }

    def _due(self, gantry: Gantry) -> None:
        for method in self._methods:
            if (gantry.number, method) in self._pending:
                self.tally.skipped += 1
                continue
            self._pending.add((gantry.number, method))
            self._waiting.append((gantry, method, self._wheel.seconds()))
        self._send_waiting()

    def _send_waiting(self) -> None:
        if self._sending:  # an exchange may fail at once, and lead here again
            return
        self._sending = True
        while self._waiting and len(self._under_way) < self._settings.connections:
            self._send(*self._waiting.popleft())
        self._sending = False

    def _send(self, gantry: Gantry, method: Method, due: float) -> None:
        body = etc.encode_request(
            gantry.gantry_id, method, self._now(), self._fields(gantry, method)
        )
        self.tally.sent += 1
        exchange = self._client.request(
            "POST",
            self._settings.platform,
            headers=etc.signed_headers(body, self._settings.auth),
            body=body,
            limit=MAX_ANSWER,
        )
        self._under_way.add(exchange)

        def over(_: object) -> None:
            self._under_way.discard(exchange)
            self._pending.discard((gantry.number, method))
            self._send_waiting()

        exchange.addCallbacks(partial(self._answered, gantry, method, due), self._failed)
        exchange.addErrback(lambda failure: _log.failure("an upload failed", failure=failure))
        exchange.addCallback(over)

    def _fields(self, gantry: Gantry, method: Method) -> Any:
        if method is Method.COMPUTER_STATUS:
            return gantry.computers()
        if method is Method.CABINET_STATUS:
            return gantry.cabinet()
        return {"curVersion": self._versions[gantry.number]}

    def _answered(self, gantry: Gantry, method: Method, due: float, answer: Answer) -> None:
        took = self._wheel.seconds() - due
        if answer.status != 200:
            self._refused(f"http-{answer.status}", took)
            return
        try:
            decoded = decode_answer(answer.body)
        except WireError:
            self._refused(MALFORMED, took)
            return
        if decoded.code != _SUCCESS:
            self._refused(decoded.code, took)
            return
        self.tally.acknowledge(took)
        if method is Method.CARDS and isinstance(decoded.data, dict):
            version = decoded.data.get("latestVersion")
            if isinstance(version, str) and etc.is_list_version(version):
                self._versions[gantry.number] = version  # else it would get the list every time

    def _refused(self, code: str, took: float) -> None:
        self.tally.refuse(code, took)
        self.last_failure = f"answered {code.strip()[:LONGEST_CODE]!r}"

    def _failed(self, failure: Failure) -> None:
        if self._stopped:
            return
        self.tally.lost += 1
        if not failure.check(NoAnswer):
            failure.raiseException()
        self.last_failure = failure.getErrorMessage()
