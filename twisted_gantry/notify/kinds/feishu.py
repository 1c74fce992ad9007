"""A robot of a Feishu group (飞书群机器人): a text, signed in the body.

The signature is Base64 of the HMAC-SHA256 of nothing, by the seconds, a line feed and the secret
as the key. Answers `{"code": 0}`, or `{"StatusCode": 0}` of older robots, with HTTP 200.
"""

import hashlib
import hmac
from base64 import b64encode
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred
from zope.interface import implementer

from twisted_gantry.notify.interfaces import ISender
from twisted_gantry.notify.kinds.posting import Poster, Robot
from twisted_gantry.notify.notice import Message
from twisted_gantry.notify.settings import Means, ReachedSettings
from twisted_gantry.wire.secret import Secret

MOST = 15_000  # bytes of a text; a body may have 20 KiB
REFUSED = frozenset({9499, 19002, 19020})
"""Answers about the content: bad request, bad parameters."""


class FeishuSettings(ReachedSettings, frozen=True, kw_only=True):
    """`kind = "feishu"`."""

    url: Secret
    secret: Secret | None = None


def signature_of(secret: str, seconds: int) -> str:
    key = f"{seconds}\n{secret}".encode()
    return b64encode(hmac.new(key, b"", hashlib.sha256).digest()).decode()


@implementer(ISender)
class FeishuSender:
    def __init__(self, settings: FeishuSettings, means: Means) -> None:
        self._secret, self._now, self._wording = settings.secret, means.now, means.wording
        poster = Poster(settings.url, settings, means)
        codes, texts = ("code", "StatusCode"), ("msg", "StatusMessage")
        self._robot = Robot(poster, codes, texts, REFUSED)
        self.close = self._robot.close

    def send(self, body: bytes) -> Deferred[None]:
        text = self._wording.text(Message.decode(body), MOST)
        wanted: dict[str, Any] = {"msg_type": "text", "content": {"text": text}}
        if self._secret is not None:
            seconds = int(self._now())
            sign = signature_of(self._secret.reveal(), seconds)
            wanted = {"timestamp": str(seconds), "sign": sign, **wanted}
        return ensureDeferred(self._robot.post(wanted))
