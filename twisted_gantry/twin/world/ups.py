"""One UPS of the site, between the mains, its battery and its load.

It is a double-conversion UPS like the C10KS of the UPS card document, of the class VFI of
IEC 62040-3: when the mains fail, its inverter feeds the load without a break. In economy mode it is
VFD, with a break. Its losses are a constant power and a share of the load (N. Rasmussen,
"Electrical Efficiency Modeling for Data Centers", APC White Paper 113, without the square term).
`settle` does what needs no time (a transfer, a command, a change of the load), so that the next
query already sees the result.
"""

import math
import random
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum

from twisted_gantry.twin.world import variables as var
from twisted_gantry.twin.world.battery import Battery
from twisted_gantry.twin.world.load import Load
from twisted_gantry.twin.world.mains import NOMINAL_HZ, NOMINAL_V, Mains
from twisted_gantry.twin.world.physics import approach
from twisted_gantry.wire.upscard.values import UpsState

EFFICIENCY = 0.92  # from the battery or the mains to the output
CHARGER_EFFICIENCY = 0.92
IDLE_W = 60.0  # of the UPS itself
# In %. Above the first the UPS warns; above the second it goes to bypass until the load is below
# the first. Real inverters bear an overload for seconds to a minute (IEC 62040-3 leaves the times
# to the makers); here the current limit acts at once, so that a poll sees it.
WARN_LOAD, MOST_LOAD = 100.0, 110.0
LOW_CHARGE = 0.20
LOW_V = 184.0  # 1.92 V a cell under load
COLD_START_CHARGE = 0.05
TEST_S = 10.0
START_S = 3.0  # from the return of the mains after a shutdown until the output is on
REPLACE_HEALTH = 0.80  # IEEE 1188: a battery under 80 % of its rated capacity is to be replaced
AMBIENT_C = 25.0
BREAK_S = 0.010  # in the output, when the mains fail in economy; equipment bears 20 ms (ITIC curve)
_WARMING = 0.05  # K for each W of losses, in steady state
_WARMING_S = 900.0


class Mode(StrEnum):
    """The operating mode while the mains are good, as an operator sets it."""

    ONLINE = "online"
    ECONOMY = "economy"
    CONVERTER = "converter"
    BYPASS = "bypass"


class UpsFault(StrEnum):
    """What is broken.

    `inverter`: the load is on bypass while the mains are good. `short-circuit`: the output is off.
    `charger`: the UPS works and never charges. `rectifier`: the inverter lives on the battery
    although the mains are good.
    """

    NONE = "none"
    RECTIFIER = "rectifier"
    INVERTER = "inverter"
    SHORT_CIRCUIT = "short-circuit"
    CHARGER = "charger"


# The source of the output: the inverter, the mains directly, or none.
_ON_INVERTER = {UpsState.LINE, UpsState.CONVERTER, UpsState.TEST, UpsState.BATTERY}
_ON_MAINS = {UpsState.BYPASS, UpsState.HE}
_ON_BATTERY = {UpsState.TEST, UpsState.BATTERY}
OFF = {UpsState.STANDBY, UpsState.SHUTDOWN}
_MAY_TEST = {UpsState.LINE, UpsState.HE, UpsState.CONVERTER}


class Ups(var.Part):
    """The UPS. Call `settle` after a change of a public attribute or of the mains.

    `ambient_c` returns the temperature of the air around it; `given_off_w` is the heat into that
    air during the last step.
    """

    def __init__(
        self,
        mains: Mains,
        noise: random.Random,
        load: Load | None = None,
        ambient_c: Callable[[], float] = lambda: AMBIENT_C,
    ) -> None:
        self.mains = mains
        self.battery, self.load = Battery(), load or Load()
        self.mode = Mode.ONLINE
        self.fault = UpsFault.NONE
        self.output_wanted = True
        self.shutdown_announced = False
        self.buzzer_muted = False
        self.self_test = "unknown"
        self.temperature_c = 36.7
        self.given_off_w = 0.0
        self.break_s = 0.0
        self.fault_voltage_v = 0.0
        self.state = UpsState.LINE
        # Noise of the measurements, each from -1 to 1, from the last `draw_noise`.
        self.jitter: tuple[float, ...] = (0.0,) * 8
        self._noise, self.ambient_c = noise, ambient_c
        self._dark = False  # switched off by itself; the return of the mains starts the UPS
        self._overloaded = False
        self._test_left_s = 0.0
        self._start_left_s = 0.0
        self._mains_were_good = True
        self.settle()

    @property
    def mains_good(self) -> bool:
        return self.mains.usable(self.load.inputs)

    @property
    def shutting_down(self) -> bool:
        """Whether the UPS announces a shutdown, or is shut down."""
        return self.shutdown_announced or self.state in OFF

    @property
    def output_voltage_v(self) -> dict[str, float]:
        if self.state in _ON_INVERTER:
            return dict.fromkeys(self.load.outputs, NOMINAL_V)
        if self._past_inverter:
            return {phase: self.mains.voltage_v[phase] for phase in self.load.outputs}
        return dict.fromkeys(self.load.outputs, 0.0)

    @property
    def output_frequency_hz(self) -> float:
        """The frequency at the output, in Hz; 0 without output."""
        if self.state in _ON_INVERTER:
            return NOMINAL_HZ
        return self.mains.frequency_hz if self._past_inverter else 0.0

    @property
    def output_w(self) -> float:
        return self.load.total_w if self.powered else 0.0

    @property
    def powered(self) -> bool:
        return self.output_frequency_hz > 0

    @property
    def overload(self) -> bool:
        """Whether the load exceeds the rating while the output is meant to be on."""
        return self.output_wanted and self.load.highest_percent > WARN_LOAD

    @property
    def battery_low(self) -> bool:
        return self.battery.charge < LOW_CHARGE or self.battery.voltage_v < LOW_V

    @property
    def battery_w(self) -> float:
        return (self.load.total_w if self.output_wanted else 0.0) / EFFICIENCY + IDLE_W

    @property
    def charging_w(self) -> float:
        return max(-self.battery.power_w, 0.0)

    @property
    def input_w(self) -> float:
        return sum(self.phase_w().values())

    def phase_w(self) -> dict[str, float]:
        """Return the power from each input, in W; on bypass each load is on its own phase."""
        inputs = self.load.inputs
        if not self.mains_good or self.state in _ON_BATTERY:
            return dict.fromkeys(inputs, 0.0)
        converted = IDLE_W + self.charging_w / CHARGER_EFFICIENCY
        if self.state in _ON_INVERTER:
            converted += self.output_w / EFFICIENCY
        watts = dict.fromkeys(inputs, converted / len(inputs))
        if self._past_inverter:
            for phase in self.load.outputs:
                watts[phase] += self.load.of(phase)
        return watts

    @property
    def losses_w(self) -> float:
        if not self.mains_good and self.state not in _ON_BATTERY:
            return 0.0
        converted = self.output_w if self.state in _ON_INVERTER else 0.0
        charging_w = self.charging_w * (1 / CHARGER_EFFICIENCY - 1)
        return IDLE_W + converted * (1 / EFFICIENCY - 1) + charging_w

    @property
    def runtime_s(self) -> float:
        return self.battery.runtime_s(self.battery_w)

    def switch_on(self) -> bool:
        """SON: turn the output on. Refused with a fault, and without mains on an empty battery."""
        charged = self.battery.charge >= COLD_START_CHARGE
        can_start = charged and self.load.highest_percent <= MOST_LOAD
        if self._broken or not (self.mains_good or can_start or self.powered):
            return False
        self.output_wanted = True
        if not self.mains_good:
            self._dark = False  # a cold start, from the battery
        self.settle()
        return self.powered or self.state is UpsState.POWER_ON

    def switch_off(self) -> bool:
        self.output_wanted = False
        self.settle()
        return not self.powered

    def mute_buzzer(self, muted: bool) -> bool:
        self.buzzer_muted = muted
        return True

    def start_test(self) -> bool:
        """T: test the battery for TEST_S; refused off the mains, overloaded, or low on charge."""
        if self.state not in _MAY_TEST or self.battery_low or self.overload:
            return False
        self._test_left_s, self.self_test = TEST_S, "unknown"
        self.settle()
        return self.state is UpsState.TEST

    @property
    def until_change_s(self) -> float:
        return self._start_left_s or self._test_left_s or math.inf

    def step(self, dt: float) -> None:
        self._exchange_heat(dt)
        self._start_left_s = max(self._start_left_s - dt, 0.0)
        if self.state is UpsState.TEST:
            self._test_left_s -= dt
            self.battery.load(self.battery_w)
            if self._test_left_s <= 0:
                self._judge_battery()
        self.settle()

    def draw_noise(self) -> None:
        self.jitter = tuple(self._noise.uniform(-1, 1) for _ in self.jitter)

    def settle(self) -> None:
        good = self.mains_good
        if self._mains_were_good and not good:
            bad = self.mains.bad_voltages(self.load.inputs)
            self.fault_voltage_v = min(bad, default=self.mains.voltage_v["r"])
            self.break_s = BREAK_S if self.state is UpsState.HE else 0.0
        self._mains_were_good = good
        highest = self.load.highest_percent
        self._overloaded = highest > (WARN_LOAD if self._overloaded else MOST_LOAD)
        fed = good and self.fault is not UpsFault.RECTIFIER
        self.state = self._state_on_mains() if fed else self._state_without_mains()
        if self.state in _ON_BATTERY:
            self.battery.load(self.battery_w)
            if self.state is UpsState.TEST and self.battery.empty:
                self._judge_battery()
                self.state = self._state_on_mains()
        if self.state is not UpsState.TEST:
            self._test_left_s = 0.0
        if self.state in _ON_BATTERY:
            return
        if fed and self.fault is not UpsFault.CHARGER:
            self.battery.feed()
        else:
            self.battery.rest()

    def _exchange_heat(self, dt: float) -> None:
        ambient_c, losses_w = self.ambient_c(), self.losses_w
        self.battery.step(dt, ambient_c)
        before_c, goal_c = self.temperature_c, ambient_c + _WARMING * losses_w
        self.temperature_c = approach(before_c, goal_c, dt / _WARMING_S)
        # The heat capacity follows from the time constant and the thermal resistance.
        capacity = _WARMING_S / _WARMING
        stored_w = (self.temperature_c - before_c) / dt * capacity if dt else 0.0
        self.given_off_w = losses_w - stored_w + self.battery.given_off_w

    def _state_on_mains(self) -> UpsState:
        if self._dark:
            self._dark, self._start_left_s = False, START_S
        if self._broken:
            return UpsState.FAULT
        if not self.output_wanted:
            self._start_left_s = 0.0
            return UpsState.STANDBY
        if self._start_left_s > 0:
            return UpsState.POWER_ON
        if self._overloaded or self.mode is Mode.BYPASS:
            return UpsState.BYPASS
        if self._test_left_s > 0:
            return UpsState.TEST
        by_mode = {Mode.ECONOMY: UpsState.HE, Mode.CONVERTER: UpsState.CONVERTER}
        return by_mode.get(self.mode, UpsState.LINE)

    def _state_without_mains(self) -> UpsState:
        if self._broken:
            return UpsState.FAULT
        if not self.output_wanted:
            return UpsState.SHUTDOWN
        if not self._dark:
            self.battery.load(self.battery_w)
            self._dark = (
                self.battery.empty
                or self._overloaded  # without mains there is no bypass
                or self.mode is Mode.BYPASS  # set by an operator: the inverter stays off
                or self._start_left_s > 0
            )
        self._start_left_s = 0.0
        return UpsState.SHUTDOWN if self._dark else UpsState.BATTERY

    def _judge_battery(self) -> None:
        good = self.battery.health >= REPLACE_HEALTH and not self.battery_low
        self.self_test = "good" if good else "failed"
        self._test_left_s = 0.0

    @property
    def _broken(self) -> bool:
        return self.fault in {UpsFault.INVERTER, UpsFault.SHORT_CIRCUIT}

    @property
    def _past_inverter(self) -> bool:
        on_fault = self.state is UpsState.FAULT and self.fault is UpsFault.INVERTER
        return self.state in _ON_MAINS or (on_fault and self.output_wanted and self.mains_good)

    def variables(self) -> var.Variables:
        battery = self.battery
        yield "state", var.Variable(lambda: self.state.text)
        yield "mode", var.choice(self, "mode", Mode)
        yield "fault", var.choice(self, "fault", UpsFault)
        yield "output_on", var.switch(self, "output_wanted")
        yield "shutdown_announced", var.switch(self, "shutdown_announced")
        yield "output_w", var.Variable(lambda: self.output_w)
        yield from self.load.variables()
        yield "battery_charge", var.percent(battery, "charge")
        yield "battery_health", var.percent(battery, "health", 5)
        yield "battery_ah", var.number(battery, "rated_ah", 1, 1000)
        yield from var.readings(battery, battery_voltage="voltage_v", battery_current="current_a")
        yield from var.readings(self, "battery_low", battery_runtime="runtime_s")
        yield "temperature", var.number(self, "temperature_c", -40, 120)
        yield "battery_temperature", var.number(battery, "temperature_c", -40, 80)
        yield "ambient", var.Variable(self.ambient_c)
        yield from var.readings(self, "input_w", "overload", "self_test")
        yield "losses_w", var.Variable(lambda: self.losses_w + battery.heat_w)
        yield "break_ms", var.Variable(lambda: self.break_s * 1000)
        yield "buzzer_muted", var.switch(self, "buzzer_muted")
        yield "fault_voltage", var.Variable(lambda: self.fault_voltage_v)

    def complaints(self, values: Mapping[str, object]) -> Iterator[str]:
        return self.load.complaints(values)
