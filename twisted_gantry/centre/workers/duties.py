"""All duties of a worker: what each does, and how often."""

from collections.abc import Callable, Sequence
from functools import partial

from twisted.internet.interfaces import IReactorTime

from twisted_gantry.centre.interfaces import IReportStore, Session
from twisted_gantry.centre.own_troubles import OwnTroubles, failing
from twisted_gantry.centre.store import care, incidents, liveness, supervision
from twisted_gantry.centre.store.troubles import Found
from twisted_gantry.centre.workers import calls
from twisted_gantry.centre.workers.alone import Alone
from twisted_gantry.centre.workers.caller import Office
from twisted_gantry.centre.workers.calls import Calls
from twisted_gantry.centre.workers.gantry_work import PICTURES
from twisted_gantry.centre.workers.lease import Duty, Hold
from twisted_gantry.net.service import ServiceGroup
from twisted_gantry.notify.notice import CRITICAL
from twisted_gantry.settings.notify import NotifyEntry

LIVENESS, INCIDENTS, SUPERVISION, RETENTION = "liveness", "incidents", "supervision", "retention"
DUTIES = (LIVENESS, INCIDENTS, calls.DUTY, SUPERVISION, RETENTION, PICTURES)
"""Every worker stands ready for each of these; one of all does it."""

SOON = 1.0  # seconds between two looks at what must not wait
OFTEN = 10.0
SELDOM = 600.0
PATIENCE = 60.0
"""Seconds for which a duty may fail before that is a fault of the centre."""


class Duties(ServiceGroup):
    """The duties of a worker whose process is `holder`. `retain` removes one slice of what is too
    old, and tells whether more is left. People are called as `entries` say.
    """

    def __init__(
        self,
        holder: str,
        store: IReportStore,
        clock: IReactorTime,
        retain: Callable[[Session], bool],
        entries: Sequence[NotifyEntry],
        office: Office,
        own: OwnTroubles,
    ) -> None:
        super().__init__()
        told = Calls(entries, office, own)
        self._own, self._clock = own, clock
        self._failing: dict[str, float] = {}
        for name, act, period, ended in (
            (LIVENESS, partial(_repeat, liveness.look), OFTEN, _nothing),
            (INCIDENTS, partial(_once, _fold), SOON, _nothing),
            (calls.DUTY, told.act, calls.PERIOD, told.ended),
            (SUPERVISION, partial(_once, _supervise), OFTEN, _nothing),
            (RETENTION, partial(_repeat, retain), SELDOM, _nothing),
        ):
            outcome, end = partial(self._outcome, name), partial(self._ended, name, ended)
            self.add(Duty(name, holder, store, clock, act, period, ended=end, failing=outcome))
        self.add(Alone(entries, office, own))

    def _outcome(self, duty: str, error: Exception | None) -> None:
        """Note a duty that has failed for `PATIENCE` seconds: its lease is held all the same."""
        if error is None:
            self._failing.pop(duty, None)
            self._own.clear(failing(duty))
            return
        now = float(self._clock.seconds())
        if now - self._failing.setdefault(duty, now) >= PATIENCE:
            why = type(error).__name__
            en, zh = f"the duty {duty} fails: {why}", f"职责{duty}执行失败：{why}"
            self._own.set(Found(failing(duty), CRITICAL, en, zh))

    def _ended(self, duty: str, ended: Callable[[], object]) -> object:
        self._outcome(duty, None)
        return ended()


def _nothing() -> None:
    """End nothing: the duty has only transactions."""


async def _once(job: Callable[[Session], object], hold: Hold) -> None:
    await hold.write(job)


async def _repeat(job: Callable[[Session], bool], hold: Hold) -> None:
    """Run `job`, each time in a transaction of its own, until it has nothing left to do."""
    while await hold.write(job):
        pass


def _fold(session: Session) -> None:
    care.keep_shelved(session)
    incidents.refresh(session)


def _supervise(session: Session) -> None:
    care.sweep(session)
    supervision.look(session, DUTIES)
