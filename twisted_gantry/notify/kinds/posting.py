"""What the kinds over HTTP share: a POST in bounded time, and what its answer means."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import msgspec
from twisted.internet.defer import Deferred
from twisted.web.client import HTTPConnectionPool

from twisted_gantry.net.http.client import (
    Answer,
    BoundedClient,
    NoAnswer,
    persistent_pool,
    treq_client,
)
from twisted_gantry.net.outage import Cause, Outage, of_status
from twisted_gantry.net.tls import ClientTls
from twisted_gantry.notify.interfaces import NotSent
from twisted_gantry.notify.settings import Means, ReachedSettings
from twisted_gantry.wire.secret import Secret, shown

DEADLINE = 15.0  # seconds for a message
MOST_ANSWER = 64 * 1024  # bytes
REFUSED = frozenset({400, 405, 406, 409, 410, 413, 414, 415, 422, 431})
"""Statuses for which the same message is no good again; others are of the receiver."""

JSON = {"Content-Type": "application/json; charset=utf-8"}


class Poster:
    """Posts bodies to one receiver, whose URL is shown as its host alone."""

    def __init__(self, url: Secret, settings: ReachedSettings, means: Means) -> None:
        self._url, self._keys = url, (url, *means.keys)
        self._pool: HTTPConnectionPool = persistent_pool(means.reactor, per_host=1)
        tls = ClientTls(settings.files(), means.certificate_seen)
        through = settings.through()
        client = treq_client(means.reactor, self._pool, tls=tls, proxy=through)
        self._client = BoundedClient(client, means.reactor, deadline=DEADLINE, limit=MOST_ANSWER)
        self.host = urlsplit(url.reveal()).netloc

    async def post(
        self,
        body: bytes,
        headers: Mapping[str, str] = JSON,
        query: Callable[[str], str] = lambda url: url,
    ) -> Answer:
        """Post a body; returns an answer of 2xx. Raises NotSent."""
        url = query(self._url.reveal())
        try:
            answer = await self._client.request("POST", url, headers=headers, body=body)
        except NoAnswer as error:
            raise NotSent(self._without_keys(error.outage).at(self.host)) from None
        if not 200 <= answer.status < 300:
            said = f": {self.shown(answer.body[:1000])}" if answer.body else ""
            why = of_status(answer.status, self.host, self.host)
            why = replace(why, en=why.en + said, zh=why.zh + said)
            raise NotSent(why, refused=answer.status in REFUSED)
        return answer

    def shown(self, text: bytes | str, most: int = 100) -> str:
        """Return what a receiver said, without the keys."""
        return shown(text, *self._keys, most=most)

    def _without_keys(self, why: Outage) -> Outage:
        return replace(why, en=self.shown(why.en, 300), zh=self.shown(why.zh, 300))

    def close(self) -> Deferred[Any]:
        closed: Deferred[Any] = self._pool.closeCachedConnections()
        return closed


class Robot:
    """The robot of a chat group, which tells in the body of its HTTP 200 whether a message was
    taken: `codes` are the names of the number, 0 for taken, `texts` those of its explanation.
    """

    def __init__(
        self,
        poster: Poster,
        codes: tuple[str, ...],
        texts: tuple[str, ...],
        refused: frozenset[int],
    ) -> None:
        self._poster, self._codes, self._texts = poster, codes, texts
        self._refused = refused
        self.close = poster.close

    async def post(self, body: object, query: Callable[[str], str] = lambda url: url) -> None:
        """Post a body as JSON. Raises NotSent."""
        answer = await self._poster.post(msgspec.json.encode(body), query=query)
        try:
            said = msgspec.json.decode(answer.body)
        except (ValueError, RecursionError):
            said = None
        found = said if isinstance(said, dict) else {}
        code = next((found[name] for name in self._codes if name in found), None)
        host, shown = self._poster.host, self._poster.shown
        if isinstance(code, bool) or not isinstance(code, int):
            en, zh = f"{host} does not say whether it took the message", f"{host}未说明是否接收"
            said_so = shown(answer.body)
            raise NotSent(Outage(Cause.NOT_PROTOCOL, f"{en}: {said_so}", f"{zh}：{said_so}"))
        if code != 0:
            text = next((found[name] for name in self._texts if name in found), "")
            why = f"{code}: {shown(str(text))}"
            en, zh = f"{host} answers {why}", f"{host}应答{why}"
            raise NotSent(Outage(Cause.ERROR_ANSWER, en, zh), refused=code in self._refused)
