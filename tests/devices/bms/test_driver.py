"""The driver of a battery against the EMS twin, over HTTP in memory on a Clock."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.web.http import Request as HttpRequest
from twisted.web.http_headers import Headers
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer
from zope.interface.verify import verifyObject

from tests.devices.rig import DriverRig, Wire
from tests.support import Bench, TestClock
from twisted_gantry.core.commands.types import Outcome
from twisted_gantry.core.interfaces import IDevice, IDeviceKind, WrongSetting
from twisted_gantry.core.points import Points
from twisted_gantry.devices.bms.driver import Bms, BmsSettings, kind
from twisted_gantry.devices.bms.ems import EmsClient
from twisted_gantry.net.http.client import BoundedClient
from twisted_gantry.twin.faces.bms import BASE_PATH, Ems
from twisted_gantry.twin.faults.settings import EMS, Faults
from twisted_gantry.twin.world.storage import ContactorFault, Storage
from twisted_gantry.wire.secret import Secret

UID = "bms-0001"
URL = f"http://ems.test{BASE_PATH}"
DONE, FAILED, REFUSED, TIMEOUT = Outcome.DONE, Outcome.FAILED, Outcome.REFUSED, Outcome.TIMEOUT


class EmsWire(Wire):
    """The way to an EMS; `post_faults` hold for POSTs alone."""

    def __init__(self, clock: TestClock, ems: Resource, faults: Faults) -> None:
        super().__init__(clock, ems=ems)
        self.headers: list[Headers] = []
        self.post_faults: dict[str, Any] = {}
        self._faults = faults

    def request(self, method: str, url: str, **more: Any) -> Deferred[Any]:
        """Send a request; the EMS has it at once."""
        self.headers.append(more["headers"])
        bad = method == "POST" and self.post_faults and self.reachable
        if bad:
            self._faults.put(EMS, self.post_faults)
        response = super().request(method, url, **more)
        if bad:
            self._faults.clear(EMS)
        return response

    def count(self, method: str) -> int:
        """Return how many requests of one kind were sent."""
        return len(self.times(method))

    def times(self, method: str) -> list[float]:
        """Return when they were sent."""
        return [at for each, at in self.sent if each == method]


class Rig(DriverRig):
    """A driver on an EMS with one store, whose world moves with the clock."""

    def __init__(self, resource: Resource | None = None, **settings: Any) -> None:
        super().__init__()
        self.store = Storage()
        self.faults = Faults(self.clock.seconds, random.Random(1))
        self.ems = Ems({UID: self.store}, self.faults, self.clock)
        self.wire = EmsWire(self.clock, resource or self.ems.resource(), self.faults)
        given = BmsSettings(url=URL, device_uid=UID, **settings)
        stub: Any = self.wire
        client = BoundedClient(stub, self.clock, deadline=given.patience)
        ems = EmsClient(URL, UID, given.headers, client)
        self.device = Bms("bms1", given, self.bench.context, ems, self.close)
        self.bench.add(self.device)
        self._world = LoopingCall(self.store.step, 0.1)
        self._world.clock = self.clock
        self._world.start(0.1, now=False)

    def settle(self) -> None:
        """Stop the world, and let the twin end the answers that it delays."""
        self._world.stop()
        self.faults.clear(EMS)
        self.clock.settle()
        self.clock.run(40, 1.0)

    def change(self, **values: Any) -> None:
        for name, value in values.items():
            setattr(self.store, name, value)
        self.store.settle()

    def ask(
        self, command: str, *, confirmed: bool = True, expiry: float = 30.0, **args: Any
    ) -> Any:
        """Ask for a command through the door, confirmed; the list gains its outcome."""
        return super().ask(command, confirmed=confirmed, expiry=expiry, **args)

    def shown(self) -> tuple[Any, Any, Any]:
        names = ("operating_status", "contactor_closed", "alarm_count")
        return tuple(self.bench.good(f"bms1.{name}") for name in names)


@pytest.fixture
def rig() -> Iterator[Rig]:
    """A driver on an EMS, not started."""
    made = Rig()
    yield made
    made.stop()


# -- reading


def test_it_provides_what_it_promises(rig: Rig) -> None:
    """The driver is an IDevice, and its kind an IDeviceKind."""
    assert verifyObject(IDevice, rig.device)
    assert verifyObject(IDeviceKind, kind)
    assert (kind.kind, kind.groups, kind.parts) == ("bms", frozenset(), "")


def test_it_reads_at_once_and_synchronises_nothing_at_the_start(rig: Rig) -> None:
    """The first GET brings the points; a restart asks no battery."""
    assert rig.state == "connecting"
    rig.start()
    assert rig.state == "online"
    assert rig.shown() == ("idle", True, 0)
    assert [method for method, _ in rig.wire.sent] == ["GET"]


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"demand_w": 20_000.0}, ("charging", True, 0)),
        ({"demand_w": -20_000.0}, ("discharging", True, 0)),
        ({"charge": 0.01}, ("idle", True, 1)),
        ({"temperature_c": 80.0, "insulation_fault": True}, ("powered-down", False, 2)),
    ],
)
def test_the_points_show_the_battery(
    rig: Rig, changes: dict[str, Any], shown: tuple[Any, Any, Any]
) -> None:
    """Each status and the number of the alarms arrive, after a sync at once."""
    rig.start()
    rig.change(**changes)
    rig.clock.run(1)
    assert rig.do("sync", 0.5).result is DONE
    assert rig.shown() == shown


def test_it_polls_and_synchronises_in_their_periods() -> None:
    """A GET every `poll`, a PUT every `sync_period`; what is stale is fresh after the PUT."""
    rig = Rig(poll=2.0, sync_period=9.0)
    rig.start(1)
    rig.change(demand_w=10_000.0)
    rig.clock.run(8)
    assert rig.wire.times("GET") == pytest.approx([0, 2, 4, 6, 8], abs=0.3)
    assert rig.wire.count("PUT") == 0
    assert rig.shown() == ("idle", True, 0)
    rig.clock.run(20)
    assert rig.wire.times("PUT") == pytest.approx([10, 20], abs=0.8)
    assert rig.shown() == ("charging", True, 0)
    rig.stop()


def test_a_sync_that_fails_leaves_the_reading() -> None:
    """What the EMS has is shown, and the reason of the failed sync is told."""
    rig = Rig(Scripted(without_sync), poll=1.0, sync_period=2.0)
    rig.start(4)
    assert rig.state == "online"
    assert rig.shown() == ("idle", True, 7)
    assert rig.device.status.last_error == "not synchronised: HTTP 500: no sync"
    rig.stop()


def test_the_first_miss_spoils_the_points_and_the_third_takes_it_offline(rig: Rig) -> None:
    """Points are get-failed at once; three misses in a row are offline; the values stay."""
    rig.start()
    rig.wire.reachable = False
    rig.clock.run(10)
    assert rig.shown() == ("get-failed",) * 3
    assert rig.bench.points["bms1.operating_status"].value == "idle"
    assert rig.state == "online"
    assert "no connection" in (rig.device.status.last_error or "")
    rig.clock.run(3)
    # Already doubtful, it is asked at the usual pace until it is offline.
    assert rig.wire.count("GET") == 2
    rig.clock.run(17)
    assert rig.state == "offline"
    assert (rig.device.status.last_error or "").endswith("3 times in a row")


def test_an_answer_between_two_misses_begins_the_count_again(rig: Rig) -> None:
    """Two misses, an answer, two misses: never offline."""
    rig.start()
    for _ in range(3):
        rig.wire.reachable = False
        rig.clock.run(20)
        rig.wire.reachable = True
        rig.clock.run(10)
        assert rig.state == "online"


def test_it_backs_off_to_a_minute_and_recovers(rig: Rig) -> None:
    """From 1 s, doubling, to 60 s, with jitter; then at its pace again, and from 1 s next time."""
    rig.wire.reachable = False
    rig.start(600)
    times = rig.wire.times("GET")
    pauses = [later - before for before, later in pairwise(times)]
    for n, pause in enumerate(pauses):
        most = min(60.0, 2.0**n)
        assert most / 2 - 0.1 <= pause <= most + 0.1
    assert rig.state == "offline"
    assert len(set(pauses[-4:])) > 1  # jitter
    rig.wire.reachable = True
    rig.clock.run(61)
    assert rig.state == "online"
    rig.clock.run(10)
    rig.wire.reachable = False
    while rig.state == "online":
        rig.clock.run(0.05)
    seen = len(rig.wire.sent)
    rig.clock.run(1.1)
    assert len(rig.wire.sent) > seen


@pytest.mark.parametrize(
    ("faults", "error"),
    [
        ({"http_status": 503}, "HTTP 503: an empty body"),
        ({"http_status": 401}, "HTTP 401: an empty body"),
        ({"code": "5"}, "HTTP 200, code 5: "),
        ({"code": "0"}, "data that is no object"),
        ({"garbage": 1.0}, "HTTP 200: \ufffd"),
        ({"refuse": True}, "the exchange failed: the connection was closed"),
        ({"drop": 1.0}, "the exchange failed: the connection was closed"),
        ({"delay": 30.0}, "no answer within 5 s"),
        ({"half": 1.0}, "the connection was lost within the answer"),
        ({"drip": 1}, "no end of the answer within 5 s"),
        ({"frozen": True}, "no answer within 5 s"),
    ],
)
def test_whatever_the_ems_answers_the_poller_lives(
    rig: Rig, faults: dict[str, Any], error: str
) -> None:
    """A bad answer is a miss with its reason; when it is over, the device is there again."""
    rig.start()
    rig.faults.put(EMS, faults)
    rig.clock.run(50)
    assert rig.state == "offline"
    assert (rig.device.status.last_error or "").startswith(error)
    rig.faults.clear(EMS)
    rig.clock.run(61)
    assert rig.state == "online"
    assert rig.shown() == ("idle", True, 0)


class Scripted(Resource):
    """Answers every request as the test says."""

    isLeaf = True

    def __init__(self, answer: Callable[[HttpRequest], bytes]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._answer = answer

    def render(self, request: HttpRequest) -> bytes:
        return self._answer(request)


def page(status: int, text: str) -> Scripted:
    """Return what answers every request with one page, and echoes its headers."""

    def answer(request: HttpRequest) -> bytes:
        request.setResponseCode(status)
        return (text + str(list(request.requestHeaders.getAllRawHeaders()))).encode()

    return Scripted(answer)


def without_sync(request: HttpRequest) -> bytes:
    """Have a status with seven alarms, and fail at each PUT."""
    if request.method == b"PUT":
        request.setResponseCode(500)
        return b"no sync"
    assert request.uri.endswith(b"?device_uid=bms-0001")
    data = {"device_uid": UID, "alarm_status": 7, "operating_status": 2}
    return msgspec.json.encode({"code": 0, "message": "", "data": data})


def test_the_last_error_has_the_status_and_the_beginning_of_the_page() -> None:
    """The first 200 characters of what is no JSON, on one line."""
    rig = Rig(page(502, "<h1>bad\r\ngateway</h1>" + "x" * 1000))
    rig.start()
    error = rig.device.status.last_error or ""
    assert error.startswith("HTTP 502: <h1>bad gateway</h1>xxx")
    assert len(error) == len("HTTP 502: ") + 200
    rig.stop()


def test_the_headers_go_with_each_call_and_nowhere_else() -> None:
    """A server that echoes them does not bring them into an error, a log or an outcome."""
    texts: list[str] = []

    @implementer(ILogObserver)
    def watch(event: LogEvent) -> None:
        texts.append(str(event))

    globalLogPublisher.addObserver(watch)
    headers = {"Authorization": Secret("Bearer hunter2-secret"), "X-Key": Secret("key-hunter2")}
    rig = Rig(page(502, ""), headers=headers)
    rig.start()
    rig.clock.run(30)
    results = [rig.do("open-contactor", force=True), rig.do("sync")]
    rig.stop()
    globalLogPublisher.removeObserver(watch)
    assert {"GET", "PUT", "POST"} == {method for method, _ in rig.wire.sent}
    for sent in rig.wire.headers:
        assert sent.getRawHeaders("Authorization") == ["Bearer hunter2-secret"]
        assert sent.getRawHeaders("X-Key") == ["key-hunter2"]
    assert "***" in (rig.device.status.last_error or "")
    shown = [
        rig.device.status.last_error,
        *texts,
        *map(str, results),
        repr(rig.device),
        repr(headers),
    ]
    assert not [text for text in shown if "hunter2" in (text or "")]


def test_another_devices_status_is_a_miss(rig: Rig) -> None:
    """An EMS that mixes up its batteries shows nothing of another one."""
    rig.ems._heard[UID] = rig.ems._heard.pop(UID).__class__(
        0.0, msgspec.structs.replace(rig.ems._hear(UID).status, device_uid="bms-0002")
    )
    rig.start()
    assert rig.shown() == ("get-failed",) * 3
    assert rig.device.status.last_error == "the status of another device"


def test_an_overtaken_answer_does_not_overwrite_a_newer_one(rig: Rig) -> None:
    """A poll whose answer comes late does not undo what a sync has shown since."""
    rig.faults.put(EMS, {"delay": 3.0})
    rig.start(0.2)
    rig.faults.clear(EMS)
    rig.change(demand_w=10_000.0)
    assert rig.do("sync", 0.5).result is DONE
    assert rig.shown() == ("charging", True, 0)
    rig.clock.run(4)
    assert rig.wire.count("GET") == 2
    assert rig.shown() == ("charging", True, 0)


def test_alarms(rig: Rig) -> None:
    """Any alarm of the battery is one here, and so is an open contactor; both end."""
    rig.start()
    assert rig.bench.raised() == set()
    rig.change(temperature_c=80.0)
    rig.clock.run(1)
    rig.do("sync", 0.5)
    assert rig.bench.raised() == {"bms1.alarm", "bms1.contactor-open"}
    rig.change(temperature_c=20.0)
    assert rig.do("reset-fault", 3).result is DONE
    assert rig.bench.raised() == {"bms1.contactor-open"}
    rig.wire.reachable = False
    rig.clock.run(11)
    assert rig.bench.raised() == {"bms1.contactor-open"}
    rig.wire.reachable = True
    assert rig.do("close-contactor", 3).result is DONE
    assert rig.bench.raised() == set()


# -- commands


def prepared(rig: Rig, command: str) -> None:
    """Bring the store to where the command has something to do, and start the driver."""
    if command == "reset-fault":
        rig.change(temperature_c=80.0)
        rig.change(temperature_c=20.0)
    elif command == "close-contactor":
        rig.store.open_contactor()
    rig.clock.run(1)
    rig.start()


def is_done(rig: Rig, command: str) -> bool:
    """Tell whether the battery did it."""
    if command == "reset-fault":
        return not rig.store.alarms
    return rig.store.contactor_closed is (command == "close-contactor")


# What the battery and the EMS are like, then for reset, close and open: the outcome, whether the
# battery did it, and the POSTs that were sent.
Row = tuple[dict[str, Any], dict[str, Any], tuple[tuple[Outcome, bool, int], ...]]
DOES = (DONE, True, 1)
TABLE: dict[str, Row] = {
    "does it": ({}, {}, (DOES, DOES, DOES)),
    "refuses": (
        {"contactor_fault": ContactorFault.REFUSES},
        {},
        (DOES, (TIMEOUT, False, 1), (TIMEOUT, False, 1)),
    ),
    "welded": ({"contactor_fault": ContactorFault.WELDED}, {}, (DOES, DOES, (TIMEOUT, False, 1))),
    # It trips, so the contactor is open already.
    "alarm present": (
        {"insulation_fault": True},
        {},
        ((TIMEOUT, False, 1), (REFUSED, False, 0), DOES),
    ),
    "lost answer, done": ({}, {"drop": 1.0}, (DOES, DOES, DOES)),
    "lost answer, not done": ({}, {"refuse": True}, ((TIMEOUT, False, 1),) * 3),
    "no answer in time, done": ({}, {"delay": 20.0}, (DOES, DOES, DOES)),
    "code != 0": ({}, {"code": "7"}, ((FAILED, False, 1),) * 3),
    "busy": ({}, {"busy": True}, ((FAILED, False, 1),) * 3),
    "gateway error": ({}, {"http_status": 502}, ((TIMEOUT, False, 1),) * 3),
    "non-JSON, done": ({}, {"garbage": 1.0}, (DOES, DOES, DOES)),
    "code 0 and nothing happens": ({}, {"code": "0"}, ((TIMEOUT, False, 1),) * 3),
}


LOST = {"lost answer, not done", "gateway error"}


@pytest.mark.parametrize("row", list(TABLE))
@pytest.mark.parametrize(
    ("column", "command"), [(0, "reset-fault"), (1, "close-contactor"), (2, "open-contactor")]
)
def test_how_each_command_ends(rig: Rig, row: str, column: int, command: str) -> None:
    """The table: the outcome is what the battery did, and nothing is said to it twice."""
    battery, ems, outcomes = TABLE[row]
    result, did, posts = outcomes[column]
    prepared(rig, command)
    rig.change(**battery)
    rig.clock.run(1)
    rig.wire.post_faults = ems
    ended = rig.do(command)
    assert (ended.result, is_done(rig, command), rig.wire.count("POST")) == (result, did, posts)
    if result is TIMEOUT:
        assert "last seen: " in ended.detail
        assert "may still be done" in ended.detail
        assert ("its answer was lost" in ended.detail) is (row in LOST)
    # What the battery does is shown, whatever the outcome.
    rig.clock.run(1)
    assert rig.shown() == (rig.store.status.text, rig.store.contactor_closed, len(rig.store.alarms))


@pytest.mark.parametrize("command", ["reset-fault", "close-contactor", "open-contactor"])
@pytest.mark.parametrize("faults", [None, {"http_status": 500}, {"code": "9"}, {"delay": 30.0}])
def test_without_a_status_nothing_is_sent(
    rig: Rig, command: str, faults: dict[str, Any] | None
) -> None:
    """An EMS that is offline, or does not say how the battery is, is not told to move it."""
    prepared(rig, command)
    if faults is None:
        rig.wire.reachable = False
    else:
        rig.faults.put(EMS, faults)
    ended = rig.do(command)
    assert ended.result is FAILED
    assert ended.detail.startswith("not sent")
    assert rig.wire.count("POST") == 0


def test_a_contactor_is_not_opened_under_load_unless_forced(rig: Rig) -> None:
    """While it charges or discharges, open is refused by what is so now, not by stale points."""
    rig.start()
    for watts, status in ((20_000.0, "charging"), (-20_000.0, "discharging")):
        rig.change(demand_w=watts)
        assert rig.shown()[0] != status
        ended = rig.do("open-contactor", 1)
        assert (ended.result, ended.value) == (REFUSED, status)
        assert status in ended.detail
        assert "force" in ended.detail
    assert rig.do("open-contactor", 1, force=False).result is REFUSED
    assert rig.wire.count("POST") == 0
    ended = rig.do("open-contactor", 3, force=True)
    assert (ended.result, ended.value) == (DONE, "powered-down")
    assert not rig.store.contactor_closed


def test_a_contactor_is_not_closed_on_an_alarm_unless_forced(rig: Rig) -> None:
    """A latched alarm is enough to refuse; forced, the battery closes it."""
    prepared(rig, "reset-fault")
    assert (len(rig.store.alarms), rig.store.contactor_closed) == (1, False)
    ended = rig.do("close-contactor", 1)
    assert (ended.result, ended.detail.partition(";")[0]) == (
        REFUSED,
        "the battery is powered-down, 1 alarm",
    )
    ended = rig.do("close-contactor", 3, force=True)
    assert (ended.result, ended.detail) == (DONE, "idle, 1 alarm")


def test_a_command_is_done_as_soon_as_it_shows(rig: Rig) -> None:
    """It looks until the contactor has moved, each time through a sync."""
    rig.start()
    began, ended = rig.clock.seconds(), rig.ask("open-contactor")
    while not ended:
        rig.clock.run(0.05)
        assert rig.clock.seconds() < began + 2
    assert rig.clock.seconds() > began + 0.5
    assert [m for m, at in rig.wire.sent if at >= began] == ["PUT", "GET", "POST"] + [
        "PUT",
        "GET",
    ] * 2
    assert rig.shown() == ("powered-down", False, 0)


def test_past_its_deadline_a_command_is_a_timeout_and_then_looked_at_again() -> None:
    """The deadline is the setting; a contactor that moves later is seen by the sync after it."""
    rig = Rig(command_deadline=2.0, poll=30.0)
    rig.start()
    rig.change(contactor_fault=ContactorFault.REFUSES)
    ended = rig.ask("open-contactor")
    rig.clock.run(1.9)
    assert ended == []
    rig.change(demand_w=5_000.0)
    rig.clock.run(0.15)
    assert ended[0].result is TIMEOUT
    assert ended[0].detail.startswith("not proved done within 2 s; last seen: idle, 1 alarm")
    assert rig.shown() == ("charging", True, 1)
    rig.stop()


def test_an_ems_that_vanishes_with_the_answer_is_a_timeout(rig: Rig) -> None:
    """The EMS vanishes with the POST: what was seen last is told, and why no more was."""
    rig.start()
    rig.wire.post_faults = {"drop": 1.0}
    ended = rig.ask("open-contactor")
    rig.clock.run(0.1)
    rig.wire.reachable = False
    rig.clock.run(12)
    [result] = ended
    assert "last seen: idle, 0 alarms" in result.detail
    assert result.result is TIMEOUT
    assert "no connection" in result.detail
    assert rig.wire.count("POST") == 1
    assert not rig.store.contactor_closed


def test_forced_into_the_dark_it_is_a_timeout(rig: Rig) -> None:
    """Forced, it is sent without a reading before; its outcome is unknown."""
    rig.start()
    rig.wire.reachable = False
    ended = rig.do("open-contactor", force=True)
    assert ended.result is TIMEOUT
    assert "nothing was seen since" in ended.detail
    assert rig.wire.count("POST") == 1


def test_the_door_expires_a_command_that_then_sends_nothing_more(rig: Rig) -> None:
    """Given up while it still looked, a command never sends its POST."""
    rig.start()
    rig.faults.put(EMS, {"delay": 3.0})
    ended = rig.ask("open-contactor", expiry=1.0)
    rig.clock.run(1.1)
    assert (ended[0].result, ended[0].detail[:8]) == (FAILED, "not sent")
    rig.clock.run(15)
    assert rig.wire.count("POST") == 0
    assert rig.store.contactor_closed


def test_the_door_expires_a_command_that_was_sent(rig: Rig) -> None:
    """Given up after its POST, it is a timeout with what was seen last, and it looks no more."""
    rig.start()
    rig.change(contactor_fault=ContactorFault.REFUSES)
    ended = rig.ask("open-contactor", expiry=2.2)
    rig.clock.run(2.4)
    assert ended[0].result is TIMEOUT
    assert "last seen: idle" in ended[0].detail
    # The sync after the unknown outcome is the last.
    seen = rig.wire.count("PUT")
    rig.clock.run(6)
    assert rig.wire.count("PUT") == seen


def test_the_door_expires_a_command_whose_answer_is_awaited(rig: Rig) -> None:
    """Cut off within its POST, it looks no more than once, and repeats nothing."""
    rig.start()
    rig.wire.post_faults = {"delay": 4.0}
    ended = rig.ask("open-contactor", expiry=2.0)
    rig.clock.run(2.1)
    assert ended[0].result is TIMEOUT
    assert "nothing was seen since" in ended[0].detail
    rig.clock.run(8)
    assert (rig.wire.count("POST"), rig.wire.count("PUT")) == (1, 2)
    assert rig.shown() == ("powered-down", False, 0)


@pytest.mark.parametrize("delay", [0.0, 3.0])
def test_a_stop_ends_a_command_under_way(rig: Rig, delay: float) -> None:
    """Whether it waits for an answer or between two looks: it ends, and leaves no timer."""
    rig.start()
    rig.change(contactor_fault=ContactorFault.REFUSES)
    ended = rig.ask("open-contactor")
    rig.clock.run(1.3)
    if delay:
        rig.faults.put(EMS, {"delay": delay})
        rig.clock.run(1.0)
    rig.device.stopService()
    assert ended[0].result is TIMEOUT
    assert rig.closed == 1
    sent = len(rig.wire.sent)
    rig.clock.run(5)
    assert len(rig.wire.sent) == sent


def test_a_stop_ends_a_reading_under_way(rig: Rig) -> None:
    """Its answer changes nothing any more; started again, it reads again."""
    rig.faults.put(EMS, {"delay": 2.0})
    rig.start()
    rig.device.stopService()
    rig.clock.run(10)
    assert rig.shown() == ("no-data",) * 3
    assert rig.device.status.last_error is None
    rig.faults.clear(EMS)
    rig.start()
    assert rig.shown() == ("idle", True, 0)


@pytest.mark.parametrize(
    ("faults", "result"),
    [
        ({}, DONE),
        ({"code": "5"}, FAILED),
        ({"busy": True}, FAILED),
        ({"drop": 1.0}, TIMEOUT),
        ({"http_status": 502}, TIMEOUT),
    ],
)
def test_sync(rig: Rig, faults: dict[str, Any], result: Outcome) -> None:
    """A sync on request tells the status, or why there is none."""
    rig.start()
    rig.faults.put(EMS, faults)
    ended = rig.do("sync", 1)
    assert ended.result is result
    assert ended.value == ("idle" if result is DONE else None)


# -- settings


def test_settings_have_the_defaults_of_the_page() -> None:
    """Ten seconds, five minutes, ten seconds, no headers."""
    given = BmsSettings(url=URL, device_uid=UID)
    assert (given.poll, given.sync_period, given.command_deadline) == (10, 300, 10)
    assert given.headers == {}


@pytest.mark.parametrize("reactor", [True, False])
def test_it_can_be_built_and_thrown_away(reactor: bool) -> None:
    """Also without a reactor, as a check of the configuration does."""
    bench = Bench()
    points = Points(bench.points.catalogue, bench.clock.now)
    given = replace(bench.context, reactor=bench.clock if reactor else None, points=points)
    settings = BmsSettings(
        url="https://www.einfra.cn/wad/ems/v1/api/", device_uid="x", headers={"A": Secret("b")}
    )
    built = kind.build("bms1", settings, given)
    assert verifyObject(IDevice, built)
    assert built.status.state == "connecting"
    assert bench.clock.getDelayedCalls() == []


def wrong(settings: BmsSettings) -> tuple[str, str]:
    """Return the key and the text of the complaint about settings."""
    with pytest.raises(WrongSetting) as caught:
        kind.build("bms1", settings, Bench().context)
    return caught.value.key, str(caught.value)


def test_a_url_that_is_none_is_a_wrong_setting() -> None:
    """The key and the value are named."""
    for url in (
        "",
        "www.einfra.cn/api",
        "ftp://ems.test/",
        "http://",
        "http://ems.test:0/",
        "http://ems.test:99999/",
        "http://ems.test/api?x=1",
        "http://ems.test/api#x",
        "http://ems.test/a b",
        "http://ems.test/行",
        "http://[::1/",
        "http://ems.test/\n",
    ):
        key, text = wrong(BmsSettings(url=url, device_uid=UID))
        assert key == "url"
        assert repr(url) in text


def test_a_url_with_a_password_is_not_repeated() -> None:
    """A user or a password in a URL is refused, and not shown."""
    key, text = wrong(BmsSettings(url="http://admin:hunter2@ems.test/", device_uid=UID))
    assert key == "url"
    assert "hunter2" not in text


def test_a_header_that_http_cannot_carry_is_a_wrong_setting() -> None:
    """It is found when the configuration is checked, and its value is not shown."""
    for name, value in (
        ("", "x"),
        ("A B", "x"),
        ("A\r\nB", "x"),
        ("Host", "hunter2"),
        ("content-length", "hunter2"),
        ("X", "hunter2\r\nY: z"),
        ("X", " hunter2"),
        ("X", "hunter2行"),
        ("X", ""),
    ):
        key, text = wrong(BmsSettings(url=URL, device_uid=UID, headers={name: Secret(value)}))
        assert key == "headers"
        assert "hunter2" not in text


class Answers(Resource):
    """An EMS that answers each request with the same body."""

    isLeaf = True

    def __init__(self, body: bytes) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.body = body

    def render(self, request: HttpRequest) -> bytes:
        """Return the body."""
        return self.body


def _odd(**fields: Any) -> bytes:
    data = {"device_uid": UID, "alarm_status": 2, "operating_status": 2, **fields}
    return msgspec.json.encode({"code": 0, "message": None, "data": data})


def test_a_reply_whose_message_is_null_raises_the_alarm() -> None:
    """The two alarms of the battery are shown and raised."""
    rig = Rig(Answers(_odd()))
    rig.start(1.0)
    assert (rig.state, rig.shown(), rig.raised()) == ("online", ("idle", True, 2), {"alarm"})
    assert rig.device.status.last_error is None
    rig.stop()


@pytest.mark.parametrize("odd", [0, 5, None, "charging"])
def test_an_odd_operating_status_costs_itself(odd: Any) -> None:
    """The alarm is raised, the state is `get-failed`, and the error says why."""
    rig = Rig(Answers(_odd(operating_status=odd)))
    rig.start(1.0)
    assert rig.shown() == ("get-failed", "get-failed", 2)
    assert (rig.state, rig.raised()) == ("online", {"alarm"})
    assert "operating_status is " in rig.device.status.last_error
    rig.stop()


@pytest.mark.parametrize("command", ["open-contactor", "close-contactor"])
def test_a_contactor_does_not_move_on_half_a_status(command: str) -> None:
    """Without the state, or the number of alarms, a contactor needs `force`."""
    resource = Answers(_odd(operating_status=None, alarm_status=0))
    rig = Rig(resource).start(1.0)
    resource.body = _odd(operating_status=None, alarm_status=0)
    if command == "close-contactor":
        resource.body = _odd(alarm_status=None)
    result = rig.do(command, 3.0)
    assert result.result is REFUSED
    assert "unknown" in result.detail
    assert rig.wire.count("POST") == 0
    rig.stop()


def test_repaired_answers_are_counted() -> None:
    """One for each answer that could not be read as it came."""
    rig = Rig(Answers(_odd() + b"\x00"))
    rig.start(25.0)
    assert rig.device.counts["repaired"] == 3
    assert rig.shown() == ("idle", True, 2)
    rig.stop()


def test_patience_is_the_time_for_an_answer() -> None:
    """A slow EMS is waited for as long as the setting says."""
    rig = Rig(patience=20.0)
    rig.faults.put(EMS, {"delay": 15.0})
    rig.start(40.0)
    assert rig.state == "online"
    rig.stop()


class Longer(Answers):
    """Declares more bytes than it sends."""

    def render(self, request: HttpRequest) -> Any:
        """Return the body, and keep the client waiting."""
        request.setHeader(b"Content-Length", b"%d" % (len(self.body) + 9))
        request.write(self.body)
        return NOT_DONE_YET


def test_an_answer_that_does_not_end_raises_the_alarm() -> None:
    """What came of it counts when the time for it is over; of nothing that can be read the time
    is told.
    """
    resource = Longer(_odd())
    rig = Rig(resource)
    rig.start(6.0)
    assert (rig.shown(), rig.raised()) == (("idle", True, 2), {"alarm"})
    resource.body = b"<html>"
    rig.clock.run(20.0)
    assert "no end of the answer within 5 s" in rig.device.status.last_error
    rig.stop()
