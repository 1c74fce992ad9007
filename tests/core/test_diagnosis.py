"""A diagnosis: the links in order, each bounded; a session that stands is left alone."""

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred, ensureDeferred, succeed
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import PrivateCertificate
from twisted.internet.task import Clock

from tests.authority import Authority
from tests.support import fired
from twisted_gantry.core.diagnosis import Diagnoses, Diagnosis, Examined, StepOutcome
from twisted_gantry.core.status import Status
from twisted_gantry.logs import Masks
from twisted_gantry.net import reach
from twisted_gantry.net.outage import Cause, Outage, outage
from twisted_gantry.net.pem import TlsSettings
from twisted_gantry.net.reach import Peer, peer_of

PASSWORD = outage(Cause.PASSWORD)


class Settings(TlsSettings, frozen=True, kw_only=True):
    """The settings of a device, as far as they say where the device is."""

    address: str = ""
    url: str = ""


def _examined(peer: Peer | None, attempt: Callable[[], Deferred[Outage | None]]) -> Examined:
    return Examined("ups1", "ups-card", peer, attempt, Status("ups1", lambda: 0.0))


def _listening(protocol: type[Protocol], tls: Any = None) -> Any:
    """Return a port of loopback, with TLS by its options."""
    from twisted.internet import reactor

    real: Any = reactor
    factory = Factory.forProtocol(protocol)
    if tls is None:
        return real.listenTCP(0, factory, interface="127.0.0.1")
    return real.listenSSL(0, factory, tls, interface="127.0.0.1")


def _told(diagnosis: Diagnosis) -> list[tuple[str, str]]:
    return [(each.link.value, each.outcome.value) for each in diagnosis.steps]


async def test_each_link_is_tried_in_order() -> None:
    """Name, connection, TLS where it is used, and the exchange of the driver."""
    from twisted.internet import reactor

    port = _listening(Protocol)
    try:
        peer = peer_of(Settings(address=f"tcp:localhost:{port.getHost().port}"))
        changes: list[int] = []
        diagnosis = Diagnosis(
            _examined(peer, lambda: succeed(PASSWORD)),
            reactor,
            0.0,
            changed=lambda each: changes.append(sum(s.seconds > 0 for s in each.steps)),
        )
        await diagnosis.run()
    finally:
        await port.stopListening()
    assert _told(diagnosis) == [
        ("name", "ok"),
        ("connect", "ok"),
        ("tls", "skipped"),
        ("exchange", "failed"),
    ]
    assert diagnosis.outage == PASSWORD
    assert len(changes) == 4


async def test_the_first_failure_ends_the_chain() -> None:
    """What lies behind a link that fails is skipped: the driver is not asked."""
    from twisted.internet import reactor

    port = _listening(Protocol)
    number = port.getHost().port
    await port.stopListening()
    asked: list[str] = []

    def attempt() -> Deferred[Outage | None]:
        asked.append("")
        return succeed(None)

    diagnosis = Diagnosis(
        _examined(peer_of(Settings(url=f"http://127.0.0.1:{number}/x")), attempt), reactor, 0.0
    )
    await diagnosis.run()
    assert diagnosis.outage is not None
    assert diagnosis.outage.cause is Cause.REFUSED
    assert _told(diagnosis)[2:] == [("tls", "skipped"), ("exchange", "skipped")]
    assert not asked


async def test_a_certificate_that_is_not_trusted() -> None:
    """The step of TLS names the host and the authority, in both languages."""
    from twisted.internet import reactor

    own = Authority("own.example")
    signed = own.sign("DNS:localhost")
    pair = PrivateCertificate.loadPEM(signed.pem + signed.key_pem)
    port = _listening(Protocol, pair.options())
    try:
        peer = peer_of(Settings(url=f"https://localhost:{port.getHost().port}/"))
        assert peer is not None
        wrong = await reach.handshake(reactor, peer)
    finally:
        await port.stopListening()
    assert wrong is not None
    assert wrong.cause is Cause.TLS
    assert "localhost" in wrong.en
    assert "own.example" in wrong.en
    assert "own.example" in wrong.zh


async def test_no_tls_at_the_port() -> None:
    """A server that closes or answers in plain text has no TLS."""
    from twisted.internet import reactor

    class Plain(Protocol):
        def dataReceived(self, data: bytes) -> None:
            assert self.transport is not None
            self.transport.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    port = _listening(Plain)
    try:
        peer = peer_of(Settings(address=f"tls:localhost:{port.getHost().port}"))
        assert peer is not None
        wrong = await reach.handshake(reactor, peer)
    finally:
        await port.stopListening()
    assert wrong is not None
    assert (wrong.cause, "does not speak TLS" in wrong.en) == (Cause.TLS, True)


def test_a_session_that_stands_is_not_disturbed() -> None:
    """Of a device that is online only the driver asks; nothing else connects."""
    clock: Any = Clock()
    examined = _examined(Peer("10.0.0.1:1", "10.0.0.1", 1), lambda: succeed(None))
    examined.status.online()
    diagnoses = Diagnoses(clock, lambda: 0.0)
    diagnosis = diagnoses.start(examined)
    assert diagnosis.ended
    assert [each.outcome for each in diagnosis.steps] == [StepOutcome.SKIPPED] * 3 + [
        StepOutcome.OK
    ]
    assert "not disturbed" in diagnosis.steps[1].en


def test_one_at_a_time_for_each_name() -> None:
    """A second request joins the one that runs; who waits is told at its end."""
    clock: Any = Clock()
    answers: list[Deferred[Outage | None]] = []

    def attempt() -> Deferred[Outage | None]:
        answers.append(Deferred())
        return answers[-1]

    diagnoses = Diagnoses(clock, lambda: 0.0)
    first = diagnoses.start(_examined(None, attempt))
    waiting = [
        fired(ensureDeferred(diagnoses.wait(first))),
        fired(ensureDeferred(diagnoses.wait(first))),
    ]
    assert diagnoses.start(_examined(None, attempt)) is first
    assert (len(answers), waiting) == (1, [[], []])
    answers[0].callback(None)
    assert waiting == [[None], [None]]
    assert diagnoses.last("ups1") is first
    assert diagnoses.start(_examined(None, attempt)) is not first
    answers[1].callback(PASSWORD)


def test_an_exchange_is_bounded() -> None:
    """A driver that tells nothing ends the diagnosis after its time; a stop ends it at once."""
    clock: Any = Clock()
    diagnoses = Diagnoses(clock, lambda: 0.0)
    silent = diagnoses.start(_examined(None, Deferred))
    clock.advance(30.0)
    assert silent.ended
    assert silent.outage is not None
    assert silent.outage.cause is Cause.SILENT
    running = diagnoses.start(_examined(None, Deferred))
    diagnoses.stopService()
    assert running.ended
    assert running.outage is not None
    assert running.outage.en == "broken off"


def test_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a peer says back of a secret is masked in the step."""
    masks = Masks()
    masks.set(["hunter2-secret"])
    monkeypatch.setattr("twisted_gantry.core.status.MASKS", masks)
    echo = outage(Cause.NOT_PROTOCOL, "you said hunter2-secret")
    clock: Any = Clock()
    diagnosis = Diagnoses(clock, lambda: 0.0).start(_examined(None, lambda: succeed(echo)))
    assert "hunter2" not in str(diagnosis.steps)
