"""Notifications of a gantry: the room `notify` with the alarms and the store of the gantry."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import msgspec
from twisted.application.service import IService
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_gantry.config.settings import GantrySettings
from twisted_gantry.core.alarms import Alarms, Severity
from twisted_gantry.core.interfaces import ICalled, IStore, NotTaken
from twisted_gantry.core.site import Site
from twisted_gantry.core.status import Status
from twisted_gantry.core.stored import Cap, Urgency
from twisted_gantry.net.outage import Outage
from twisted_gantry.net.service import NamedService, ServiceGroup
from twisted_gantry.net.times import times_in
from twisted_gantry.notify.interfaces import Gantry, NotSent, Waiting
from twisted_gantry.notify.notice import Event, Message, Notice, message_of_a_test
from twisted_gantry.notify.notifier import Notifier
from twisted_gantry.notify.plan import PlanState
from twisted_gantry.notify.target import Target
from twisted_gantry.settings.notify import NotifyEntry

_log = Logger()

PREFIX = "notify."
CAP = Cap(1024 * 1024, float("inf"))
"""At most one message of a target waits; the cap bounds what was set aside."""
REMOVED = "its target is not in the configuration any more"


class StoredMessages:
    """The outbox of one target, in the store beside those of the uplinks."""

    def __init__(self, name: str, store: IStore) -> None:
        self._name, self._store = PREFIX + name, store

    def load(self) -> Deferred[PlanState]:
        return ensureDeferred(self._load())

    async def _load(self) -> PlanState:
        kept = (await self._store.settings()).get(self._name)
        try:
            return PlanState() if kept is None else msgspec.convert(kept, PlanState)
        except msgspec.ValidationError:  # of another version
            _log.warn("the state of {name} cannot be read; it begins anew", name=self._name)
            return PlanState()

    def add(self, event: str, id: str, body: bytes, state: PlanState) -> Deferred[int]:  # noqa: A002
        setting = (self._name, msgspec.to_builtins(state))
        added = self._store.add_report(
            self._name, event, id, body, Urgency.URGENT, CAP, setting=setting
        )
        return added.addCallback(lambda kept: kept[0])

    def keep(self, state: PlanState) -> Deferred[None]:
        return self._store.put_setting(self._name, msgspec.to_builtins(state))

    def waiting(self) -> Deferred[Waiting | None]:
        return ensureDeferred(self._waiting())

    async def _waiting(self) -> Waiting | None:
        report = await self._store.next_report(self._name, 0.0)
        return None if report is None else Waiting(report.id, report.body, report.tries)

    def delivered(self, number: int) -> Deferred[None]:
        return self._store.delivered([number])

    def tried(self, number: int, reason: str) -> Deferred[None]:
        return self._store.tried(number, reason)

    def set_aside(self, number: int, reason: str) -> Deferred[None]:
        return self._store.set_aside(number, reason)


class _Troubles:
    """The alarms about one target."""

    def __init__(self, name: str, alarms: Alarms) -> None:
        self._name, self._alarms = PREFIX + name, alarms

    def failing(self, reason: Outage | None) -> None:
        if reason is None:
            self._alarms.clear(f"{self._name}.failing")
            return
        en = f"{self._name} does not take messages: {reason.en}"
        self._set("failing", en, f"通知{self._name}无法送达：{reason.zh}")

    def set_aside(self, reason: Outage) -> None:
        en = f"{self._name} refused a message: {reason.en}"
        self._set("set-aside", en, f"{self._name}拒收一条通知：{reason.zh}")

    def _set(self, what: str, en: str, zh: str) -> None:
        self._alarms.set(f"{self._name}.{what}", Severity.WARNING, en, zh)


@implementer(ICalled)
class Called(ServiceGroup):
    """A target as the rest of the gantry sees it."""

    def __init__(self, kind: str, status: Status, target: Target, gantry: Gantry, now: Any) -> None:
        super().__init__()
        self.kind, self.status, self.counts = kind, status, target.counts
        self._target, self._gantry, self._now = target, gantry, now
        self.setName(target.name)  # type: ignore[no-untyped-call]
        self.add(target)

    @property
    def last_delivered(self) -> float | None:
        return self._target.last_delivered

    def retry(self) -> None:
        self._target.retry()

    def test(self) -> Deferred[None]:
        time = self._gantry.time(self._now())
        body = message_of_a_test(uuid4().hex, self._gantry.id, time).encode()

        def failed(failure: Failure) -> None:
            failure.trap(NotSent)
            raise NotTaken(str(failure.value)) from None

        return self._target.test(body).addErrback(failed)


class _LeftOff(NamedService):
    """Sets aside, at the start, the messages of targets that are not configured any more."""

    def __init__(self, names: Iterable[str], site: Site) -> None:
        super().__init__("notify")
        self._known = {PREFIX + name for name in names}
        self._site = site

    def startService(self) -> None:
        super().startService()
        looking = ensureDeferred(self._look())
        looking.addErrback(lambda _: None)  # a store that fails has an alarm of its own

    async def _look(self) -> None:
        store = self._site.store
        for name in await store.settings():
            if name.startswith(PREFIX) and name not in self._known:
                for report in await store.next_reports(name, 100, 1024 * 1024):
                    await store.set_aside(report.id, REMOVED)
                await store.put_setting(name, None)


class Notifications:
    """Makes the parts of a gantry that call people. `spread` returns a number in [0, 1)."""

    def __init__(
        self,
        site: Site,
        reactor: Any,
        now: Callable[[], float],
        spread: Callable[[], float],
        certificate_seen: Any,
    ) -> None:
        self._site, self._reactor, self._now, self._spread = site, reactor, now, spread
        self._certificate_seen = certificate_seen
        self._notifier = Notifier(reactor, lambda: notices_of(site))
        alarms, changed = site.alarms, lambda _: self._notifier.changed()
        self._ends = [alarms.subscribe(changed), alarms.subscribe_changes(changed)]

    def stop(self) -> None:
        for end in self._ends:
            end()
        self._notifier.stop()

    def left_off(self, names: Sequence[str]) -> IService:
        service: Any = _LeftOff(names, self._site)
        return service  # type: ignore[no-any-return]

    def make(
        self, gantry: GantrySettings, entry: NotifyEntry
    ) -> tuple[IService, Callable[[], None]]:
        """Return a target, and what ends it."""
        site, settings, name = self._site, entry.settings, entry.name
        time = times_in(gantry.timezone)
        told_by = Gantry(gantry.id, gantry.name, lambda at: time(at) or "")
        sender = entry.sender(self._reactor, self._now, gantry.name, self._certificate_seen)
        status = Status(PREFIX + name, self._now)
        target = Target(
            name,
            entry.policy(ZoneInfo(gantry.timezone), f"{PREFIX}{name}."),
            sender,
            StoredMessages(name, site.store),
            told_by,
            status,
            _Troubles(name, site.alarms),
            self._reactor,
            self._now,
            self._spread,
            lambda: uuid4().hex,
            self._notifier.active,
            lambda notices: self._notifier.escalate(settings.escalate_to, notices),
            lambda body: _note_calls(site.alarms, name, Message.decode(body)),
        )
        called: Any = Called(entry.kind, status, target, told_by, self._now)
        self._notifier.targets[name] = target
        site.notify[name] = called

        def unmake() -> None:
            del site.notify[name], self._notifier.targets[name]
            for alarm in site.alarms.active("notify"):
                if alarm.name.startswith(f"{PREFIX}{name}."):
                    site.alarms.clear(alarm.name)

        return called, unmake


def _note_calls(alarms: Alarms, target: str, message: Message) -> None:
    """Note with each active alarm of a message that the target knows of it."""
    if message.event != Event.CLEARED:
        for each in message.alarms:
            alarms.called(each.alarm, target)


def notices_of(site: Site) -> list[Notice]:
    """Return the raised alarms of a site as the room `notify` sees them."""
    causes = site.fold().causes
    return [
        Notice(
            *(each.name, each.severity.value, each.message, each.message_zh),
            *(each.raised_at, each.value),
            emergency=each.emergency,
            muted=each.muted,
            acknowledged=each.acked_at is not None,
            cause=causes.get(each.name, ""),
            id=each.id,
        )
        for each in site.alarms.active()
    ]
