"""An HTTP client over a persistent pool, with bounds on the size and the time of each answer.

The `timeout=` of treq covers the headers only; the deadline here covers the whole answer.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any

from attrs import define
from OpenSSL import SSL
from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.error import ConnectError, ConnectionDone, ConnectionLost, DNSLookupError
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web import client as web
from twisted.web._newclient import HTTP11ClientProtocol, ParseError
from twisted.web.client import Agent, HTTPConnectionPool, ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from twisted_gantry.net.budget import Budget, Slices
from twisted_gantry.net.expiry import expires
from twisted_gantry.net.http.proxy import ProxiedEndpoints, Proxy
from twisted_gantry.net.outage import (
    WORDS,
    Cause,
    Outage,
    Reason,
    as_outage,
    not_protocol,
    outage,
    outage_of,
)
from twisted_gantry.net.tls import CertificateRefused, ClientTls

# Errors with the causes in `reasons`.
_WRAPPERS = (web.ResponseFailed, web.RequestTransmissionFailed, web.RequestGenerationFailed)


class NoAnswer(Exception):
    """The exchange failed; the text says why, without the URL's user and without headers."""

    def __init__(self, why: Reason) -> None:
        super().__init__(str(why))
        self.outage = as_outage(why)


class CutShort(NoAnswer):
    """The answer did not come whole; `answer` holds the part that came, within the bound."""

    def __init__(self, why: Reason, answer: "Answer") -> None:
        super().__init__(why)
        self.answer = answer


class NotConnected(NoAnswer):
    """There was no connection: nothing was sent."""


@dataclass(frozen=True)
class Answer:
    """A whole HTTP answer; `headers` have lower-case names, the last of several counts."""

    status: int
    headers: dict[str, str]
    body: bytes


_WITHIN = outage(
    Cause.CLOSED, en="the connection was lost within the answer", zh="应答中途连接断开"
)

_NO_CHUNKS = outage(
    Cause.MALFORMED, en="the chunks of the answer cannot be read", zh="应答的分块编码无法解析"
)


class _Collector(Protocol):
    def __init__(self, limit: int, done: Deferred[bytes]) -> None:
        self._limit, self._done = limit, done
        self._parts: list[bytes] = []
        self._got = 0

    @property
    def content(self) -> bytes:
        """What came so far, within the limit."""
        return b"".join(self._parts)[: self._limit]

    def dataReceived(self, data: bytes) -> None:
        if self._got > self._limit:
            return
        self._got += len(data)
        self._parts.append(data)
        if self._got > self._limit:
            long = f"an answer of over {self._limit} bytes"
            zh = f"应答超过{self._limit}字节"
            self._finish(Failure(NoAnswer(outage(Cause.MALFORMED, en=long, zh=zh))))
            self.stop()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if reason.check(ResponseDone, PotentialDataLoss):
            self._finish(self.content)
        else:
            causes = [each.value for each in getattr(reason.value, "reasons", ())]
            # The error of Twisted has a private name.
            chunks = any("Chunked" in type(each).__name__ for each in causes)
            lost = NoAnswer(_NO_CHUNKS if chunks else _WITHIN)
            ours = [each for each in causes if isinstance(each, NoAnswer)]
            self._finish(Failure([*ours, lost][0]))

    def _finish(self, result: bytes | Failure) -> None:
        if not self._done.called:
            self._done.callback(result)

    def stop(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()


WORK = 0.2  # CPU seconds a second that a server may cost within its answers
_HTTP, _HTTP_LOOK = b"http", 400  # how an answer begins; bytes that are looked at and shown
MAX_HEAD = 64 * 1024  # bytes of the head of an answer, with all that come before it (100 Continue)


class _Connection(HTTP11ClientProtocol):
    """Reads answers in slices, and cuts a server that floods: it sends heads without end, or very
    small chunks. What follows the end of an answer is done within its last slice, which is free.
    """

    def __init__(self, clock: IReactorTime, quiescent: Callable[[Any], Any]) -> None:
        super().__init__(quiescent)  # type: ignore[no-untyped-call]
        budget = Budget(clock, WORK, WORK)
        self._slices = Slices(clock, self._feed, self._pay, self._flooded)
        self._charge, self._head, self._floods = budget.charge, 0, False
        self._first: bytes | None = b""  # of the connection, None once it proved to be HTTP

    def makeConnection(self, transport: Any) -> None:
        self._slices.transport = transport
        super().makeConnection(transport)  # type: ignore[no-untyped-call]

    def dataReceived(self, data: bytes) -> None:
        self._slices.take(data)

    def _feed(self, data: bytes) -> None:
        if self._first is not None:
            self._first += data[:_HTTP_LOOK]
            if len(self._first) >= len(_HTTP) and self._first.lstrip()[:4].lower() != _HTTP:
                self._slices.drop()
                self._cut()
                return
            if len(self._first) >= len(_HTTP):
                self._first = None
        super().dataReceived(data)  # type: ignore[no-untyped-call]
        parser: Any = getattr(self, "_parser", None)  # a private name of Twisted
        within = getattr(parser, "state", "") in {"STATUS", "HEADER"}
        self._head = self._head + len(data) if within else 0

    def _pay(self, seconds: float) -> bool:
        if self.state == "QUIESCENT":
            return True
        return self._head <= MAX_HEAD and self._charge(seconds)

    def _flooded(self) -> None:
        self._floods = True
        self._cut()

    def _cut(self) -> None:
        transport: Any = self.transport
        transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._slices.end()
        if self._floods:
            en, zh = "the server floods the connection", "服务器大量发送无用数据"
            reason = Failure(NoAnswer(outage(Cause.FLOOD, en=en, zh=zh)))
        elif self._first:
            reason = Failure(NoAnswer(not_protocol(self._first)))
        super().connectionLost(reason)  # type: ignore[no-untyped-call]


class _Connections(Factory[_Connection]):
    noisy = False

    def __init__(self, clock: IReactorTime, quiescent: Callable[[Any], Any], _: object) -> None:
        self._made_of = clock, quiescent

    def buildProtocol(self, addr: IAddress | None) -> _Connection:
        return _Connection(*self._made_of)


class _Pool(HTTPConnectionPool):
    """A pool whose connections carry no request that has expired while it waited for one."""

    def getConnection(self, key: Any, endpoint: Any) -> Any:  # noqa: N802 - of Twisted
        at, clock = expires(), self._reactor
        got = super().getConnection(key, endpoint)

        def look(connection: Any) -> Any:
            if clock.seconds() < at:
                return connection
            connection.transport.loseConnection()
            raise NotConnected(
                outage(
                    Cause.OTHER,
                    en="expired before there was a connection; not sent",
                    zh="连接建立前已过期，未发送",
                )
            )

        return got if math.isinf(at) else got.addCallback(look)


def persistent_pool(reactor: Any, *, per_host: int = 4) -> HTTPConnectionPool:
    """Return a pool of persistent connections; its owner calls `closeCachedConnections`."""
    pool: Any = _Pool(reactor, persistent=True)  # type: ignore[no-untyped-call]
    pool.maxPersistentPerHost = per_host
    pool.cachedConnectionTimeout = 30  # shorter than servers', so that no request meets a close
    pool.retryAutomatically = False  # the outbox repeats reports
    pool._factory = partial(_Connections, reactor)  # a private name of Twisted; a test sees it
    made: HTTPConnectionPool = pool
    return made


@implementer(IAgent)
class _Plain:
    """An agent without cookies and compressed answers, which treq unpacks without bound."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,  # noqa: N803
    ) -> Deferred[IResponse]:
        plain = Headers() if headers is None else headers.copy()
        plain.removeHeader(b"accept-encoding")
        answered: Deferred[IResponse] = self._agent.request(method, uri, plain, bodyProducer)
        return answered.addCallback(_unpacked)


def _unpacked(response: IResponse) -> IResponse:
    response.headers.removeHeader(b"set-cookie")
    codings = b",".join(response.headers.getRawHeaders(b"content-encoding", []))
    if codings.strip().lower() not in (b"", b"identity"):
        discarded: Deferred[bytes] = Deferred()
        discarded.addErrback(lambda _: None)
        response.deliverBody(collector := _Collector(0, discarded))
        collector.stop()
        en, zh = "a compressed answer, which was not asked for", "应答被压缩，本机未要求压缩"
        raise NoAnswer(outage(Cause.MALFORMED, en=en, zh=zh))
    return response


def treq_client(
    reactor: Any,
    pool: HTTPConnectionPool,
    *,
    tls: ClientTls | None = None,
    connect_timeout: float = 5.0,
    proxy: Proxy | None = None,
) -> HTTPClient:
    """Return a client whose https is `tls`, by default with the authorities of the system. With a
    `proxy` each connection goes through it.
    """
    tls = tls or ClientTls()
    if proxy is None:
        agent = Agent(reactor, tls, connectTimeout=connect_timeout, pool=pool)
    else:
        endpoints = ProxiedEndpoints(reactor, proxy, tls)
        agent = Agent.usingEndpointFactory(reactor, endpoints, pool)
    return HTTPClient(_Plain(agent))


class BoundedClient:
    """Requests with a deadline in seconds and a bound in bytes on each answer."""

    def __init__(
        self, client: HTTPClient, clock: IReactorTime, *, deadline: float = 10.0, limit: int = 65536
    ) -> None:
        self._client, self._clock = client, clock
        self._deadline, self._limit = deadline, limit

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] = MappingProxyType({}),
        body: bytes | IBodyProducer | None = None,
        limit: int | None = None,
        patience: float = 0.0,
    ) -> Deferred[Answer]:
        """Send a request, without following redirects, and return the whole answer. `patience` is
        added to the deadline, in seconds. Fails with NoAnswer, which is CutShort when a part of the
        answer came, or with CancelledError when it is cancelled.
        """
        part = _Part()
        exchange = ensureDeferred(
            self._exchange(method, url, headers, body, limit or self._limit, part)
        )
        seconds = self._deadline + patience

        def late(*_: object) -> Failure:
            came = part.came()
            en = f"{'no end of the answer' if came else 'no answer'} within {seconds:g} s"
            zh = f"{seconds:g}秒内{'应答不完整' if came else '无应答'}"
            return Failure(NoAnswer(outage(Cause.SILENT, en=en, zh=zh)))

        exchange.addTimeout(seconds, self._clock, late)
        exchange.addErrback(_explain).addErrback(part.kept)

        def cancel(cancelled: Deferred[Answer]) -> None:
            # First: a cancelled exchange fails with various errors, or not at all.
            cancelled.errback(CancelledError())
            exchange.cancel()

        answered: Deferred[Answer] = Deferred(cancel)

        def ended(result: Answer | Failure) -> None:
            if not answered.called:
                answered.callback(result)

        exchange.addBoth(ended)
        return answered

    async def _exchange(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | IBodyProducer | None,
        limit: int,
        part: "_Part",
    ) -> Answer:
        response: IResponse = await self._client.request(
            method,
            url,
            headers=Headers({name: [value] for name, value in headers.items()}),
            data=body,
            allow_redirects=False,
            unbuffered=True,
        )
        collected: Deferred[bytes] = Deferred(lambda _: collector.stop())
        collector = _Collector(limit, collected)
        part.response, part.collector = response, collector
        response.deliverBody(collector)
        return _answer(response, await collected)


@define
class _Part:
    """What came of an answer that may not become whole."""

    response: IResponse | None = None
    collector: _Collector | None = None

    def came(self) -> Answer | None:
        """Return the part, None before the first byte of the body."""
        content = self.collector.content if self.collector is not None else b""
        return _answer(self.response, content) if content else None

    def kept(self, failure: Failure) -> Failure:
        """Turn NoAnswer into CutShort if a part came."""
        answer = self.came()
        if answer is None or not failure.check(NoAnswer):
            return failure
        return Failure(CutShort(outage_of(failure.value), answer))


def _answer(response: Any, content: bytes) -> Answer:
    headers = {
        name.decode("latin-1").lower(): values[-1].decode("latin-1")
        for name, values in response.headers.getAllRawHeaders()
    }
    return Answer(response.code, headers, content)


def _explain(failure: Failure) -> Failure:
    error = failure.value
    if isinstance(error, NoAnswer):
        return failure
    if isinstance(error, _WRAPPERS):  # TLS errors are among the reasons
        reasons = [reason.value for reason in error.reasons]
        for each in reasons:
            if isinstance(each, CertificateRefused):
                return Failure(NotConnected(outage_of(each)))
        known = [outage_of(each) for each in reasons if isinstance(each, NoAnswer | SSL.Error)]
        odd = [not_protocol(each.args[1]) for each in reasons if _is_no_http(each)]
        found = [*known, *odd, *map(_lost, reasons), outage(Cause.CLOSED, en="lost")][0]
        bad = [each for each in reasons if isinstance(each, ValueError)]
        if bad and isinstance(error, web.ResponseFailed):
            return Failure(NoAnswer(_bad_head(bad[0])))
        if any(isinstance(each, NoAnswer) for each in reasons):
            return Failure(NoAnswer(found))
        told = [outage_of(e).en if isinstance(e, SSL.Error) else _words(e) for e in reasons]
        why = ", ".join(told) or "lost"
        return Failure(NoAnswer(replace(found, en=f"the exchange failed: {why}")))
    if isinstance(error, ConnectError):
        found = outage_of(error)
        en, zh = f"no connection: {found.en}", f"未能连接：{found.zh}"
        return Failure(NotConnected(replace(found, en=en, zh=zh)))
    if isinstance(error, DNSLookupError):
        return Failure(NotConnected(outage_of(error)))
    if isinstance(error, ValueError | TypeError | AttributeError):
        # A URL or a header that HTTP cannot carry: the text may quote it, with user and password.
        kind = type(error).__name__
        en, zh = f"the request cannot be made: {kind}", f"无法生成请求：{kind}"
        return Failure(NoAnswer(outage(Cause.LOCAL, en=en, zh=zh)))
    return Failure(NoAnswer(_lost(error)))


def _bad_head(error: BaseException) -> Outage:
    en, zh = "the head of the answer cannot be read", "应答的HTTP头无法解析"
    words = _words(error)
    return outage(Cause.MALFORMED, en=f"{en}: {words}", zh=f"{zh}：{words}")


def _is_no_http(error: BaseException | None) -> bool:
    """Tell whether an answer could not be read, and quotes what came."""
    return isinstance(error, ParseError) and isinstance(error.args[-1], bytes)


def _lost(error: BaseException | None) -> Outage:
    found = outage_of(error)
    if found.cause is not Cause.CLOSED:
        return found
    return replace(found, en=_words(error), zh=WORDS[Cause.CLOSED].zh)


def _words(error: BaseException | None) -> str:
    if isinstance(error, ConnectionDone | ConnectionLost):
        return "the connection was closed"
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]
