"""Alarms on their way to the store; none waits for the disk."""

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_gantry.core.alarm import Alarm, AlarmLedger
from twisted_gantry.core.interfaces import IStore, StoreFailed

_log = Logger()


class AlarmKeeper:
    """Keeps alarms in `store`, None to keep nothing. Whenever the disk works again, the alarms that
    are `active` are kept anew, others that the disk has as active are ended, and `counted` is told
    how the ledger differs from that at the time of asking.
    """

    def __init__(
        self,
        store: IStore | None,
        now: Callable[[], float],
        active: Callable[[], list[Alarm]],
        counted: Callable[[AlarmLedger], object],
    ) -> None:
        self._store, self._now, self._active, self._counted = store, now, active, counted
        self._unsubscribe = None if store is None else store.subscribe(self._store_changed)

    def keep(self, alarm: Alarm) -> None:
        if self._store is not None:
            self._store.keep_alarms([alarm]).addErrback(_not_kept)

    def keep_setting(self, name: str, value: Any) -> None:
        if self._store is not None:
            self._store.put_setting(name, value).addErrback(_not_kept)

    def history(self, since: float, until: float, limit: int) -> Deferred[Sequence[Alarm]]:
        """Return what the store has. Fails with StoreFailed."""
        if self._store is None:
            return fail(StoreFailed("no store", "无存储"))
        found: Deferred[Sequence[Alarm]] = self._store.alarms(since, until, limit)
        return found

    def stop(self) -> None:
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None

    def _store_changed(self) -> None:
        store = self._store
        if store is None or store.failing is not None:
            return
        active = self._active()
        store.keep_alarms(active).addErrback(_not_kept)
        names = [alarm.id for alarm in active]
        ended: Deferred[AlarmLedger] = store.end_other_alarms(names, self._now(), STALE)
        ended.addCallback(self._counted).addErrback(_not_kept)


STALE = "disk-failed"


def _not_kept(failure: Failure) -> None:
    _log.failure("alarms could not be kept", failure=failure)
