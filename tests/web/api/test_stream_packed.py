"""The event stream for a reader that takes gzip."""

import zlib

import pytest

from tests.web.api.stream_rig import Listener, Rig
from twisted_gantry.core.alarms import Severity
from twisted_gantry.net.http.event_stream import COMMENT


def test_each_event_can_be_read_as_it_comes(rig: Rig) -> None:
    """A packed answer says the same as a plain one, at the same time, in fewer bytes."""
    plain, packed = Listener(rig), Listener(rig, takes="gzip, deflate, br")
    assert "content-encoding: gzip" in packed.head.lower()
    assert "vary: accept-encoding" in packed.head.lower()
    assert packed.body == plain.body
    before = len(packed.sent), len(plain.sent)
    for value in range(50):
        rig.told(float(value))
        assert packed.body == plain.body
    rig.small.site.alarms.set("ups1.overload", Severity.CRITICAL, "too much", "过载")
    rig.clock.advance(COMMENT)
    assert packed.body == plain.body
    assert packed.body.endswith(":\n\n")
    grown = len(packed.sent) - before[0], len(plain.sent) - before[1]
    assert grown[0] < grown[1] / 3


@pytest.mark.parametrize("takes", ["", "identity", "gzip;q=0", "br", "gzipped"])
def test_plain_for_others(rig: Rig, takes: str) -> None:
    """A reader that cannot unpack is sent text; no proxy is to pack it on the way."""
    listener = Listener(rig, takes=takes)
    assert "content-encoding" not in listener.head.lower()
    assert "no-transform" in listener.head.lower()
    assert listener.sent.startswith(b"retry: 3000\n\n")


def test_resumes(rig: Rig) -> None:
    """A reader that comes back gets what it missed, also where it reads packed from then on."""
    first = Listener(rig)
    rig.told(1.0)
    last = first.events[-1].id
    first.hang_up()
    rig.told(2.0)
    again = Listener(rig, last, takes="gzip")
    assert [each.data["value"] for each in again.events] == [2.0]


def test_ends_whole(rig: Rig) -> None:
    """At a stop the packed answer ends as gzip ends; one that does not read is cut off."""
    listener, stalled = Listener(rig, takes="gzip"), Listener(rig, takes="gzip")
    stalled.pause()
    rig.stream.stopService()
    unpack = zlib.decompressobj(zlib.MAX_WBITS + 16)
    unpack.decompress(listener.sent)
    assert unpack.eof
    assert listener.transport.disconnecting


def test_one_that_does_not_read_is_left_alone(rig: Rig) -> None:
    """Nothing is packed for a reader that does not read; afterwards nothing is missing."""
    listener = Listener(rig, takes="gzip")
    listener.pause()
    sent = len(listener.sent)
    rig.told(1.0)
    rig.told(2.0)
    assert len(listener.sent) == sent
    listener.resume()
    assert [each.data["value"] for each in listener.events if each.name == "point"][-2:] == [
        1.0,
        2.0,
    ]
