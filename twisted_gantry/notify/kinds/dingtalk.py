"""A robot of a DingTalk group (钉钉群机器人): a text, signed in the query of the URL.

The signature is Base64 of the HMAC-SHA256, by the secret, of the milliseconds, a line feed and the
secret. Answers `{"errcode": 0, "errmsg": "ok"}` with HTTP 200.
"""

import hashlib
import hmac
from base64 import b64encode
from urllib.parse import urlencode

from twisted.internet.defer import Deferred, ensureDeferred
from zope.interface import implementer

from twisted_gantry.notify.interfaces import ISender
from twisted_gantry.notify.kinds.posting import Poster, Robot
from twisted_gantry.notify.notice import Message
from twisted_gantry.notify.settings import Means, ReachedSettings
from twisted_gantry.wire.secret import Secret

MOST = 15_000  # bytes of a text; a body may have 20,000
REFUSED = frozenset({400101, 400102, 400105, 40035, 430101, 430102, 430103, 430104})
"""Answers about the content: bad parameters, and texts that the service does not carry."""


class DingtalkSettings(ReachedSettings, frozen=True, kw_only=True):
    """`kind = "dingtalk"`; `secret` begins with SEC."""

    url: Secret
    secret: Secret | None = None


def signed(url: str, secret: str, milliseconds: int) -> str:
    """Return the URL with time and signature."""
    message = f"{milliseconds}\n{secret}".encode()
    digest = hmac.new(secret.encode(), message, hashlib.sha256).digest()
    query = urlencode({"timestamp": milliseconds, "sign": b64encode(digest).decode()})
    return f"{url}{'&' if '?' in url else '?'}{query}"


@implementer(ISender)
class DingtalkSender:
    def __init__(self, settings: DingtalkSettings, means: Means) -> None:
        self._secret, self._now, self._wording = settings.secret, means.now, means.wording
        poster = Poster(settings.url, settings, means)
        self._robot = Robot(poster, ("errcode",), ("errmsg",), REFUSED)
        self.close = self._robot.close

    def send(self, body: bytes) -> Deferred[None]:
        text = self._wording.text(Message.decode(body), MOST)
        wanted = {"msgtype": "text", "text": {"content": text}}
        return ensureDeferred(self._robot.post(wanted, self._with_signature))

    def _with_signature(self, url: str) -> str:
        if self._secret is None:
            return url
        return signed(url, self._secret.reveal(), int(self._now() * 1000))
