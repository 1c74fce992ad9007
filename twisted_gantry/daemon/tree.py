"""Settings into one tree of services, and new settings into the same tree while it runs.

Each part of the tree remembers the settings that it was made of. A reload stops and remakes only
the parts whose settings differ; every other session goes on.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

from twisted.application.service import IService
from twisted.internet.defer import Deferred, DeferredLock, ensureDeferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_gantry.config.settings import Settings
from twisted_gantry.core.alarms import Alarm, Alarms, Severity
from twisted_gantry.core.catalogue import Catalogue
from twisted_gantry.core.commands.door import CommandDoor
from twisted_gantry.core.interfaces import IDevice, IUplink, StoreFailed
from twisted_gantry.core.points import Points
from twisted_gantry.core.site import Site
from twisted_gantry.daemon.left_off import look_for_left_off
from twisted_gantry.daemon.parts import CALLBACKS, Parts, Plan, Unmake
from twisted_gantry.daemon.threads import InThreads
from twisted_gantry.net.listener import CannotListen
from twisted_gantry.net.service import ServiceGroup
from twisted_gantry.net.timers import Timer
from twisted_gantry.store.history.sqlite import SqliteHistory
from twisted_gantry.store.sqlite import SqliteStore

_log = Logger()

CONFIGURATION_ALARM = "gantry.configuration"
OWN_SOURCES = ("gantry", "store", "history", "record", "interlock", "notify")
"""Sources of alarms about the program itself and about what is configured beside the devices."""
_FOUND, _FAILED = "store.found", "store.failed"
FOUND_S = 3600.0  # seconds for which the alarm about what was found stays raised


@dataclass(frozen=True)
class Part:
    plan: Plan
    service: IService
    unmake: Unmake


class GantryTree(ServiceGroup):
    """All services of one gantry, and the `site` that they share.

    `now` returns Unix seconds; `threads` run blocking work; `addresses` are the IP addresses of
    this machine; `folder` is the data folder. The tree closes `store` and `history` when it stops.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        store: SqliteStore,
        history: SqliteHistory,
        reactor: Any,
        now: Callable[[], float],
        random: Random,
        threads: InThreads,
        addresses: Collection[str] = (),
        folder: Path = Path(),
    ) -> None:
        super().__init__()
        self._history = history
        self._parts: dict[str, Part] = {}
        self._lock = DeferredLock()
        points = Points(Catalogue(), now, reactor.seconds)
        alarms = Alarms(points, reactor, now, store, lambda: uuid4().hex, settings.alarms)
        alarms.restore(store.alarms_at_start)
        # What is found and read at this start is not what was at the last one.
        for name in (_FOUND, CONFIGURATION_ALARM):
            alarms.clear(name)
        devices: dict[str, IDevice] = {}
        uplinks: dict[str, IUplink] = {}
        self.site = Site(
            gantry_id=settings.gantry.id,
            name=settings.gantry.name,
            timezone=settings.gantry.timezone,
            started_at=now(),
            points=points,
            alarms=alarms,
            door=CommandDoor(devices, store, reactor, now, lambda: uuid4().hex),
            store=store,
            devices=devices,
            uplinks=uplinks,
            cabinets=settings.cabinets,
            graph=settings.graph(),
        )
        self._adopt(settings)  # before the uplinks read what is theirs
        self._planner = Parts(
            self.site, store, history, reactor, now, random, threads, addresses, folder
        )
        for plan in self._planner.plans(settings):
            self._make(plan)
        for plan in self._planner.callback_plans():  # the devices have registered their URLs
            self._make(plan)
        for each in (*store.found, *history.found):
            _log.warn("found at the start: {text}", text=each.en)
        self._told = 0  # findings that the alarm has told
        self._found = Timer(reactor, lambda: alarms.clear(_FOUND))
        store.subscribe(self._store_changed)
        self._store_changed()
        self._settle_alarms(settings)

    def _settle_alarms(self, settings: Settings) -> None:
        """End the alarms of what is not configured any more."""
        site = self.site
        sources = {*site.devices, *site.uplinks, *site.bridges, *OWN_SOURCES}
        rules = {f"rule.{each.name}" for each in settings.own_rules}
        # Computers that upload become devices when they do.
        uploads = settings.monitor is not None

        def configured(alarm: Alarm) -> bool:
            if alarm.name in rules or alarm.owner in sources:
                return True
            return uploads and alarm.owner.startswith("computer")

        site.alarms.settle(configured)

    def _store_changed(self) -> None:
        """Let the alarms follow the store: whether it fails, and what was found."""
        alarms, store = self.site.alarms, self.site.store
        failing = store.failing
        if failing is None:
            alarms.clear(_FAILED)
        else:
            texts = f"the store fails: {failing.en}", f"数据无法保存：{failing.zh}"
            alarms.set(_FAILED, Severity.CRITICAL, *texts)
        found = (*store.found, *self._history.found)
        if len(found) > self._told:
            when = (
                ("found", "发现") if self._told or self.running else ("at the start", "启动时发现")
            )
            self._told = len(found)
            en, zh = "; ".join(each.en for each in found), "；".join(each.zh for each in found)
            alarms.set(_FOUND, Severity.WARNING, f"{when[0]}: {en}", f"{when[1]}：{zh}")
            self._found.start(FOUND_S)

    def startService(self) -> None:
        super().startService()
        self._look_for_left_off()

    def _look_for_left_off(self) -> None:
        looking = ensureDeferred(look_for_left_off(self.site))
        looking.addErrback(lambda _: None)  # a store that fails has an alarm of its own

    def _adopt(self, settings: Settings) -> None:
        """Give the uplinks what is stored for uplinks that are configured no more. The store does
        one thing after the other: the uplinks find what they are given.
        """
        adopted = self.site.store.adopt_reports(settings.destinations())
        adopted.addCallbacks(_log_adopted, _log_not_adopted)

    def stopService(self) -> Deferred[Any]:
        """Stop the services, then close the store: their last writes are kept."""
        stopped = super().stopService()
        self._found.cancel()
        stopped.addBoth(lambda _: self._planner.stop())
        self.site.alarms.stop()
        stopped.addBoth(lambda _: self._history.close())
        return stopped.addBoth(lambda _: self.site.store.close())

    # -- other settings

    def reload(self, settings: Settings) -> Deferred[list[str]]:
        """Change to `settings`; returns a text for each part that was stopped, made or remade.

        A part that cannot be made, such as a listener whose port is taken, is made as before, and
        an alarm is raised. Reloads run one after another.
        """
        done: Deferred[list[str]] = self._lock.run(lambda: ensureDeferred(self._reload(settings)))
        return done

    def refused(self, why: str) -> None:
        """Raise the alarm: a configuration was not used, and nothing has changed."""
        self.site.reloads["failed"] += 1
        self._complain(f"the new configuration was not taken: {why}", f"新配置未生效：{why}")

    async def _reload(self, settings: Settings) -> list[str]:
        plans = {plan.name: plan for plan in self._planner.plans(settings)}
        callbacks = {name for name in self._parts if name.startswith(CALLBACKS)}
        before = {name: part.plan for name, part in self._parts.items() if name not in callbacks}
        gone = [n for n, old in before.items() if n not in plans or plans[n].made_of != old.made_of]
        fresh = [name for name in plans if name not in before or name in gone]
        for name in reversed(gone):
            await self._unmake(name)
        site = self.site
        site.gantry_id, site.name = settings.gantry.id, settings.gantry.name
        site.timezone, site.cabinets = settings.gantry.timezone, settings.cabinets
        site.alarms.settings = settings.alarms
        site.graph = settings.graph()
        self._adopt(settings)
        wrong = [self._remake(plans[name], before.get(name)) for name in fresh]
        wrong += await self._move_callbacks()
        self._settle_alarms(settings)
        self._look_for_left_off()
        told = [f"{name}: {_how(name, plans, before)}" for name in dict.fromkeys([*gone, *fresh])]
        _log.info("configuration: {told}", told="; ".join(told) or "nothing differs")
        complaints = [text for text in wrong if text]
        if complaints:
            self.refused("; ".join(complaints))
        else:
            self.site.reloads["done"] += 1
            site.alarms.clear(CONFIGURATION_ALARM)
        return told

    async def _move_callbacks(self) -> list[str]:
        plans = {plan.name: plan for plan in self._planner.callback_plans()}
        for name in [name for name in self._parts if name.startswith(CALLBACKS)]:
            if name not in plans:
                await self._unmake(name)
        return [self._remake(plan, None) for name, plan in plans.items() if name not in self._parts]

    def _remake(self, plan: Plan, before: Plan | None) -> str:
        """Make a part, or the one before if that fails; returns why it failed, else nothing."""
        try:
            self._make(plan)
        except Exception as error:
            if not isinstance(error, CannotListen):
                _log.failure("{name} cannot be made", name=plan.name)
            if before is not None:
                self._remake(before, None)
            return f"{plan.name}: {error}"
        return ""

    def _make(self, plan: Plan) -> None:
        service, unmake = plan.make()
        try:
            self.add(service)
        except Exception:
            service.disownServiceParent()
            unmake()
            raise
        self._parts[plan.name] = Part(plan, service, unmake)

    async def _unmake(self, name: str) -> None:
        part = self._parts.pop(name)
        try:
            await maybeDeferred(part.service.disownServiceParent)
        except Exception:
            _log.failure("{name} did not stop well", name=name)
        part.unmake()

    def _complain(self, en: str, zh: str) -> None:
        _log.error("{text}", text=en)
        self.site.alarms.set(CONFIGURATION_ALARM, Severity.WARNING, en, zh)


def _log_adopted(moved: Mapping[str, str]) -> None:
    for old, new in moved.items():
        _log.info("reports stored for the uplink {old} go to {new} now", old=old, new=new)


def _log_not_adopted(failure: Failure) -> None:
    failure.trap(StoreFailed)  # which has an alarm of its own; the next start tries again


def _how(name: str, plans: dict[str, Plan], before: dict[str, Plan]) -> str:
    if name not in plans:
        return "taken away"
    return "changed" if name in before else "new"
