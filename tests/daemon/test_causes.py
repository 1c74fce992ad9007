"""Why is it offline? A real gantry among wrong peers says so of each, everywhere it is asked."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.threads import deferToThread

from tests.daemon.process import AUTH, free_port, until
from tests.daemon.rig import Rig, opened
from twisted_gantry.ctl.main import cli
from twisted_gantry.net.outage import WORDS, Cause

SSH = b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"


class SshServer(Protocol):
    """Greets as OpenSSH does, and closes at what is no SSH."""

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(SSH)

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(b"Invalid SSH identification string.\r\n")
        self.transport.loseConnection()


class HttpServer(Protocol):
    """Answers as a web server does to what is no HTTP."""

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        self.transport.loseConnection()


class Hangs(Protocol):
    """Says nothing."""


class Closes(Protocol):
    """Closes at the first byte."""

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.loseConnection()


class Wrong(Rig):
    """A gantry whose every peer is another one than its configuration says."""

    def __init__(self, folder: Path, reactor: Any) -> None:
        super().__init__(folder, reactor, auth=AUTH)
        self._ports = [
            reactor.listenTCP(0, Factory.forProtocol(each), interface="127.0.0.1")
            for each in (SshServer, HttpServer, Hangs, Closes)
        ]
        ssh, http, hangs, closes = (each.getHost().port for each in self._ports)
        twin, nothing = self.twin.port, free_port()
        self.config.write_text(
            f"""
[gantry]
id = "G000211001002110010"
[web]
listen = "tcp:{self.web}:interface=127.0.0.1"
[[device]]
name = "card-ssh"
kind = "ups-card"
address = "tcp:127.0.0.1:{ssh}"
[[device]]
name = "card-hangs"
kind = "ups-card"
address = "tcp:127.0.0.1:{hangs}"
poll = 0.2
patience = 0.5
[[device]]
name = "card-closes"
kind = "ups-card"
address = "tcp:127.0.0.1:{closes}"
[[device]]
name = "cfos-password"
kind = "cfos"
url = "http://127.0.0.1:{twin("cfos")}"
password = "not-the-password"
poll = 0.2
[[device]]
name = "bms-uid"
kind = "bms"
url = "http://127.0.0.1:{twin("ems")}/wad/ems/v1/api"
device_uid = "bms-of-another-site"
[[device]]
name = "relay-nothing"
kind = "relay"
address = "tcp:127.0.0.1:{nothing}"
on = "01"
off = "00"
[[device]]
name = "relay-name"
kind = "relay"
address = "tcp:no-such-host.invalid:1"
on = "01"
off = "00"
[[device]]
name = "bms-tls"
kind = "bms"
url = "https://127.0.0.1:{http}/"
device_uid = "1"
[[device]]
name = "pc1"
kind = "computer"
[uplink.etc]
url = "http://127.0.0.1:{twin("etc")}/monitor.do"
auth = "another-code"
[uplink.fogslink]
address = "tcp:127.0.0.1:{http}"
eq_sn = "12345678"
api_key = "1234567890123456"
[uplink.fogslink.channels]
"P0-C1" = "card-ssh.battery_charge"
""",
            encoding="utf-8",
        )
        self.start()

    async def close(self) -> None:
        for each in self._ports:
            await each.stopListening()
        await super().close()


EXPECTED = {
    "card-ssh": Cause.NOT_PROTOCOL,
    "card-hangs": Cause.SILENT,
    "card-closes": Cause.CLOSED,
    "cfos-password": Cause.PASSWORD,
    "bms-uid": Cause.WRONG_IDENTITY,
    "relay-nothing": Cause.REFUSED,
    "relay-name": Cause.NAME_UNKNOWN,
    "bms-tls": Cause.TLS,
    "etc": Cause.PASSWORD,
    "fogslink": Cause.NOT_PROTOCOL,
}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Wrong]:
    with opened(Wrong, tmp_path) as made:
        yield made


async def _ctl(site: Wrong, *args: str, lang: str) -> str:
    url = site.url("")
    result: Any = await deferToThread(
        CliRunner().invoke, cli, ["--url", url, "--lang", lang, *args], env={}
    )
    return str(result.stdout)


@pytest.mark.long
async def test_each_wrong_peer_is_named(site: Wrong) -> None:
    """The API has the cause and the next step; status and diagnose show them in both languages."""

    async def offline() -> Any:
        found = await site.site()
        if not found:
            return None
        listed = [*found["devices"], *found["uplinks"]]
        things = {each["name"]: each for each in listed if each["name"] != "pc1"}
        return things if all(each["state"] == "offline" for each in things.values()) else None

    things = await until(site.reactor, "all to be offline", offline, 30)
    assert {name: each["cause"] for name, each in things.items()} == EXPECTED
    for name, cause in EXPECTED.items():
        words = WORDS[cause]
        assert (things[name]["advice"], things[name]["adviceZh"]) == words[2:]
        assert things[name]["lastErrorZh"]
    assert "SSH-2.0-OpenSSH_9.2p1 Debian-2" in things["card-ssh"]["lastError"]
    assert "SSH-2.0-OpenSSH_9.2p1 Debian-2" in things["card-ssh"]["lastErrorZh"]
    assert "HTTP/1.1 400 Bad Request" in things["fogslink"]["lastError"]
    for lang, place in (("en", 2), ("zh", 3)):
        shown = await _ctl(site, "status", lang=lang)
        for cause in set(EXPECTED.values()):
            assert cause.value in shown
            assert WORDS[cause][place] in shown
    told = await _ctl(site, "diagnose", "card-ssh", lang="zh")
    assert "✓ 建立连接" in told
    assert "SSH-2.0-OpenSSH_9.2p1 Debian-2 [not-protocol]" in told
    told = await _ctl(site, "diagnose", "etc", lang="en")
    assert "✗ exchange" in told
    assert "[password]" in told
    text = site.daemon.text if site.daemon is not None else ""
    assert "card-ssh is offline" in text
    assert "another-code" not in text
