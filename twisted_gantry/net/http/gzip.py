"""Packed answers: whether a client takes them, and how they are packed."""

import re
import zlib

from twisted.web.iweb import IRequest

# Bytes of a body that is worth packing, and that is packed on the reactor: 10 ms at the most.
LEAST, MOST = 1024, 512 * 1024
_LEVEL = 1
_GZIP = 16  # added to the bits of the window: the form of gzip
# A stream's window and tables are held as long as its reader stays: 64 KiB of memory in all.
_WINDOW, _MEMORY = 13, 6

_REFUSED = re.compile(r";q=0(\.0*)?\Z")


def takes_gzip(request: IRequest) -> bool:
    """Tell whether the client says that it takes gzip. Sets `Vary`: another client may not."""
    request.setHeader(b"Vary", b"Accept-Encoding")
    value = (request.getHeader(b"accept-encoding") or b"").decode("latin-1")
    for each in re.sub(r"\s", "", value).lower().split(","):
        name, _, weight = each.partition(";")
        if name in ("gzip", "x-gzip"):
            return not _REFUSED.search(f";{weight}")
    return False


def packed(request: IRequest, body: bytes) -> bytes:
    """Return a body as the client takes it, and say so in the answer's head."""
    if not LEAST <= len(body) <= MOST or not takes_gzip(request):
        return body
    request.setHeader(b"Content-Encoding", b"gzip")
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, zlib.MAX_WBITS + _GZIP)
    return packer.compress(body) + packer.flush()


class Packer:
    """Packs an answer that comes in pieces: a client can unpack each piece as it comes."""

    def __init__(self) -> None:
        self._packer = zlib.compressobj(6, zlib.DEFLATED, _WINDOW + _GZIP, _MEMORY)

    def pack(self, piece: bytes) -> bytes:
        """Return what is to be sent for a piece."""
        return self._packer.compress(piece) + self._packer.flush(zlib.Z_SYNC_FLUSH)

    def end(self) -> bytes:
        """Return what is to be sent at the end."""
        return self._packer.flush()
