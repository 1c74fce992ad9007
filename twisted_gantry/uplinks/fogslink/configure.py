"""Configurations by the cloud: checked, stored, applied, and only then acknowledged."""

from collections import Counter
from collections.abc import Callable, Sequence

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_gantry.core.interfaces import IStore
from twisted_gantry.uplinks.fogslink.channels import Change, Channels
from twisted_gantry.uplinks.outbox import Outbox
from twisted_gantry.wire.fogslink.messages import Configure, Configured, same

_log = Logger()

# Configurations that may wait for the disk; further ones are not answered.
MAX_PENDING = 64


class Configurations:
    """Takes the configurations for one `eq_sn`, kept as `setting` of the store. `say` sends an
    acknowledgement, `applied` is called when periods may have changed. `counts` gains `configured`,
    `config-refused`, `config-overflow` and `config-not-kept`.
    """

    def __init__(
        self,
        setting: str,
        eq_sn: str,
        store: IStore,
        channels: Channels,
        clock: IReactorTime,
        outbox: Outbox,
        counts: Counter[str],
        say: Callable[[Configured], None],
        applied: Callable[[], None],
    ) -> None:
        self._setting = setting
        self._eq_sn, self._store, self._channels, self._clock = eq_sn, store, channels, clock
        self._outbox, self._counts, self._say, self._applied = outbox, counts, say, applied
        self._pending: list[Change] = []
        self._keeping = False

    def take(self, message: Configure) -> None:
        """Take a `res300`. The document has no code for a refusal: it gets no answer."""
        change = self._channels.check(message)
        if change is None or not same(message.eq_sn, self._eq_sn):
            self._counts["config-refused"] += 1
        elif len(self._pending) >= MAX_PENDING:
            self._counts["config-overflow"] += 1
        else:
            self._pending.append(change)
            if not self._keeping:
                self._keep()

    def _keep(self) -> None:
        changes, self._pending = self._pending, []
        self._keeping = True
        kept = self._store.put_setting(self._setting, self._channels.stored(changes))
        kept.addCallbacks(lambda _: self._do(changes), self._not_kept)
        kept.addErrback(lambda failure: _log.failure("a configuration failed", failure=failure))
        kept.addCallback(lambda _: self._kept())

    def _do(self, changes: Sequence[Change]) -> None:
        self._channels.apply(changes, self._clock.seconds())
        self._counts["configured"] += len(changes)
        for change in changes:
            self._say(Configured(eq_sn=self._eq_sn, e_chan=change.channel, code=change.code.value))
        self._applied()

    def _not_kept(self, failure: Failure) -> None:
        self._counts["config-not-kept"] += 1
        _log.failure("a configuration could not be kept", failure=failure)

    def _kept(self) -> None:
        self._keeping = False
        if self._pending:
            self._keep()
