"""The HTTP link to a UPS card: commands are POSTed, results come to our callback host.

No connection can be up or down. A card counts as reachable until its replies stay out, and is then
tried again after pauses. Source: `docs/protocols/ups-card.md`, "Transport" and "Decisions".
"""

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_gantry.core.interfaces import DeviceContext, ICallbackHost, LateResult
from twisted_gantry.devices.kind import DeviceKind
from twisted_gantry.devices.polled import MAX_FAILURES, RETRY_FIRST, RETRY_MOST, http_client
from twisted_gantry.devices.upscard.driver import CARD_CHECKS, CardSettings, UpsCard
from twisted_gantry.devices.upscard.link import (
    COMMAND_DEADLINE,
    GIVEN_UP,
    CardLink,
    Driver,
    LinkSilent,
    LinkUnreachable,
)
from twisted_gantry.devices.upscard.numbers import SessionNumbers
from twisted_gantry.devices.upscard.sources import Sources
from twisted_gantry.net.http.client import Answer, BoundedClient, CutShort, NoAnswer, NotConnected
from twisted_gantry.net.outage import Cause, Outage, of_status, outage, outage_of
from twisted_gantry.net.session import Backoff
from twisted_gantry.net.slots import Allowed
from twisted_gantry.net.timers import Timer
from twisted_gantry.wire.errors import WireError
from twisted_gantry.wire.frames import MAX_OBJECT
from twisted_gantry.wire.upscard.messages import CardRefusal, ErrorCode, decode_reply, place_of

_log = Logger()

KIND = "ups-card-http"
_TLS = "https://"
_HEADERS = {"Content-Type": "application/json"}


class UpsCardHttpSettings(CardSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of a `[[device]]` of kind `ups-card-http`. Commands go to `url`. The card sends
    their results to `callback`, which must lead to this host. `callback_from` is the address or
    network from which they come, or several; empty: the card's own address.
    """

    url: str
    callback: str
    callback_from: str | list[str] = ""


class HttpLink(CardLink):
    """POSTs each command to `url`; takes results at `callback`, if they come from `sources`, and
    in the card's own answers. Once
    dropped, the link makes one attempt after each pause of `backoff` until a reading is good.
    `close` closes the connections of `client`. `counts` gains `posts`, `post-failed`, `odd-body`.
    """

    silence = outage(
        Cause.NO_UPLOAD,
        en="no reply in time: the card takes the command, but no result comes to our callback",
        zh="管理卡已接受命令，但结果未送达本机callback",
    )

    def __init__(
        self,
        driver: Driver,
        url: str,
        callback: str,
        client: BoundedClient,
        callbacks: ICallbackHost,
        sources: Sources,
        clock: IReactorTime,
        backoff: Backoff,
        close: Callable[[], Deferred[None]],
    ) -> None:
        super().__init__(driver, clock, callback)
        self._url, self._client, self._backoff, self._close = url, client, backoff, close
        self._sources = sources
        self._numbers = SessionNumbers(driver.new_long_session, driver.new_session)
        self._number = 0  # of the last command
        self._posts: set[Deferred[Answer]] = set()
        self._next = Timer(clock, self._try)
        self._up = False
        callbacks.register(callback, self._offered, sources.__contains__)

    def start(self) -> None:
        """Begin: the first reading decides whether the card is reachable."""
        self._try()

    def stop(self) -> Deferred[None]:
        self._next.cancel()
        self._down(outage(Cause.OTHER, en="stopped", zh="已停止"))
        return self._close()

    def new_session(self) -> str:
        return self._numbers.next(self.session.cmd)

    def send(self, data: bytes) -> None:
        self._sources.refresh()
        self._number += 1
        number = self._number
        self.counts["posts"] += 1
        post = self._client.request("POST", self._url, headers=_HEADERS, body=data)
        self._posts.add(post)

        def over(result: Answer | Failure) -> Answer | Failure:
            self._posts.discard(post)
            return result

        post.addBoth(over)
        post.addCallbacks(
            self._answered, self._unanswered, callbackArgs=(number,), errbackArgs=(number,)
        )
        post.addErrback(lambda f: _log.failure("{name} failed", failure=f, name=self.driver.device))

    def unfinished(self) -> bytes:
        return b""  # an HTTP message is whole or none

    def drop(self, reason: Outage = GIVEN_UP) -> None:
        if not self._up:
            return
        self.most_misses = 1
        self._next.start(self._backoff.next())
        self._down(reason)

    def retry(self) -> None:
        if self._next.running:
            self._next.start(0)

    def proved_good(self) -> None:
        self.most_misses = MAX_FAILURES
        self._backoff.reset()

    def _try(self) -> None:
        self._up = True
        self.opened()

    def _down(self, reason: Outage) -> None:
        self._up = False
        for post in tuple(self._posts):
            post.cancel()
        self.closed(reason)

    def _answered(self, answer: Answer, number: int) -> None:
        """Note how the card took a command; only the last one is still awaited."""
        current = number == self._number
        if 200 <= answer.status < 300:
            self._take_body(answer.body, current)
            return
        self.counts["post-failed"] += 1
        if current:
            why = of_status(answer.status, "the card", "管理卡")
            # A server that failed may have acted before; one that refused did not.
            acted = answer.status >= 500
            self.session.undelivered(LinkSilent(why) if acted else LinkUnreachable(why))

    def _offered(self, body: bytes) -> bool:
        """Take a result that was sent to the callback; returns whether it was awaited. Raises
        LateResult.
        """
        try:
            session = decode_reply(body).session
        except WireError:
            return self.session.offered(body)  # which notes what came
        self._numbers.echoed(session)  # first: the next command may be sent in the next line
        taken = self.session.offered(body)
        if not taken and self.session.knows(session):
            raise LateResult
        return taken

    def _take_body(self, body: bytes, current: bool) -> None:
        """Take a result; any other text with which a card accepts a command means nothing."""
        if not body.strip():
            return
        try:
            reply = decode_reply(body)
        except WireError:
            reply = None
        nameless = reply is not None and reply.session is None
        if reply is None or (isinstance(reply, CardRefusal) and reply.result not in set(ErrorCode)):
            self.counts["odd-body"] += 1
            if reply is None and current and b"{" in body:
                self.session.offered(body)  # which notes what came
        elif current or not nameless:
            self._numbers.echoed(reply.session)
            self.session.received(body)

    def _unanswered(self, failure: Failure, number: int) -> None:
        if failure.check(CancelledError):  # given up
            return
        if isinstance(failure.value, CutShort):  # by a wrong length: the status came
            self._answered(failure.value.answer, number)
            return
        failure.trap(NoAnswer)
        self.counts["post-failed"] += 1
        if number == self._number:
            why, sent = outage_of(failure.value), not failure.check(NotConnected)
            self.session.undelivered(LinkSilent(why) if sent else LinkUnreachable(why))


def _wrong_url(url: str) -> str:
    """Check the URL of a card, which may be behind a proxy that speaks TLS."""
    return _wrong_place(_plain(url))


def _plain(url: str) -> str:
    return f"http://{url.removeprefix(_TLS)}" if url.startswith(_TLS) else url


def _wrong_place(url: str) -> str:
    try:
        place_of(url)
    except ValueError as error:
        return str(error)
    return ""


def _as_list(given: str | list[str]) -> list[str]:
    return given if isinstance(given, list) else [given] if given else []


def _wrong_sources(given: str | list[str]) -> str:
    try:
        Allowed(_as_list(given))
    except ValueError as error:
        return str(error)
    return ""


def _build(name: str, settings: UpsCardHttpSettings, context: DeviceContext) -> UpsCard:
    url, callback = settings.url, settings.callback
    sources = Sources(place_of(_plain(url)).host, _as_list(settings.callback_from), context.reactor)
    deadline = max(COMMAND_DEADLINE, settings.patience)
    client, close = http_client(context, deadline, settings, limit=MAX_OBJECT)
    backoff = Backoff(RETRY_FIRST, RETRY_MOST, context.random.random)

    def link(card: UpsCard) -> HttpLink:
        callbacks, clock = context.callbacks, context.reactor
        return HttpLink(card, url, callback, client, callbacks, sources, clock, backoff, close)

    return UpsCard(name, settings, context, link, KIND)


kind = DeviceKind(
    KIND,
    UpsCardHttpSettings,
    _build,
    frozenset({"elec", "ups"}),
    checks={
        **CARD_CHECKS,
        "url": _wrong_url,
        "callback": _wrong_place,
        "callback_from": _wrong_sources,
    },
)
