"""One connection to a broker: paho in a thread of its own, which alone touches the client.

The reactor puts messages into a queue and wakes the thread; the thread puts what happened into
another, and hands over once. Both are bounded: the reactor by the messages that are not yet
acknowledged (`WINDOW`), the thread by `MOST_RECEIVED`. No lock is held over a system call.
"""

import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Any, Protocol

from cryptography import x509
from paho.mqtt.client import Client, MQTTMessage, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions
from twisted.internet.defer import Deferred

from twisted_gantry.bridges.mqtt.commands import Message
from twisted_gantry.bridges.mqtt.reasons import (
    CLOSED,
    FLOODED,
    FOREIGN,
    TOO_LARGE,
    Ending,
    loss,
    not_connected,
    refusal,
    silent,
)
from twisted_gantry.bridges.mqtt.sending import WINDOW
from twisted_gantry.bridges.mqtt.settings import Broker, MqttSettings, broker_at
from twisted_gantry.net.outage import Outage
from twisted_gantry.net.pem import SYSTEM

MOST_RECEIVED = 64  # messages of the broker that wait for the reactor
MOST_PACKET = 16_384  # bytes of a packet of the broker
MOST_A_SECOND = 500  # messages of the broker in one second, before the connection is ended
MOST_AT_ONCE = 20  # messages of the broker that are not yet acknowledged

KEEPALIVE_S = 15
CONNECT_S = 10.0  # for TCP, and for TLS
CONNACK_S = 10.0
GOODBYE_S = 1.0  # for the last acknowledgements, and for the DISCONNECT
LOOK_S = 0.5  # between two looks at the clock


class Driver(Protocol):
    """What a link tells, in the reactor's thread."""

    def connected(self) -> None: ...  # the broker has let us in

    def acknowledged(self, number: int, refused: int, why: str) -> None:
        """So many messages are through; `refused` of them the broker did not take."""

    def received(self, message: Message) -> None: ...  # a message of a topic that we subscribed

    def crowded(self, number: int) -> None: ...  # so many messages found no room


@dataclass(frozen=True)
class Will:
    """What the broker publishes, retained, when we are gone."""

    topic: str
    payload: bytes


class _Bounded(Client):
    """A client that reads no packet beyond our bounds: paho itself would keep 256 MB. `beyond` is
    the bound that the broker broke.
    """

    beyond: Outage | None = None

    def _sock_recv(self, bufsize: int) -> bytes:
        if self._in_packet["remaining_length"] > MOST_PACKET:
            self.beyond = TOO_LARGE
        elif len(self._in_messages) > MOST_AT_ONCE:
            self.beyond = FLOODED
        if self.beyond is not None:
            raise ConnectionError(self.beyond.en)
        return super()._sock_recv(bufsize)

    def _ssl_wrap_socket(self, tcp_sock: socket.socket) -> ssl.SSLSocket:
        """Shake hands at once: so the socket is closed when that fails, which paho forgets."""
        assert self._ssl_context is not None
        return self._ssl_context.wrap_socket(tcp_sock, server_hostname=self._host)


class Link:
    """A connection that is made once. `call` runs a function in the reactor's thread, as
    `reactor.callFromThread`; `filters` are subscribed as soon as the broker has let us in.
    """

    def __init__(
        self,
        settings: MqttSettings,
        client_id: str,
        will: Will,
        filters: Sequence[str],
        driver: Driver,
        call: Callable[[Callable[[], None]], Any],
        in_thread: Callable[..., Deferred[Any]],
        certificate_seen: Callable[[str, datetime], None],
    ) -> None:
        self._settings, self._client_id, self._will = settings, client_id, will
        self._filters, self._driver, self._call = filters, driver, call
        self._in_thread, self._certificate_seen = in_thread, certificate_seen
        self._broker: Broker = broker_at(settings.address)
        self._is_5 = settings.version == "5"
        # What the reactor gives the thread.
        self._outgoing: deque[tuple[str, bytes, bool]] = deque()
        self._closing = self._woken = False
        self._reader, self._writer = socket.socketpair()
        for each in (self._reader, self._writer):
            each.setblocking(False)
        # What the thread gives the reactor, under the lock.
        self._lock = Lock()
        self._handed = False
        self._tell_connected = False
        self._acks = self._refusals = self._crowd = 0
        self._why = ""
        self._received: list[Message] = []
        # What the thread alone knows.
        self._ending: Ending | None = None
        self._let_in = False
        self._unacked, self._most = 0, WINDOW
        self._second, self._in_second = 0, 0

    # -- in the reactor's thread

    def run(self) -> Deferred[Ending]:
        """Connect, and stay connected; fires with why that ended."""
        return self._in_thread(self._run)

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Send a message; `acknowledged` tells when it is through."""
        self._outgoing.append((topic, payload, retain))
        self._wake()

    def close(self) -> None:
        """Say goodbye once what was published is through, or after `GOODBYE_S`; `run` fires."""
        self._closing = True
        self._wake()

    @property
    def waiting(self) -> int:
        """How many messages of the broker wait for the reactor."""
        return len(self._received)

    def _wake(self) -> None:
        if not self._woken:
            self._woken = True
            with suppress(OSError):  # full, so it is awake; or the thread has ended
                self._writer.send(b"x")

    def _deliver(self) -> None:
        with self._lock:
            self._handed = False
            connected, self._tell_connected = self._tell_connected, False
            acks, refusals, why = self._acks, self._refusals, self._why
            crowd, received = self._crowd, self._received
            self._acks = self._refusals = self._crowd = 0
            self._received = []
        if self._closing:
            return
        if connected:
            self._driver.connected()
        if acks:
            self._driver.acknowledged(acks, refusals, why)
        if crowd:
            self._driver.crowded(crowd)
        for message in received:
            self._driver.received(message)

    # -- in the thread of the connection

    def _run(self) -> Ending:
        try:
            ending = self._connection()
        except Exception as error:  # paho raises struct.error and more for bytes that are no MQTT
            ending = self._ending or loss(error, was_online=self._let_in)
        finally:
            self._reader.close()
            self._writer.close()
        return ending

    def _connection(self) -> Ending:
        client = self._made()
        try:
            self._connect(client)
        except Exception as error:
            return not_connected(error, self._broker)
        try:
            self._stay(client)
        finally:
            with suppress(Exception):
                found: Any = client.socket()
                if found is not None:
                    found.close()
        return self._ending or Ending(CLOSED, was_online=self._let_in)

    def _made(self) -> _Bounded:
        settings = self._settings
        client = _Bounded(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            protocol=MQTTv5 if self._is_5 else MQTTv311,
            reconnect_on_failure=False,
        )
        client.connect_timeout = CONNECT_S
        client.suppress_exceptions = False
        client.max_queued_messages_set(2 * WINDOW)
        client.max_inflight_messages_set(WINDOW)
        if settings.user:
            password = None if settings.password is None else settings.password.reveal()
            client.username_pw_set(settings.user, password)
        if self._broker.tls:
            client.tls_set_context(_context(settings))
        client.will_set(self._will.topic, self._will.payload, settings.qos, retain=True)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        # Set, this keeps paho from writing within `publish`: `_stay` writes.
        client.on_socket_register_write = lambda *_: None
        return client

    def _connect(self, client: _Bounded) -> None:
        host, port = self._broker.host, self._broker.port
        if self._is_5:
            properties: Any = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.MaximumPacketSize = MOST_PACKET
            properties.ReceiveMaximum = MOST_AT_ONCE
            client.connect(host, port, KEEPALIVE_S, clean_start=True, properties=properties)
        else:
            client.connect(host, port, KEEPALIVE_S)
        self._note_certificate(client)

    def _note_certificate(self, client: Client) -> None:
        found: Any = client.socket()
        if not isinstance(found, ssl.SSLSocket):
            return
        shown = found.getpeercert(binary_form=True)
        if shown:
            expires = x509.load_der_x509_certificate(shown).not_valid_after_utc
            self._call(lambda: self._certificate_seen(self._broker.host, expires))

    def _stay(self, client: _Bounded) -> None:
        began = time.monotonic()
        goodbye: float | None = None
        poll = select.poll()
        poll.register(self._reader, select.POLLIN)
        found: Any = client.socket()
        number = found.fileno()
        while client.socket() is not None and self._ending is None:
            now = time.monotonic()
            if not self._let_in and now - began > CONNACK_S:
                self._ending = silent(CONNACK_S)
                return
            if self._closing:
                goodbye = now if goodbye is None else goodbye
                if self._said_goodbye(client, now - goodbye):
                    return
            poll.register(number, select.POLLIN | (select.POLLOUT if client.want_write() else 0))
            pending = getattr(found, "pending", int)()
            ready = dict(poll.poll(0 if pending else LOOK_S * 1000))
            if self._reader.fileno() in ready:
                self._reader.recv(64)
            self._woken = False
            if pending or number in ready:
                self._read(client)
            if self._let_in:
                self._send(client)
            if client.want_write():
                client.loop_write()
            client.loop_misc()

    def _read(self, client: _Bounded) -> None:
        """Read once. paho ends a connection beyond our bounds, or with bytes that are no MQTT, as
        one that was closed; it calls the refusal of a CONNACK an error of the protocol, too.
        """
        foreign = client.loop_read() == MQTTErrorCode.MQTT_ERR_PROTOCOL
        if client.beyond is not None:
            self._ending = Ending(client.beyond, self._let_in, hurry=False)
        elif foreign and (self._ending is None or self._ending.reason is CLOSED):
            self._ending = Ending(FOREIGN, was_online=self._let_in)

    def _said_goodbye(self, client: Client, since: float) -> bool:
        """Disconnect when nothing is under way any more; returns whether that was said."""
        under_way = bool(self._outgoing) or self._unacked > 0
        if self._let_in and under_way and since < GOODBYE_S:
            return False
        client.disconnect()
        client.loop_write()
        return True

    def _send(self, client: Client) -> None:
        while self._outgoing and self._unacked < self._most:
            topic, payload, retain = self._outgoing.popleft()
            self._unacked += 1
            client.publish(topic, payload, self._settings.qos, retain)

    def _hand_over(self) -> None:
        """Let the reactor take what is there; call with the lock held."""
        if not self._handed:
            self._handed = True
            self._call(self._deliver)

    def _on_connect(
        self, client: Client, _: Any, __: Any, code: ReasonCode, properties: Properties | None
    ) -> None:
        if code.is_failure:
            self._ending = refusal(code, is_5=self._is_5)
            return
        self._let_in = True
        self._most = min(WINDOW, getattr(properties, "ReceiveMaximum", WINDOW))
        for each in self._filters:
            if self._is_5:  # what is retained is not even sent
                options = SubscribeOptions(qos=1, retainHandling=2)
                client.subscribe(each, options=options)
            else:
                client.subscribe(each, 1)
        with self._lock:
            self._tell_connected = True
            self._hand_over()

    def _on_disconnect(self, _: Client, __: Any, flags: Any, code: ReasonCode, ___: Any) -> None:
        if self._ending is None:
            if flags.is_disconnect_packet_from_server:
                self._ending = refusal(code, is_5=True, was_online=self._let_in)
            else:
                self._ending = loss(code, was_online=self._let_in)

    def _on_publish(self, _: Client, __: Any, ___: int, code: ReasonCode, ____: Any) -> None:
        self._unacked -= 1
        with self._lock:
            self._acks += 1
            if code.is_failure:
                self._refusals += 1
                self._why = f"{code} (code {code.value})"
            self._hand_over()

    def _on_message(self, client: Client, _: Any, message: MQTTMessage) -> None:
        second = int(time.monotonic())
        self._in_second = self._in_second + 1 if second == self._second else 1
        self._second = second
        if self._in_second > MOST_A_SECOND:
            self._ending = Ending(FLOODED, self._let_in, hurry=False)
            return
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return
        payload = bytes(message.payload)
        with self._lock:
            if len(self._received) < MOST_RECEIVED:
                taken = Message(topic, payload, bool(message.retain), bool(message.dup))
                self._received.append(taken)
            else:
                self._crowd += 1
            self._hand_over()


def _context(settings: MqttSettings) -> ssl.SSLContext:
    """Return whom to trust and what to show. Raises OSError and ValueError."""
    ca = settings.ca
    if ca is None or ca == SYSTEM:
        context = ssl.create_default_context()
    else:
        context = ssl.create_default_context(cadata=ca.content)
        # What the file has is trusted, also an authority below another.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    own, key = settings.client_cert, settings.client_key
    if own is not None and key is not None:
        context.load_cert_chain(own.path, key.path)
    return context
