"""Watches the disk under the store: notices that it hangs or fails, and when it works again."""

from collections.abc import Callable
from functools import partial
from sqlite3 import Connection
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_gantry.core.interfaces import StoreFailed
from twisted_gantry.net.timers import GuardedLoop
from twisted_gantry.store import settings
from twisted_gantry.store.rebuild import DataFile
from twisted_gantry.store.sqlite import PROOF, SqliteStore
from twisted_gantry.store.trouble import hung, of_the_system, trouble_of

_log = Logger()

PERIOD = 1.0  # seconds between two looks
HUNG_S = 3.0  # seconds without an answer after which the disk hangs
PROBE_PERIOD = 2.0  # seconds between two looks at the files


class StoreWatch:
    """Looks at the store every second. `file` has its files, None for a store in memory;
    `in_thread(f, …)` runs a blocking function in a thread that has no other work.
    """

    def __init__(
        self,
        store: SqliteStore,
        file: DataFile | None,
        clock: IReactorTime,
        in_thread: Callable[..., Deferred[Any]],
    ) -> None:
        self._store, self._file, self._clock, self._in_thread = store, file, clock, in_thread
        self._loop = GuardedLoop(clock, self._look, "the watch over the store")
        self._probed = -PROBE_PERIOD  # when the last probe began
        self._probing = self._mending = False
        self._lost: StoreFailed | None = None  # what became of the file, until it is made anew

    def start(self) -> None:
        self._loop.start(PERIOD)

    def stop(self) -> None:
        self._loop.stop()

    def _look(self) -> None:
        store, now = self._store, self._clock.seconds()
        waits = max(store.writer.waits_for(), now - self._probed if self._probing else 0.0)
        if waits > HUNG_S:
            if not store.hangs:
                store.fails(hung(HUNG_S))
        elif store.hangs:
            store.fails(StoreFailed("the disk hung, and is not proved yet", "磁盘曾无响应，待验证"))
        if store.failing is not None and not store.hangs and not self._mending:
            self._mending = True
            ensureDeferred(self._mend()).addBoth(self._mended)
        if self._file is not None and not self._probing and now - self._probed >= PROBE_PERIOD:
            self._probing, self._probed = True, now
            self._in_thread(self._file.look).addCallbacks(self._saw, self._saw_not)

    # -- the files

    def _saw(self, trouble: StoreFailed | None) -> None:
        self._probing = False
        if trouble is not None:
            self._lost = trouble
            self._store.fails(trouble)

    def _saw_not(self, failure: Failure) -> None:
        self._probing = False
        if isinstance(failure.value, OSError):
            self._store.fails(of_the_system(failure.value))
        else:
            _log.failure("the files of the store cannot be looked at", failure=failure)

    # -- until the disk works

    async def _mend(self) -> None:
        """Make the file anew if it must be, and bring to it what is in memory."""
        store, file = self._store, self._file
        if file is not None:
            await store.writer.replace(self._remedy(file))
            told, file.found = file.found, []
            for each in told:
                _log.warn("{text}", text=each.en)
                store.finds(each)
            self._lost, store.damaged = None, False
        while True:
            snapshot = store.memory.snapshot()
            done = partial(self._written, snapshot)
            proof = repr(self._clock.seconds())
            await store.writer.run(partial(self._bring, snapshot, proof), done)
            done(None)
            if store.memory.is_empty:
                break
        if not store.hangs:
            store.works()

    def _remedy(self, file: DataFile) -> Callable[[Connection | None], Connection | None]:
        if self._store.damaged:
            return file.repaired
        return file.checkpointed if self._lost is None else file.made_anew

    @staticmethod
    def _bring(snapshot: Any, proof: str, db: Connection) -> None:
        settings.put(db, PROOF, settings.encoded(proof))
        snapshot.write(db)

    def _written(self, snapshot: Any, _: object) -> None:
        self._store.memory.written(snapshot)

    def _mended(self, result: Failure | None) -> None:
        self._mending = False
        if not isinstance(result, Failure):
            return
        error = result.value
        trouble = of_the_system(error) if isinstance(error, OSError) else trouble_of(error)
        if trouble is None:
            _log.failure("the store cannot be mended", failure=result)
        elif not self._store.hangs:
            self._store.fails(trouble if self._lost is None else self._lost)
