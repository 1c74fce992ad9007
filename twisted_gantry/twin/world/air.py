"""The air in a cabinet, and the air conditioners that keep it.

Heat: one lumped mass that the equipment warms, that the walls and the exchanged air bring towards
the outside (Newton), and that the air conditioners cool or heat at a constant power: the
first-order model of ISO 13790, with one capacity, and its gain of walls that the sun shines on
(absorption times surface resistance times conductance). Humidity: the vapour is carried in and out
with the air, and a cold coil condenses it; saturation by the Magnus formula over water (D. Sonntag,
"Important new values of the physical constants of 1986, vapour pressure formulations based on the
ITS-90, and psychrometer formulae", Zeitschrift fuer Meteorologie 40, 1990).
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum, StrEnum

from twisted_gantry.twin.world.variables import Variable, attribute
from twisted_gantry.wire.errors import BadMessage
from twisted_gantry.wire.etc.commands import TEMPERATURES, check_set_points

HEAT_CAPACITY_J_K = 100_000.0  # some 200 kg of steel and copper
WALLS_W_K = 20.0
SUN_M2 = 0.6 * 0.04 * WALLS_W_K / 3  # light grey paint, 0.04 m² K/W; the sun sees a third of it
OPEN_DOOR_W_K = 60.0
VENTILATION_W_K = 40.0  # of one unit that blows outside air through
COOLING_W = 1_000.0
HEATING_W = 800.0
PERFORMANCE = 2.5  # W of cooling for each W from the mains
FAN_W = 50.0
HYSTERESIS_C = 3.0

# How much of the air is exchanged each second.
_LEAK_PER_S = 1 / 3600
_OPEN_DOOR_PER_S = 1 / 60
_VENTILATION_PER_S = 1 / 120
_COIL_PER_S = 1 / 900
_COIL_C = 8.0

# The air is too hot, or too cold, for what stands in it; it must come back so far to be good.
HOT_C, COLD_C, _BACK_C = 45.0, -10.0, 3.0


def saturation_hpa(temperature_c: float) -> float:
    """Return the vapour pressure of saturated air over water, in hPa (Magnus)."""
    return 6.112 * math.exp(17.62 * temperature_c / (243.12 + temperature_c))


class AirMode(IntEnum):
    """What an air conditioner that runs does: the document's `workMode`."""

    VENTILATION = 0
    COOLING = 1
    HEATING = 2


class AirFault(StrEnum):
    """What is broken: without its compressor a unit only blows, without its fan it stands."""

    NONE = "none"
    COMPRESSOR = "compressor"
    FAN = "fan"


class AirConditioner:
    """One unit. It cools above one set point, heats below the other, and else ventilates."""

    def __init__(self) -> None:
        self.wanted = True
        self.cool_above_c, self.heat_below_c = 28.0, 5.0
        self.fault = AirFault.NONE
        self.mode = AirMode.VENTILATION
        self.running = True

    def follow(self, temperature_c: float, *, supplied: bool) -> None:
        """Do what the temperature asks for, as far as there is power."""
        self.running = self.wanted and supplied and self.fault is not AirFault.FAN
        still_cools = HYSTERESIS_C * (self.mode is AirMode.COOLING)
        still_heats = HYSTERESIS_C * (self.mode is AirMode.HEATING)
        # Set points closer than the hysteresis: what was begun must not pass the other.
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
        """What it brings into the cabinet, in W; below 0 it takes out."""
        if not self._conditions:
            return 0.0
        return {AirMode.COOLING: -COOLING_W, AirMode.HEATING: HEATING_W}.get(self.mode, 0.0)

    @property
    def input_w(self) -> float:
        """What it takes from the mains, in W."""
        if not self.running:
            return 0.0
        if not self._conditions:
            return FAN_W
        return FAN_W + {AirMode.COOLING: COOLING_W / PERFORMANCE, AirMode.HEATING: HEATING_W}.get(
            self.mode, 0.0
        )

    @property
    def condenses(self) -> bool:
        """Whether its coil is cold."""
        return self._conditions and self.mode is AirMode.COOLING

    @property
    def _conditions(self) -> bool:
        return self.running and self.fault is AirFault.NONE

    def variables(self, number: int) -> Iterator[tuple[str, Variable]]:
        """Name its variables."""
        low, high = TEMPERATURES
        name = f"air{number}"
        yield f"{name}_on", Variable(*attribute(self, "wanted"))
        fault = attribute(self, "fault", AirFault)
        yield f"{name}_fault", Variable(*fault, choices=tuple(AirFault))
        cool, heat = attribute(self, "cool_above_c"), attribute(self, "heat_below_c")
        yield f"{name}_cool_above", Variable(*cool, low=low, high=high)
        yield f"{name}_heat_below", Variable(*heat, low=low, high=high)
        yield f"{name}_running", Variable(lambda: self.running)
        yield f"{name}_mode", Variable(lambda: self.mode.name.lower())

    def complaints(self, number: int, values: Mapping[str, object]) -> Iterator[str]:
        """Find set points that cross, after the change."""
        cool = values.get(f"air{number}_cool_above", self.cool_above_c)
        heat = values.get(f"air{number}_heat_below", self.heat_below_c)
        if isinstance(cool, int | float) and isinstance(heat, int | float) and heat >= cool:
            yield f"air{number}_heat_below: must be below air{number}_cool_above"

    def set_points(self, cool_above_c: float, heat_below_c: float) -> bool:
        """Take new set points; False if they cannot be."""
        try:
            check_set_points(cool_above_c, heat_below_c)
        except BadMessage:
            return False
        self.cool_above_c, self.heat_below_c = cool_above_c, heat_below_c
        return True


class Air:
    """The air in the cabinet: `temperature_c`, and the vapour in it. `sun_w_m2` is on its walls.

    `thermohygrometer_fault`: nobody can tell either.
    """

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
        """Relative, in %."""
        return min(self._vapour_hpa / saturation_hpa(self.temperature_c), 1.0) * 100

    @humidity.setter
    def humidity(self, percent: float) -> None:
        self._vapour_hpa = percent / 100 * saturation_hpa(self.temperature_c)

    def conductance_w_k(self, units: Iterable[AirConditioner], open_doors: int) -> float:
        """Return what flows out for each degree that it is warmer inside, in W."""
        ventilated = VENTILATION_W_K * self._ventilating(units)
        return WALLS_W_K + OPEN_DOOR_W_K * open_doors + ventilated

    def step(
        self, dt: float, heat_w: float, units: Iterable[AirConditioner], open_doors: int
    ) -> None:
        """Let `dt` seconds pass with `heat_w` from the equipment."""
        units = tuple(units)
        conductance = self.conductance_w_k(units, open_doors)
        gains_w = heat_w + self.sun_w_m2 * SUN_M2 + sum(unit.heat_w for unit in units)
        goal_c = self.outside_temperature_c + gains_w / conductance
        share = -math.expm1(-dt * conductance / HEAT_CAPACITY_J_K)
        self.temperature_c += (goal_c - self.temperature_c) * share
        exchange = (
            _LEAK_PER_S
            + _OPEN_DOOR_PER_S * open_doors
            + _VENTILATION_PER_S * self._ventilating(units)
        )
        self._move_vapour(self._outside_hpa, exchange * dt)
        coil_hpa = saturation_hpa(_COIL_C)
        if self._vapour_hpa > coil_hpa:
            self._move_vapour(coil_hpa, _COIL_PER_S * dt * sum(unit.condenses for unit in units))
        self._vapour_hpa = min(self._vapour_hpa, saturation_hpa(self.temperature_c))

    def settle(self) -> None:
        """Judge the temperature."""
        back = _BACK_C * self.too_hot_or_cold
        self.too_hot_or_cold = not COLD_C + back <= self.temperature_c <= HOT_C - back

    def _ventilating(self, units: Iterable[AirConditioner]) -> int:
        """Count the units that blow; they do where it cools, not where it warms."""
        if self.outside_temperature_c >= self.temperature_c:
            return 0
        return sum(unit.running and unit.mode is AirMode.VENTILATION for unit in units)

    def _move_vapour(self, to_hpa: float, times: float) -> None:
        self._vapour_hpa += (to_hpa - self._vapour_hpa) * -math.expm1(-times)

    @property
    def _outside_hpa(self) -> float:
        return self.outside_humidity / 100 * saturation_hpa(self.outside_temperature_c)

    def variables(self) -> Iterator[tuple[str, Variable]]:
        """Name its variables; the temperature first, since the humidity is relative to it."""
        yield "temperature", Variable(*attribute(self, "temperature_c"), low=-40, high=100)
        yield "humidity", Variable(*attribute(self, "humidity"), low=0, high=100)
        outside = attribute(self, "outside_temperature_c")
        yield "outside_temperature", Variable(*outside, low=-40, high=60)
        yield "outside_humidity", Variable(*attribute(self, "outside_humidity"), low=0, high=100)
        yield "sun", Variable(*attribute(self, "sun_w_m2"), low=0, high=1_400)
        fault = attribute(self, "thermohygrometer_fault")
        yield "thermohygrometer_fault", Variable(*fault)
        yield "temperature_alarm", Variable(lambda: self.too_hot_or_cold)
