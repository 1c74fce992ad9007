"""The link to a broker: paho and its thread against a real mosquitto, and against hostile peers."""

import socket
import struct
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.authority import Authority
from tests.bridges.mqtt import broker
from tests.bridges.mqtt.bench import BASE, GANTRY, STATUS, MqttBench
from tests.bridges.mqtt.broker import Broker, needs_mosquitto
from tests.daemon.process import free_port, until
from twisted_gantry.bridges.mqtt import bridge, link
from twisted_gantry.bridges.mqtt.bridge import MqttBridge, mqtt_bridge
from twisted_gantry.bridges.mqtt.settings import MqttSettings
from twisted_gantry.core.site import BridgeContext
from twisted_gantry.core.status import State
from twisted_gantry.net.outage import Cause
from twisted_gantry.net.pem import Pem
from twisted_gantry.net.threads import ThreadClass
from twisted_gantry.wire.secret import Secret


class Real:
    """A site in memory, and a bridge on the real reactor. `seen` are the hosts of certificates."""

    def __init__(self, reactor: Any, **settings: Any) -> None:
        self.bench = MqttBench(start=False)
        self.bench.read(input_voltage_r=221.5, mains_abnormal=False, state="line")
        self.reactor, self.seen = reactor, list[tuple[str, datetime]]()
        self.threads = ThreadClass(reactor, "test-bridges", 2)
        self.bridge: MqttBridge = mqtt_bridge(MqttSettings(**settings), self.context())

    def context(self) -> BridgeContext:
        bench = self.bench
        means = (self.reactor, bench.clock.now, bench.random, self.threads.run)
        return BridgeContext(bench.site, *means, lambda *each: self.seen.append(each))

    async def until(self, what: str, holds: Callable[[], Any], seconds: float = 20.0) -> Any:
        return await until(self.reactor, what, holds, seconds)

    async def online(self) -> None:
        status = self.bridge.status
        await self.until(f"online: {status.last_error}", lambda: status.state is State.ONLINE)

    async def offline(self) -> str:
        """Wait until the bridge is offline; returns why."""
        status = self.bridge.status
        await self.until("offline", lambda: status.state is State.OFFLINE)
        return str(status.last_error)


@asynccontextmanager
async def started(**settings: Any) -> AsyncIterator[Real]:
    """Run a bridge; it stops at the end."""
    from twisted.internet import reactor

    real = Real(reactor, **settings)
    real.bridge.startService()
    try:
        yield real
    finally:
        stopped = real.bridge.stopService()
        if stopped is not None:
            await stopped
        real.threads.close()
        real.bench.alarms.stop()


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Broker]:
    """A broker that lets everybody in."""
    with broker.running(tmp_path) as running:
        yield running


# -- a real broker


@needs_mosquitto
@pytest.mark.parametrize("version", ["3.1.1", "5"])
async def test_a_broker_keeps_the_state_and_hands_over_commands(
    mosquitto: Broker, version: str
) -> None:
    """Retained states, a change, an alarm, a command and its answer; in the end `offline`."""
    place = f"tcp:127.0.0.1:{mosquitto.port}"
    mosquitto.publish(f"{BASE}/ups1/set/BZOFF", "", "-r")  # retained: to be ignored
    async with started(address=place, commands=True, version=version) as real:
        await real.online()
        watch = mosquitto.watch()
        await real.until("online at the broker", lambda: watch.last.get(STATUS) == "online")
        assert watch.json(f"{BASE}/ups1/input_voltage_r") == {
            "value": 221.5,
            "unit": "V",
            "quality": "good",
            "at": "2023-11-15T06:13:20.000+08:00",
        }
        assert f"homeassistant/sensor/{GANTRY}__ups1__input_voltage_r/config" in watch.last
        real.bench.read(input_voltage_r=0.0, mains_abnormal=True)
        alarm, point = f"{BASE}/alarms/ups1.mains-abnormal", f"{BASE}/ups1/input_voltage_r"
        await real.until("the alarm", lambda: watch.json(alarm).get("active") is True)
        await real.until("the value", lambda: watch.json(point).get("value") == 0.0)
        assert real.bench.ups.told == []
        mosquitto.publish(f"{BASE}/ups1/set/query", '{"cmd": "QI"}')
        answer = f"{BASE}/ups1/set/query/answer"
        await real.until("the answer", lambda: watch.json(answer).get("result") == "done")
        assert real.bench.ups.told == [("query", {"cmd": "QI"})]
        assert real.bridge.counts.get("refused", 0) == 0
    await real.until("offline in the end", lambda: watch.last[STATUS] == "offline")
    assert real.bridge.status.state is State.ONLINE  # nothing went wrong


@needs_mosquitto
@pytest.mark.parametrize(("version", "code"), [("3.1.1", 5), ("5", 135)])
async def test_a_refused_password_is_told(tmp_path: Path, version: str, code: int) -> None:
    """The bridge is offline with the code, and does not try again at once."""
    passwords = broker.passwords(tmp_path, "gantry", "right")
    with broker.running(tmp_path, f"password_file {passwords}", "user root") as running:
        where = {"address": f"tcp:127.0.0.1:{running.port}", "user": "gantry", "version": version}
        async with started(**where, password=Secret("wrong")) as real:
            assert (await real.offline()).endswith(f"(code {code})")
            assert real.bridge.status.outage is not None
            assert real.bridge.status.outage.cause is Cause.PASSWORD
        async with started(**where, password=Secret("right")) as real:
            await real.online()


@needs_mosquitto
async def test_tls(tmp_path: Path) -> None:
    """A broker is verified by `ca` and by its name; its certificate is watched for its expiry."""
    authority = Authority()
    signed = authority.sign("IP:127.0.0.1")
    certificate, key = signed.write(tmp_path, "broker")
    lines = [f"certfile {certificate}", f"keyfile {key}", "user root"]
    ca = Pem("ca.pem", authority.pem.decode())
    with broker.running(tmp_path, *lines) as running:
        place = f"ssl:127.0.0.1:{running.port}"
        async with started(address=place, ca=ca) as real:
            await real.online()
            assert real.seen == [("127.0.0.1", signed.chain[0].not_valid_after_utc)]
        for address, trusted in (
            (place, Pem("other.pem", Authority("other").pem.decode())),
            (place, None),
            (place.replace("127.0.0.1", "localhost"), ca),
        ):
            async with started(address=address, ca=trusted) as real:
                assert "the certificate is refused" in await real.offline()
        async with started(address=f"tcp:127.0.0.1:{running.port}") as real:
            await real.offline()


# -- other peers


@contextmanager
def peer(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """Listen, and let `serve` have each connection in a thread; yields the port."""
    server = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                taken, _ = server.accept()
            except OSError:
                return
            with taken:
                taken.settimeout(10)
                with suppress(OSError):
                    serve(taken)

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(5)


CONNACK = b"\x20\x02\x00\x00"


def publish(topic: bytes, payload: bytes, number: int = 1) -> bytes:
    """Return a PUBLISH of QoS 1."""
    body = struct.pack("!H", len(topic)) + topic + struct.pack("!H", number) + payload
    return b"\x32" + length(len(body)) + body


def length(number: int) -> bytes:
    """Return a remaining length."""
    found = bytearray()
    while True:
        number, digit = divmod(number, 128)
        found.append(digit | (128 if number else 0))
        if not number:
            return bytes(found)


def garbage(taken: socket.socket) -> None:
    taken.recv(1000)
    taken.sendall(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n" * 10)
    taken.recv(1000)


def silence(taken: socket.socket) -> None:
    while taken.recv(1000):
        pass


def closing(taken: socket.socket) -> None:
    taken.recv(1000)


def odd_connack(taken: socket.socket) -> None:
    taken.recv(1000)
    taken.sendall(b"\x20\x00")
    taken.recv(1000)


def large(taken: socket.socket) -> None:
    taken.recv(1000)
    taken.sendall(CONNACK + b"\x32" + length(200_000_000) + b"x" * 100_000)
    silence(taken)


def flood(taken: socket.socket) -> None:
    taken.recv(1000)
    taken.sendall(CONNACK + publish(f"{BASE}/ups1/set/BZOFF".encode(), b"{}") * 5000)
    silence(taken)


@pytest.mark.parametrize(
    ("serve", "why"),
    [
        (garbage, "does not speak"),
        (silence, "no answer within"),
        (closing, "closed the connection"),
        (odd_connack, "does not speak|closed"),
        (large, "a packet of over 16 KiB"),
        (flood, "too many messages"),
    ],
)
async def test_hostile_peers(
    monkeypatch: pytest.MonkeyPatch, serve: Callable[[socket.socket], None], why: str
) -> None:
    """Whatever a peer sends, the bridge is offline with a reason, and the daemon goes on."""
    monkeypatch.setattr(link, "CONNACK_S", 0.3 if serve is silence else 20.0)
    monkeypatch.setattr(link, "LOOK_S", 0.1)
    with peer(serve) as port:
        async with started(address=f"tcp:127.0.0.1:{port}", commands=True) as real:
            reason = await real.offline()
            assert any(part in reason for part in why.split("|")), reason
            assert len(real.bench.ups.told) <= 20
            assert all(fill.length <= fill.bound for fill in real.bridge.queues.values())


async def test_nobody_listens() -> None:
    """A port without a service is told as such."""
    async with started(address=f"tcp:127.0.0.1:{free_port()}") as real:
        assert "refused" in await real.offline()


async def test_a_stop_does_not_wait_for_a_silent_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stop ends the session, whatever its thread waits for: long before the stop gives up."""
    monkeypatch.setattr(link, "CONNACK_S", 200.0)
    monkeypatch.setattr(bridge, "STOP_S", 200.0)  # longer than any test may take
    with peer(silence) as port:
        async with started(address=f"tcp:127.0.0.1:{port}") as real:
            await real.until("a session", lambda: real.bridge.queues)
