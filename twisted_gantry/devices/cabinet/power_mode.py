"""The power mode of a cabinet, as it was last set through this gantry; uploads do not tell it.

Decisions: `docs/points.md`, "Power mode". The mode is kept on disk before the cabinet is told, so
that equipment that was switched off is not forgotten. Where the outcome of a command is unknown,
the mode that switches something off is the one that is shown.
"""

from collections.abc import Awaitable
from typing import Any

from attrs import define
from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from twisted_gantry.core.alarms import Rule, Severity
from twisted_gantry.core.catalogue import PointType
from twisted_gantry.core.commands.types import CommandResult, Outcome
from twisted_gantry.core.interfaces import IStore
from twisted_gantry.core.points import Points
from twisted_gantry.devices.conditions import when
from twisted_gantry.wire.reading import Quality

_log = Logger()

POWER_MODE = "power_mode"
POINT = PointType(POWER_MODE, "", "Power mode", "电源模式")
ALL_ON = 0
_STOPS_TOLLING = 2  # the first mode that does

RULES = (
    Rule(
        "power-mode",
        Severity.WARNING,
        "the power mode is not 0: equipment is switched off",
        "电源模式不为0：有设备被关闭",
        when(POWER_MODE, lambda mode: mode != ALL_ON),
    ),
    Rule(
        "tolling-off",
        Severity.CRITICAL,
        "the power mode has switched toll equipment off",
        "电源模式已关闭收费设备",
        when(POWER_MODE, lambda mode: isinstance(mode, int) and mode >= _STOPS_TOLLING),
    ),
)


@define(eq=False)
class PowerMode:
    """Keeps the mode of the device `device`, and shows it as a point."""

    device: str
    _points: Points
    _store: IStore
    _mode: int | None = None

    @property
    def _key(self) -> str:
        return f"cabinet.{self.device}.power-mode"

    async def recall(self) -> None:
        """Show the mode that was set before this start."""
        try:
            settings = await self._store.settings()
        except CancelledError:
            raise
        except Exception:
            _log.failure("the power mode of {device} is not known", device=self.device)
            return
        kept = settings.get(self._key)
        if self._mode is None and isinstance(kept, int):
            self._show(kept)

    async def setting(self, mode: int, doing: Awaitable[CommandResult]) -> CommandResult:
        """Return the result of a command that sets `mode`."""
        before = now = self._mode
        if mode != ALL_ON:
            await self._keep(mode)
            now = max(mode, before or ALL_ON)  # unless the result proves another
        try:
            result = await doing
            if result.result is Outcome.DONE:
                now = mode
            elif result.result is not Outcome.TIMEOUT:
                now = before
        finally:
            if now is not None:
                self._show(now)
            await self._keep(now)
        return result

    def _show(self, mode: int) -> None:
        self._mode = mode
        self._points.update(self.device, {POWER_MODE: (mode, Quality.GOOD)})

    async def _keep(self, mode: Any) -> None:
        try:
            await self._store.put_setting(self._key, mode)
        except CancelledError:
            raise
        except Exception:
            _log.failure("the power mode of {device} is not kept", device=self.device)
