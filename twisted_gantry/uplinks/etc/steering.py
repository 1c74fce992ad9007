"""What the platform set at run time: how often, and to which server, each kind of report goes.

The values are kept in one setting of the store. They win over the configuration of that time, and
lose to a configuration that was edited since. A new server must answer 1000 in time, or the old one
is restored. Decisions: `docs/protocols/etc-gantry.md`, "Meaning" and "Commands are dangerous".
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_gantry.core.interfaces import IStore, Subject
from twisted_gantry.core.moments import Moment
from twisted_gantry.net.timers import Timer
from twisted_gantry.uplinks.etc.channel import host_shown
from twisted_gantry.wire.etc.envelope import Method

_log = Logger()

TRIAL = 600.0  # seconds that a new server has to acknowledge a report

SUBJECTS = {
    Method.COMPUTER_STATUS: Subject.COMPUTERS,
    Method.CABINET_STATUS: Subject.CABINETS,
    # Cards open the doors of cabinets: the server of the cabinets' reports has the list.
    Method.CARDS: Subject.CABINETS,
}


class _Kept(msgspec.Struct, frozen=True):
    """What was set for one subject; each with the configured value it was set over. While a server
    is on trial, since `trial`, `proven` is the one before.
    """

    period: Annotated[float, msgspec.Meta(ge=1, le=31_536_000)] | None = None
    over_period: float | None = None
    server: str | None = None
    over_server: str | None = None
    proven: str | None = None
    trial: Moment | None = None


@dataclass
class _Subject:
    trial: Timer
    kept: _Kept


class Steering:
    """The values in force for the uplink `name`. `clock` times the trials. `changed(subject)` is
    called when a period was set or a server was restored. A stored server is given up if
    `may_report_to(url)` no longer allows it.
    """

    def __init__(
        self,
        name: str,
        url: str,
        period: float,
        store: IStore,
        clock: IReactorTime,
        changed: Callable[[Subject], None],
        may_report_to: Callable[[str], bool],
    ) -> None:
        self._setting = f"{name}.steering"
        self._url, self._period = url, period
        self._store, self._changed = store, changed
        self._may_report_to = may_report_to
        self._subjects = {
            subject: _Subject(Timer(clock, partial(self._failed, subject)), _Kept())
            for subject in Subject
        }

    async def load(self) -> None:
        """Read the stored values; values that cannot be read are left out, and logged."""
        kept = (await self._store.settings()).get(self._setting)
        if kept is None:
            return
        try:
            read = msgspec.convert(kept, dict[Subject, _Kept])
        except msgspec.ValidationError as error:
            _log.warn("what the platform had set cannot be read: {error}", error=str(error))
            return
        for subject, found in read.items():
            each = self._still_in_force(found)
            self._subjects[subject].kept = each
            if each.proven is not None:
                over = 0.0 if each.trial is None else self._store.moment().since(each.trial)
                self._subjects[subject].trial.start(min(max(TRIAL - over, 0.0), TRIAL))
        if any(self._subjects[subject].kept != found for subject, found in read.items()):
            await self._save()  # for good: a file that is edited back brings nothing back

    def _still_in_force(self, kept: _Kept) -> _Kept:
        """Return the stored values that an edit of the configuration has not overruled."""
        if kept.over_period != self._period:
            kept = msgspec.structs.replace(kept, period=None, over_period=None)
        servers = [url for url in (kept.server, kept.proven) if url not in (None, self._url)]
        if kept.over_server != self._url or not all(map(self._may_report_to, servers)):
            kept = msgspec.structs.replace(
                kept, server=None, over_server=None, proven=None, trial=None
            )
        return kept

    def stop(self) -> None:
        """Cancel every timer; a trial goes on at the next start."""
        for each in self._subjects.values():
            each.trial.cancel()

    def period(self, subject: Subject) -> float:
        return self._subjects[subject].kept.period or self._period

    def server(self, subject: Subject) -> str:
        return self._subjects[subject].kept.server or self._url

    def server_for(self, kind: str) -> str:
        return self.server(SUBJECTS[Method(kind)])

    def set_period(self, subject: Subject, seconds: float) -> Deferred[None]:
        """Set the period; fires when it is on the disk."""
        self._put(subject, period=seconds, over_period=self._period)
        self._changed(subject)
        return self._save()

    def set_server(self, subject: Subject, url: str) -> Deferred[None]:
        """Put a server on trial; fires when that is on the disk."""
        each = self._subjects[subject]
        proven = each.kept.proven or self.server(subject)
        each.trial.cancel()
        if url == proven:
            self._put(subject, server=url, over_server=self._url, proven=None, trial=None)
        else:
            began = self._store.moment()
            self._put(subject, server=url, over_server=self._url, proven=proven, trial=began)
            each.trial.start(TRIAL)
        _log.info(
            "reports of {subject} go to {host} from now on",
            subject=subject.value,
            host=host_shown(url),
        )
        return self._save()

    def acknowledged(self, kind: str, url: str) -> None:
        """Note that a server took a request; a server on trial has passed."""
        subject = SUBJECTS[Method(kind)]
        each = self._subjects[subject]
        if not each.trial.running or url != self.server(subject):
            return
        each.trial.cancel()
        self._put(subject, proven=None, trial=None)
        self._save().addErrback(_log_failure)

    def _failed(self, subject: Subject) -> None:
        each = self._subjects[subject]
        _log.warn(
            "{host} acknowledged no report within {seconds:g} s: back to {proven}",
            host=host_shown(self.server(subject)),
            seconds=TRIAL,
            proven=host_shown(each.kept.proven or self._url),
        )
        self._put(subject, server=each.kept.proven, proven=None, trial=None)
        self._changed(subject)
        self._save().addErrback(_log_failure)

    def _put(self, subject: Subject, **changes: Any) -> None:
        each = self._subjects[subject]
        each.kept = msgspec.structs.replace(each.kept, **changes)

    def _save(self) -> Deferred[None]:
        kept = {s.value: msgspec.to_builtins(each.kept) for s, each in self._subjects.items()}
        return self._store.put_setting(self._setting, kept)


def _log_failure(failure: Failure) -> None:
    _log.failure("what the platform set could not be kept", failure=failure)
