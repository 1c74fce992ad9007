"""A report that the platform asks for: devices that can be asked say first how they are.

Decisions: `docs/protocols/etc-gantry.md`, "Meaning".
"""

from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from twisted_gantry.core.interfaces import IRefreshable, Subject
from twisted_gantry.core.site import Site
from twisted_gantry.uplinks.etc.rows import COMPUTER_MARK

PATIENCE = 5.0  # seconds after which a report leaves without the devices that did not answer


class FreshReports:
    """Calls `report(subject)` once the devices of a subject were read anew, within PATIENCE."""

    def __init__(self, site: Site, clock: IReactorTime, report: Callable[[Subject], None]) -> None:
        self._site, self._clock, self._report = site, clock, report
        self._waiting: dict[Subject, Deferred[Any]] = {}

    def ask(self, subject: Subject) -> None:
        """Report soon; a second request before the report leaves is answered by the same one."""
        if subject in self._waiting:
            return
        asked = [self._asked(device) for device in self._devices(subject)]
        if not asked:
            self._report(subject)
            return
        waiting = self._waiting[subject] = Deferred()
        waiting.addCallbacks(lambda _: self._report(subject), _cut_off)
        gatherResults(asked).addCallback(self._over, subject)

    def stop(self) -> None:
        """Forget what is under way."""
        waiting, self._waiting = self._waiting, {}
        for each in waiting.values():
            each.cancel()

    def _over(self, _: object, subject: Subject) -> None:
        waiting = self._waiting.pop(subject, None)
        if waiting is not None:
            waiting.callback(None)

    def _asked(self, device: IRefreshable) -> Deferred[None]:
        refreshed: Deferred[None] = device.refresh()
        return refreshed.addTimeout(PATIENCE, self._clock).addErrback(lambda _: None)

    def _devices(self, subject: Subject) -> Iterator[IRefreshable]:
        for name, device in self._site.devices.items():
            if IRefreshable.providedBy(device) and self._concerns(name, subject):
                yield device

    def _concerns(self, device: str, subject: Subject) -> bool:
        if subject is Subject.COMPUTERS:
            return self._site.points.get(f"{device}.{COMPUTER_MARK}") is not None
        return any(
            source.partition(".")[0] == device
            for cabinet in self._site.cabinets
            for sources in cabinet.sources.values()
            for source in sources
        )


def _cut_off(failure: Failure) -> None:
    """Leave out a report whose uplink stops."""
