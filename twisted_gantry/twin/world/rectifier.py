"""The 48 V supply of a cabinet: rectifier modules, their battery, and the load.

The modules share the load equally, hold the battery at its charging voltage, and give at most their
rated power each; the battery gives the rest. The battery is four blocks of the string that
`Battery` models: the same current, a quarter of its voltage and its power.
"""

from enum import StrEnum

from twisted_gantry.twin.world import variables as var
from twisted_gantry.twin.world.battery import BLOCKS, FLOAT_V, Battery
from twisted_gantry.twin.world.battery_test import MAY_TEST_CHARGE, BatteryTest, End
from twisted_gantry.twin.world.mains import Mains

SHARE = 4 / BLOCKS
FLOAT_BUS_V = FLOAT_V * SHARE
MODULE_W = 1_500.0  # rated: 30 A at 50 V
MODULES = 2
EFFICIENCY = 0.92
IDLE_W = 10.0  # of a module that is on
UNDER_V, OVER_V = 47.0, 58.0
EQUALISING_V = 2.4  # above the float voltage, to equalise the cells
MOST_OFFSET_V = 20.0
FEEDS_FROM = ("r",)
RESERVE_CHARGE = 0.5  # with less, the rectifiers stay on: the battery would soon be empty
MOST_LOAD_W = 2_000.0


class RectifierFault(StrEnum):
    """What is wrong with a module; with `communication` it works and cannot be read."""

    NONE = "none"
    FAILED = "failed"
    PROTECTION = "protection"
    COMMUNICATION = "communication"


class Rectifier:
    """One module; `limiting` tells whether `output_w` is at the rated power."""

    def __init__(self) -> None:
        self.wanted = True
        self.fault = RectifierFault.NONE
        self.output_w = 0.0
        self.limiting = False

    @property
    def able(self) -> bool:
        return self.wanted and self.fault not in {RectifierFault.FAILED, RectifierFault.PROTECTION}

    def variables(self, name: str) -> var.Variables:
        yield f"{name}_on", var.switch(self, "wanted")
        yield f"{name}_fault", var.choice(self, "fault", RectifierFault)
        yield f"{name}_output_w", var.Variable(lambda: self.output_w)
        yield f"{name}_limiting", var.Variable(lambda: self.limiting)


class DcSupply:
    """The supply. The load is `equipment_w` in the cabinet and `outside_w` on the gantry.

    Call `settle` after a change of a public attribute or of the mains. Commands return whether they
    were done.
    """

    def __init__(self, mains: Mains) -> None:
        self.rectifiers = tuple(Rectifier() for _ in range(MODULES))
        self.battery = Battery(rated_ah=100.0)
        self.fuse_blown = False
        self.equalise = False  # wanted; with mains and modules the battery is equalised
        self.offset_v = 0.0  # the error of the regulation: what the modules give is off by that
        self.equipment_w = 400.0
        self.outside_w = 0.0
        self.bus_v = 0.0
        self.fed_w = 0.0  # power into the load: all of it, while the voltage holds
        self.test: BatteryTest | None = None
        self._mains = mains
        self._flat = False  # empty and disconnected, until it can be charged
        self.settle()

    @property
    def mains_good(self) -> bool:
        return self._mains.usable(FEEDS_FROM)

    @property
    def load_w(self) -> float:
        return self.equipment_w + self.outside_w

    @property
    def powered(self) -> bool:
        return self.bus_v > 0

    @property
    def testing(self) -> bool:
        return self.test is not None and self.test.end is None

    @property
    def battery_connected(self) -> bool:
        return not (self.fuse_blown or self._flat)

    @property
    def equalising(self) -> bool:
        charging = self.battery_connected and self.battery.current_a <= 0
        return self.equalise and charging and bool(self._feeding) and not self.testing

    @property
    def battery_w(self) -> float:
        return self.battery.current_a * self.battery.voltage_v * SHARE

    @property
    def input_w(self) -> float:
        if not self.mains_good:
            return 0.0
        return sum(each.output_w / EFFICIENCY + IDLE_W for each in self.rectifiers if each.able)

    @property
    def heat_w(self) -> float:
        losses_w = self.input_w - sum(each.output_w for each in self.rectifiers)
        share = self.equipment_w / self.load_w if self.load_w else 0.0
        return losses_w + self.fed_w * share + self.battery.given_off_w * SHARE

    @property
    def runtime_s(self) -> float:
        """How long the battery would carry the load, in s; 0 while it is disconnected."""
        return self.battery.runtime_s(self.load_w / SHARE) if self.battery_connected else 0.0

    def switch(self, on: bool) -> bool:
        """Switch all modules; refuse "off" where the battery could not carry the load."""
        ready = self.battery_connected and self.battery.charge >= RESERVE_CHARGE
        if not on and not ready:
            return False
        for rectifier in self.rectifiers:
            rectifier.wanted = on
        self.settle()
        return not on or any(each.able for each in self.rectifiers)

    def start_test(self, elapsed_s: float) -> bool:
        """Begin a test; refused without mains, modules or load, in a test, with little charge."""
        ready = self.battery_connected and self.battery.charge >= MAY_TEST_CHARGE
        if self.testing or not self._feeding or not ready or not self.load_w:
            return False
        self.test = BatteryTest(elapsed_s)
        self.settle()
        return True

    def stop_test(self) -> bool:
        if self.test is None or not self.testing:
            return False
        self.test.abort(End.BY_HAND)
        self.settle()
        return True

    def step(self, dt: float, temperature_c: float) -> None:
        self.battery.step(dt, temperature_c)
        if self.test is not None and self.testing:
            self.test.step(dt, self.bus_v, self.battery, temperature_c)
        self.settle()

    def settle(self) -> None:
        feeding = self._feeding
        if self.test is not None and self.testing:
            if not feeding:
                self.test.abort(End.ALARM)
            elif self.fuse_blown:
                self.test.abort(End.FAULT)
        for rectifier in self.rectifiers:
            rectifier.output_w, rectifier.limiting = 0.0, False
        spare_w = len(feeding) * MODULE_W - self.load_w
        if feeding and spare_w > 0:
            self._flat = False
        if self.test is not None and self.testing:
            self._feed_from_battery()
            if not self.powered:  # the modules, which stand by, take over
                self.test.abort(End.END_VOLTAGE)
                self.settle()
        elif not feeding:
            self._feed_from_battery()
        else:
            if self.battery_connected:
                self._feed_both(feeding, spare_w)
            else:
                self._feed_from_rectifiers(feeding, spare_w)
            self.bus_v += self.offset_v + EQUALISING_V * self.equalising

    def _feed_from_battery(self) -> None:
        battery = self.battery
        if self.battery_connected:
            battery.load(self.load_w / SHARE)
            self._flat = battery.empty
        if not self.battery_connected:
            battery.rest()
            self.bus_v = self.fed_w = 0.0
        else:
            self.bus_v, self.fed_w = battery.voltage_v * SHARE, self.battery_w

    def _feed_both(self, feeding: list[Rectifier], spare_w: float) -> None:
        battery = self.battery
        battery.feed()
        if -self.battery_w > spare_w:
            # At the limit the battery takes the spare power, or gives the missing one.
            battery.load(-spare_w / SHARE)
            if spare_w < 0 and battery.empty:
                self._flat = True
                self._feed_from_rectifiers(feeding, spare_w)
                return
            _share(feeding, len(feeding) * MODULE_W, limiting=True)
        else:
            _share(feeding, self.load_w - self.battery_w, limiting=False)
        self.bus_v = battery.voltage_v * SHARE
        self.fed_w = sum(each.output_w for each in feeding) + self.battery_w

    def _feed_from_rectifiers(self, feeding: list[Rectifier], spare_w: float) -> None:
        self.battery.rest()
        most_w = len(feeding) * MODULE_W
        if spare_w >= 0:
            self.bus_v, self.fed_w = FLOAT_BUS_V, self.load_w
        else:  # an overload: the voltage drops as with a resistor for a load
            self.bus_v, self.fed_w = FLOAT_BUS_V * (most_w / self.load_w) ** 0.5, most_w
        _share(feeding, self.fed_w, limiting=spare_w < 0)

    @property
    def _feeding(self) -> list[Rectifier]:
        return [each for each in self.rectifiers if each.able] if self.mains_good else []

    def variables(self) -> var.Variables:
        battery = self.battery
        yield "equipment_w", var.number(self, "equipment_w", 0, MOST_LOAD_W)
        yield from var.readings(self, "load_w", bus_voltage="bus_v")
        for at, rectifier in enumerate(self.rectifiers, 1):
            yield from rectifier.variables(f"rectifier{at}")
        yield "battery_charge", var.percent(battery, "charge")
        yield "battery_health", var.percent(battery, "health", 5)
        yield "battery_ah", var.number(battery, "rated_ah", 10, 1000)
        yield "battery_voltage", var.Variable(lambda: battery.voltage_v * SHARE)
        yield "battery_current", var.Variable(lambda: battery.current_a)
        yield "battery_runtime", var.Variable(lambda: self.runtime_s)
        yield "battery_fuse_blown", var.switch(self, "fuse_blown")
        yield "battery_equalise", var.switch(self, "equalise")
        yield "rectifier_offset_v", var.number(self, "offset_v", -MOST_OFFSET_V, MOST_OFFSET_V)
        yield "battery_testing", var.Variable(lambda: self.testing)


def _share(feeding: list[Rectifier], output_w: float, *, limiting: bool) -> None:
    for rectifier in feeding:
        rectifier.output_w, rectifier.limiting = output_w / len(feeding), limiting
