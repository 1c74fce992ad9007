"""The bridge to an MQTT broker: its sessions, one after another, and what each of them is told.

On a reading or an alarm the bridge notes names; a timer sends them (`sending.py`).
"""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.defer import TimeoutError as TooLate
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_gantry.bridges.mqtt.commands import MOST_RUNNING, Commands, Message
from twisted_gantry.bridges.mqtt.content import OFFLINE, ONLINE, Content, Out
from twisted_gantry.bridges.mqtt.homeassistant import BIRTH, RESEND_S
from twisted_gantry.bridges.mqtt.link import MOST_RECEIVED, Driver, Link, Will
from twisted_gantry.bridges.mqtt.reasons import Ending
from twisted_gantry.bridges.mqtt.sending import Sending
from twisted_gantry.bridges.mqtt.settings import MqttSettings
from twisted_gantry.core.interfaces import DROPPED, Fill, IBridge
from twisted_gantry.core.site import BridgeContext
from twisted_gantry.core.status import Status
from twisted_gantry.net.outage import Cause, Outage, outage
from twisted_gantry.net.service import NamedService
from twisted_gantry.net.session import Backoff
from twisted_gantry.net.timers import Repeated

_log = Logger()

PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
REFUSED_S, LONGEST_REFUSED_S = 30.0, 300.0
"""Seconds before the next attempt, when only a person can mend the last one's reason."""
GOOD_S = 30.0  # seconds online after which a session was a good one
STOP_S = 3.0  # seconds that a goodbye may take
BIRTHS_S = 60.0  # seconds between two births of Home Assistant that are heard


class Session(Protocol):
    """A connection to the broker, as `link.Link`."""

    @property
    def waiting(self) -> int: ...
    def run(self) -> Deferred[Ending]: ...
    def publish(self, topic: str, payload: bytes, *, retain: bool) -> None: ...
    def close(self) -> None: ...


Connect = Callable[[Will, list[str], Driver], Session]


@implementer(IBridge)
class MqttBridge(NamedService):
    """Keeps the state of the site at a broker. `connect` makes a session, which is not running."""

    def __init__(
        self, settings: MqttSettings, client_id: str, context: BridgeContext, connect: Connect
    ) -> None:
        super().__init__("bridge mqtt")
        self.status = Status("bridge.mqtt", context.now)
        self._counts: Counter[str] = Counter({DROPPED: 0})
        self._settings, self._context, self._connect = settings, context, connect
        site, clock, random = context.site, context.reactor, context.random.random
        self._content = Content(settings, site, clock)
        periods = [settings.period, RESEND_S if settings.discovery else 0.0]
        repeat = min((each for each in periods if each), default=0.0)
        means = (self._publish, repeat, self._counts, self._is_useless)
        self._sending = Sending(self._content, site, clock, *means)
        self._commands = Commands(
            site.door, clock, f"mqtt {client_id}", self._sending.answer, self._counts
        )
        self._sessions = Repeated(clock, self._one_session, "the MQTT bridge")
        self._pauses = Backoff(PAUSE_S, LONGEST_PAUSE_S, random)
        self._refused = Backoff(REFUSED_S, LONGEST_REFUSED_S, random)
        self._session: Session | None = None
        self._online_since: float | None = None
        self._born = -BIRTHS_S
        self._loading: Deferred[None] | None = None
        self._over: Deferred[None] | None = None
        self._useless: Outage | None = None

    @property
    def peers(self) -> int:
        return int(self._online_since is not None)

    @property
    def counts(self) -> Mapping[str, int]:
        return self._counts

    @property
    def queues(self) -> Mapping[str, Fill]:
        waiting = 0 if self._session is None else self._session.waiting
        return {
            **self._sending.queues,
            "received": Fill(waiting, MOST_RECEIVED),
            "commands": Fill(self._commands.running, MOST_RUNNING),
        }

    def startService(self) -> None:
        super().startService()
        self._loading = ensureDeferred(self._load())
        self._loading.addErrback(_log_failure)

    def stopService(self) -> Deferred[Any] | None:
        """Say `offline` and goodbye; fires when the session has ended, at the latest in STOP_S."""
        super().stopService()
        if self._loading is not None:
            self._loading.cancel()
        self._sending.stop()
        self._content.stop()
        session = self._session
        if session is None:
            self._sessions.stop()
            return None
        if self._online_since is not None:
            session.publish(self._content.topics.status, OFFLINE, retain=True)
        session.close()
        over = self._over = Deferred()
        over.addTimeout(STOP_S, self._context.reactor)
        over.addErrback(lambda failure: failure.trap(TooLate))
        return over.addBoth(lambda _: self._sessions.stop())

    async def _load(self) -> None:
        await self._content.load()
        self._sending.start()
        self._sessions.start()

    # -- sessions

    async def _one_session(self) -> float:
        """Connect and stay connected; returns the seconds before the next attempt."""
        topics = self._content.topics
        filters = [topics.commands] if self._settings.commands else []
        if self._settings.discovery and not self._settings.retain:
            filters.append(BIRTH)
        self._useless = None
        session = self._connect(Will(topics.status, OFFLINE), filters, self)
        self._session = session
        try:
            ending = self._judged(await session.run())
        finally:
            self._session = None
            self._sending.offline()
            since, self._online_since = self._online_since, None
            over, self._over = self._over, None
            if over is not None:
                over.callback(None)
        if self.running:
            self._counts["lost" if ending.was_online else "not-connected"] += 1
            self.status.offline(ending.reason)
        if since is not None:
            self._refused.reset()
            if self._context.reactor.seconds() - since >= GOOD_S:
                self._pauses.reset()
        return (self._pauses if ending.hurry else self._refused).next()

    def _judged(self, ending: Ending) -> Ending:
        """Return why a session ended: our goodbye to a useless one is no reason."""
        return ending if self._useless is None else Ending(self._useless, was_online=True)

    def _is_useless(self, why: Outage) -> None:
        """End a session in which nothing is acknowledged, or far too late."""
        if self._session is not None and self._useless is None:
            self._useless = why
            self._session.close()

    def _publish(self, message: Out) -> None:
        assert self._session is not None
        self._session.publish(message.topic, message.payload, retain=message.retain)

    # -- what the session tells

    def connected(self) -> None:
        """Send everything anew: the broker may have lost what it kept, or be another one."""
        self._online_since = self._context.reactor.seconds()
        self.status.online()
        self._sending.online()

    def acknowledged(self, number: int, refused: int, why: str) -> None:
        if refused:
            self._counts["refused"] += refused
            en, zh = f"the broker does not take a message: {why}", f"服务器拒绝消息：{why}"
            self.status.error(outage(Cause.ERROR_ANSWER, en=en, zh=zh))
        self._sending.acknowledged(number)

    def crowded(self, number: int) -> None:
        self._counts[DROPPED] += number

    def received(self, message: Message) -> None:
        self._counts["received"] += 1
        named = self._content.topics.command(message.topic)
        if named is not None and self._settings.commands:
            self._commands.take(*named, message)
        elif message.topic == BIRTH and message.payload == ONLINE and not message.retained:
            now = self._context.reactor.seconds()
            if now - self._born >= BIRTHS_S:
                self._born = now
                self._sending.online()


def mqtt_bridge(settings: MqttSettings, context: BridgeContext) -> MqttBridge:
    """Return the bridge of `[bridge.mqtt]`."""
    client_id = settings.client_id or context.site.gantry_id

    def connect(will: Will, filters: list[str], driver: Driver) -> Session:
        call = context.reactor.callFromThread
        means = (call, context.in_thread, context.certificate_seen)
        return Link(settings, client_id, will, filters, driver, *means)

    return MqttBridge(settings, client_id, context, connect)


def _log_failure(failure: Failure) -> None:
    if not failure.check(CancelledError):  # cut off by the stop
        _log.failure("the MQTT bridge failed", failure=failure)
