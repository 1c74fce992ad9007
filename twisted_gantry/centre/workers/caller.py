"""Calls people: the targets of `[[notify]]` over an outbox, in the database or in memory."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar
from uuid import uuid4
from zoneinfo import ZoneInfo

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_gantry.centre.interfaces import Job
from twisted_gantry.centre.own_troubles import OwnTroubles
from twisted_gantry.centre.store import notices
from twisted_gantry.centre.store.leases import NotHeld
from twisted_gantry.centre.store.troubles import Found
from twisted_gantry.centre.workers.lease import Hold
from twisted_gantry.net.outage import Outage, Reason, as_outage
from twisted_gantry.net.service import ServiceGroup
from twisted_gantry.net.times import times_in
from twisted_gantry.net.tls import Seen
from twisted_gantry.notify.interfaces import Gantry, Outbox, Waiting
from twisted_gantry.notify.notice import WARNING, Notice, message_of_a_test
from twisted_gantry.notify.notifier import Notifier
from twisted_gantry.notify.plan import PlanState
from twisted_gantry.notify.target import Target
from twisted_gantry.settings.notify import NotifyEntry

T = TypeVar("T")
_log = Logger()

NAMES = {"en": "the centre", "zh": "路网中心"}
"""How messages name a centre without a name."""


@dataclass(frozen=True)
class Office:
    """Who calls: the name and the time zone of the centre, and what a target needs of the process.
    `now` returns Unix seconds, `spread` a number in [0, 1).
    """

    name: str
    timezone: str
    clock: Any
    now: Callable[[], float]
    spread: Callable[[], float]
    certificate_seen: Seen = lambda *_: None
    new_id: Callable[[], str] = lambda: uuid4().hex

    def name_in(self, language: str) -> str:
        return self.name or NAMES[language]

    def gantry(self, language: str) -> Gantry:
        time = times_in(self.timezone)
        return Gantry("", self.name_in(language), lambda at: time(at) or "")


class StoredNotices:
    """The outbox of one target in the database, for the worker that holds the duty.

    A worker that has lost the duty changes nothing, and its requests never end: it is stopped.
    """

    def __init__(self, target: str, hold: Hold) -> None:
        self._target, self._hold = target, hold

    def load(self) -> Deferred[PlanState]:
        found = self._write(partial(notices.state, target=self._target))
        return found.addCallback(lambda kept: kept or PlanState())

    def add(self, event: str, id: str, body: bytes, state: PlanState) -> Deferred[int]:  # noqa: A002
        add = partial(notices.add, target=self._target, event=event, message=id, body=body)
        return self._write(partial(add, state=state))

    def keep(self, state: PlanState) -> Deferred[None]:
        return self._write(partial(notices.keep, target=self._target, state=state))

    def waiting(self) -> Deferred[Waiting | None]:
        return self._write(partial(notices.waiting, target=self._target))

    def delivered(self, number: int) -> Deferred[None]:
        return self._write(partial(notices.delivered, number=number))

    def tried(self, number: int, reason: str) -> Deferred[None]:
        return self._write(partial(notices.tried, number=number, reason=reason))

    def set_aside(self, number: int, reason: str) -> Deferred[None]:
        return self._write(partial(notices.set_aside, number=number, reason=reason))

    def _write(self, job: Job[T]) -> Deferred[T]:
        def lost(failure: Failure) -> Deferred[T]:
            failure.trap(NotHeld)
            return Deferred()

        return self._hold.write(job).addErrback(lost)


class _State:
    """Logs when a target begins to fail, and when it works again."""

    def __init__(self, name: str) -> None:
        self._name, self._failing = name, False

    def online(self) -> None:
        if self._failing:
            _log.info("notify {name} takes messages again", name=self._name)
        self._failing = False

    def offline(self, reason: Reason) -> None:
        if not self._failing:
            _log.warn("notify {name}: {reason}", name=self._name, reason=as_outage(reason).en)
        self._failing = True


class _Troubles:
    """The faults of the centre about one target."""

    def __init__(self, name: str, own: OwnTroubles) -> None:
        self._name, self._own = name, own

    def failing(self, reason: Outage | None) -> None:
        if reason is None:
            self._own.clear(f"notify.{self._name}.failing")
            self._own.clear(f"notify.{self._name}.set-aside")
            return
        en = f"notify {self._name} does not take messages: {reason.en}"
        self._set("failing", en, f"通知{self._name}无法送达：{reason.zh}")

    def set_aside(self, reason: Outage) -> None:
        en = f"notify {self._name} refused a message: {reason.en}"
        self._set("set-aside", en, f"{self._name}拒收一条通知：{reason.zh}")

    def _set(self, what: str, en: str, zh: str) -> None:
        self._own.set(Found(f"notify.{self._name}.{what}", WARNING, en, zh))


class Caller(ServiceGroup):
    """All targets over the outboxes that `outbox` makes by name. `notices` returns what is to be
    told now; `changed` says that this has changed.
    """

    def __init__(
        self,
        entries: Sequence[NotifyEntry],
        office: Office,
        outbox: Callable[[str], Outbox],
        notices: Callable[[], Iterable[Notice]],
        own: OwnTroubles,
    ) -> None:
        super().__init__()
        self._own, self._names = own, [each.name for each in entries]
        self._notifier = Notifier(office.clock, notices)
        for entry in entries:
            target = self._target(entry, office, outbox(entry.name))
            self._notifier.targets[entry.name] = target
            self.add(target)

    def _target(self, entry: NotifyEntry, office: Office, outbox: Outbox) -> Target:
        name, settings = entry.name, entry.settings
        called = office.name_in(settings.language)
        return Target(
            name,
            entry.policy(ZoneInfo(office.timezone), f"notify.{name}."),
            entry.sender(office.clock, office.now, called, office.certificate_seen),
            outbox,
            office.gantry(settings.language),
            _State(name),
            _Troubles(name, self._own),
            office.clock,
            office.now,
            office.spread,
            office.new_id,
            self._notifier.active,
            partial(self._notifier.escalate, settings.escalate_to),
        )

    def changed(self) -> None:
        self._notifier.changed()

    def stopService(self) -> Deferred[Any]:
        self._notifier.stop()
        for name in self._names:  # another worker sends, and finds its own faults
            _Troubles(name, self._own).failing(None)
        return super().stopService()


def send_test(entry: NotifyEntry, office: Office) -> Deferred[None]:
    """Send a test message to a target, beside its outbox: any process may do so. Fails with
    NotSent.
    """
    language = entry.settings.language
    sender = entry.sender(
        office.clock, office.now, office.name_in(language), office.certificate_seen
    )
    at = office.gantry(language).time(office.now())
    sending = sender.send(message_of_a_test(office.new_id(), "", at).encode())

    def close(result: Any) -> Deferred[Any]:
        closed: Deferred[Any] = sender.close()
        return closed.addCallback(lambda _: result)

    return sending.addBoth(close)
