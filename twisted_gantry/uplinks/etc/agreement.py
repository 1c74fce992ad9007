"""Whether the clock of this computer and that of the platform agree, as its answers show."""

from collections.abc import Callable

from twisted_gantry.core.moments import Moment

STEP = 60.0  # seconds by which a clock must have stepped before an agreement no longer holds


class ClockAgreement:
    """Holds once the platform took a request with the present time, until our clock steps.
    `moment` returns the present moment.
    """

    def __init__(self, moment: Callable[[], Moment]) -> None:
        self._moment = moment
        self._agreed: Moment | None = None

    def note(self) -> None:
        """Note that a request with the present time was taken."""
        self._agreed = self._moment()

    @property
    def holds(self) -> bool:
        if self._agreed is None:
            return False
        return abs(self._moment().wall_of(self._agreed) - self._agreed.wall) < STEP
