"""Energy over the whole site: what the mains gave is what was used, stored and lost."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twisted_gantry.twin.world.battery import Battery
from twisted_gantry.twin.world.car import EFFICIENCY as CAR_EFFICIENCY
from twisted_gantry.twin.world.mains import PHASES
from twisted_gantry.twin.world.model import World
from twisted_gantry.twin.world.rectifier import EFFICIENCY, IDLE_W, SHARE
from twisted_gantry.twin.world.storage import CONVERTER_EFFICIENCY


class Ledger:
    """Adds up, in J, what a world uses and loses, and what by hand was put into its stores.

    Losses are those of each part's own model, not what is left over.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.used = self.lost = self.put = self.moved = 0.0
        self.began = self.stored

    @property
    def batteries(self) -> list[tuple[Battery, float]]:
        """The batteries of UPSs and cabinet, and the share of the modelled string that each is."""
        world = self.world
        return [(ups.battery, 1.0) for ups in world.ups.values()] + [
            (world.cabinet.supply.battery, SHARE)
        ]

    @property
    def stored(self) -> float:
        car = self.world.charging.evses["E1"].car
        return (
            sum(battery.stored_j * share for battery, share in self.batteries)
            + sum(store.stored_j for store in self.world.storage.values())
            + car.charge * car.capacity_wh * 3600
        )

    @property
    def metered(self) -> float:
        meter = self.world.charging.mains_meter
        return (meter.import_wh - meter.export_wh) * 3600

    def change(self, **values: Any) -> None:
        """Change the world; what that puts into a store is noted."""
        before = self.stored
        self.world.change({name.replace("__", "."): value for name, value in values.items()})
        self.put += self.stored - before

    def run(self, seconds: float) -> None:
        while seconds > 1e-9:
            dt = min(seconds, max(self.world.until_change_s, 1e-6))
            used, lost = self._used_w(), self._lost_w()
            self.used += used * dt
            self.lost += lost * dt
            self.moved += (abs(used) + lost + self._through_w()) * dt
            before = [(each.health, each.stored_j) for each, _ in self.batteries]
            self.world.step(dt)
            for (health, stored), (battery, share) in zip(before, self.batteries, strict=True):
                self.lost += stored * (1 - battery.health / health) * share  # age took it
            seconds -= dt

    def _used_w(self) -> float:
        world = self.world
        other_w = world.charging.other_w / 3 * sum(world.mains.usable((p,)) for p in PHASES)
        return (
            sum(ups.output_w for ups in world.ups.values())
            + world.cabinet.supply.fed_w
            + sum(unit.input_w for unit in world.cabinet.air_conditioners)
            + other_w
        )

    def _lost_w(self) -> float:
        world, supply = self.world, self.world.cabinet.supply
        rectifiers = [each for each in supply.rectifiers if each.able and supply.mains_good]
        return (
            sum(ups.losses_w for ups in world.ups.values())
            + sum(each.output_w * (1 / EFFICIENCY - 1) + IDLE_W for each in rectifiers)
            + sum(battery.heat_w * share for battery, share in self.batteries)
            + sum(s.heat_w + _converter_lost_w(s.power_w) for s in world.storage.values())
            + world.charging.evses["E1"].power_w * (1 - CAR_EFFICIENCY)
        )

    def _through_w(self) -> float:
        powers = [battery.power_w for battery, _ in self.batteries]
        return sum(map(abs, [*powers, *(s.power_w for s in self.world.storage.values())]))

    def check(self) -> None:
        gone = self.used + self.lost + self.stored - self.began - self.put
        # Within a second a current stands while the rest voltage moves a little.
        assert self.metered == pytest.approx(gone, abs=100 + 5e-4 * self.moved)


def _converter_lost_w(power_w: float) -> float:
    """Return what the converter of a store loses, of what it passes in at its other end."""
    into = max(power_w, 0.0) / CONVERTER_EFFICIENCY
    return into * (1 - CONVERTER_EFFICIENCY) + max(-power_w, 0.0) * (1 - CONVERTER_EFFICIENCY)


def variable(name: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[str, Any]]:
    return st.tuples(st.just(name.replace(".", "__")), values)


VOLTS = st.sampled_from([0.0, 150.0, 185.0, 220.0, 250.0])
EVENTS = st.one_of(
    variable("mains.voltage", VOLTS),
    variable("mains.voltage_s", VOLTS),
    variable("mains.frequency", st.sampled_from([44.0, 50.0])),
    variable("mains.sag_s", st.floats(0, 5)),
    variable("ups1.load_w", st.floats(0, 12_000)),
    variable("ups1.mode", st.sampled_from(["online", "economy", "converter", "bypass"])),
    variable("ups1.fault", st.sampled_from(["none", "inverter", "short-circuit", "charger"])),
    variable("ups2.phases", st.sampled_from(["3/3", "3/1", "1/1"])),
    variable("ups2.output_on", st.booleans()),
    variable("ups2.battery_charge", st.floats(0, 100)),
    variable("ups2.battery_temperature", st.floats(-20, 60)),
    variable("loads.antennas_on", st.booleans()),
    variable("bms1.power", st.floats(-150_000, 150_000)),
    variable("bms1.state_of_charge", st.sampled_from([0.0, 0.1, 50.0, 99.95, 100.0])),
    variable("cfos.E1.car", st.sampled_from(["none", "connected"])),
    variable("cfos.E1.car_charge", st.floats(0, 100)),
    variable("cfos.E1.car_arrives_s", st.floats(0, 60)),
    variable("cfos.other_w", st.floats(-20_000, 20_000)),
    variable("cab1.equipment_w", st.floats(0, 2000)),
    variable("cab1.battery_charge", st.floats(0, 100)),
    variable("cab1.battery_fuse_blown", st.booleans()),
    variable("cab1.rectifier1_fault", st.sampled_from(["none", "failed"])),
    variable("cab1.rectifier2_on", st.booleans()),
    variable("cab1.power_mode", st.sampled_from([0.0, 1.0, 3.0])),
    variable("cab1.temperature", st.floats(0, 60)),
    st.tuples(
        st.just("do"), st.sampled_from(["ups test", "supply test", "open", "close", "reset"])
    ),
)


def act(world: World, deed: str) -> None:
    store = world.storage["bms1"]
    {
        "ups test": world.ups["ups1"].start_test,
        "supply test": lambda: world.cabinet.supply.start_test(world.elapsed_s),
        "open": store.open_contactor,
        "close": store.close_contactor,
        "reset": store.reset_fault,
    }[deed]()


@given(st.lists(st.tuples(EVENTS, st.floats(0, 60)), min_size=1, max_size=10))
def test_energy_is_conserved_over_the_whole_site(
    schedule: list[tuple[tuple[str, Any], float]],
) -> None:
    """From the mains = delivered to loads + stored + losses, whatever happens to the site."""
    ledger = Ledger(World(random.Random(1)))
    for (what, value), seconds in schedule:
        if what == "do":
            act(ledger.world, value)
        else:
            ledger.change(**{what: value})
        ledger.run(seconds)
    ledger.check()


def test_a_long_failure_and_the_recovery_conserve_energy() -> None:
    """Until all is dark, and half an hour of charging after it."""
    ledger = Ledger(World(random.Random(1)))
    ledger.change(ups1__battery_ah=5, ups2__battery_ah=5, cab1__battery_ah=10)
    ledger.change(cab1__equipment_w=1500)
    ledger.run(60)
    ledger.change(mains__voltage=0)
    ledger.run(1800)
    assert not any(ups.powered for ups in ledger.world.ups.values())
    assert not ledger.world.cabinet.powered
    ledger.check()
    ledger.change(mains__voltage=220)
    ledger.run(1800)
    assert all(ups.powered for ups in ledger.world.ups.values())
    ledger.check()


@settings(deadline=None, max_examples=20)
@given(st.floats(0, 8000), st.floats(-10, 45), st.integers(1, 300))
def test_heat_is_conserved_in_a_ups(load_w: float, ambient_c: float, seconds: int) -> None:
    """What it loses warms it, its battery, or the air."""
    world = World(random.Random(1))
    world.cabinet.air.temperature_c = ambient_c
    world.change({"ups1.load_w": load_w})
    ups, lost, given_off = world.ups["ups1"], 0.0, 0.0
    began = ups.temperature_c, ups.battery.temperature_c
    for _ in range(seconds):
        lost += ups.losses_w + ups.battery.heat_w
        ups.step(1.0)
        given_off += ups.given_off_w
    warmer = ups.temperature_c - began[0], ups.battery.temperature_c - began[1]
    kept = warmer[0] * 900 / 0.05 + warmer[1] * 4500 * ups.battery.rated_ah
    assert lost == pytest.approx(given_off + kept, abs=1e-3, rel=1e-6)
