"""A webhook: the message as JSON, signed with the secret."""

from twisted.internet.defer import Deferred, ensureDeferred
from zope.interface import implementer

from twisted_gantry.notify.interfaces import ISender
from twisted_gantry.notify.kinds.posting import JSON, Poster
from twisted_gantry.notify.settings import Means, ReachedSettings
from twisted_gantry.wire.notification import SIGNATURE, TIMESTAMP, signature
from twisted_gantry.wire.secret import Secret


class WebhookSettings(ReachedSettings, frozen=True, kw_only=True):
    """`kind = "webhook"`."""

    url: Secret
    secret: Secret | None = None


@implementer(ISender)
class WebhookSender:
    def __init__(self, settings: WebhookSettings, means: Means) -> None:
        self._secret, self._now = settings.secret, means.now
        self._poster = Poster(settings.url, settings, means)
        self.close = self._poster.close

    def send(self, body: bytes) -> Deferred[None]:
        return ensureDeferred(self._send(body))

    async def _send(self, body: bytes) -> None:
        timestamp = str(int(self._now()))
        headers = {**JSON, TIMESTAMP: timestamp}
        if self._secret is not None:
            headers[SIGNATURE] = signature(self._secret.reveal(), timestamp, body)
        await self._poster.post(body, headers)
