"""What a real platform sends to `remotecontrol.do`: loose spelling is taken, damage is refused."""

import random

import pytest

from twisted_gantry.wire.errors import BadMessage
from twisted_gantry.wire.etc import envelope as etc
from twisted_gantry.wire.etc.commands import EtcControl, decode_control

AUTH = "hunter2-code"
NOW = 1_796_000_000
GUARD = (
    b'{"gantryId":"G1","method":"cabinetControl","timeStamp":"1796000000","version":"1001",'
    b'"cabinetControl":{"cmd":"6","isDoorDefend":"0","cabinetId":"12"}}'
)


def control(body: bytes) -> EtcControl:
    """Return what a body commands. Raises EtcRefused or BadMessage."""
    request = etc.check_request(
        body,
        {etc.AUTH_HEADER: AUTH, etc.MD5_HEADER: etc.digest(body)},
        auth=AUTH,
        methods=etc.REMOTE_CONTROL,
        gantry_id="G1",
        now=NOW,
        skew=300,
    )
    assert request.repairs == ()
    return decode_control(request.fields, cabinet=True)


@pytest.mark.parametrize(
    ("good", "spelt"),
    [
        (b'"6"', b"6.0"),
        (b'"6"', b'"06"'),
        (b'"0"', b"false"),
        (b'"12"', b"12.0"),
        (b'"12"', b'" 012 "'),
        (b'"1796000000"', b"1796000000.0"),
        (b'"1001"', b"1001.0"),
        (b'"isDoorDefend"', b'" isDoorDefend "'),
        (b"}}", b"},}"),
    ],
)
def test_loose_spelling(good: bytes, spelt: bytes) -> None:
    """Numbers in every spelling, and the quirks of the document, command the same."""
    assert GUARD.count(good) == 1
    assert control(GUARD.replace(good, spelt)) == control(GUARD)


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (b"}}", b"}}\0"),
        (b"}}", b"}"),
        (b"}}", b"}}{}"),
        (b'"12"', b'"12\n"'),
        (b'"12"', b"nan"),
        (b'"12"', b"012"),
        (b'"12"', b""),
        (b'"12"', b'""'),
        (b'"12"', b'"\xb3\xc9"'),
        (b'"12"', b'"12","cabinetId":"13"'),
        (b'"6"', b'"6","cmd":"5"'),
        (b"1796000000", b"1796000000000"),
        (b"1796000000", b"2026-11-30 09:00:00"),
    ],
)
def test_what_needs_a_repair_is_refused(good: bytes, bad: bytes) -> None:
    """A command is never repaired."""
    assert GUARD.count(good) == 1
    with pytest.raises((etc.EtcRefused, BadMessage)):
        control(GUARD.replace(good, bad))


def test_one_byte_never_widens_a_command() -> None:
    """Any byte replaced, removed or doubled: the command is refused, or addresses one cabinet, and
    does the same thing unless the byte is in its value.
    """
    chance = random.Random(5)
    original = control(GUARD)
    assert original.command is not None
    taken = 0
    for at in range(len(GUARD)):
        for middle in (b"", GUARD[at : at + 1] * 2, *(bytes([chance.randrange(256)]),) * 12):
            try:
                command = control(GUARD[:at] + middle + GUARD[at + 1 :]).command
            except (etc.EtcRefused, BadMessage):
                continue
            taken += 1
            assert command is not None
            assert command.cabinet_id is not None
            same = (command.cmd, command.fields) == (original.command.cmd, original.command.fields)
            assert same or command.cabinet_id == original.command.cabinet_id
    assert taken > 3
