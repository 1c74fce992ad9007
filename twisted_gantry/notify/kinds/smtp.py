"""E-mail: one message of plain text by SMTP, with STARTTLS or TLS, and a login.

`tls:` in the address is TLS from the first byte; else STARTTLS is asked for, and needed unless
`starttls` is false.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from io import BytesIO
from typing import Annotated, Any

import msgspec
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred, succeed
from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.protocol import connectionDone
from twisted.mail.smtp import (
    AUTHDeclinedError,
    AuthenticationError,
    AUTHRequiredError,
    ESMTPSender,
    ESMTPSenderFactory,
    SMTPClientError,
    SMTPTimeoutError,
    TLSRequiredError,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_gantry.net.addresses import is_loopback
from twisted_gantry.net.endpoints import client_endpoint, place_of, wrong_client
from twisted_gantry.net.http.proxy import ThroughProxy
from twisted_gantry.net.outage import Cause, Outage, outage, outage_of
from twisted_gantry.net.tls import ClientTls
from twisted_gantry.notify.interfaces import ISender, NotSent
from twisted_gantry.notify.notice import Message
from twisted_gantry.notify.settings import Means, ReachedSettings
from twisted_gantry.wire.secret import Secret, shown

DEADLINE = 30.0  # seconds for a message
SILENCE = 15.0  # seconds that the server may take for an answer
MOST_SAID = 64 * 1024  # bytes that the server may send
MOST_TEXT = 60_000  # bytes of a text
_LOGIN_ERRORS = (AUTHDeclinedError, AuthenticationError, AUTHRequiredError)
_TLS = ("tls:", "ssl:")


class SmtpSettings(
    ReachedSettings, frozen=True, kw_only=True, rename={"sender": "from", "receivers": "to"}
):
    """`kind = "smtp"`."""

    address: str
    sender: str
    receivers: Annotated[list[str], msgspec.Meta(min_length=1, max_length=50)]
    user: str = ""
    password: Secret | None = None
    starttls: bool = True

    @property
    def wrapped(self) -> bool:
        """Whether TLS begins with the first byte."""
        return self.address.startswith(_TLS)


def wrong_address(text: str) -> str:
    """Return what is wrong with the endpoint of a mail server, empty if nothing is."""
    wrong = wrong_client(text, "tcp:mail.example.com:587 or tls:mail.example.com:465")
    if not wrong and place_of(text) is None:
        return f"must be tcp:HOST:PORT or tls:HOST:PORT; it is {text!r}"
    return wrong


def wrong_mailbox(text: str) -> str:
    """Return what is wrong with an address of e-mail, empty if nothing is."""
    try:
        found = Address(addr_spec=text)
        usable = bool(found.username and found.domain) and text.isascii() and text.isprintable()
    except (ValueError, IndexError):
        usable = False
    return "" if usable else f"no address such as duty@example.com: {text[:80]!r}"


def wrong_mailboxes(texts: Sequence[str]) -> str:
    return next(filter(None, map(wrong_mailbox, texts)), "")


def wrong_login(settings: SmtpSettings) -> Mapping[str, str]:
    """Return what is wrong with the login, by the key."""
    wrong: dict[str, str] = {}
    if bool(settings.user) != (settings.password is not None):
        key = "password" if settings.user else "user"
        wrong[key] = "is missing: user and password belong together"
    place = place_of(settings.address)
    abroad = place is not None and not is_loopback(place[0])
    if settings.user and not settings.starttls and not settings.wrapped and abroad:
        wrong["starttls"] = "false would show the password to everybody on the way"
    return wrong


@implementer(ISender)
class SmtpSender:
    def __init__(self, settings: SmtpSettings, means: Means) -> None:
        place = place_of(settings.address)
        assert place is not None  # checked by the configuration
        self._settings, self._means = settings, means
        self._sessions: set[_Session] = set()
        (self._host, self._port), reactor = place, means.reactor
        tls = ClientTls(settings.files(), means.certificate_seen)
        self._creator = tls.creatorForNetloc(self._host.encode("idna"), self._port)
        through = settings.through()
        if through is None:
            self._endpoint = client_endpoint(reactor, settings.address, tls)
        else:
            to_proxy = through.endpoint(reactor, tls)
            self._endpoint = ThroughProxy(to_proxy, through, self._host, self._port, reactor)
            if settings.wrapped:
                self._endpoint = wrapClientTLS(self._creator, self._endpoint)

    def send(self, body: bytes) -> Deferred[None]:
        return ensureDeferred(self._send(Message.decode(body)))

    def close(self) -> Deferred[Any]:
        self._end()
        return succeed(None)

    def _end(self) -> None:
        for each in list(self._sessions):
            each.end()

    async def _send(self, message: Message) -> None:
        settings = self._settings
        secret = settings.password
        sent: Deferred[Any] = Deferred()
        factory: Any = ESMTPSenderFactory(
            settings.user.encode(),
            b"" if secret is None else secret.reveal().encode(),
            settings.sender,
            settings.receivers,
            BytesIO(self._mail(message).as_bytes()),
            sent,
            retries=0,
            timeout=SILENCE,
            contextFactory=self._creator,
            heloFallback=not settings.user,
            requireAuthentication=bool(settings.user),
            requireTransportSecurity=settings.starttls and not settings.wrapped,
        )
        factory.noisy, factory.protocol = False, _Session
        factory.sessions = self._sessions

        def late(*_: object) -> Failure:
            en, zh = f"no end within {DEADLINE:g} s", f"{DEADLINE:g}秒内未完成"
            return Failure(NotSent(outage(Cause.SILENT, en=en, zh=zh).at(self._place)))

        exchange = ensureDeferred(self._exchange(factory, sent))
        exchange.addTimeout(DEADLINE, self._means.reactor, late)
        try:
            await exchange
        except BaseException:
            self._end()
            raise

    async def _exchange(self, factory: Any, sent: Deferred[Any]) -> None:
        try:
            await self._endpoint.connect(factory)
        except CancelledError:
            sent.addErrback(lambda _: None)
            raise
        except Exception as error:
            sent.addErrback(lambda _: None)
            raise NotSent(outage_of(error).at(self._place)) from None
        try:
            await sent
        except CancelledError:
            raise
        except NotSent as error:
            raise NotSent(error.outage.at(self._place)) from None
        except Exception as error:
            raise self._explained(error) from None

    @property
    def _place(self) -> str:
        return f"{self._host}:{self._port}"

    def _explained(self, error: BaseException) -> NotSent:
        """Return why a message was not taken. The log of the session is never shown: the log may
        hold the password.
        """
        place, code = self._place, getattr(error, "code", 0)
        if isinstance(error, TLSRequiredError):
            en, zh = f"{place} does not offer STARTTLS", f"{place}不支持STARTTLS"
            return NotSent(Outage(Cause.TLS, en, zh))
        if isinstance(error, SMTPTimeoutError):
            return NotSent(outage(Cause.SILENT).at(place))
        if not isinstance(error, SMTPClientError):
            return NotSent(outage_of(error).at(place))
        said = error.resp if isinstance(error.resp, bytes) else str(error.resp).encode()
        what = self._shown(b"%d " % code + said)
        if isinstance(error, _LOGIN_ERRORS):
            en, zh = f"{place} refuses the login: {what}", f"{place}拒绝登录：{what}"
            return NotSent(Outage(Cause.PASSWORD, en, zh))
        why = Outage(Cause.ERROR_ANSWER, f"{place} answers {what}", f"{place}应答{what}")
        return NotSent(why, refused=550 <= code <= 554)

    def _shown(self, text: bytes | str) -> str:
        password = self._settings.password
        secrets = (*self._means.keys, *(() if password is None else (password,)))
        return shown(text, *secrets, most=200)

    def _mail(self, message: Message) -> EmailMessage:
        wording, settings = self._means.wording, self._settings
        mail = EmailMessage(policy=SMTP.clone(linesep="\n", cte_type="7bit"))
        mail["Subject"] = wording.title(message)[:200]
        mail["From"] = settings.sender
        mail["To"] = ", ".join(settings.receivers)
        mail["Date"] = datetime.fromisoformat(message.at)
        mail["Message-ID"] = f"<{message.id}@{settings.sender.rpartition('@')[2]}>"
        mail["X-Gantry-Id"] = message.id
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(wording.text(message, MOST_TEXT))
        return mail


class _Session(ESMTPSender):
    """A session of which nothing is logged, and which a server can neither flood nor confuse."""

    debug = False

    def connectionMade(self) -> None:
        self._said = 0
        self.factory.sessions.add(self)
        super().connectionMade()  # type: ignore[no-untyped-call]

    def dataReceived(self, data: bytes) -> None:
        self._said += len(data)
        if self._said > MOST_SAID:
            self._fail(NotSent(outage(Cause.FLOOD)))
            self.end()
            return
        super().dataReceived(data)  # type: ignore[no-untyped-call]

    def esmtpState_starttls(self, code: int, resp: bytes) -> None:  # noqa: N802 - of Twisted
        """Begin TLS, unless the server has said more before: that could be somebody between."""
        if self.clearLineBuffer():  # type: ignore[no-untyped-call]
            en, zh = "the server speaks between STARTTLS and TLS", "服务器在TLS建立前发送数据"
            self._fail(NotSent(Outage(Cause.TLS, en, zh)))
            self.end()
            return
        super().esmtpState_starttls(code, resp)  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)  # type: ignore[no-untyped-call]
        self.factory.sessions.discard(self)
        self._fail(reason.value)

    def _fail(self, error: BaseException | None) -> None:
        if not self.factory.sendFinished:
            self.factory.sendFinished = True
            self.factory.result.errback(error)

    def end(self) -> None:
        transport: Any = self.transport
        if transport is not None:
            transport.abortConnection()
