"""Endpoint descriptions: what is wrong with one, and which two cannot both listen."""

import pytest

from twisted_gantry.net.endpoints import for_the_group, same_port, wrong_client, wrong_server

SERVER, CLIENT = "tcp:8080:interface=127.0.0.1", "tcp:192.168.1.20:2390"


@pytest.mark.parametrize(
    "text",
    [
        *("tcp:80", "tcp:port=80", "tcp:0", "tcp:65535:interface=127.0.0.1", "tcp6:80"),
        *("unix:/run/a", r"tcp:80:interface=\:\:1"),
    ],
)
def test_a_good_server(text: str) -> None:
    """Nothing is wrong with it."""
    assert wrong_server(text, SERVER) == ""


@pytest.mark.parametrize("text", ["tcp:h:1", "tcp:host=h:port=1", "tcp:h:65535", r"tcp:\:\:1:80"])
def test_a_good_client(text: str) -> None:
    """Nothing is wrong with it."""
    assert wrong_client(text, CLIENT) == ""


@pytest.mark.parametrize("text", ["", "tcp", "pigeon:1", "tcp:x", "tcp:65536", "tcp:port=70000"])
def test_a_bad_server(text: str) -> None:
    """The complaint has a good one, and what was given; no word of Python's."""
    wrong = wrong_server(text, SERVER)
    assert wrong.startswith(f"no server endpoint such as {SERVER}")
    assert repr(text) in wrong
    assert "__init__" not in wrong


@pytest.mark.parametrize(
    "text", ["", "tcp:www.fogslink.com", "tcp", "h:1", "tcp:h:0", "tcp:h:99999", "tcp:h:port=99999"]
)
def test_a_bad_client(text: str) -> None:
    """The same."""
    wrong = wrong_client(text, CLIENT)
    assert wrong.startswith(f"no client endpoint such as {CLIENT}")
    assert repr(text) in wrong
    assert "__init__" not in wrong


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("tcp:80", "tcp:80", True),
        ("tcp:80", "tcp:81", False),
        ("tcp:0", "tcp:0", False),
        ("tcp:80", "tcp:port=80:interface=127.0.0.1", True),
        ("tcp:80:interface=127.0.0.1", "ssl:80:privateKey=a:interface=127.0.0.1", True),
        ("tcp:80:interface=127.0.0.1", "tcp:80:interface=127.0.0.2", False),
        ("tcp:80:interface=0.0.0.0", "tcp:80:interface=127.0.0.2", True),
        ("unix:/a", "unix:/a", False),
        ("unix:/a", "tcp:80", False),
    ],
)
def test_two_that_cannot_both_listen(one: str, other: str, same: bool) -> None:
    """One port, and interfaces that are one, or of which one is all."""
    assert same_port(one, other) is same_port(other, one) is same


@pytest.mark.parametrize(
    ("place", "used"),
    [
        ("unix:/run/a", "unix:/run/a:mode=660"),
        ("unix:/run/a:mode=600", "unix:/run/a:mode=600"),
        ("unix:/run/a:lockfile=0", "unix:/run/a:lockfile=0:mode=660"),
        ("tcp:80", "tcp:80"),
    ],
)
def test_sockets_are_for_the_group(place: str, used: str) -> None:
    """A UNIX socket is for owner and group, unless its mode is given."""
    assert for_the_group(place) == used
