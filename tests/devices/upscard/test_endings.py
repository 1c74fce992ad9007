"""How a query to a UPS card ended, in the vocabulary of causes."""

import pytest

from twisted_gantry.devices.upscard.endings import refused, unreadable, why
from twisted_gantry.devices.upscard.link import CardLink, LinkUnreachable
from twisted_gantry.net.outage import Cause, outage
from twisted_gantry.wire.upscard.messages import decode_reply
from twisted_gantry.wire.upscard.session import NoReply, NotSent, Odd, StayedBusy, Unread


@pytest.mark.parametrize(
    ("ending", "cause"),
    [
        (NoReply("no reply in time"), Cause.SILENT),
        (StayedBusy("busy"), Cause.BUSY),
        (Unread("why", Odd.UNREADABLE, "{"), Cause.MALFORMED),
        (Unread("why", Odd.NO_OBJECT, "SSH-2.0"), Cause.NOT_PROTOCOL),
        (Unread("why", Odd.OTHER_CARD), Cause.WRONG_IDENTITY),
        (Unread("why", Odd.OTHER_REPLY), Cause.MALFORMED),
        (LinkUnreachable(outage(Cause.REFUSED)), Cause.REFUSED),
        (NotSent("a full queue"), Cause.OTHER),
    ],
)
def test_an_ending(ending: NoReply | NotSent, cause: Cause) -> None:
    """Each ending without a reply has its cause; what came is shown in Chinese, too."""
    found = why(ending, CardLink.silence)
    assert found.cause is cause
    assert getattr(ending, "quoted", "") in found.zh


def test_a_refusal() -> None:
    """A refused password is told from other refusals."""
    for code, cause in (("103", Cause.PASSWORD), ("105", Cause.ERROR_ANSWER)):
        refusal = decode_reply(b'{"session": "1", "cmd": "QAD", "result": "%s"}' % code.encode())
        assert refused(refusal).cause is cause  # type: ignore[arg-type]
    assert unreadable("QAD", "3 fields").cause is Cause.MALFORMED
