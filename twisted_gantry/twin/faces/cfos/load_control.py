"""What each EVSE may offer: the cFos document, "get_dev_info" (load balancing), "set_params"."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime

from attrs import define

from twisted_gantry.twin.faces.cfos.evses import BuiltInEvse, Wallbox
from twisted_gantry.twin.faces.cfos.meters import MeterDevice
from twisted_gantry.twin.faces.cfos.params import Params
from twisted_gantry.twin.faces.cfos.transactions import Transaction, ruled_ma
from twisted_gantry.twin.times import CHINA
from twisted_gantry.twin.world.evse import MOST_A
from twisted_gantry.wire.cfos.calls import DisablePolicy, Role

Devices = dict[str, Wallbox | MeterDevice]  # the devices of a manager, by id

_NUMBER = re.compile(r"[0-9]{1,7}(\.[0-9]{1,6})?")
_NO_LIMIT_MA = 1000 * MOST_A


def evses_of(devices: Devices) -> list[Wallbox]:
    return [each for each in devices.values() if isinstance(each, Wallbox)]


@define(eq=False)
class LoadControl:
    """Works on the live objects of the manager. `now` returns Unix seconds."""

    _params: Params
    _devices: Devices
    _variables: Mapping[str, str]
    _seconds: Callable[[], float]
    _now: Callable[[], float]

    def run(self) -> None:
        """Offer each EVSE a part of the budget, the highest priority first."""
        balanced = self._params.lb_enabled  # otherwise the manager only observes
        left = self.budget_ma() if balanced else _NO_LIMIT_MA
        for evse in sorted(evses_of(self._devices), key=lambda each: -each.prio):
            if not evse.car:
                evse.transaction = Transaction()
            wanted = self._wanted_ma(evse)
            evse.allowed = wanted > 0
            granted = min(wanted, left)
            self._pause(evse, short=granted < min(wanted, evse.min_ma))
            if evse.paused:
                granted = 0.0
            evse.offer(granted)
            if evse.car and balanced:
                left -= granted

    def budget_ma(self) -> float:
        """Return the current for all EVSEs together, in mA a phase."""
        params = self._params
        budget = params.max_total_current + params.overdraft_cur - params.reserve_current
        budget -= self._others_ma()
        if params.max_total_evse_current:
            budget = min(budget, params.max_total_evse_current)
        return max(budget, 0.0)

    def pause_s(self, evse: Wallbox) -> float:
        """Return the seconds since a pause began, at most the least length of a pause."""
        least = self._params.min_pause_time
        return least if evse.paused_at is None else min(self._seconds() - evse.paused_at, least)

    def _pause(self, evse: Wallbox, *, short: bool) -> None:
        if not (evse.car and evse.allowed):
            evse.paused = False
        elif short and not evse.paused:
            evse.paused, evse.paused_at = True, self._seconds()
        elif evse.paused and not short:
            evse.paused = self.pause_s(evse) < self._params.min_pause_time

    def _others_ma(self) -> float:
        others = [0.0, 0.0, 0.0]
        for device in self._devices.values():
            sign = 0
            if isinstance(device, BuiltInEvse):  # other EVSEs are not behind the site's meter
                sign = -1
            elif isinstance(device, MeterDevice) and device.role is Role.GRID_DEMAND:
                sign = 1 if device.enabled else 0
            if sign:
                pairs = zip(others, device.currents_ma, strict=True)
                others = [sum_ma + sign * own_ma for sum_ma, own_ma in pairs]
        return max(0.0, *others)

    def _wanted_ma(self, evse: Wallbox) -> float:
        self._evaluate(evse)
        if not evse.enabled:
            policy = self._params.disable_policy
            if policy is DisablePolicy.UNLIMITED:
                return _NO_LIMIT_MA
            return evse.min_ma if policy is DisablePolicy.MINIMUM_CURRENT else 0.0
        if not evse.enable or (evse.car and evse.needs_user):
            return 0.0
        transaction, limit = evse.transaction, evse.limit_ma
        if isinstance(evse, BuiltInEvse):
            if self._seconds() < evse.hardware.pilot_off_until:
                return 0.0
            if evse.hardware.fixed_current:
                limit = min(limit, 100.0 * evse.hardware.fixed_current)
        now = datetime.fromtimestamp(self._now(), CHINA)
        if "E" not in transaction.off:
            limit = ruled_ma(evse.charging_rules, limit, now)
        if transaction.user is not None and "U" not in transaction.off:
            limit = ruled_ma(transaction.user.charging_rules, limit, now)
        if transaction.limit_ma is not None:
            limit = min(limit, transaction.limit_ma)
        return limit if limit >= evse.min_ma else 0.0

    def _evaluate(self, evse: Wallbox) -> None:
        """Evaluate `max_charging_cur`, a number or variable; other texts keep the last limit."""
        text = self._variables.get(evse.expression, evse.expression)
        if _NUMBER.fullmatch(text):
            evse.limit_ma = float(text)
