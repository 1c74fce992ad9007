"""Whether the peer of an uplink takes reports: the state of the uplink, and its channel alarm."""

from twisted_gantry.core.alarms import Alarms, Severity
from twisted_gantry.core.status import Status
from twisted_gantry.net.outage import Outage


class Reachability:
    """Sets `status`, and the alarm `<name>.channel` with the texts `en` and `zh` and a reason."""

    def __init__(self, status: Status, alarms: Alarms, en: str, zh: str) -> None:
        self._status, self._alarms, self._en, self._zh = status, alarms, en, zh
        self._alarm = f"{status.name}.channel"

    def works(self) -> None:
        self._alarms.clear(self._alarm)
        self._status.online()

    def fails(self, reason: Outage) -> None:
        """Note that reports are kept for now."""
        self._status.offline(reason)
        texts = f"{self._en}: {reason}", f"{self._zh}：{reason.zh}"
        self._alarms.set(self._alarm, Severity.WARNING, *texts)

    def is_refused(self, reason: Outage) -> None:
        """Note that the peer refuses the login, which has an alarm of its own."""
        self._status.offline(reason)
        self._alarms.clear(self._alarm)
