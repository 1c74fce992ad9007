"""`[[device.adjust]]`: what is read, and every mistake with its line and key."""

import pytest

from twisted_gantry.config.load import load
from twisted_gantry.core.bounds import Adjust
from twisted_gantry.settings.tables import ConfigError

SITE = """[gantry]
id = "G000211001002110010"
[[device]]
name = "cfos"
kind = "cfos"
url = "http://192.168.1.30"
[[device]]
name = "cab1"
kind = "cabinet"
url = "http://192.168.1.40:3699/remotecontrol.do"
auth = "code"
[monitor]
listen = "tcp:8082:interface=127.0.0.1"
auth = "code"
[[device]]
name = "ups1"
kind = "ups-card"
address = "tcp:192.168.1.20:2390"
"""


def wrong(adjust: str) -> list[str]:
    """Return what is wrong with a site whose UPS has an adjustment, from line 19."""
    with pytest.raises(ConfigError) as caught:
        load(f"{SITE}[[device.adjust]]\n{adjust}", "site.toml")
    return [str(each) for each in caught.value.problems]


def test_an_adjustment_is_read() -> None:
    """Each device has its adjustments by their points; what is left out is the usual."""
    more = """[[device.adjust]]
point = "input_voltage_r"
scale = 0.1
offset = -1
max = 300
[[device.adjust]]
point = "temperature"
min = -20
"""
    entries = {each.name: each for each in load(SITE + more).devices}
    assert entries["ups1"].adjusts == {
        "input_voltage_r": Adjust(0.1, -1.0, None, 300.0),
        "temperature": Adjust(1.0, 0.0, -20.0, None),
    }
    assert entries["cfos"].adjusts == {}


@pytest.mark.parametrize(
    ("device", "point"), [("cfos", "M1.voltage_l1"), ("cab1", "elec.1.voltage")]
)
def test_points_of_parts_and_rows_can_be_adjusted(device: str, point: str) -> None:
    """Parts and rows come at run time; their points have names all the same."""
    site = SITE.replace(
        f'name = "{device}"', f'adjust = [{{ point = "{point}", scale = 2 }}]\nname = "{device}"'
    )
    entries = {each.name: each for each in load(site).devices}
    assert entries[device].adjusts == {point: Adjust(2.0)}


@pytest.mark.parametrize(
    ("adjust", "says"),
    [
        ('point = "input_volts"', "20: device[3].adjust[1].point: ups1 has no point 'input_volts'"),
        ('point = "M1.voltage_l1"', "20: device[3].adjust[1].point: ups1 has no point"),
        ('point = "elec.1.voltage"', "20: device[3].adjust[1].point: ups1 has no point"),
        ('point = "state"', "20: device[3].adjust[1].point: state is no number"),
        ("scale = 2", "19: device[3].adjust[1].point: is missing"),
        ('point = "temperature"\nscale = 0', "21: device[3].adjust[1].scale: must not be 0"),
        ('point = "temperature"\nscale = nan', "21: device[3].adjust[1].scale: must be finite"),
        ('point = "temperature"\nmax = inf', "21: device[3].adjust[1].max: must be finite"),
        ('point = "temperature"\nmin = "5"', "21: device[3].adjust[1].min: expected float"),
        ('point = "temperature"\nmin = 5\nmax = 5', "21: device[3].adjust[1].min: must be below"),
        ('point = "temperature"\nfactor = 5', "21: device[3].adjust[1].factor: unknown key"),
        (
            'point = "load_r"\n[[device.adjust]]\npoint = "load_r"',
            "22: device[3].adjust[2].point: load_r is adjusted twice",
        ),
    ],
)
def test_each_mistake_is_named(adjust: str, says: str) -> None:
    """A mistake is told with its line and key."""
    [problem] = wrong(adjust)
    assert problem.startswith(f"site.toml:{says}")


@pytest.mark.parametrize("point", ["elec.1.volts", "elec.1", "rows.1.voltage"])
def test_a_row_has_no_other_points(point: str) -> None:
    """The point of a row that no cabinet has is a mistake."""
    site = SITE.replace('name = "cab1"', f'adjust = [{{ point = "{point}" }}]\nname = "cab1"')
    with pytest.raises(ConfigError, match="cab1 has no point"):
        load(site)


def test_a_table_is_not_enough() -> None:
    """`adjust` holds tables, each begun with two brackets."""
    with pytest.raises(ConfigError, match=r"each begun with \[\[device.adjust\]\]"):
        load(SITE + '[device.adjust]\npoint = "temperature"\n')
