"""Why does it not work? The chain to a device or an uplink, tried live: name, connection, TLS, and
one exchange by the driver's own session.

A session that stands is not disturbed: nothing else connects then, because many peers have room
for one session only. The exchange is always that of the driver, so that no second client exists.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.defer import TimeoutError as TooLate
from twisted.internet.task import deferLater
from twisted.logger import Logger

from twisted_gantry.core.status import State, Status, masked
from twisted_gantry.net.outage import Cause, Outage, outage
from twisted_gantry.net.reach import Peer, connect, handshake, look_up
from twisted_gantry.net.service import NamedService

_log = Logger()

EXCHANGE_WITHIN = 20.0  # seconds, over the longest patience of a kind by default
# Seconds between the connection that was tried and the driver's: a card frees its session.
SETTLE = 0.5
KEPT = 64  # diagnoses that are remembered, by name


class StepOutcome(StrEnum):
    """How a step ended, or that it is under way."""

    WAITING = "waiting"
    RUNNING = "running"
    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


class ChainLink(StrEnum):
    """The links of the chain, in order."""

    NAME = "name"
    CONNECT = "connect"
    TLS = "tls"
    EXCHANGE = "exchange"


@dataclass(frozen=True)
class ChainStep:
    """One step; `seconds` is how long it took. `en` and `zh` are what it found."""

    link: ChainLink
    outcome: StepOutcome = StepOutcome.WAITING
    en: str = ""
    zh: str = ""
    seconds: float = 0.0
    outage: Outage | None = None


@dataclass(eq=False)
class Examined:
    """What is diagnosed. `attempt` makes one exchange, and fires with what was wrong or None."""

    name: str
    kind: str
    peer: Peer | None
    attempt: Callable[[], Deferred[Outage | None]]
    status: Status


def subject_of(name: str, thing: Any) -> Examined:
    """Return a device or an uplink as a subject; without `attempt` by its next reading."""
    status: Status = thing.status
    attempt = getattr(thing, "attempt", None) or status.outcome
    return Examined(name, thing.kind, getattr(thing, "peer", None), attempt, status)


@dataclass(eq=False)
class Diagnosis:
    """One run of the chain. `began` is Unix seconds; `changed` is called after each step."""

    subject: Examined
    reactor: Any
    began: float
    steps: list[ChainStep] = field(default_factory=list)
    ended: bool = False
    within: float = EXCHANGE_WITHIN
    changed: Callable[["Diagnosis"], None] = lambda _: None

    def __post_init__(self) -> None:
        links = list(ChainLink) if self.subject.peer is not None else [ChainLink.EXCHANGE]
        self.steps = [ChainStep(each) for each in links]

    @property
    def outage(self) -> Outage | None:
        """What is wrong, by the first step that failed."""
        return next((step.outage for step in self.steps if step.outage is not None), None)

    async def run(self) -> None:
        """Try the links in order until one fails; the rest is skipped."""
        trials = {
            ChainLink.NAME: self._name,
            ChainLink.CONNECT: self._connect,
            ChainLink.TLS: self._tls,
            ChainLink.EXCHANGE: self._exchange,
        }
        try:
            for place, step in enumerate(self.steps):
                failed = self.outage is not None
                if failed:
                    self.steps[place] = replace(step, outcome=StepOutcome.SKIPPED)
                    self.changed(self)
                    continue
                self.steps[place] = replace(step, outcome=StepOutcome.RUNNING)
                if step.link is ChainLink.EXCHANGE and self.steps[0].link is ChainLink.NAME:
                    await self._settle()
                began = self.reactor.seconds()
                found = await trials[step.link]()
                self.steps[place] = replace(found, seconds=self.reactor.seconds() - began)
                self.changed(self)
        finally:
            self.ended = True

    def _stands(self) -> ChainStep | None:
        """Return what to say instead of connecting while a session stands."""
        if self.subject.status.state is not State.ONLINE:
            return None
        return ChainStep(
            ChainLink.CONNECT,
            StepOutcome.SKIPPED,
            "the session that stands is used, and not disturbed",
            "使用现有会话，不另建连接",
        )

    async def _name(self) -> ChainStep:
        peer = self.subject.peer
        assert peer is not None
        if peer.is_address:
            where = peer.text
            return ChainStep(
                ChainLink.NAME,
                StepOutcome.SKIPPED,
                f"{where} is an address",
                f"{where} 为地址，无需解析",
            )
        found = await look_up(self.reactor, peer)
        if isinstance(found, Outage):
            return _failed(ChainLink.NAME, found)
        told = ", ".join(found[:4])
        return ChainStep(
            ChainLink.NAME, StepOutcome.OK, f"{peer.host} is {told}", f"{peer.host} 解析为 {told}"
        )

    async def _connect(self) -> ChainStep:
        peer = self.subject.peer
        assert peer is not None
        if (stands := self._stands()) is not None:
            return stands
        wrong = await connect(self.reactor, peer)
        if wrong is not None:
            return _failed(ChainLink.CONNECT, wrong)
        return ChainStep(
            ChainLink.CONNECT, StepOutcome.OK, f"connected to {peer.text}", f"已连接 {peer.text}"
        )

    async def _tls(self) -> ChainStep:
        peer = self.subject.peer
        assert peer is not None
        if peer.tls is None:
            return ChainStep(ChainLink.TLS, StepOutcome.SKIPPED, "no TLS is used", "未使用TLS")
        if (stands := self._stands()) is not None:
            return replace(stands, link=ChainLink.TLS)
        wrong = await handshake(self.reactor, peer)
        if wrong is not None:
            return _failed(ChainLink.TLS, wrong)
        en, zh = f"the certificate of {peer.name} is good", f"{peer.name} 的证书有效"
        return ChainStep(ChainLink.TLS, StepOutcome.OK, en, zh)

    async def _settle(self) -> None:
        if self._stands() is None:
            await deferLater(self.reactor, SETTLE)

    async def _exchange(self) -> ChainStep:
        attempt = self.subject.attempt()
        try:
            wrong = await attempt.addTimeout(self.within, self.reactor)
        except TooLate:
            en = f"no outcome within {self.within:g} s"
            zh = f"{self.within:g}秒内无结果"
            wrong = outage(Cause.SILENT, en=en, zh=zh)
        if wrong is not None:
            return _failed(ChainLink.EXCHANGE, wrong)
        return ChainStep(ChainLink.EXCHANGE, StepOutcome.OK, "it answers as it should", "应答正常")


def _failed(link: ChainLink, wrong: Outage) -> ChainStep:
    wrong = masked(wrong)
    return ChainStep(link, StepOutcome.FAILED, wrong.en, wrong.zh, outage=wrong)


class Diagnoses(NamedService):
    """The diagnoses of a site: one at a time for each name; the last of each is remembered."""

    def __init__(self, reactor: Any, now: Callable[[], float]) -> None:
        super().__init__("diagnoses")
        self._reactor, self._now = reactor, now
        self._last: dict[str, Diagnosis] = {}
        self._running: dict[str, Deferred[None]] = {}

    def last(self, name: str) -> Diagnosis | None:
        return self._last.get(name)

    def start(self, subject: Examined) -> Diagnosis:
        """Begin one, or return the one that runs."""
        known = self._last.get(subject.name)
        if known is not None and not known.ended:
            return known
        made = Diagnosis(subject, self._reactor, self._now())
        self._last.pop(subject.name, None)
        self._last[subject.name] = made
        while len(self._last) > KEPT:
            self._last.pop(next(iter(self._last)))
        running = self._running[subject.name] = ensureDeferred(made.run())
        running.addErrback(self._broke_off, made)
        running.addBoth(self._over, subject.name)
        return made

    async def wait(self, diagnosis: Diagnosis) -> None:
        """Wait until it has ended."""
        running = self._running.get(diagnosis.subject.name)
        if running is None or diagnosis.ended:
            return
        waiter: Deferred[None] = Deferred()

        def over(result: Any) -> Any:
            if not waiter.called:
                waiter.callback(None)
            return result

        running.addBoth(over)
        await waiter

    def stopService(self) -> None:
        """Break off those that run."""
        super().stopService()
        for running in list(self._running.values()):
            running.cancel()

    def _over(self, _: object, name: str) -> None:
        self._running.pop(name, None)

    def _broke_off(self, failure: Any, diagnosis: Diagnosis) -> None:
        if not failure.check(CancelledError):
            _log.failure("the diagnosis of {name} failed", failure, name=diagnosis.subject.name)
        en, zh = "broken off", "已中断"
        steps = enumerate(diagnosis.steps)
        open_steps = [place for place, step in steps if step.outcome is StepOutcome.RUNNING]
        for place in open_steps:
            wrong = outage(Cause.OTHER, en=en, zh=zh)
            diagnosis.steps[place] = _failed(diagnosis.steps[place].link, wrong)
