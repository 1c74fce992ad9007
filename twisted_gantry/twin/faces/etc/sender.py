"""The requests that the twin sends over the ETC interface, under the faults of their face."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from attrs import define, field

from twisted_gantry.net.http.client import Answer, BoundedClient, NoAnswer
from twisted_gantry.twin.dialects.dialect import Voice
from twisted_gantry.twin.faults.injection import FaultInjector
from twisted_gantry.twin.faults.settings import STALE_S
from twisted_gantry.wire.etc import envelope as etc


@define(eq=False)
class EtcSender:
    """Sends signed requests, written by `voice` if one is given.

    The counts gain `stale`, `wrong-digest` and `doubled`.
    """

    _client: BoundedClient
    _injector: FaultInjector
    _now: Callable[[], float]
    _gantry_id: str = field(kw_only=True)
    _auth: str = field(kw_only=True)
    _voice: Voice | None = field(kw_only=True, default=None)

    async def send(self, url: str, method: etc.Method, fields: Any, limit: int) -> Answer:
        """Send a request; the answer has at most `limit` bytes. Raises NoAnswer, also if frozen."""
        faults = self._injector.faults
        if faults.frozen:
            raise NoAnswer("frozen: nothing is sent")
        old = STALE_S if self._injector.strikes(faults.stale, "stale") else 0.0
        body = etc.encode_request(self._gantry_id, method, self._now() - old, fields)
        if self._voice is not None:
            body = self._voice.say(body)
        headers = etc.signed_headers(body, self._auth)
        if self._injector.strikes(faults.wrong_digest, "wrong-digest"):
            headers[etc.MD5_HEADER] = etc.digest(body + b" ")
        answer = await self._post(url, headers, body, limit)
        if self._injector.strikes(faults.duplicate, "doubled"):
            with suppress(NoAnswer):
                await self._post(url, headers, body, limit)
        return answer

    async def _post(self, url: str, headers: dict[str, str], body: bytes, limit: int) -> Answer:
        content, patience = self._injector.body(body)
        return await self._client.request(
            "POST", url, headers=headers, body=content, limit=limit, patience=patience
        )
