"""The air in a cabinet, and the air conditioners that keep it.

Heat follows the first-order model of ISO 13790 with one capacity. The equipment warms one lumped
mass; walls and exchanged air bring it towards the outside temperature; the air conditioners cool
or heat it at a constant power. Sun on the walls adds absorption times surface resistance times
conductance. Vapour moves with the exchanged air, and a cold coil condenses it. Saturation follows
the Magnus formula over water (D. Sonntag, "Important new values of the physical constants of 1986,
vapour pressure formulations based on the ITS-90, and psychrometer formulae", Zeitschrift fuer
Meteorologie 40, 1990).
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import IntEnum, StrEnum

from twisted_gantry.twin.world.physics import approach
from twisted_gantry.twin.world.variables import Variable, Variables, choice, number, switch
from twisted_gantry.wire.errors import BadMessage
from twisted_gantry.wire.etc.commands import TEMPERATURES, check_set_points

HEAT_CAPACITY_J_K = 100_000.0  # some 200 kg of steel and copper
WALLS_W_K = 20.0
SUN_M2 = 0.6 * 0.04 * WALLS_W_K / 3  # light grey paint, 0.04 m² K/W; the sun shines on a third
OPEN_DOOR_W_K = 60.0
VENTILATION_W_K = 40.0  # of one unit that blows outside air through the cabinet
COOLING_W = 1_000.0
HEATING_W = 800.0
PERFORMANCE = 2.5  # W of cooling for each W from the mains
FAN_W = 50.0
HYSTERESIS_C = 3.0

# The share of the air that is exchanged each second.
_LEAK_PER_S = 1 / 3600
_OPEN_DOOR_PER_S = 1 / 60
_VENTILATION_PER_S = 1 / 120
_COIL_PER_S = 1 / 900
_COIL_C = 8.0

# Above and below these the equipment is at risk; the alarm ends `_BACK_C` inside of them.
HOT_C, COLD_C, _BACK_C = 45.0, -10.0, 3.0


def saturation_hpa(temperature_c: float) -> float:
    return 6.112 * math.exp(17.62 * temperature_c / (243.12 + temperature_c))


class AirMode(IntEnum):
    """What a running air conditioner does: the document's `workMode`."""

    VENTILATION = 0
    COOLING = 1
    HEATING = 2


class AirFault(StrEnum):
    """What is broken: without its compressor a unit only ventilates, without its fan it stops."""

    NONE = "none"
    COMPRESSOR = "compressor"
    FAN = "fan"


class AirConditioner:
    """One unit. It cools above one set point, heats below the other, and ventilates between."""

    def __init__(self) -> None:
        self.wanted = True
        self.cool_above_c, self.heat_below_c = 28.0, 5.0
        self.fault = AirFault.NONE
        self.mode = AirMode.VENTILATION
        self.running = True

    def follow(self, temperature_c: float, *, supplied: bool) -> None:
        self.running = self.wanted and supplied and self.fault is not AirFault.FAN
        still_cools = HYSTERESIS_C * (self.mode is AirMode.COOLING)
        still_heats = HYSTERESIS_C * (self.mode is AirMode.HEATING)
        # Where the set points are closer than the hysteresis, neither may pass the other.
        middle_c = (self.cool_above_c + self.heat_below_c) / 2
        if not self.running:
            self.mode = AirMode.VENTILATION
        elif temperature_c > max(self.cool_above_c - still_cools, middle_c):
            self.mode = AirMode.COOLING
        elif temperature_c < min(self.heat_below_c + still_heats, middle_c):
            self.mode = AirMode.HEATING
        else:
            self.mode = AirMode.VENTILATION

    @property
    def heat_w(self) -> float:
        """Heat into the cabinet, in W; below 0 out of it."""
        if not self._conditions:
            return 0.0
        return {AirMode.COOLING: -COOLING_W, AirMode.HEATING: HEATING_W}.get(self.mode, 0.0)

    @property
    def input_w(self) -> float:
        heat_w = self.heat_w
        return FAN_W * self.running + (heat_w if heat_w > 0 else -heat_w / PERFORMANCE)

    @property
    def condenses(self) -> bool:
        return self._conditions and self.mode is AirMode.COOLING

    @property
    def _conditions(self) -> bool:
        return self.running and self.fault is AirFault.NONE

    def variables(self, name: str) -> Variables:
        yield f"{name}_on", switch(self, "wanted")
        yield f"{name}_fault", choice(self, "fault", AirFault)
        yield f"{name}_cool_above", number(self, "cool_above_c", *TEMPERATURES)
        yield f"{name}_heat_below", number(self, "heat_below_c", *TEMPERATURES)
        yield f"{name}_running", Variable(lambda: self.running)
        yield f"{name}_mode", Variable(lambda: self.mode.name.lower())

    def complaints(self, name: str, values: Mapping[str, object]) -> Iterator[str]:
        cool = values.get(f"{name}_cool_above", self.cool_above_c)
        heat = values.get(f"{name}_heat_below", self.heat_below_c)
        if isinstance(cool, int | float) and isinstance(heat, int | float) and heat >= cool:
            yield f"{name}_heat_below: must be below {name}_cool_above"

    def set_points(self, cool_above_c: float, heat_below_c: float) -> bool:
        """Take new set points; False if they are out of range or cross."""
        try:
            check_set_points(cool_above_c, heat_below_c)
        except BadMessage:
            return False
        self.cool_above_c, self.heat_below_c = cool_above_c, heat_below_c
        return True


class Air:
    """The air in a cabinet; with `thermohygrometer_fault` it cannot be measured."""

    def __init__(self) -> None:
        self.temperature_c = 25.0
        self.outside_temperature_c = 22.0
        self.outside_humidity = 60.0
        self.sun_w_m2 = 0.0
        self.thermohygrometer_fault = False
        self.too_hot_or_cold = False
        self._vapour_hpa = self._outside_hpa

    @property
    def humidity(self) -> float:
        """Relative humidity, in %."""
        return min(self._vapour_hpa / saturation_hpa(self.temperature_c), 1.0) * 100

    @humidity.setter
    def humidity(self, percent: float) -> None:
        self._vapour_hpa = percent / 100 * saturation_hpa(self.temperature_c)

    def conductance_w_k(self, units: Iterable[AirConditioner], open_doors: int) -> float:
        return WALLS_W_K + OPEN_DOOR_W_K * open_doors + VENTILATION_W_K * self._ventilating(units)

    def step(
        self, dt: float, heat_w: float, units: Sequence[AirConditioner], open_doors: int
    ) -> None:
        conductance = self.conductance_w_k(units, open_doors)
        gains_w = heat_w + self.sun_w_m2 * SUN_M2 + sum(unit.heat_w for unit in units)
        goal_c = self.outside_temperature_c + gains_w / conductance
        time_constants = dt * conductance / HEAT_CAPACITY_J_K
        self.temperature_c = approach(self.temperature_c, goal_c, time_constants)
        blown_per_s = _VENTILATION_PER_S * self._ventilating(units)
        exchanged_per_s = _LEAK_PER_S + _OPEN_DOOR_PER_S * open_doors + blown_per_s
        vapour_hpa = approach(self._vapour_hpa, self._outside_hpa, exchanged_per_s * dt)
        coil_hpa = saturation_hpa(_COIL_C)
        if vapour_hpa > coil_hpa:
            coils = sum(unit.condenses for unit in units)
            vapour_hpa = approach(vapour_hpa, coil_hpa, _COIL_PER_S * dt * coils)
        self._vapour_hpa = min(vapour_hpa, saturation_hpa(self.temperature_c))

    def settle(self) -> None:
        back = _BACK_C * self.too_hot_or_cold
        self.too_hot_or_cold = not COLD_C + back <= self.temperature_c <= HOT_C - back

    def _ventilating(self, units: Iterable[AirConditioner]) -> int:
        if self.outside_temperature_c >= self.temperature_c:
            return 0
        return sum(unit.running and unit.mode is AirMode.VENTILATION for unit in units)

    @property
    def _outside_hpa(self) -> float:
        return self.outside_humidity / 100 * saturation_hpa(self.outside_temperature_c)

    def variables(self) -> Variables:
        """Yield its variables; the temperature comes first, since the humidity depends on it."""
        yield "temperature", number(self, "temperature_c", -40, 100)
        yield "humidity", number(self, "humidity", 0, 100)
        yield "outside_temperature", number(self, "outside_temperature_c", -40, 60)
        yield "outside_humidity", number(self, "outside_humidity", 0, 100)
        yield "sun", number(self, "sun_w_m2", 0, 1_400)
        yield "thermohygrometer_fault", switch(self, "thermohygrometer_fault")
        yield "temperature_alarm", Variable(lambda: self.too_hot_or_cold)
