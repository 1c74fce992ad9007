"""The vocabulary: which error of the network has which cause, and what is shown of a peer."""

import errno

import pytest
from OpenSSL import SSL
from twisted.internet import error

from twisted_gantry.net.outage import (
    WORDS,
    Cause,
    first_bytes,
    lost,
    not_protocol,
    of_status,
    outage,
    outage_of,
)
from twisted_gantry.net.tls import CertificateRefused, Said


@pytest.mark.parametrize(
    ("failure", "cause"),
    [
        (error.ConnectionRefusedError(errno.ECONNREFUSED, "refused"), Cause.REFUSED),
        (error.NoRouteError(errno.ENETUNREACH, "unreachable"), Cause.NO_ROUTE),
        (error.ConnectError(errno.EHOSTUNREACH, "no route to host"), Cause.NO_ROUTE),
        (error.TCPTimedOutError(errno.ETIMEDOUT, "timed out"), Cause.CONNECT_TIMEOUT),
        (error.TimeoutError(), Cause.CONNECT_TIMEOUT),
        (error.DNSLookupError("no such host"), Cause.NAME_UNKNOWN),
        (error.ConnectError(errno.ENOENT, "no such file"), Cause.REFUSED),
        (error.ConnectionDone(), Cause.CLOSED),
        (error.ConnectionLost(), Cause.CLOSED),
        (CertificateRefused("host", Said("why", "原因")), Cause.TLS),
        (SSL.Error([("", "", "wrong version number")]), Cause.TLS),
        (ValueError("something else"), Cause.OTHER),
    ],
)
def test_the_cause_of_an_error(failure: Exception, cause: Cause) -> None:
    """Each error of the network has its cause, with words in both languages."""
    found = outage_of(failure)
    assert found.cause is cause
    assert found.en
    assert found.zh


def test_each_cause_says_what_to_do() -> None:
    """Words and next step are there in both languages, each a sentence of its own."""
    for words in WORDS.values():
        assert words.en
        assert words.advice.endswith(".")
        assert words.advice_zh.endswith("。")
        assert not words.zh.isascii()
        assert not words.advice_zh.isascii()


@pytest.mark.parametrize(
    ("came", "shown"),
    [
        (b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\nmore", "SSH-2.0-OpenSSH_9.2p1 Debian-2"),
        (b"\r\n220 ftp ready\r\n", "220 ftp ready"),
        (b"\xff\xfb\x01\x1b[2J", "\\xff\\xfb\\x01\\x1b[2J"),
        (b"x" * 500, "x" * 60 + "…"),
        (b"GET /?password=hunter22 HTTP/1.1\r\nAuthorization: Basic YTpi\r\n", "GET …"),
        (b"", ""),
    ],
)
def test_the_first_bytes(came: bytes, shown: str) -> None:
    """They are one printable line, bounded; a request that is echoed shows its method alone."""
    assert first_bytes(came) == shown
    assert shown in not_protocol(came).zh


def test_why_a_connection_ended() -> None:
    """What came first tells another protocol from a peer that closes before it replied."""
    closed = outage_of(error.ConnectionDone())
    assert lost(closed, b"", heard=False) == outage(Cause.CLOSED)
    assert lost(closed, b"SSH-2.0", heard=False) == not_protocol(b"SSH-2.0")
    assert lost(closed, b"{}", heard=True) == closed
    refused = outage(Cause.REFUSED)
    assert lost(refused, b"", heard=False) == refused


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (401, Cause.PASSWORD),
        (403, Cause.PASSWORD),
        (302, Cause.NOT_PROTOCOL),
        (404, Cause.NOT_PROTOCOL),
        (429, Cause.BUSY),
        (503, Cause.BUSY),
        (500, Cause.ERROR_ANSWER),
    ],
)
def test_a_status_of_http(status: int, cause: Cause) -> None:
    """A status that is no success has a cause, too."""
    assert of_status(status, "it", "设备").cause is cause
