"""Data messages in the one spelling that `messages.encode` gives, read in two fast steps, and the
answers to them.

A cloud with many devices reads most of its lines here. A line that is spelt in any other way is
none of these, and `messages.read_requests` reads it; both give the same message.
"""

import msgspec

from twisted_gantry.wire.fogslink.messages import Pack, Single


class _Line(msgspec.Struct, frozen=True, omit_defaults=True):
    req200: Pack | None = None
    req201: Single | None = None


_decode = msgspec.json.Decoder(_Line).decode
_encode = msgspec.json.Encoder().encode


def read_data(line: bytes) -> Pack | Single | None:
    """Return the pack or the single value of a line without its LF, None for any other line.

    What is read is written again and compared: a key twice, an unknown member, a number for a text
    or a blank makes a difference, so that nothing is passed over.
    """
    try:
        read = _decode(line)
        if _encode(read) != line:
            return None
    except (ValueError, RecursionError):
        return None
    return read.req201 if read.req200 is None else read.req200 if read.req201 is None else None


def taken(message: Pack | Single, eq_sn: str) -> bytes:
    """Return the answer 8 to data, as `messages.encode` spells it. Raises ValueError for a text
    that no JSON can carry.
    """
    who = _encode(eq_sn)
    if isinstance(message, Pack):
        return b'{"res200":{"eqSN":%b,"packID":%b,"code":"8"}}\n' % (who, _encode(message.pack_id))
    return b'{"res201":{"eqSN":%b,"eChan":%b,"code":"8"}}\n' % (who, _encode(message.e_chan))
