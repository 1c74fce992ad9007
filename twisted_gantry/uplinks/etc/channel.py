"""The channel to the platform: signs a body, posts it, and classifies the answer.

An answer speaks of the channel or of the report. Decisions: `docs/protocols/etc-gantry.md`,
"Delivery".
"""

from dataclasses import dataclass
from enum import Enum
from typing import Protocol
from urllib.parse import urlsplit

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from twisted_gantry.core.secret import Secret
from twisted_gantry.net.http.client import Answer as HttpAnswer
from twisted_gantry.net.http.client import BoundedClient, NoAnswer
from twisted_gantry.wire.errors import WireError
from twisted_gantry.wire.etc import envelope
from twisted_gantry.wire.etc.envelope import Answer, EtcCode

MAX_ANSWER = 8 * 1024 * 1024  # a white list of ten thousand cards is about 1 MB


class Kind(Enum):
    """How a request ended."""

    DELIVERED = "1000"
    CHANNEL = "the way there, or the platform itself, does not work"
    REFUSED = "1002"
    SIGNATURE = "1004"
    CLOCK = "1003"


@dataclass(frozen=True)
class Taken:
    """The outcome of a request; `answer` is None unless the platform answered by the protocol."""

    kind: Kind
    reason: str
    answer: Answer | None = None


_KINDS = {
    EtcCode.SUCCESS: Kind.DELIVERED,
    EtcCode.BAD_PARAMETERS: Kind.REFUSED,
    EtcCode.INVALID_SIGNATURE: Kind.SIGNATURE,
    EtcCode.CLOCK_SKEW: Kind.CLOCK,
}


_CODES = {str(code.value): code for code in EtcCode}


def classify(answer: HttpAnswer) -> Taken:
    if answer.status != 200:
        return Taken(Kind.CHANNEL, f"HTTP {answer.status}")
    try:
        given = envelope.decode_answer(answer.body)
    except WireError as error:
        return Taken(Kind.CHANNEL, f"HTTP 200, but {error}")
    try:
        code = _CODES[given.code.strip()]
    except KeyError:
        return Taken(Kind.CHANNEL, f"the unknown code {given.code[:10]!r}", given)
    return Taken(_KINDS.get(code, Kind.CHANNEL), f"{code.value} {envelope.MESSAGES[code]}", given)


class Channel(Protocol):
    """The channel as the sender sees it."""

    def post(self, body: bytes, url: str) -> Deferred[Taken]: ...  # send one request


def host_shown(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


class EtcChannel:
    """Posts to a platform; the authentication code goes into a header only."""

    def __init__(self, auth: Secret, client: BoundedClient) -> None:
        self._auth, self._client = auth, client

    def post(self, body: bytes, url: str) -> Deferred[Taken]:
        """Send one request. No behaviour of a peer makes it fail."""
        headers = envelope.signed_headers(body, self._auth.reveal())
        answered = self._client.request("POST", url, headers=headers, body=body, limit=MAX_ANSWER)
        return answered.addCallbacks(classify, _lost)


def _lost(failure: Failure) -> Taken:
    failure.trap(NoAnswer)
    return Taken(Kind.CHANNEL, failure.getErrorMessage())
