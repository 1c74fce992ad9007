"""The alarms that an uplink raises over its outbox: the disk fails, reports are set aside."""

from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_gantry.core.alarms import Alarms, Severity
from twisted_gantry.core.stored import Ledger

_log = Logger()

_FAILED = "store.failed"


class OutboxAlarms:
    """Says how the outbox of the uplink `name` is."""

    def __init__(self, name: str, alarms: Alarms) -> None:
        self._name, self._alarms = name, alarms

    def kept(self) -> None:
        """The disk works."""
        self._alarms.clear(_FAILED)

    def not_kept(self, failure: Failure) -> None:
        """The disk fails: said once, until it is over."""
        if not self._raised("store", _FAILED):
            _log.failure("{uplink}: the store failed", uplink=self._name, failure=failure)
        self._alarms.set(
            _FAILED,
            Severity.CRITICAL,
            f"reports cannot be stored: {failure.getErrorMessage()}",
            f"上报数据无法保存:{failure.getErrorMessage()}",
        )

    def set_aside(self, reason_en: str, reason_zh: str) -> None:
        """A report was set aside."""
        self._alarms.set(
            f"{self._name}.set-aside",
            Severity.WARNING,
            f"reports are set aside; the last: {reason_en}",
            f"有上报被搁置;最近一次:{reason_zh}",
        )

    def audit(self, ledger: Ledger) -> None:
        """Let the alarm say what the ledger does: also after a restart, also after a drop."""
        name = f"{self._name}.set-aside"
        if not ledger.set_aside:
            self._alarms.clear(name)
        elif not self._raised(self._name, name):
            self._alarms.set(
                name,
                Severity.WARNING,
                f"{ledger.set_aside} reports are set aside",
                f"有{ledger.set_aside}条上报被搁置",
            )

    def _raised(self, source: str, name: str) -> bool:
        return any(alarm.name == name for alarm in self._alarms.active(source))
