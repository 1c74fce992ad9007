"""The uploads of a cabinet, with and without a gantry that takes them; its white list."""

from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.defer import Deferred, ensureDeferred, succeed
from zope.interface import implementer

from tests.support import START, fired, no_computers
from tests.support import Bench as SiteBench
from tests.twin.faces.cabinet.bench import CABINET_STATUS, CARDS, Bench, Wire, change
from tests.twin.helpers import AUTH, GANTRY_ID
from twisted_gantry.core.interfaces import IUploader
from twisted_gantry.core.stored import StoredCard
from twisted_gantry.net.outage import Reason
from twisted_gantry.net.service import NamedService
from twisted_gantry.twin.faces.cabinet.face import CabinetTwin
from twisted_gantry.twin.faces.cabinet.monitor import MAX_WAITING
from twisted_gantry.twin.faults.settings import CABINET, ETC
from twisted_gantry.web.monitor.endpoint import Monitor, MonitorSettings
from twisted_gantry.wire.etc.envelope import Card, CardList
from twisted_gantry.wire.secret import Secret

T0 = "2023-11-15 06:13:20.000"  # START, in China
V1, V2 = "20260101000000", "20260102000000"


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.stop()


# -- when


def test_it_reports_at_the_start_and_every_period(bench: Bench) -> None:
    """Each report is taken by a platform that requires every field."""
    assert bench.codes() == ["1000"]
    bench.pass_by(299)
    assert len(bench.reports()) == 1
    bench.pass_by(1.5)
    assert bench.codes() == ["1000"] * 2
    (newest, *_) = bench.gantry.requests(CABINET_STATUS)
    assert int(newest["body"]["timeStamp"]) - START == 300


@pytest.mark.parametrize(
    ("values", "group", "field", "value"),
    [
        ({"smoke": True}, "smokeSensor", "isWarning", "1"),
        ({"water": True}, "waterloggingSensor", "isWarning", "1"),
        ({"smoke_sensor_fault": True}, "smokeSensor", "status", "0"),
        ({"turn_key_front_door": True}, "doors", "frontDoorUnlockType", "3"),
        ({"force_back_door": True}, "doors", "backDoorOpenIllegally", "1"),
        ({"doors_fault": True}, "doors", "frontDoorClosed", "GetFailed"),
        ({"lightning_count_2": 1}, "thunderSpd", "lightningCount", "1"),
        ({"surge2_fault": True}, "thunderSpd", "status", "0"),
        ({"air2_fault": "fan"}, "airConditioners", "errorMsg", "风机故障"),
        ({"temperature": 60}, "airConditioners", "temperatureWarning", "0"),
        ({"rectifier2_fault": "failed"}, "rectifier", "warningMsg", "整流模块故障"),
        ({"rectifier2_on": False}, "rectifier", "warningMsg", "整流模块已关机"),
        ({"battery_fuse_blown": True}, "ups", "warningMsg", "电池熔丝断"),
        ({"thermohygrometer_fault": True}, "thermohygrometer", "temperature", "GetFailed"),
    ],
)
def test_an_alarm_and_a_door_are_reported_at_once(
    bench: Bench, values: dict[str, Any], group: str, field: str, value: str
) -> None:
    """Within the same moment, with the change in it."""
    bench.change(**values)
    assert bench.codes() == ["1000"] * 2
    found = bench.reports()[-1][group]
    assert (found[-1] if isinstance(found, list) else found)[field] == value


def test_the_mains_are_an_alarm_without_delay(bench: Bench) -> None:
    """A phase that is gone is named, and so are the rectifiers that have lost it."""
    bench.fail_mains()
    newest = bench.reports()[-1]
    assert newest["elec"][0]["status"] == "0"
    assert newest["elec"][0]["warningMsg"] == "交流L1相缺相,交流L2相缺相,交流L3相缺相"
    assert {each["warningMsg"] for each in newest["rectifier"]} == {"整流模块掉电"}
    assert newest["ups"][0]["runningState"] == "3"


def test_what_is_no_alarm_waits_for_the_period(bench: Bench) -> None:
    """Temperature, load and set points go with the next report."""
    bench.change(outside_temperature=30, equipment_w=600, air1_on=False, temperature=30)
    assert len(bench.reports()) == 1
    bench.pass_by(300)
    assert bench.reports()[-1]["airConditioners"][0]["isWorking"] == "0"


def test_a_pulse_is_reported_as_it_was(bench: Bench) -> None:
    """Smoke for a moment: one report with it, one without, in their order."""
    bench.wire.reachable = False
    bench.change(smoke=True)
    bench.change(smoke=False)
    bench.wire.reachable = True
    bench.pass_by(2)
    warnings = [each["smokeSensor"]["isWarning"] for each in bench.reports()]
    assert warnings == ["0", "1", "0"]


def test_update_now_reports_now(bench: Bench) -> None:
    """Twice within one second are two reports: the body is the same, the cabinet may not be."""
    body = bench.body({"updateNow": "1"})
    bench.post(body)
    change(bench.cabinet, air1_on=False)
    bench.post(body)
    working = [each["airConditioners"][0]["isWorking"] for each in bench.reports()]
    assert working == ["1", "1", "0"]


def test_set_frequency_changes_the_period(bench: Bench) -> None:
    """The next report comes one new period later."""
    assert bench.code(setFrequency="5") == 1000
    bench.pass_by(10.5)
    assert len(bench.reports()) == 3


def test_set_server_moves_the_uploads(bench: Bench) -> None:
    """On this computer any port will do; the scheme is kept where none is given."""
    assert bench.code(setServer="127.0.0.1:9999/up/monitor.do", updateNow="1") == 1000
    assert bench.wire.urls[-1] == "http://127.0.0.1:9999/up/monitor.do"


# -- when the gantry takes no report


def test_a_gantry_that_is_not_there_yet_is_reached_soon() -> None:
    """Retries after 1, 2, 4 … 30 s; then one report, with the present time."""
    bench = Bench(started=False)
    bench.wire.reachable = False
    bench.twin.startService()
    bench.pass_by(60)
    tries = len(bench.wire.urls) // 2  # each time a report and a question for cards
    assert tries == 6  # at 0, 1, 3, 7, 15 and 31 s
    bench.wire.reachable = True
    bench.pass_by(30)
    assert bench.codes() == ["1000"]
    assert bench.counts[f"lost-{CABINET_STATUS}"] == tries
    bench.stop()


@pytest.mark.parametrize(
    "fault", [{"busy": True}, {"code": "1008"}, {"http_status": 503}, {"garbage": 1}, {"drop": 1}]
)
def test_a_change_waits_until_it_is_taken(bench: Bench, fault: dict[str, Any]) -> None:
    """Whatever the gantry answers but 1000, and 1002, the change is sent again."""
    bench.faults.put(ETC, fault)
    bench.change(smoke=True)
    bench.pass_by(20)
    bench.faults.clear(ETC)
    bench.change(smoke=False)
    bench.pass_by(30)
    assert bench.codes()[-2:] == ["1000", "1000"]
    assert [each["smokeSensor"]["isWarning"] for each in bench.reports()[-2:]] == ["1", "0"]


def test_a_change_does_not_hurry_a_gantry_that_hangs(bench: Bench) -> None:
    """What happens while a try is under way comes with the next one, after its pause."""
    bench.faults.put(ETC, {"frozen": True})
    bench.change(smoke=True)
    before = len(bench.wire.urls)
    bench.pass_by(5)
    bench.change(smoke=False)
    bench.pass_by(5.5)  # it was given up after 10 s, and a pause of 1 s goes on
    assert len(bench.wire.urls) == before
    bench.faults.clear(ETC)
    bench.pass_by(1)
    assert [report["smokeSensor"]["isWarning"] for report in bench.reports()[-2:]] == ["1", "0"]


def test_a_report_that_is_refused_for_good_does_not_hold_up_the_next(bench: Bench) -> None:
    """1002: it would be refused again."""
    bench.faults.put(ETC, {"code": "1002"})
    bench.change(smoke=True)
    bench.faults.clear(ETC)
    bench.change(water=True)
    assert bench.counts["refused"] == 1
    assert bench.codes() == ["1000", "1002", "1000"]


def test_changes_that_nobody_takes_are_bounded(bench: Bench) -> None:
    """The oldest are forgotten; the last to come is how things are."""
    bench.wire.reachable = False
    for at in range(MAX_WAITING + 9):
        bench.change(smoke=at % 2 == 0)
    assert bench.counts["forgotten"] == 9
    bench.wire.reachable = True
    bench.pass_by(31)
    assert len(bench.reports()) == 1 + MAX_WAITING
    assert bench.reports()[-1]["smokeSensor"]["isWarning"] == "1"


def test_a_dark_cabinet_is_silent_and_comes_back(bench: Bench) -> None:
    """Without power nothing goes out; with it, at once."""
    bench.change(battery_fuse_blown=True)
    bench.fail_mains()
    count = len(bench.reports())
    bench.pass_by(1000)
    assert len(bench.reports()) == count
    bench.mains.voltage_v.update(dict.fromkeys("rst", 220.0))
    bench.change(battery_fuse_blown=False)
    assert bench.reports()[-1]["elec"][0]["status"] == "1"


def test_a_frozen_cabinet_that_goes_dark_answers_nobody(bench: Bench) -> None:
    """Not even when it would thaw: there is no power."""
    bench.faults.put(CABINET, {"frozen": True})
    exchange = bench.post(bench.body({"updateNow": "1"}))
    bench.change(battery_fuse_blown=True)
    bench.fail_mains()
    bench.faults.clear(CABINET)
    bench.pass_by(1)
    assert exchange.raw == b""
    assert exchange.transport.disconnecting


def test_a_stop_ends_what_is_under_way() -> None:
    """A report without an answer is dropped, and no timer is left; a start begins anew."""
    bench = Bench(started=False)
    bench.faults.put(ETC, {"delay": 5})
    bench.twin.startService()
    bench.pass_by(1)
    bench.twin.stopService()
    bench.faults.clear(ETC)
    bench.pass_by(10)
    bench.twin.startService()
    bench.pass_by(1)
    assert bench.codes()[-1] == "1000"
    bench.stop()


# -- times


def test_the_time_of_a_change_stays_what_it_was(bench: Bench) -> None:
    """A change has the moment at which it happened, in China's time, in each report after it."""
    bench.run(1.4)
    bench.change(force_front_door=True)
    bench.run(600, 10.0)
    doors = bench.reports()[-1]["doors"]
    assert doors["frontDoorChangeTime"] == "2023-11-15 06:13:21.500"
    assert doors["backDoorChangeTime"] == T0
    assert bench.reports()[-1]["smokeSensor"]["warningChangeTime"] == T0


def test_a_wrong_clock_is_in_everything_it_says(bench: Bench) -> None:
    """Its time stamps are off, and it refuses a peer with a right clock."""
    bench.change(clock_offset=-3600)
    assert bench.code(updateNow="1") == 1003
    bench.change(smoke=True)
    (newest, *_) = bench.gantry.requests(CABINET_STATUS)
    assert int(newest["body"]["timeStamp"]) - bench.clock.now() == pytest.approx(-3600, abs=1)
    assert newest["answer"]["code"] == "1003"
    assert newest["body"]["cabinetStatus"]["smokeSensor"]["warningChangeTime"].startswith(
        "2023-11-15 05:13:2"
    )


# -- the white list


def card(card_id: str, first: str = "2020", last: str = "2030") -> Card:
    return Card(card_id, f"{first}-01-01 00:00:00", f"{last}-01-01 00:00:00")


def admitted(bench: Bench, card_id: str) -> bool:
    """Hold a card to the front reader, and tell whether it unlocked."""
    bench.cabinet.doors.front.close()
    bench.cabinet.step(20.0)
    bench.change(present_card=card_id)
    return not bench.cabinet.doors.front.locked


def offer(bench: Bench, version: str, *cards: Card) -> None:
    """Let the gantry offer a list, and the cabinet ask for it."""
    bench.gantry.cards = CardList(version, cards)
    bench.pass_by(61)


def test_it_asks_at_the_start_and_every_minute(bench: Bench) -> None:
    """First it has none; then it names the one that it has."""
    offer(bench, V1, card("A1"))
    bench.pass_by(60)
    asked = [each["body"]["data"] for each in bench.gantry.requests(CARDS)]
    assert asked == [{"curVersion": V1}, {"curVersion": "0"}, {"curVersion": "0"}]
    assert bench.counts["cards-taken"] == 1


def test_the_white_list_and_its_days_decide(bench: Bench) -> None:
    """A card opens within its days; one that is not on the list never does."""
    assert not admitted(bench, "A1")
    offer(bench, V1, card("A1"), card("OLD", "2010", "2020"), card("NEW", "2024", "2030"))
    assert admitted(bench, "A1")
    assert not admitted(bench, "OLD")
    assert not admitted(bench, "NEW")
    assert not admitted(bench, "B2")
    bench.clock.wall_offset += 366 * 86_400
    assert admitted(bench, "NEW")


def test_a_card_may_have_several_spans(bench: Bench) -> None:
    """One of them is enough."""
    offer(bench, V1, card("A1"), card("A1", "2010", "2011"))
    assert admitted(bench, "A1")


def test_a_list_replaces_the_one_before_whole(bench: Bench) -> None:
    """A card that is no longer on it opens nothing."""
    offer(bench, V1, card("A1"))
    offer(bench, V2, card("B2"))
    assert not admitted(bench, "A1")
    assert admitted(bench, "B2")


@pytest.mark.parametrize(
    "cards", [(), (card(""),), (Card("B2", "yesterday", "2030-01-01 00:00:00"),)]
)
def test_a_bad_list_is_refused_and_the_old_one_stays(bench: Bench, cards: tuple[Card, ...]) -> None:
    """Half a list would lock half the crew out."""
    offer(bench, V1, card("A1"))
    offer(bench, V2, *cards)
    assert bench.counts["cards-refused"] == 1
    assert admitted(bench, "A1")
    assert bench.twin.white_list.version == V1


def test_an_older_list_is_refused(bench: Bench) -> None:
    """A gantry that was set back offers none; one that does so all the same is not believed."""
    offer(bench, V2, card("A1"))
    with pytest.raises(ValueError, match="older"):
        bench.twin.white_list.take(CardList(V1, (card("B2"),)))
    assert admitted(bench, "A1")


def test_a_dead_clock_locks_nobody_out(bench: Bench) -> None:
    """While the clock cannot be trusted, the cards that were last in force stay so."""
    offer(bench, V1, card("A1"), card("NEW", "2024", "2030"))
    bench.change(clock_good=False, clock_offset=-10 * 366 * 86_400)
    assert admitted(bench, "A1")
    assert not admitted(bench, "NEW")
    bench.change(clock_offset=10 * 366 * 86_400)
    assert admitted(bench, "A1")
    bench.change(clock_offset=366 * 86_400, clock_good=True)
    assert admitted(bench, "NEW")


def test_a_clock_before_the_build_date_locks_nobody_out(bench: Bench) -> None:
    """A clock that shows a year before there was such a cabinet is wrong, whatever it says."""
    offer(bench, V1, card("A1", "2020", "2030"))
    bench.change(clock_good=True, clock_offset=-10 * 366 * 86_400)
    assert admitted(bench, "A1")


def test_a_cabinet_whose_clock_was_never_good_takes_the_list_as_it_is() -> None:
    """There is nothing that could have been in force before."""
    bench = Bench(started=False)
    change(bench.cabinet, clock_good=False, clock_offset=-10 * 366 * 86_400)
    assert not admitted(bench, "A1")
    bench.gantry.cards = CardList(V1, (card("A1"),))
    bench.twin.white_list.take(bench.gantry.cards)
    assert admitted(bench, "A1")
    assert not admitted(bench, "B2")
    bench.stop()


# -- the quirks


def test_the_quirks_of_the_document_are_sent_on_request() -> None:
    """Spaces in the keys, as the examples print them; a lenient receiver takes them all."""
    bench = Bench(quirks=True)
    assert bench.codes() == ["1000"]
    status = bench.reports()[0]
    assert "thunderSpd" not in status
    assert status[" thunderSpd"][0] == {"id": "1", "status": "1", " lightningCount ": "0"}
    assert bench.gantry.requests(CARDS)[0]["body"]["data"] == {" curVersion": "0"}
    bench.stop()


# -- against our own monitor.do


@implementer(IUploader)
class Uploader(NamedService):
    """A device of our site that takes the uploads of cabinet 1."""

    kind = "fake"
    commands: dict[str, Any] = {}  # noqa: RUF012
    rules = ()
    status = None
    uploads_as = (GANTRY_ID, "1")
    host = "127.0.0.1"

    def __init__(self) -> None:
        super().__init__("cab1")
        self.taken: list[tuple[dict[str, Any], bool]] = []

    def uploaded(self, fields: Any, *, clock_good: bool, repaired: bool = False) -> None:
        self.taken.append((fields, clock_good))

    def upload_refused(self, reason: Reason) -> None:
        raise AssertionError(reason)

    def execute(self, command: str, args: Any) -> Deferred[Any]:
        return succeed(None)


@pytest.mark.parametrize("quirks", [False, True])
def test_our_own_monitor_takes_it(quirks: bool) -> None:
    """The gantry's own entry point takes the report, quirks and all, and hands the cards out."""
    site = SiteBench()
    device = Uploader()
    site.site.devices["cab1"] = device
    cards = [StoredCard("A1", "2020-01-01 00:00:00", "2030-01-01 00:00:00")]
    fired(ensureDeferred(_store(site, cards)))
    settings = MonitorSettings(listen="tcp:1", auth=Secret(AUTH))
    monitor = Monitor(settings, site.site, site.clock, site.clock.now, no_computers)
    bench = Bench(started=False)
    wire = Wire(monitor.resource())
    bench.clock.network = wire
    twin = CabinetTwin(
        bench.cabinet,
        bench.faults,
        bench.clock,
        bench.clock.now,
        wire.client(bench.clock),
        gantry_id=GANTRY_ID,
        auth=AUTH,
        quirks=quirks,
    )
    twin.startService()
    bench.pass_by(1)
    change(bench.cabinet, present_card="A1", front_door="open")
    bench.pass_by(1)
    assert [clock_good for _, clock_good in device.taken] == [True, True]
    doors = device.taken[-1][0]["doors"]
    assert (doors["frontDoorClosed"], doors["frontDoorUnlockCardId"]) == ("0", "A1")
    assert device.taken[0][0]["thunderSpd"][0]["lightningCount"] == "0"
    assert dict(twin.counts) == {f"sent-{CABINET_STATUS}": 2, f"sent-{CARDS}": 1, "cards-taken": 1}
    twin.stopService()
    bench.stop()


async def _store(site: SiteBench, cards: list[StoredCard]) -> None:
    await site.store.replace_cards(V1, cards)
