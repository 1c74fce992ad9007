"""Who may command, and how often: rates, guesses, networks, on a clock."""

import pytest

from tests.web.remotecontrol.rig import AUTH, RemoteRig
from twisted_gantry.net import throttle
from twisted_gantry.web.remotecontrol.endpoint import wrong_servers
from twisted_gantry.wire.etc.envelope import signed_headers

BODY = b"{}"
HOST = "192.0.2.7"


def code(rig: RemoteRig, host: str = HOST, auth: str = AUTH) -> str:
    """Return the code of the answer to a signed body that is no request."""
    return rig.send(BODY, signed_headers(BODY, auth), host).ended().code


def test_the_rate_of_an_address(rig: RemoteRig) -> None:
    """An address may send 100 at once, then 20 a second; another has its own."""
    assert [code(rig) for _ in range(101)] == ["1002"] * 100 + ["1005"]
    assert code(rig, "192.0.2.8") == "1002"
    rig.clock.advance(0.5)
    assert [code(rig) for _ in range(11)] == ["1002"] * 10 + ["1005"]
    rig.clock.advance(3600)
    assert [code(rig) for _ in range(101)] == ["1002"] * 100 + ["1005"]


def test_no_rate() -> None:
    """`rate = 0` puts nobody off."""
    rig = RemoteRig(rate=0)
    assert {code(rig) for _ in range(300)} == {"1002"}


def test_guesses_are_put_off_and_the_right_code_is_not(rig: RemoteRig) -> None:
    """Ten wrong codes in 60 s give 1005 for 60 s to further wrong ones, never to the right one."""
    assert [code(rig, auth="x") for _ in range(12)] == ["1001"] * 10 + ["1005"] * 2
    assert code(rig) == "1002"
    assert code(rig, "192.0.2.8", auth="x") == "1001"
    rig.clock.advance(59.9)
    assert code(rig, auth="x") == "1005"
    assert code(rig) == "1002"
    rig.clock.advance(0.1)
    assert [code(rig, auth="x") for _ in range(11)] == ["1001"] * 10 + ["1005"]


def test_guesses_that_are_far_apart(rig: RemoteRig) -> None:
    """Nine wrong codes a minute are only wrong."""
    for _ in range(50):
        assert code(rig, auth="") == "1001"
        rig.clock.advance(6.7)


def test_no_bound_on_guesses() -> None:
    """`auth_failures = 0` only says that they are wrong."""
    rig = RemoteRig(auth_failures=0)
    assert {code(rig, auth="x") for _ in range(50)} == {"1001"}


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("192.0.2.7", "::ffff:192.0.2.7", True),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("192.0.2.7", "192.0.2.8", False),
    ],
)
def test_what_counts_as_one_address(first: str, second: str, same: bool) -> None:
    """A mapped address is its IPv4 one; of IPv6 a /64 is one."""
    rig = RemoteRig(auth_failures=1)
    assert code(rig, first, "x") == "1001"
    assert code(rig, second, "x") == ("1005" if same else "1001")


def test_guesses_take_no_share_of_the_right_code(rig: RemoteRig) -> None:
    """A thousand wrong codes from the platform's own address cost the platform nothing."""
    for _ in range(1000):
        code(rig, auth="x")
    assert [code(rig) for _ in range(30)] == ["1002"] * 30


def test_addresses_that_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of very many addresses, the one that was silent longest is forgotten."""
    monkeypatch.setattr(throttle, "MAX_PEERS", 3)
    rig = RemoteRig(auth_failures=1)
    hosts = [f"192.0.2.{n}" for n in range(1, 5)]
    assert [code(rig, host, "x") for host in hosts[:3]] == ["1001"] * 3
    assert code(rig, hosts[0], "x") == "1005"
    assert code(rig, hosts[3], "x") == "1001"
    assert code(rig, hosts[0], "x") == "1005"
    assert code(rig, hosts[1], "x") == "1001"


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("192.0.2.7", True),
        ("::ffff:192.0.2.7", True),
        ("192.0.3.7", False),
        ("198.51.100.9", True),
        ("198.51.100.8", False),
        ("2001:db8:5::1", True),
        ("2001:db9::1", False),
        ("203.0.113.5", True),
        ("unix", False),
    ],
)
def test_allowed_clients(host: str, allowed: bool) -> None:
    """Connections from outside `allowed_clients` are closed without an answer, and counted."""
    rig = RemoteRig(
        allowed_clients=["192.0.2.0/24", "198.51.100.9", "2001:db8::/32", "::ffff:203.0.113.0/120"]
    )
    assert rig.client.admits(host) == allowed
    assert rig.control.counts["not-allowed"] == (not allowed)


def test_settings_that_are_wrong() -> None:
    """Each server that is none is told."""
    wrong = wrong_servers(["platform.example", "a b", "host/path"])
    assert wrong == "no host, host:port or URL: 'a b', 'host/path'"
    assert wrong_servers([]) == wrong_servers(["platform.example:8080"]) == ""


def test_the_code_is_compared_whatever_its_bytes(rig: RemoteRig) -> None:
    """A header that is no text is a wrong code, not a fault."""
    head = b"POST /remotecontrol.do HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n"
    for raw in (b"\xff\xfe", b"\xed\xa0\x80", "é".encode() * 2000, b""):
        exchange = rig.client.raw(head + b"binfile-auth: " + raw + b"\r\n\r\n")
        assert exchange.ended().code == "1001"
