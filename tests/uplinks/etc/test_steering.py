"""What the platform steers: periods and servers, at once, over restarts, and on trial."""

from collections.abc import Iterator
from typing import Any

import pytest
from zope.interface.verify import verifyObject

from tests.support import START, fired
from tests.uplinks.etc.test_uplink import AUTH, Rig
from twisted_gantry.core.interfaces import IPlatform, Subject
from twisted_gantry.twin.faults.settings import ETC
from twisted_gantry.uplinks.etc.steering import TRIAL
from twisted_gantry.uplinks.etc.uplink import EtcSettings, EtcUplink
from twisted_gantry.wire.etc.envelope import Method
from twisted_gantry.wire.secret import Secret

OLD = "http://platform.test/monitor.do"
NEW = "http://other.test:81/monitor.do"


@pytest.fixture
def rig() -> Iterator[Rig]:
    """An uplink that has sent its first reports."""
    made = Rig()
    made.start()
    yield made
    made.stop()


def again(rig: Rig, **settings: Any) -> None:
    """Stop the uplink, and start another on the same store, as after a restart."""
    rig.uplink.stopService()
    rig.clock.run(0.1)
    url = settings.pop("url", OLD)
    may_report_to = settings.pop("may_report_to", lambda _: True)
    rig.uplink = EtcUplink(
        EtcSettings(url=url, auth=Secret(AUTH), **settings),
        rig.bench.site,
        rig.channel,
        rig.clock,
        rig.clock.now,
        lambda: 1.0,
        lambda: fired_none(),
        may_report_to,
    )
    rig.start()


def fired_none() -> Any:
    from twisted.internet.defer import succeed

    return succeed(None)


def test_provides_its_interface(rig: Rig) -> None:
    """The uplink is what `remotecontrol.do` steers."""
    assert verifyObject(IPlatform, rig.uplink)


def test_report_now(rig: Rig) -> None:
    """A report that is asked for goes at once; of the subject alone."""
    before = len(rig.cabinets())
    rig.uplink.report_now(Subject.COMPUTERS)
    rig.clock.run(0.2)
    assert len(rig.cabinets()) == before
    rig.uplink.report_now(Subject.CABINETS)
    rig.clock.run(0.2)
    assert len(rig.cabinets()) == before + 1


def test_what_is_asked_for_overtakes_the_backlog() -> None:
    """After an outage the platform has the report that it asked for first, then those that waited.

    The newest is the last all the same: how things are is sent once more.
    """
    rig = Rig(period=50.0)
    rig.start()
    before = len(rig.cabinets())
    rig.faults.put(ETC, {"http_status": 503})
    rig.clock.run(240.0, step=1.0)
    rig.faults.clear(ETC)
    asked = int(rig.clock.now())
    rig.uplink.report_now(Subject.CABINETS)
    rig.clock.run(2.0)
    stamps = [int(r["body"]["timeStamp"]) for r in rig.taken(Method.CABINET_STATUS)][before:]
    begun = stamps[1]
    assert stamps == [asked, begun, begun + 50, begun + 100, begun + 150, asked]
    rig.stop()


@pytest.mark.parametrize("subject", list(Subject))
def test_who_asks_often_gets_one_report_a_second(rig: Rig, subject: Subject) -> None:
    """However often the platform asks, while it takes nothing, too."""
    rig.faults.put(ETC, {"http_status": 503})
    rig.clock.run(2)
    before = rig.ledger().created
    for _ in range(100):
        rig.uplink.report_now(subject)
        rig.clock.run(0.1)
    made = rig.ledger().created - before
    assert made == (0 if subject is Subject.COMPUTERS else 10)  # there is no computer


def test_a_period_acts_at_once_and_survives_a_restart(rig: Rig) -> None:
    """A new period counts from the moment it was set; the next start has it."""
    assert fired(rig.uplink.set_period(Subject.CABINETS, 10)) == [None]
    before = len(rig.cabinets())
    rig.clock.run(35)
    assert len(rig.cabinets()) == before + 3
    again(rig)
    before = len(rig.cabinets())
    rig.clock.run(35)
    assert len(rig.cabinets()) == before + 3


def test_an_edited_file_wins_over_what_was_set_before(rig: Rig) -> None:
    """A period that was set over 300 s does not hold when the file says 20 s since."""
    rig.uplink.set_period(Subject.CABINETS, 3600)
    again(rig, period=20.0)
    before = len(rig.cabinets())
    rig.clock.run(45)
    assert len(rig.cabinets()) == before + 2


def test_a_file_that_is_edited_back_brings_nothing_back(rig: Rig) -> None:
    """What an edit of the file ended stays ended: the present file says what holds."""
    rig.uplink.set_period(Subject.CABINETS, 3600)
    again(rig, period=20.0)
    again(rig, period=300.0)
    before = len(rig.cabinets())
    rig.clock.run(601, step=1.0)
    assert len(rig.cabinets()) == before + 2


@pytest.mark.parametrize("acknowledged", [True, False])
def test_a_server_that_is_allowed_no_more_is_left(rig: Rig, acknowledged: bool) -> None:
    """After a restart with another list, the code goes to no server that is not on it."""
    if not acknowledged:
        rig.faults.put(ETC, {"http_status": 503})
    rig.uplink.set_server(Subject.CABINETS, NEW)
    rig.clock.run(5)
    rig.channel.urls.clear()
    again(rig, may_report_to=lambda url: url != NEW)
    rig.clock.run(TRIAL + 1, step=1.0)
    assert set(rig.channel.urls) == {OLD}


def test_a_server_that_is_still_allowed_stays(rig: Rig) -> None:
    """The server of the file itself needs no leave, nor does a trial end early."""
    rig.uplink.set_server(Subject.CABINETS, NEW)
    rig.clock.run(5)
    again(rig, may_report_to=lambda url: url == NEW)
    assert rig.uplink.server(Subject.CABINETS) == NEW


def test_a_new_server_that_acknowledges_stays(rig: Rig) -> None:
    """It is tried at once, and kept over the trial and a restart; other reports stay."""
    assert fired(rig.uplink.set_server(Subject.CABINETS, NEW)) == [None]
    rig.clock.run(0.5)
    assert rig.channel.urls[-1] == NEW
    assert rig.uplink.server(Subject.COMPUTERS) == OLD
    rig.clock.run(TRIAL + 1, step=1.0)
    assert rig.uplink.server(Subject.CABINETS) == NEW
    again(rig)
    assert rig.uplink.server(Subject.CABINETS) == NEW


def test_a_new_server_that_acknowledges_nothing_is_left(rig: Rig) -> None:
    """After ten minutes the old one is restored, and gets all that was kept."""
    rig.faults.put(ETC, {"http_status": 503})
    rig.uplink.set_server(Subject.CABINETS, NEW)
    rig.clock.run(TRIAL - 1, step=1.0)
    assert rig.uplink.server(Subject.CABINETS) == NEW
    rig.clock.run(2, step=1.0)
    assert rig.uplink.server(Subject.CABINETS) == OLD
    rig.faults.clear(ETC)
    rig.clock.run(61, step=1.0)
    assert rig.channel.urls[-1] == OLD
    assert rig.ledger().queued == 0


@pytest.mark.parametrize("step", [0.0, -START, -3600.0, 5 * 366 * 86_400.0])
def test_a_trial_goes_on_after_a_restart(rig: Rig, step: float) -> None:
    """The ten minutes are not begun anew by a restart, and the old server is not forgotten; a step
    of the clock changes nothing.
    """
    rig.faults.put(ETC, {"http_status": 503})
    rig.uplink.set_server(Subject.CABINETS, NEW)
    rig.clock.run(400, step=1.0)
    rig.clock.wall_offset += step
    again(rig)
    assert rig.uplink.server(Subject.CABINETS) == NEW
    rig.clock.run(198, step=1.0)
    assert rig.uplink.server(Subject.CABINETS) == NEW
    rig.clock.run(3, step=1.0)
    assert rig.uplink.server(Subject.CABINETS) == OLD


def test_a_second_trial_goes_back_to_what_was_proven(rig: Rig) -> None:
    """Of two new servers in a row that do not answer, neither is what one goes back to."""
    rig.faults.put(ETC, {"http_status": 503})
    rig.uplink.set_server(Subject.CABINETS, NEW)
    rig.clock.run(5)
    rig.uplink.set_server(Subject.CABINETS, "http://third.test/monitor.do")
    rig.clock.run(TRIAL + 1, step=1.0)
    assert rig.uplink.server(Subject.CABINETS) == OLD


def test_back_to_the_proven_server_ends_the_trial(rig: Rig) -> None:
    """Setting the old server again is no trial."""
    rig.faults.put(ETC, {"http_status": 503})
    rig.uplink.set_server(Subject.CABINETS, NEW)
    rig.uplink.set_server(Subject.CABINETS, OLD)
    rig.clock.run(TRIAL + 1, step=1.0)
    assert rig.uplink.server(Subject.CABINETS) == OLD


def test_the_white_list_is_asked_of_the_cabinets_server(rig: Rig) -> None:
    """Cards open cabinets: the server that takes the reports also gets the list."""
    rig.uplink.set_server(Subject.CABINETS, NEW)
    rig.channel.urls.clear()
    rig.clock.run(301, step=1.0)
    assert len(rig.taken(Method.CARDS)) == 2
    assert OLD not in rig.channel.urls


@pytest.mark.parametrize("kept", ["x", {"cabinets": {"period": "often"}}, {"doors": {}}])
def test_what_cannot_be_read_is_left_out(rig: Rig, kept: Any) -> None:
    """A setting that nobody understands does not keep the uplink from its work."""
    rig.bench.store.put_setting("etc.steering", kept)
    again(rig)
    assert rig.uplink.server(Subject.CABINETS) == OLD
    assert rig.ledger().queued == 0
