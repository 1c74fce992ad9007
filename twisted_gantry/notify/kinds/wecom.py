"""A robot of a WeCom group (企业微信群机器人): a text, the key is in the URL.

Answers `{"errcode": 0, "errmsg": "ok"}` with HTTP 200; a text has at most 2048 bytes.
"""

from twisted.internet.defer import Deferred, ensureDeferred
from zope.interface import implementer

from twisted_gantry.notify.interfaces import ISender
from twisted_gantry.notify.kinds.posting import Poster, Robot
from twisted_gantry.notify.notice import Message
from twisted_gantry.notify.settings import Means, ReachedSettings
from twisted_gantry.wire.secret import Secret

MOST = 2048  # bytes of a text
REFUSED = frozenset({40008, 44001, 44004, 45002})
"""Answers about the content: kind of message, empty body, empty text, too long."""


class WecomSettings(ReachedSettings, frozen=True, kw_only=True):
    """`kind = "wecom"`."""

    url: Secret


@implementer(ISender)
class WecomSender:
    def __init__(self, settings: WecomSettings, means: Means) -> None:
        poster = Poster(settings.url, settings, means)
        self._robot = Robot(poster, ("errcode",), ("errmsg",), REFUSED)
        self._wording, self.close = means.wording, self._robot.close

    def send(self, body: bytes) -> Deferred[None]:
        text = self._wording.text(Message.decode(body), MOST)
        return ensureDeferred(self._robot.post({"msgtype": "text", "text": {"content": text}}))
