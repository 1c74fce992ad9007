"""The sign of life of a process, with what it suffers from; every role has one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet import defer
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IReactorTime

from twisted_gantry.centre.interfaces import IReportStore, NotStored, Session
from twisted_gantry.centre.own_troubles import STORE, OwnTroubles
from twisted_gantry.centre.store import processes, troubles
from twisted_gantry.centre.store.processes import BEAT
from twisted_gantry.centre.store.troubles import Found
from twisted_gantry.net.service import NamedService
from twisted_gantry.net.timers import GuardedLoop
from twisted_gantry.notify.notice import CRITICAL, WARNING
from twisted_gantry.texts.phrases import Phrases

ANSWERS_WITHIN = 20.0
"""Seconds within which the database takes a sign of life, or it counts as away."""
MOST_SKEW = 5.0
"""Seconds by which the clocks of the database and of this computer may differ."""
CLOCK = "centre.clock"

PATIENCE = 30.0
"""Seconds for which a database may be away before people are called: a standby takes over so."""
_WHY = Phrases(
    {
        "the disk of the database is {} % full": "数据库磁盘已用{0}%",
        "the disk of the database is full": "数据库磁盘已满",
        "the database cannot be reached: {}": "无法连接数据库：{0}",
        "the database cannot be reached": "无法连接数据库",
        "the database does not answer in time": "数据库未及时响应",
        "the database does not answer: {}": "数据库无响应：{0}",
        "the standby did not confirm: {}": "备库未确认：{0}",
        "no answer within {} s": "{0}秒内无响应",
    }
)
"""Why the store does not take reports; a text of the database itself stays as it is."""

Check = Callable[[], Found | None]
"""Looks for a fault; the name of a fault that a check finds is always the same."""


@dataclass(frozen=True)
class Identity:
    """A process: `name` is unique for each start, `place` the same for each start of one service on
    one computer. `role` is `all`, `front` or `worker`.
    """

    name: str
    place: str
    role: str

    @property
    def label(self) -> str:
        """How people find the process: its role, and the name that has its computer."""
        return f"{self.role} {self.name}"

    @property
    def serves(self) -> bool:
        """Whether the process takes reports."""
        return self.role != "worker"

    @property
    def works(self) -> bool:
        """Whether the process does duties."""
        return self.role != "front"


class Pulse(NamedService):
    """Notes every `BEAT` seconds that the process lives, what it suffers from, and what `checks`
    find, each under its name. `now` is this computer's clock in Unix seconds.
    """

    def __init__(
        self,
        identity: Identity,
        store: IReportStore,
        clock: IReactorTime,
        now: Callable[[], float],
        own: OwnTroubles,
        checks: Sequence[tuple[str, Check]] = (),
    ) -> None:
        super().__init__("pulse")
        self._identity, self._store, self._clock = identity, store, clock
        self._now, self._own, self._checks = now, own, checks
        self._away_since: float | None = None
        self._loop = GuardedLoop(clock, self._turn, "the sign of life")

    def startService(self) -> None:
        super().startService()
        self._loop.start(BEAT)

    def stopService(self) -> Deferred[Any]:
        super().stopService()
        self._loop.stop()

        def leave(session: Session) -> None:
            processes.leave(session, self._identity.name)
            troubles.note(session, self._identity.name, ())

        leaving = self._store.write(leave).addTimeout(ANSWERS_WITHIN, self._clock)
        # Without the database the process is missed by the others, which is true.
        return leaving.addErrback(lambda failure: failure.trap(NotStored, defer.TimeoutError))

    def _turn(self) -> Deferred[None]:
        return ensureDeferred(self._beat())

    async def _beat(self) -> None:
        for name, check in self._checks:
            self._own.put(name, check())
        trouble = self._store.trouble
        # Of a store that takes this very sign of life only a front tells that it refuses reports.
        tells = trouble is not None and not self._identity.works
        told = [each for each in self._own if tells or each.name != STORE]

        def beat(session: Session) -> float:
            identity, serves = self._identity, self._identity.serves and trouble is None
            processes.beat(session, identity.name, identity.place, identity.role, serves=serves)
            troubles.note(session, identity.name, told)
            return session.now()

        before = self._now()
        try:
            writing = self._store.write(beat).addTimeout(ANSWERS_WITHIN, self._clock)
            theirs = await writing
        except NotStored as error:
            self._note_store(trouble or str(error))
            return
        except defer.TimeoutError:
            self._note_store(trouble or f"no answer within {ANSWERS_WITHIN:.0f} s")
            return
        self._note_store(trouble)
        self._own.put(CLOCK, self._skewed(before, theirs, self._now()))

    def _note_store(self, why: str | None) -> None:
        """Note why the store takes nothing, once that has lasted for `PATIENCE`; None: it does."""
        if why is None:
            self._away_since = None
            self._own.clear(STORE)
            return
        now = float(self._clock.seconds())
        if self._away_since is None:
            self._away_since = now
        if now - self._away_since >= PATIENCE:
            label = self._identity.label
            en = f"the database does not take reports ({label}): {why}"
            zh = f"数据库无法写入（{label}）：{_WHY.chinese(why)}"
            self._own.set(Found(STORE, CRITICAL, en, zh))

    def _skewed(self, before: float, theirs: float, after: float) -> Found | None:
        """Compare the clocks: the database read its own between `before` and `after`."""
        if before - MOST_SKEW <= theirs <= after + MOST_SKEW:
            return None
        ahead = theirs - (before + after) / 2
        label, how = self._identity.label, "ahead of" if ahead > 0 else "behind"
        en = f"the clock of the database is {abs(ahead):.0f} s {how} that of {label}"
        zh = f"数据库时钟比 {label} {'快' if ahead > 0 else '慢'}{abs(ahead):.0f}秒"
        return Found(CLOCK, WARNING, en, zh)
