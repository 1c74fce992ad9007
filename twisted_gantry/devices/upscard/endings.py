"""Why a query to a UPS card brought no reading, in the words of `net/outage.py`."""

from twisted_gantry.net.outage import WORDS, Cause, Outage, outage, outage_of
from twisted_gantry.wire.upscard.messages import CardRefusal, ErrorCode
from twisted_gantry.wire.upscard.session import NoReply, NotSent, Odd, StayedBusy, Unread

_ODD = {
    Odd.UNREADABLE: Cause.MALFORMED,
    Odd.NO_OBJECT: Cause.NOT_PROTOCOL,
    Odd.OTHER_CARD: Cause.WRONG_IDENTITY,
    Odd.OTHER_REPLY: Cause.MALFORMED,
}


def why(ending: NoReply | NotSent, silence: Outage) -> Outage:
    """Return the outage for an ending without a reply; `silence` is what that means otherwise."""
    if isinstance(getattr(ending, "outage", None), Outage):
        return outage_of(ending)
    if isinstance(ending, StayedBusy):
        return outage(Cause.BUSY, en=str(ending), zh="管理卡一直忙（201 BUSY）")
    if isinstance(ending, Unread):
        words = WORDS[_ODD[ending.odd]]
        zh = f"{words.zh}：{ending.quoted}" if ending.quoted else words.zh
        return outage(_ODD[ending.odd], en=str(ending), zh=zh)
    return silence if isinstance(ending, NoReply) else outage(Cause.OTHER, en=str(ending))


def refused(refusal: CardRefusal) -> Outage:
    if refusal.result == ErrorCode.PASSWORD_ERROR:
        return outage(
            Cause.PASSWORD,
            en="the card refuses the password (103 PASSWORD_ERROR)",
            zh="管理卡拒绝该密码（103 PASSWORD_ERROR）",
        )
    en, zh = f"the card answers {refusal.name}", f"管理卡应答{refusal.name}"
    return outage(Cause.ERROR_ANSWER, en=en, zh=zh)


def unreadable(query: str, why: str) -> Outage:
    """Return the outage for the result of a query that does not decode."""
    zh = f"{query}应答无法识别：{why}"
    return outage(Cause.MALFORMED, en=f"{query}: {why}", zh=zh)
