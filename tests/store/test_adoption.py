"""Reports of uplinks that are configured no more: another uplink gets all of them, once."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.store.material import PLENTY, database, result_of
from tests.support import START, moments
from twisted_gantry.core.stored import Destination, Ledger
from twisted_gantry.store import outbox
from twisted_gantry.store.sqlite import SqliteStore
from twisted_gantry.store.writer import InlineWriter

ROAD = Destination("road", "etc", "https://road.example/monitor.do")
PROVINCE = Destination("province", "etc", "https://province.example/monitor.do")
CLOUD = Destination("cloud", "fogslink", "tcp:h:1 12345678")
ETC = Destination("etc", "etc", PROVINCE.place)


class Kept:
    """A store with reports of some uplinks."""

    def __init__(self) -> None:
        self.db = database()
        self.store = SqliteStore(InlineWriter(self.db), moments(lambda: START))

    def add(self, uplink: str, *bodies: bytes) -> list[int]:
        kept = [self.store.add_report(uplink, "k", "s", body, 0, PLENTY) for body in bodies]
        return [result_of(each)[0] for each in kept]

    def adopt(self, *uplinks: Destination) -> dict[str, str]:
        moved: Mapping[str, str] = result_of(self.store.adopt_reports(uplinks))
        return dict(moved)

    def bodies(self, uplink: str) -> list[bytes]:
        found = result_of(self.store.next_reports(uplink, 100, 10**6))
        return [each.body for each in found]

    def ledger(self, uplink: str) -> Ledger:
        return result_of(self.store.ledger(uplink))

    def names(self) -> list[str]:
        return [name for (name,) in self.db.execute("SELECT uplink FROM ledger ORDER BY uplink")]


@pytest.fixture
def kept() -> Kept:
    return Kept()


def test_an_outbox_from_before_names_goes_to_the_first(kept: Kept) -> None:
    """Nothing tells the URL of such reports: the first of their kind has them, with all counts."""
    first, _ = kept.add("etc", b"1", b"2")
    kept.add("fogslink", b"3")
    result_of(kept.store.delivered([first]))
    assert kept.adopt(ROAD, PROVINCE, CLOUD) == {"etc": "road", "fogslink": "cloud"}
    assert (kept.bodies("road"), kept.bodies("cloud")) == ([b"2"], [b"3"])
    ledger = kept.ledger("road")
    assert (ledger.created, ledger.delivered, ledger.queued) == (2, 1, 1)
    assert kept.names() == ["cloud", "road"]


def test_the_url_decides(kept: Kept) -> None:
    """A renamed uplink is known by its URL, whatever its place in the file."""
    kept.adopt(ETC)
    kept.add("etc", b"1")
    assert kept.adopt(ROAD, PROVINCE) == {"etc": "province"}
    assert kept.bodies("province") == [b"1"]


def test_a_removed_one_leaves_its_reports_to_the_first(kept: Kept) -> None:
    """Its counts are added to those of the heir: created = delivered + queued + … still holds."""
    kept.adopt(ROAD, PROVINCE)
    kept.add("road", b"1")
    kept.add("province", b"2", b"3")
    assert kept.adopt(ROAD) == {"province": "road"}
    assert kept.bodies("road") == [b"1", b"2", b"3"]
    ledger = kept.ledger("road")
    assert (ledger.created, ledger.queued, ledger.size) == (3, 3, 3)
    assert kept.ledger("province") == Ledger()


def test_without_reports_a_removed_one_keeps_its_counts_to_itself(kept: Kept) -> None:
    """What another uplink delivered is not what the first delivered."""
    kept.adopt(ROAD, PROVINCE)
    result_of(kept.store.delivered(kept.add("province", b"1")))
    kept.add("road", b"2")
    assert kept.adopt(ROAD) == {}
    assert kept.ledger("road").created == 1
    assert kept.adopt(ROAD, PROVINCE) == {}
    assert kept.ledger("province").delivered == 1


def test_another_kind_gets_nothing(kept: Kept) -> None:
    """Reports wait for an uplink that speaks their protocol."""
    kept.add("etc", b"1")
    assert kept.adopt(CLOUD) == {}
    assert kept.adopt(CLOUD, PROVINCE) == {"etc": "province"}
    assert kept.bodies("province") == [b"1"]


def test_settings_follow(kept: Kept) -> None:
    """What the platform set and the states of the doors go along, also in memory."""
    kept.add("etc", b"1")
    for name in ("etc.steering", "etc.doors", "etcetera.x"):
        result_of(kept.store.put_setting(name, name))
    kept.adopt(ROAD)
    found: Mapping[str, Any] = result_of(kept.store.settings())
    stored = {name: value for name, value in found.items() if name != "uplinks"}
    expected = {
        "road.steering": "etc.steering",
        "road.doors": "etc.doors",
        "etcetera.x": "etcetera.x",
    }
    assert stored == expected
    assert expected.items() <= kept.store._settings.items()  # what is known while the disk fails


def test_what_one_platform_set_is_not_for_another(kept: Kept) -> None:
    """A period or a server of a removed platform does not come to the one that has its reports."""
    kept.adopt(ROAD, PROVINCE, CLOUD)
    kept.add("province", b"1")
    kept.add("cloud", b"2")
    for name in ("province.steering", "province.doors", "cloud.channels"):
        result_of(kept.store.put_setting(name, name))
    kept.adopt(ROAD, Destination("sky", "fogslink", "tcp:h:2 87654321"))
    found: Mapping[str, Any] = result_of(kept.store.settings())
    stored = {name: value for name, value in found.items() if name != "uplinks"}
    assert stored == {"road.doors": "province.doors"}
    assert kept.bodies("road") == [b"1"]


def test_damage_stays_damage(kept: Kept) -> None:
    """A damaged report does not get a check sum that fits."""
    kept.add("etc", b"good", b"bad")
    kept.db.execute("UPDATE outbox SET body = x'00' WHERE id = 2")
    kept.adopt(ROAD)
    assert kept.bodies("road") == [b"good"]
    [aside] = result_of(kept.store.reports("road", "set-aside", 10))
    assert aside.reason == outbox.DAMAGED


def test_again_changes_nothing(kept: Kept) -> None:
    """The same configuration moves nothing."""
    kept.adopt(ROAD, PROVINCE, CLOUD)
    kept.add("road", b"1")
    assert kept.adopt(ROAD, PROVINCE, CLOUD) == {}
    assert kept.bodies("road") == [b"1"]
