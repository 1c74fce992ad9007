"""The bridges of a site: how each is made, and the alarm of one that is offline for long."""

from collections.abc import Callable, Mapping
from typing import Any, cast

from twisted.internet.interfaces import IReactorTime

from twisted_gantry.core.alarms import Alarms, Severity
from twisted_gantry.core.interfaces import IBridge
from twisted_gantry.core.site import BridgeContext
from twisted_gantry.core.status import State, Status
from twisted_gantry.net.service import ServiceGroup
from twisted_gantry.net.timers import Timer

OFFLINE_S = 300.0
"""Seconds without an online minute after which a bridge has an alarm: brokers are restarted."""
ONLINE_S = 60.0
"""Seconds online after which the alarm is over: a bridge that comes and goes has one alarm."""


def _nut(settings: Any, context: BridgeContext) -> IBridge:
    from twisted_gantry.bridges.nut.bridge import NutBridge

    return cast("IBridge", NutBridge(settings, context))


def _mqtt(settings: Any, context: BridgeContext) -> IBridge:
    from twisted_gantry.bridges.mqtt.bridge import mqtt_bridge

    return cast("IBridge", mqtt_bridge(settings, context))


def _modbus(settings: Any, context: BridgeContext) -> IBridge:
    from twisted_gantry.bridges.modbus.bridge import ModbusBridge

    return cast("IBridge", ModbusBridge(settings, context))


BUILDERS: Mapping[str, Callable[[Any, BridgeContext], IBridge]] = {
    "mqtt": _mqtt,
    "nut": _nut,
    "modbus": _modbus,
}
"""Makes the bridge of a table. A builder imports the bridge: its library comes with an extra."""


class OfflineAlarm:
    """The alarm `bridge.<name>.offline`, a warning."""

    def __init__(self, status: Status, alarms: Alarms, clock: IReactorTime) -> None:
        self._status, self._alarms = status, alarms
        self._name = f"{status.name}.offline"
        self._raise, self._clear = Timer(clock, self._offline), Timer(clock, self._online)
        self._unsubscribe = status.subscribe(self._changed)

    def end(self) -> None:
        """Stop watching, and clear the alarm: the bridge is taken away, or is made anew."""
        self._unsubscribe()
        self._raise.cancel()
        self._clear.cancel()
        self._alarms.clear(self._name)

    def _changed(self, status: Status) -> None:
        if status.state is State.ONLINE:
            self._clear.start(ONLINE_S)
            return
        self._clear.cancel()
        if not self._raise.running:
            self._raise.start(OFFLINE_S)

    def _online(self) -> None:
        self._raise.cancel()
        self._alarms.clear(self._name)

    def _offline(self) -> None:
        name, reason = self._status.name, self._status.last_error
        en, zh = f"{name} is offline: {reason}", f"{name} 离线：{reason}"
        self._alarms.set(self._name, Severity.WARNING, en, zh)


def made_bridge(
    name: str, settings: Any, context: BridgeContext
) -> tuple[ServiceGroup, Callable[[], None]]:
    """Return the service of the bridge `[bridge.<name>]`, which is in the site, and its end."""
    site = context.site
    bridge = BUILDERS[name](settings, context)
    alarm = OfflineAlarm(bridge.status, site.alarms, context.reactor)
    group = ServiceGroup()
    group.add(bridge)
    site.bridges[name] = bridge

    def unmake() -> None:
        del site.bridges[name]
        alarm.end()

    return group, unmake
