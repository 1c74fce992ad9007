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

from twisted_gantry.net.http.client import Answer as HttpAnswer
from twisted_gantry.net.http.client import BoundedClient, CutShort, NoAnswer
from twisted_gantry.net.outage import Cause, Outage, of_status, outage, outage_of, unread
from twisted_gantry.wire.errors import WireError
from twisted_gantry.wire.etc import envelope
from twisted_gantry.wire.etc.answers import NoCode, decode_answer, trouble_of
from twisted_gantry.wire.etc.envelope import Answer, EtcCode
from twisted_gantry.wire.secret import Secret, shown, without

MAX_ANSWER = 64 * 1024
MAX_LIST = 10 * 1024 * 1024
"""Bytes of an answer with a white list; one of a hundred thousand cards has 10 MB."""
KEPT = 4096
"""Bytes of an answer that are kept with a report that is set aside."""


class Kind(Enum):
    """How a request ended."""

    DELIVERED = "1000"
    CHANNEL = "the way there, or the platform itself, does not work"
    REFUSED = "1002"
    SIGNATURE = "1004"
    CLOCK = "1003"
    UNCLEAR = "an answer that says nothing of the report, nor of the channel"


@dataclass(frozen=True)
class Taken:
    """The outcome of a request; `answer` is None unless the platform answered by the protocol.
    `content` is the beginning of the answer as it came, without secrets.
    """

    kind: Kind
    reason: str
    answer: Answer | None = None
    content: bytes = b""
    why: Outage | None = None

    @property
    def outage(self) -> Outage:
        """Return what is wrong with the way to the platform."""
        return self.why or outage(Cause.ERROR_ANSWER, en=self.reason, zh=self.reason)


_KINDS = {
    EtcCode.SUCCESS: Kind.DELIVERED,
    EtcCode.BAD_PARAMETERS: Kind.REFUSED,
    EtcCode.INVALID_SIGNATURE: Kind.SIGNATURE,
    EtcCode.CLOCK_SKEW: Kind.CLOCK,
    # A platform that fails on one report alone answers so for ever.
    EtcCode.CONTROL_FAILED: Kind.UNCLEAR,
    EtcCode.UNKNOWN_EXCEPTION: Kind.UNCLEAR,
    EtcCode.NO_PICTURE: Kind.UNCLEAR,
}


_CODES = {str(code.value): code for code in EtcCode}


def classify(answer: HttpAnswer, *secrets: Secret) -> Taken:
    """Return what an answer means for the report. `secrets` are masked in what is kept of it."""
    content, came = without(answer.body[:KEPT], *secrets), shown(answer.body, *secrets)
    if answer.status != 200:
        why = of_status(answer.status, "the platform", "平台")
        return Taken(Kind.CHANNEL, f"HTTP {answer.status}", content=content, why=why)
    try:
        given = decode_answer(answer.body)
    except NoCode as error:
        reason = f"HTTP 200, but {error}: {came!r}"
        return Taken(Kind.UNCLEAR, reason, content=content, why=unread(came, f"{error}"))
    except WireError as error:
        reason = f"HTTP 200, but {error}: {came!r}"
        return Taken(Kind.CHANNEL, reason, content=content, why=unread(came, f"{error}"))
    code = _CODES.get(given.code)
    if code is None:
        reason = f"the unknown code {shown(given.code, *secrets, most=10)!r}"
        return Taken(Kind.UNCLEAR, reason, given, content)
    meaning, msg = envelope.MESSAGES[code], shown(given.msg or "", *secrets)
    reason = f"{code.value} {meaning}" + (f" ({msg})" if msg not in {"", meaning} else "")
    why = outage(Cause(trouble_of(code, given.msg)), en=reason, zh=reason)
    return Taken(_KINDS.get(code, Kind.CHANNEL), reason, given, content, why)


class Channel(Protocol):
    """The channel as the sender sees it."""

    def post(self, body: bytes, url: str, limit: int = MAX_ANSWER) -> Deferred[Taken]:
        """Send one request; `limit` is bytes of the answer."""
        ...


def host_shown(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


class EtcChannel:
    """Posts to a platform; the authentication code goes into a header only."""

    def __init__(self, auth: Secret, client: BoundedClient) -> None:
        self._auth, self._client = auth, client

    def post(self, body: bytes, url: str, limit: int = MAX_ANSWER) -> Deferred[Taken]:
        """Send one request. No behaviour of a peer makes it fail."""
        headers = envelope.signed_headers(body, self._auth.reveal())
        answered = self._client.request("POST", url, headers=headers, body=body, limit=limit)
        secrets = (self._auth,)
        return answered.addCallbacks(classify, _lost, callbackArgs=secrets, errbackArgs=secrets)


def _lost(failure: Failure, auth: Secret) -> Taken:
    failure.trap(NoAnswer)
    if isinstance(failure.value, CutShort):
        taken = classify(failure.value.answer, auth)
        if taken.answer is not None:  # the code is in the part that came
            return taken
        came = shown(failure.value.answer.body, auth)
        reason = f"{failure.getErrorMessage()}: {came!r}"
        return Taken(Kind.CHANNEL, reason, content=taken.content, why=outage_of(failure.value))
    return Taken(Kind.CHANNEL, failure.getErrorMessage(), why=outage_of(failure.value))
