"""The NUT server as a bridge: its listener, its users, its sessions, and the way to the door."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import uuid4

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_gantry.access.guesses import TooManyGuesses
from twisted_gantry.access.people import Person, Role
from twisted_gantry.access.secrets import Secrets, Wanted
from twisted_gantry.bridges.listening import Listening
from twisted_gantry.bridges.nut.connection import NutConnection
from twisted_gantry.bridges.nut.session import NutSession
from twisted_gantry.bridges.nut.settings import NutSettings, NutUser
from twisted_gantry.bridges.nut.tracking import Tracking
from twisted_gantry.bridges.nut.upses import Upses
from twisted_gantry.core.commands.door import Request
from twisted_gantry.core.commands.types import CommandResult, Outcome
from twisted_gantry.core.interfaces import DROPPED, Fill, IBridge
from twisted_gantry.core.site import BridgeContext
from twisted_gantry.core.status import Status
from twisted_gantry.net.addresses import group_of, host_of
from twisted_gantry.net.service import NamedService
from twisted_gantry.net.slots import Allowed, Slots
from twisted_gantry.net.timers import Timer
from twisted_gantry.wire.secret import Secret

_log = Logger()

CONNECTIONS, PER_ADDRESS, RESERVED = 64, 16, 16
"""Sessions at a time; of one address without a password; not for strangers (`net/slots.py`)."""
WORK = 0.2
"""CPU seconds a second that sessions of one address without a password may cost: 200 lists."""
SCHEME = "nut"
ANSWERED_WITHIN = 3.0
"""Seconds for which a client is let wait for the outcome of a command; clients give up after 5."""


@implementer(IBridge)
class NutBridge(NamedService):
    """Serves the UPSes of the site. The host of its sessions, see `session.NutHost`."""

    def __init__(self, settings: NutSettings, context: BridgeContext) -> None:
        super().__init__("bridge nut")
        self._clock, self._site = context.reactor, context.site
        self.status = Status("bridge.nut", context.now)
        self.counts: Counter[str] = Counter({DROPPED: 0})
        self.upses = Upses(context.site, context.reactor, context.now, settings.low_runtime)
        self.tracking = Tracking()
        self._users = {user.name: user for user in settings.user}
        self._secrets = Secrets(
            {
                SCHEME: [
                    Wanted(Person(n, Role.OPERATOR), u.password, n) for n, u in self._users.items()
                ]
            },
            context.in_thread,
            context.reactor,
        )
        self._factory = _NutFactory(self, settings, context.reactor)
        open_ones = self._factory.open
        self.listening = Listening(
            context.reactor, settings.listen, self._factory, lambda: list(open_ones), self.status
        )

    @property
    def peers(self) -> int:
        return len(self._factory.open)

    @property
    def queues(self) -> Mapping[str, Fill]:
        return {}

    @property
    def has_tls(self) -> bool:
        return self._factory.tls is not None

    def startService(self) -> None:
        super().startService()
        self.upses.start()
        self.listening.start()

    def stopService(self) -> Deferred[Any]:
        super().stopService()
        self.upses.stop()
        return maybeDeferred(self.listening.stop)

    async def user(self, name: str, password: Secret, address: str) -> NutUser | None:
        given = password.reveal().encode("utf-8", "surrogateescape")
        try:
            person = await self._secrets.person_of(SCHEME, given, group_of(address), name)
        except TooManyGuesses:
            person = None
        if person is None or person.name != name:  # the hash of a token goes with any name
            self.counts["wrong-passwords"] += 1
            return None
        return self._users[name]

    def logged_in(self, ups: str) -> Sequence[NutSession]:
        return [each.session for each in self._factory.open if each.session.ups == ups]

    async def command(self, ups: str, command: str, who: str) -> Outcome | None:
        ended: Deferred[Outcome | None] = Deferred()
        late = Timer(self._clock, lambda: ended.callback(None))
        late.start(ANSWERED_WITHIN)

        def done(outcome: Outcome) -> None:
            if late.running:
                late.cancel()
                ended.callback(outcome)

        self._run(ups, command, who, done)
        return await ended

    def tracked(self, ups: str, command: str, who: str) -> str:
        id_ = str(uuid4())
        self.tracking.begin(id_)
        self._run(ups, command, who, lambda outcome: self.tracking.end(id_, outcome))
        return id_

    def _run(self, ups: str, command: str, who: str, done: Callable[[Outcome], object]) -> None:
        """Do a command, confirmed by its name in `instcmds` if it asks; `done` gets its outcome."""
        self.counts["commands"] += 1
        door = self._site.door
        request = Request(ups, command, {}, who, door.new_id(), confirmed=True)

        def failed(failure: Failure) -> CommandResult:
            _log.failure(
                "{who}: {ups} {command} failed", failure, who=who, ups=ups, command=command
            )
            return CommandResult(Outcome.FAILED)

        running = door.run(request).addErrback(failed)
        running.addCallback(lambda result: done(result.result))
        running.addErrback(lambda failure: _log.failure("the NUT server failed", failure))


class _NutFactory(Factory[NutConnection]):
    noisy = False

    def __init__(self, bridge: NutBridge, settings: NutSettings, clock: Any) -> None:
        self._bridge, self._clock = bridge, clock
        self.tls = settings.tls
        self.open: dict[NutConnection, None] = {}
        self._slots = Slots(
            clock,
            connections=CONNECTIONS,
            per_address=PER_ADDRESS,
            reserved=RESERVED,
            work=WORK,
            counts=bridge.counts,
            allowed=Allowed(settings.allowed_clients),
        )

    def buildProtocol(self, addr: IAddress | None) -> NutConnection | None:
        slot = self._slots.admit(host_of(addr))
        if slot is None:
            self._bridge.counts[DROPPED] += 1
            return None
        session = NutSession(self._bridge, host_of(addr))
        gone = self.open.pop
        made = NutConnection(session, slot, self._clock, self.tls, self._count, gone)
        self.open[made] = None
        return made

    def _count(self, event: str) -> None:
        self._bridge.counts[event] += 1
