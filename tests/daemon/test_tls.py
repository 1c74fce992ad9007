"""A real daemon over TLS: whom it tells anything, who may command it, and what a reload takes."""

import signal
import socket
import ssl
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding
from twisted.internet.threads import deferToThread

from tests.authority import Authority
from tests.daemon.process import Client, Daemon, free_port, until
from tests.net.http.test_client_tls import serving
from tests.net.test_tls_server import ask

SITE = Authority()
NAMELESS = SITE.sign(cn="printer.other-office.example")
CONFIG = """\ufeff[gantry]
id = "G000211001002110010"

[tls]
ca = "ca.pem"

[uplink.etc]
url = "https://localhost:{platform}/monitor.do"
auth = {{ file = "auth" }}
period = 1.0

[remotecontrol]
listen = "ssl:{remote}:interface=127.0.0.1:privateKey=server.key:certKey=server.pem"
client_ca = "ca.pem"

[web]
listen = "tcp:{web}:interface=127.0.0.1"

[[cabinet]]
id = "1"
"""


def shown_by(port: int) -> bytes:
    """Return the certificate that is served at a port, of a handshake that fails later."""
    context = ssl.create_default_context(cadata=SITE.pem.decode())
    with (
        socket.create_connection(("127.0.0.1", port), 5) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        return secure.getpeercert(binary_form=True) or b""


async def test_a_daemon_over_tls(tmp_path: Path) -> None:
    """No byte goes to a host without a name, the API says why; a reload takes a renewed file."""
    from twisted.internet import reactor

    (tmp_path / "ca.pem").write_bytes(SITE.pem.replace(b"\n", b"\r\n") + b" \r\n")
    (tmp_path / "auth").write_bytes(b"\xef\xbb\xbfsecret-code\r\n")
    server = SITE.sign("DNS:localhost")
    server.write(tmp_path, "server")
    web, remote = free_port(), free_port()
    client = Client(reactor)

    async def refused() -> str:
        answer = await client.get(f"http://127.0.0.1:{web}/api/v1/site")
        [etc] = answer["uplinks"] if answer else [{"lastError": ""}]
        return etc["lastError"] if "certificate" in (etc["lastError"] or "") else ""

    def count(name: str, text: str) -> int:
        label = f'{{event="{name}",server="remotecontrol"}}'
        return sum(int(float(line.split()[-1])) for line in text.splitlines() if label in line)

    async with serving(NAMELESS) as (_, platform, port):
        text = CONFIG.format(platform=port, remote=remote, web=web)
        (tmp_path / "site.toml").write_bytes(text.replace("\n", "\r\n").encode())
        data = str(tmp_path / "data")
        daemon = Daemon(tmp_path, "gantry", "--config", "site.toml", "--data", data)
        try:
            told = await until(reactor, "the refusal", refused, 20.0)
            assert "the certificate of localhost is refused: it is for other names" in told
            assert bytes(platform.got) == b""
            stranger = Authority("x").sign()
            for signed, result in ((SITE.sign(), "{"), (stranger, "Error"), (None, "Error")):
                answer = await deferToThread(ask, tmp_path, remote, signed, ca=SITE.pem)
                assert result in answer
            metrics = await client.text(f"http://127.0.0.1:{web}/metrics")
            assert count("certificate-refused", metrics) == 2
            assert "it shows no certificate" in daemon.text
            assert "set client_ca" in daemon.text
            renewed = SITE.sign("DNS:localhost")
            renewed.write(tmp_path, "server")
            daemon.process.send_signal(signal.SIGHUP)
            changed = "remotecontrol: changed"
            await until(reactor, "the reload", lambda: changed in daemon.text, 20.0)
            shown = await deferToThread(shown_by, remote)
            assert shown == renewed.chain[0].public_bytes(Encoding.DER)
            assert "secret-code" not in daemon.text
            assert daemon.end()
        finally:
            if daemon.process.poll() is None:
                daemon.kill()
            await client.close()
