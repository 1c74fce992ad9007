"""Mail: against a real server with STARTTLS and a login, and against servers that cheat."""

import json
import subprocess
import sys
from collections.abc import Iterator
from email import message_from_string
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.task import deferLater

from tests.authority import Authority
from tests.daemon.process import free_port
from tests.notify.kinds.servers import Raw, listening, message, raw, secret, sender, told
from tests.notify.kinds.test_posting import failure_of
from tests.notify.kinds.test_proxy import tunnelling
from twisted_gantry.net.pem import Pem

PASSWORD = "pass-wörd-1234"


class Server:
    """The mail server of `mail_server.py`."""

    def __init__(self, folder: Path) -> None:
        authority = Authority()
        files = authority.sign("IP:127.0.0.1").write(folder, "mail")
        self.ca = Pem("authority.pem", authority.pem.decode())
        self.port = free_port()
        script = Path(__file__).with_name("mail_server.py")
        arguments = [str(self.port), *map(str, files), PASSWORD]
        self._process = subprocess.Popen(
            [sys.executable, str(script), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.told() == {"ready": True}

    def told(self) -> Any:
        """Return what the server tells next."""
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def stop(self) -> None:
        """End the server."""
        self._process.communicate(timeout=20)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A mail server with STARTTLS, which wants a login."""
    made = Server(tmp_path_factory.mktemp("mail"))
    yield made
    made.stop()


def mailer(server: Server, **more: Any) -> Any:
    given = {
        "address": f"tcp:127.0.0.1:{server.port}",
        "sender": "gantry@example.com",
        "receivers": ["duty@example.com", "nobody@example.com"],
        "user": "gantry",
        "password": secret(PASSWORD),
        "ca": server.ca,
    }
    return sender("smtp", **{**given, **more})


@pytest.mark.long
async def test_a_mail(server: Server) -> None:
    """STARTTLS, login, a subject in Chinese, plain text, and the id of the message. A recipient
    that is refused does not keep the mail from the others.
    """
    made = mailer(server)
    await made.send(message("raised", told(value=0)))
    assert server.told() == {"login": "gantry", "right": True}
    taken = server.told()
    mail: Any = message_from_string(taken["content"], policy=default)
    assert (taken["sender"], taken["to"]) == ("gantry@example.com", ["duty@example.com"])
    assert mail["Subject"] == "【告警】北门架：市电异常"
    assert mail["Message-ID"] == "<id-1@example.com>"
    assert mail["To"] == "duty@example.com, nobody@example.com"
    assert mail["Date"] == "Sat, 21 Nov 2026 12:00:00 +0800"
    assert mail.get_content_type() == "text/plain"
    assert mail.get_content().splitlines()[2].startswith("- 严重  市电异常  (ups1.mains-abnormal)")
    await made.close()
    await deferLater(reactor, 0.01)  # what was cut off is gone


@pytest.mark.long
async def test_a_mail_through_a_proxy(server: Server) -> None:
    """A tunnel carries SMTP and its STARTTLS."""
    asked: list[bytes] = []
    async with listening(tunnelling(asked)) as proxy:
        made = mailer(server, proxy=secret(f"http://127.0.0.1:{proxy}"))
        await made.send(message())
        assert server.told()["right"]
        assert server.told()["to"] == ["duty@example.com"]
        assert asked[0].startswith(b"CONNECT 127.0.0.1:%d HTTP/1.1" % server.port)
        await made.close()
    await deferLater(reactor, 0.01)  # what was cut off is gone


@pytest.mark.long
async def test_no_recipient(server: Server) -> None:
    """A mail that goes to nobody was not sent, and is no good again."""
    error = await failure_of(mailer(server, receivers=["nobody@example.com"]))
    assert server.told()["right"]
    assert "550" in str(error)
    assert error.refused


@pytest.mark.long
async def test_a_wrong_password(server: Server) -> None:
    """The reason says that the login was refused, and not with which password."""
    error = await failure_of(mailer(server, password=secret("wrong-password-1")))
    assert not server.told()["right"]
    assert "refuses the login: 535" in str(error)
    assert "wrong-password-1" not in str(error)
    assert not error.refused


@pytest.mark.long
async def test_a_server_that_is_not_trusted(server: Server) -> None:
    """Without its authority no login and no mail goes to a server."""
    error = await failure_of(mailer(server, ca=None))
    assert "the certificate of 127.0.0.1 is refused" in str(error)
    made = mailer(server)
    await made.send(message())
    assert server.told()["right"]  # the first that the server tells
    assert server.told()["to"]
    await made.close()
    await deferLater(reactor, 0.01)  # what was cut off is gone


def speaking(*answers: bytes) -> Any:
    """Return a server that says these in turn, one for each thing that it gets."""

    def answer(session: Raw, _: bytes) -> bytes:
        said = getattr(session, "said", 0)
        session.said = said + 1  # type: ignore[attr-defined]
        return answers[said] if said < len(answers) else b""

    return raw(answer)


async def spoken(*answers: bytes, **more: Any) -> tuple[str, str]:
    """Return the English and the Chinese reason why a mail was not sent."""
    async with listening(speaking(*answers)) as port:
        made = sender(
            "smtp",
            address=f"tcp:127.0.0.1:{port}",
            sender="g@example.com",
            receivers=["a@example.com"],
            **more,
        )
        error = await failure_of(made)
        return error.outage.en, error.outage.zh


async def test_without_starttls() -> None:
    """A server that does not offer STARTTLS gets no login and no mail."""
    login = {"user": "gantry", "password": secret(PASSWORD)}
    en, zh = await spoken(b"220 hi\r\n", b"250-hi\r\n250 AUTH PLAIN\r\n", **login)
    assert "does not offer STARTTLS" in en
    assert "不支持STARTTLS" in zh


async def test_words_before_tls() -> None:
    """What is put behind the answer to STARTTLS is not taken for the server's."""
    injected = b"220 go\r\n250-x\r\n250 AUTH PLAIN\r\n"
    en, _ = await spoken(b"220 hi\r\n", b"250-hi\r\n250 STARTTLS\r\n", injected)
    assert "speaks between STARTTLS and TLS" in en


async def test_a_flood() -> None:
    """An answer without an end is cut."""
    en, _ = await spoken(b"220-hi\r\n" * 20_000)
    assert "flood" in en


async def test_a_server_that_goes() -> None:
    """A session that ends early was no delivery."""

    def closing(session: Raw, data: bytes) -> bytes:
        if data and session.transport is not None:
            session.transport.loseConnection()
        return b"" if data else b"220 hi\r\n"

    async with listening(raw(closing)) as port:
        made = sender(
            "smtp",
            address=f"tcp:127.0.0.1:{port}",
            sender="g@example.com",
            receivers=["a@example.com"],
        )
        assert "the connection was closed" in str(await failure_of(made))


async def test_plain_smtp() -> None:
    """To a server on this computer a mail may go without TLS and login."""
    answers = [b"220 hi\r\n", b"250 hi\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"]
    async with listening(
        speaking(*answers, b"250 taken\r\n", b"250 ok\r\n", b"221 bye\r\n")
    ) as port:
        made = sender(
            "smtp",
            address=f"tcp:127.0.0.1:{port}",
            sender="g@example.com",
            receivers=["a@example.com"],
            starttls=False,
        )
        await made.send(message())
