"""One site under every face: at any moment all of them tell the same story, and act on it."""

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from tests.twin.faces.cfos.bench import basic
from tests.twin.helpers import NOW, http
from tests.wire.upscard.readings import decode_live
from twisted_gantry.twin.faces.bms import BASE_PATH, Ems
from twisted_gantry.twin.faces.cabinet.readings import Moments, report
from twisted_gantry.twin.faces.cfos.face import ADMIN_PASSWORD, PowerBrain
from twisted_gantry.twin.faces.upscard.card import Card
from twisted_gantry.twin.faults.settings import Faults
from twisted_gantry.twin.times import CHINA
from twisted_gantry.twin.world.mains import PHASES
from twisted_gantry.twin.world.model import World
from twisted_gantry.wire.bms import OperatingStatus
from twisted_gantry.wire.etc.reports import Cabinet

UID = "bms-0001"
STATUS = OperatingStatus
PRESENT, CHARGING = 2, 3  # of an EVSE
DISCHARGING = "3"  # of the cabinet's battery
LOST = ["交流L1相缺相", "交流L2相缺相", "交流L3相缺相"]


class Site:
    """A world, and its faces on a clock: what each of them tells is read as a peer reads it."""

    def __init__(self) -> None:
        self.world = World(random.Random(1))
        self.clock = Clock()
        faults = Faults(self.clock.seconds, random.Random(1))
        self.cards = {name: Card(ups) for name, ups in self.world.ups.items()}
        brain = PowerBrain(self.world.charging, faults, self.clock, self._now)
        self._brain = brain.site()
        self._ems = Ems({UID: self.world.storage["bms1"]}, faults, self.clock).site()
        self._moments = Moments(self._now(), CHINA)
        self.run(30)  # until the car draws what it may

    def _now(self) -> float:
        return NOW + float(self.clock.seconds())

    def run(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.world.step(seconds)

    def change(self, **values: Any) -> None:
        self.world.change({name.replace("__", "."): value for name, value in values.items()})

    def show(self, name: str) -> Any:
        return self.world.snapshot()[name]

    def ups(self, name: str = "ups1") -> dict[str, Any]:
        readings = decode_live(self.cards[name].perform("QAD"))
        return {key: reading.value for key, reading in readings.items()}

    def charger(self, dev_id: str) -> dict[str, Any]:
        devices = http(self._brain, "GET", "/cnf?cmd=get_dev_info").json["devices"]
        [found] = [each for each in devices if each["dev_id"] == dev_id]
        return dict(found)

    def balance(self) -> None:
        """Let the Power Brain keep the site within what its mains bear."""
        query, body = "/cnf?cmd=set_params", json.dumps({"lb_enabled": True})
        exchange = http(self._brain, "POST", query, body, basic(ADMIN_PASSWORD))
        assert exchange.json == "ok"

    def store(self) -> OperatingStatus:
        answer = http(self._ems, "PUT", f"{BASE_PATH}/bms-control/sync?device_uid={UID}").json
        return OperatingStatus(answer["data"]["operating_status"])

    def command_store(self, command: int) -> None:
        body = {"device_uid": UID, "command": command}
        assert http(self._ems, "POST", f"{BASE_PATH}/bms-control", body).json["code"] == 0

    def cabinet(self) -> Cabinet:
        return report(self.world.cabinet, "1", self._moments)

    def taken_w(self) -> float:
        """Add up what the parts of the world take from the mains, each by its own variable."""
        names = ("ups1.input_w", "ups2.input_w", "cab1.input_w", "bms1.grid_w", "cfos.E1.power")
        good = sum(self.world.mains.usable((phase,)) for phase in PHASES)
        other_w: float = self.show("cfos.other_w") * good / 3
        return other_w + sum(float(self.show(name)) for name in names)

    def agree(self) -> None:
        """Hold that no face contradicts the world or another face."""
        mains, meter, cabinet = self.world.mains, self.charger("M1"), self.cabinet()
        volts = [meter[f"voltage_l{number}"] for number in (1, 2, 3)]
        assert volts == [round(mains.voltage_v[phase]) for phase in PHASES]
        assert meter["power_w"] == pytest.approx(self.taken_w(), abs=1)
        elec = cabinet.elec[0]
        assert float(elec.voltage) == pytest.approx(mains.voltage_v["r"], abs=0.01)
        assert float(elec.power) * 1000 == pytest.approx(self.show("cab1.input_w"), abs=6)
        shared = 1000 * float(elec.current)  # hangs on L1, behind the meter
        if self.store() is not STATUS.DISCHARGING and self.show("cfos.other_w") >= 0:
            assert meter["current_l1"] >= shared - 6
        for name in self.cards:
            card = self.ups(name)
            three = self.show(f"{name}.phases") != "1/1"
            assert card["mains_abnormal"] is not mains.usable(PHASES if three else ("r",))
            for phase in PHASES if three else "r":
                assert card[f"input_voltage_{phase}"] == pytest.approx(
                    mains.voltage_v[phase], abs=0.3
                )
            assert card["state"] == self.show(f"{name}.state")
        stands_by = [rectifier.warning_msg for rectifier in cabinet.rectifier]
        assert all(("整流模块掉电" in text) is not mains.usable(("r",)) for text in stands_by)
        car = self.charger("E1")
        assert car["cur_charging_power"] == pytest.approx(self.show("cfos.E1.power"), abs=1)
        if not mains.usable(PHASES):
            assert self.store() in {STATUS.IDLE, STATUS.POWERED_DOWN}
        air_c = float(cabinet.thermohygrometer.temperature)
        assert air_c == pytest.approx(self.show("ups1.ambient"), abs=0.01)


@pytest.fixture
def site() -> Site:
    """A site on good mains, with a car that charges."""
    return Site()


def test_the_meter_of_the_site_measures_all_that_hangs_on_the_mains(site: Site) -> None:
    """UPSs, cabinet, battery store, car and the rest: the sum, and the part of each phase."""
    site.agree()
    before = site.charger("M1")
    site.change(bms1__power=3_000)
    assert site.charger("M1")["power_w"] - before["power_w"] == round(3_000 / 0.96)
    site.change(bms1__power=-3_000)
    assert before["power_w"] - site.charger("M1")["power_w"] == round(3_000 * 0.96)
    site.change(bms1__power=0, cab1__power_mode=1)
    after = site.charger("M1")
    assert after["current_l1"] < before["current_l1"]
    assert after["current_l2"] == before["current_l2"]
    site.agree()


def test_a_mains_failure_is_seen_in_every_face_at_once(site: Site) -> None:
    """At the same moment, without time passing, all of them have it; and all see the end of it."""
    site.change(bms1__power=5_000)
    assert site.store() is STATUS.CHARGING
    site.agree()
    for seconds in (0, 60, 540):
        site.change(mains__voltage=0)
        site.run(seconds)
        site.agree()
        for name in site.cards:
            card = site.ups(name)
            assert (card["state"], card["mains_abnormal"]) == ("battery", True)
            assert card["output_voltage_r"] == pytest.approx(220, abs=0.3)
            assert card["input_frequency"] == 0
        assert encoded_flags(site) == "10000100"
        meter = site.charger("M1")
        assert meter["power_w"] == meter["current_l1"] == meter["voltage_l1"] == 0
        assert (site.charger("E1")["state"], site.charger("E1")["current_l1"]) == (PRESENT, 0)
        assert site.store() is STATUS.IDLE
        cabinet = site.cabinet()
        assert (cabinet.elec[0].status, cabinet.elec[0].voltage) == ("0", "0")
        assert cabinet.elec[0].warning_msg.split(",") == LOST
        assert cabinet.ups[0].running_state == DISCHARGING
        assert [unit.is_working for unit in cabinet.air_conditioners] == ["0", "0"]
        assert site.show("loads.toll_computers_powered") is True
    site.change(mains__voltage=220)
    site.run(10)
    site.agree()
    assert (site.ups()["state"], site.charger("E1")["state"]) == ("line", CHARGING)
    assert site.store() is STATUS.CHARGING


def encoded_flags(site: Site) -> str:
    """Return the low byte of the card's status word, as it stands on the wire."""
    return site.cards["ups1"].perform("QAD").split()[-1][-8:]


def test_a_failure_without_end_darkens_the_gantry(site: Site) -> None:
    """When a battery is empty, what is behind it goes dark, and the other UPS goes on."""
    site.change(ups1__battery_charge=10, mains__voltage=0)
    site.run(1800)
    site.agree()
    assert (site.ups()["state"], site.ups()["output_voltage_r"]) == ("shutdown", 0)
    assert site.show("loads.antennas_powered") is False
    assert (site.ups("ups2")["state"], site.show("loads.network_powered")) == ("battery", True)
    assert site.show("loads.total_w") == site.show("ups2.output_w") == 2000


def test_a_short_sag_is_over_for_all(site: Site) -> None:
    """A third of a second: battery in it, mains after it; the car begins its ramp anew."""
    site.change(mains__sag_v=90, mains__sag_s=0.3)
    site.agree()
    assert site.ups()["state"] == "battery"
    assert site.charger("M1")["voltage_l2"] == 90
    assert site.charger("M1")["power_w"] == 0
    site.run(1)
    site.agree()
    assert (site.ups()["state"], site.ups()["fault_voltage"]) == ("line", 90)
    assert 0 < site.charger("E1")["current_l1"] < 16_000


def test_a_lost_phase_meets_each_as_it_is_wired(site: Site) -> None:
    """L2 gone: UPSs of three phases are on battery, what hangs on L1 is not, the car has two."""
    site.change(bms1__power=5_000, ups2__phases="1/1")
    site.change(mains__voltage_s=0)
    site.run(10)
    site.agree()
    assert site.ups("ups1")["state"] == "battery"
    assert site.ups("ups2")["state"] == "line"
    meter, car, cabinet = site.charger("M1"), site.charger("E1"), site.cabinet()
    assert (meter["voltage_l2"], meter["current_l2"]) == (0, 0)
    assert meter["current_l1"] > meter["current_l3"] > 0
    assert (car["state"], car["current_l2"]) == (CHARGING, 0)
    assert car["current_l1"] == car["current_l3"] > 0
    assert site.store() is STATUS.IDLE
    assert cabinet.elec[0].warning_msg == LOST[1]
    assert cabinet.rectifier[0].status == "1"
    assert cabinet.ups[0].running_state != DISCHARGING
    site.change(mains__voltage_s=220, mains__voltage_r=0)
    site.agree()
    assert {site.ups(name)["state"] for name in site.cards} == {"battery"}
    assert site.cabinet().ups[0].running_state == DISCHARGING


def test_an_overload_is_carried_past_the_inverter_and_measured(site: Site) -> None:
    """The card warns, the meter has the power, and the manager gives the car what is left."""
    before = site.charger("M1")["power_w"]
    site.balance()
    site.change(ups1__load_w=9_000)
    card = site.ups()
    assert (card["overload"], card["state"]) == (True, "bypass")
    assert site.charger("M1")["power_w"] == pytest.approx(before + 9_000 - 2_000 / 0.92, abs=50)
    site.run(30)
    site.agree()
    assert 0 < site.charger("E1")["current_l1"] < 16_000
    site.change(mains__voltage=0)
    site.agree()
    assert (site.ups()["state"], site.show("loads.antennas_powered")) == ("shutdown", False)
    site.change(loads__antennas_on=False)
    site.agree()


def test_a_hot_day_is_hot_for_the_ups(site: Site) -> None:
    """Without air conditioners the losses stay in the cabinet: air, UPS and battery warm up."""
    cool = Site()
    site.change(cab1__outside_temperature=40, cab1__sun=900)
    site.change(cab1__air1_fault="fan", cab1__air2_fault="compressor")
    for each in (site, cool):
        each.run(2 * 3600)
        each.agree()
    hot = site.cabinet()
    assert float(hot.thermohygrometer.temperature) > 50
    assert [unit.temperature_warning for unit in hot.air_conditioners] == ["0", "0"]
    assert cool.cabinet().air_conditioners[0].temperature_warning == "1"
    assert site.ups()["temperature"] > cool.ups()["temperature"] + 20
    assert site.show("ups1.battery_temperature") > cool.show("ups1.battery_temperature") + 3
    worn = [100 - 100 * each.world.ups["ups1"].battery.health for each in (site, cool)]
    assert worn[0] > 1.1 * worn[1] > 0


def test_the_losses_of_the_ups_warm_the_cabinet(site: Site) -> None:
    """More load on a UPS is more heat in the air around it, with nothing else changed."""
    other = Site()
    for each, watts in ((site, 7_500), (other, 500)):
        each.change(cab1__power_mode=1, ups1__load_w=watts)
        each.run(1800)
    warmth = [float(each.cabinet().thermohygrometer.temperature) for each in (site, other)]
    assert warmth[0] > warmth[1] + 2


def test_commands_over_any_protocol_act_on_the_one_world(site: Site) -> None:
    """SOFF at a card and the contactor at the EMS are seen in the meter; the loads go dark."""
    site.change(bms1__power=5_000)
    before = site.charger("M1")["power_w"]
    site.command_store(3)
    site.run(1)
    assert site.store() is STATUS.POWERED_DOWN
    middle = site.charger("M1")["power_w"]
    assert before - middle == pytest.approx(5_000 / 0.96, abs=50)
    assert site.cards["ups1"].perform("SOFF") == "(OK"
    assert site.show("loads.lane_controllers_powered") is False
    assert middle - site.charger("M1")["power_w"] == pytest.approx(2000 / 0.92, abs=50)
    site.agree()


def test_a_tested_ups_takes_nothing_from_the_mains(site: Site) -> None:
    """During a self-test its battery has all, and the meter shows it."""
    before = site.charger("M1")["power_w"]
    assert site.cards["ups1"].perform("T") == "(OK"
    assert site.show("ups1.input_w") == 0
    assert before - site.charger("M1")["power_w"] > 2000
    site.agree()


@pytest.mark.parametrize(
    ("volts", "hertz", "good"),
    [
        (175.9, 50, False),
        (176, 50, True),
        (264, 50, True),
        (264.1, 50, False),
        (220, 44.9, False),
        (220, 45, True),
        (220, 55.1, False),
    ],
)
def test_all_judge_the_mains_by_the_same_limits(
    site: Site, volts: float, hertz: float, good: bool
) -> None:
    """What is a failure to one is a failure to every other."""
    site.change(bms1__power=5_000)
    site.change(mains__voltage=volts, mains__frequency=hertz)
    assert site.ups()["mains_abnormal"] is not good
    assert (site.charger("M1")["power_w"] > 0) is good
    assert (site.charger("E1")["state"] == CHARGING) is good
    assert (site.store() is STATUS.CHARGING) is good
    assert site.cabinet().elec[0].status == ("1" if good else "0")
    assert (site.cabinet().ups[0].running_state == DISCHARGING) is not good
    site.agree()


_VOLTS = st.sampled_from([0.0, 100.0, 190.0, 220.0, 300.0])


@given(
    st.lists(
        st.tuples(
            st.fixed_dictionaries(
                {},
                optional={
                    **{f"mains__voltage_{phase}": _VOLTS for phase in PHASES},
                    "mains__frequency": st.sampled_from([40.0, 50.0]),
                    "mains__sag_s": st.floats(0, 3),
                    "ups1__load_w": st.floats(0, 12_000),
                    "ups1__output_on": st.booleans(),
                    "ups2__phases": st.sampled_from(["3/3", "3/1", "1/1"]),
                    "bms1__power": st.floats(-60_000, 60_000),
                    "cfos__other_w": st.floats(-9_000, 9_000),
                    "cfos__E1__car": st.sampled_from(["none", "connected"]),
                    "cab1__equipment_w": st.floats(0, 2_000),
                },
            ),
            st.floats(0, 5),
        ),
        max_size=6,
    )
)
def test_the_faces_never_contradict_each_other(
    schedule: list[tuple[dict[str, Any], float]],
) -> None:
    """Whatever happens, before and after time has passed."""
    site = Site()
    for changes, seconds in schedule:
        site.change(**changes)
        site.agree()
        site.run(seconds)
        site.agree()
