"""All targets: each hears of changes of the alarms, and one may escalate to another."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from twisted.internet.interfaces import IReactorTime

from twisted_gantry.net.timers import Timer
from twisted_gantry.notify.notice import Notice
from twisted_gantry.notify.target import Target


class Notifier:
    """Tells `targets`, by name, of changes. `notices` returns all alarms that are raised now; it is
    called once for all changes of a turn of the reactor.
    """

    def __init__(self, clock: IReactorTime, notices: Callable[[], Iterable[Notice]]) -> None:
        self.targets: dict[str, Target] = {}
        self._notices = notices
        self._active: Mapping[str, Notice] | None = None
        self._soon = Timer(clock, self._observe)

    def changed(self) -> None:
        """Note that alarms have changed."""
        self._active = None
        if not self._soon.running:
            self._soon.start(0)

    def active(self) -> Mapping[str, Notice]:
        """Return the raised alarms by name."""
        if self._active is None:
            self._active = {each.name: each for each in self._notices()}
        return self._active

    def escalate(self, to: str, notices: Sequence[Notice]) -> None:
        """Hand alarms to another target; one that is not there any more is left out."""
        target = self.targets.get(to)
        if target is not None:
            target.escalated(notices)

    def stop(self) -> None:
        self._soon.cancel()

    def _observe(self) -> None:
        self._active = None
        for target in list(self.targets.values()):
            target.observe()
