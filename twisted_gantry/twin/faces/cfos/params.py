"""The parameters of a Charging Manager, by firmware; see `docs/protocols/cfos.md`, Quirks."""

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from twisted_gantry.twin.faces.cfos.device import FIRMWARE, PHASE_V, MilliAmperes, Text, given
from twisted_gantry.wire.cfos.calls import DisablePolicy

CYCLE_MS = 3009
MAX_EVSES = 3

_Watts = Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]


class ParamsChange(msgspec.Struct, frozen=True, kw_only=True):
    """A change by `set_params`; None changes nothing. The last four are of firmware 1.6 to 1.14."""

    title: Text | None = None
    desc: Text | None = None
    max_total_current: MilliAmperes | None = None
    reserve_current: MilliAmperes | None = None
    overdraft_cur: MilliAmperes | None = None
    max_total_evse_current: MilliAmperes | None = None
    lb_enabled: bool | None = None
    disable_policy: DisablePolicy | None = None
    min_pause_time: Annotated[float, msgspec.Meta(ge=0, le=86_400)] | None = None
    max_total_power: _Watts | None = None
    power_reserve: _Watts | None = None
    overdraft: _Watts | None = None
    max_total_evse_power: _Watts | None = None


# The keys of the first generation, in W, and those of the second, in mA.
_IN_WATTS = {
    "max_total_power": "max_total_current",
    "power_reserve": "reserve_current",
    "overdraft": "overdraft_cur",
    "max_total_evse_power": "max_total_evse_current",
}


def watts(milliamperes: float) -> int:
    """Return the power of a current in each of three phases, in W."""
    return round(milliamperes / 1000 * 3 * PHASE_V)


@dataclass
class Params:
    """The parameters; currents in mA a phase, 0 in `max_total_evse_current` for no limit."""

    title: str = "cFos Power Brain"
    desc: str = "Standard-Konfiguration"
    max_total_current: float = 32_000.0
    reserve_current: float = 0.0
    overdraft_cur: float = 0.0
    max_total_evse_current: float = 0.0
    lb_enabled: bool = False
    disable_policy: DisablePolicy = DisablePolicy.MINIMUM_CURRENT
    min_pause_time: float = 300.0

    def change(self, change: ParamsChange) -> bool:
        """Apply a change, and return whether it had any key; newer keys win over older ones."""
        values = given(change)
        for old, new in _IN_WATTS.items():
            if (power := values.pop(old, None)) is not None:
                values.setdefault(new, power * 1000 / (3 * PHASE_V))
        for name, value in values.items():
            setattr(self, name, value)
        return bool(values)

    def shown(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"title": self.title, "desc": self.desc}
        for old, new in _IN_WATTS.items():
            current = getattr(self, new)
            shown |= {new: round(current), old: watts(current)}
        return shown | {
            "lb_enabled": self.lb_enabled,
            "disable_policy": int(self.disable_policy),
            "min_pause_time": round(self.min_pause_time),
            "cycle_time": CYCLE_MS,
            "max_evses": MAX_EVSES,
            "shareware_mode": False,
            "version": FIRMWARE,
            "vsn": {"vendorid": 52_997, "productid": 1, "serialno": "fcf5-c46d-310c"},
            "ocpp_gateway_license_cnt": 0,
            "ocpp_gateway_licenses_used": 0,
        }
