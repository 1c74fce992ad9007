"""Checks of single values; each returns what is wrong, empty if nothing is."""

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from twisted_gantry.access.gate import needs_password
from twisted_gantry.net.addresses import is_loopback, network
from twisted_gantry.net.endpoints import same_port, wrong_client, wrong_server
from twisted_gantry.wire.etc.envelope import TEST_AUTH
from twisted_gantry.wire.secret import Secret


def wrong_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, KeyError, OSError):
        return f"no such time zone: {name!r}"
    return ""


def wrong_url(text: str) -> str:
    try:
        url = urlsplit(text)
        usable = url.scheme in {"http", "https"} and url.hostname and url.port != 0
    except ValueError:
        url, usable = urlsplit(""), False
    if url.username or url.password or ("@" in text and not usable):
        return "must not hold a user or a password"
    return "" if usable else f"must be http(s)://host/…; it is {text!r}"


def wrong_listen(endpoint: str) -> str:
    return wrong_server(endpoint, "tcp:8080:interface=127.0.0.1")


def wrong_web(endpoint: str, *, has_password: bool) -> str:
    """Check the endpoint of the local API: reachable from other machines, it needs a password."""
    wrong = wrong_listen(endpoint)
    if not wrong and needs_password(endpoint) and not has_password:
        return (
            f"{endpoint} can be reached from other machines: that needs [web] password or token, "
            "or interface=127.0.0.1"
        )
    return wrong


def wrong_ports(listening: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield each table that listens on the port of an earlier one, and what is wrong."""
    before: dict[str, str] = {}
    for name, endpoint in listening.items():
        for other, taken in before.items():
            if same_port(endpoint, taken):
                yield name, f"[{other}] listens there: {taken}"
        before[name] = endpoint


def wrong_address(endpoint: str) -> str:
    return wrong_client(endpoint, "tcp:192.168.1.20:2390")


def wrong_clients(clients: Sequence[str]) -> str:
    wrong = [client for client in clients if not _is_network(client)]
    return f"no IP address and no network: {', '.join(map(repr, wrong))}" if wrong else ""


def _is_network(text: str) -> bool:
    try:
        network(text)
    except ValueError:
        return False
    return True


def wrong_code(auth: Secret | None) -> str:
    """Check an authentication code: an HTTP header must carry it unchanged."""
    if auth is None:
        return ""
    code = auth.reveal()
    if 0 < len(code) <= 128 and code.isprintable() and code == code.strip():
        return ""
    return "must be one line of 1 to 128 characters, without blanks at its ends"


def is_test_code_abroad(auth: Secret, url: str) -> bool:
    """Tell whether the authentication code of the test period would go to another machine."""
    return auth == Secret(TEST_AUTH) and not is_loopback(urlsplit(url).hostname or "")
