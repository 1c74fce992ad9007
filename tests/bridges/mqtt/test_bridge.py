"""The bridge to a broker: what is published when, and that nothing grows while a broker stalls."""

from typing import Any

import pytest
from zope.interface.verify import verifyObject

from tests.bridges.mqtt.bench import BASE, GANTRY, POINTS, STATUS, FakeSession, MqttBench, retained
from tests.support import fired
from twisted_gantry.bridges.mqtt.bridge import BIRTHS_S, REFUSED_S, STOP_S
from twisted_gantry.bridges.mqtt.commands import Message
from twisted_gantry.bridges.mqtt.content import GONE_S, PART_GONE_S
from twisted_gantry.bridges.mqtt.homeassistant import BIRTH, EXPIRE_S
from twisted_gantry.bridges.mqtt.sending import LATE_S, MUTE_S, WINDOW
from twisted_gantry.core.catalogue import PointType
from twisted_gantry.core.interfaces import IBridge
from twisted_gantry.core.status import State
from twisted_gantry.wire.reading import Quality


def many(number: int) -> tuple[PointType, ...]:
    return tuple(PointType(f"p{n}", "V", f"P {n}", f"测点{n}") for n in range(number))


@pytest.fixture
def bench() -> Any:
    """A bridge whose first session has told everything."""
    made = MqttBench()
    made.read(input_voltage_r=221.5, mains_abnormal=False, state="line")
    made.online()
    yield made
    made.close()


def test_a_session_begins_with_everything_and_the_status_last(bench: MqttBench) -> None:
    """Each point and alarm has a retained state; then the status says online."""
    assert verifyObject(IBridge, bench.bridge)
    assert bench.state("ups1/input_voltage_r") == {
        "value": 221.5,
        "unit": "V",
        "quality": "good",
        "at": "2023-11-15T06:13:20.000+08:00",
    }
    assert bench.state("ups1/battery_charge")["quality"] == "no-data"
    assert bench.state("alarms/ups1.mains-abnormal")["active"] is False
    assert bench.session.sent[-1] == (STATUS, b"online", True)
    assert (bench.session.will.topic, bench.session.will.payload) == (STATUS, b"offline")
    assert (bench.bridge.status.state, bench.bridge.peers) == (State.ONLINE, 1)


def test_changes_are_told_and_nothing_else(bench: MqttBench) -> None:
    """A new value or quality is published; a good reading of the same value is not."""
    before = len(bench.session.sent)
    bench.read(input_voltage_r=221.5, state="line")
    bench.settle()
    assert bench.topics(before) == []
    bench.read(input_voltage_r=180.0, state="line")
    bench.settle()
    assert bench.topics(before) == [f"{BASE}/ups1/input_voltage_r"]
    bench.points.fail("ups1", ["input_voltage_r"])
    bench.settle()
    state = bench.state("ups1/input_voltage_r")
    assert (state["value"], state["quality"]) == (180.0, "get-failed")


def test_an_alarm_is_told_raised_acknowledged_and_cleared(bench: MqttBench) -> None:
    """The topic of an alarm has its state, its texts and its times."""
    bench.read(mains_abnormal=True)
    bench.settle()
    state = bench.state("alarms/ups1.mains-abnormal")
    assert (state["active"], state["severity"], state["message"], state["messageZh"]) == (
        True,
        "critical",
        "mains abnormal",
        "市电异常",
    )
    assert (state["raisedAt"][:19], state["clearedAt"]) == ("2023-11-15T06:13:20", None)
    assert state["acknowledged"] is False
    bench.alarms.acknowledge("ups1.mains-abnormal", "li")
    bench.settle()
    assert bench.state("alarms/ups1.mains-abnormal")["acknowledged"] is True
    bench.read(mains_abnormal=False)
    bench.settle()
    state = bench.state("alarms/ups1.mains-abnormal")
    assert (state["active"], state["clearedAt"] is not None) == (False, True)


def test_a_reading_and_an_alarm_are_noted_and_nothing_more(bench: MqttBench) -> None:
    """On the path of readings and alarms nothing is published: that has a turn of its own."""
    before = len(bench.session.sent)
    bench.read(input_voltage_r=0.0, mains_abnormal=True)
    assert bench.raised() == {"ups1.mains-abnormal"}
    assert len(bench.session.sent) == before
    assert bench.bridge.queues["changed"].length == 3
    bench.settle()
    assert len(bench.session.sent) == before + 3


def test_a_broker_that_stalls_costs_a_bounded_queue() -> None:
    """What is not acknowledged is at most a window; the rest waits as names; the newest is last."""
    bench = MqttBench(discovery="")
    bench.device("big", many(1000))
    bench.session.driver.connected()
    for second in range(60):
        good = {f"p{n}": (float(second), Quality.GOOD) for n in range(1000)}
        bench.points.update("big", good)
        bench.clock.advance(1)
    queues = bench.bridge.queues
    assert len(bench.session.sent) == queues["under-way"].length == WINDOW
    assert queues["changed"].length <= 1000 + len(POINTS) + 10
    assert all(fill.length <= fill.bound for fill in queues.values())
    assert bench.bridge.counts["overtaken"] > 50 * (1000 - WINDOW)
    bench.settle()
    assert {bench.state(f"big/p{n}")["value"] for n in range(1000)} == {59.0}
    bench.close()


def test_a_broker_that_acknowledges_nothing_is_left() -> None:
    """A broker may answer pings and take nothing: the session ends, and a new one begins."""
    bench = MqttBench()
    bench.session.driver.connected()
    bench.clock.advance(1)
    for _ in range(round(MUTE_S)):
        bench.clock.advance(1)
    assert bench.session.closed
    bench.session.end("goodbye")
    status = bench.bridge.status
    assert (status.state, status.last_error) == (State.OFFLINE, "the broker acknowledges nothing")
    bench.clock.advance(2)
    assert len(bench.sessions) == 2
    bench.online()
    bench.passes(3 * MUTE_S)  # quiet is not mute
    assert (len(bench.sessions), bench.session.closed) == (2, False)
    bench.close()


def test_a_broker_that_acknowledges_far_too_slowly_is_left() -> None:
    """One message within each minute is no sign of life: all others would wait for hours."""
    bench = MqttBench(discovery="")
    bench.device("big", many(1000))
    bench.session.driver.connected()
    for second in range(round(LATE_S) + 1):
        bench.clock.advance(1)
        if second % 50 == 0:
            bench.session.driver.acknowledged(1, 0, "")
    assert bench.session.closed
    bench.session.end("goodbye")
    assert bench.bridge.status.last_error == "the broker acknowledges far too slowly"
    bench.close()


def test_an_alarm_overtakes_what_waits() -> None:
    """An alarm takes the first place that is free: a slow broker has thousands of points before."""
    bench = MqttBench(discovery="")
    bench.device("big", many(1000))
    bench.session.driver.connected()
    bench.clock.advance(1)
    assert bench.bridge.queues["changed"].length > 500
    bench.read(mains_abnormal=True)
    bench.session.driver.acknowledged(1, 0, "")
    bench.clock.advance(1)
    topic, payload, _ = bench.session.sent[-1]
    assert topic == f"{BASE}/alarms/ups1.mains-abnormal"
    assert b'"active":true' in payload
    bench.close()


def test_while_offline_nothing_waits(bench: MqttBench) -> None:
    """Changes without a session are not queued: a session begins with the present state."""
    bench.session.end("the broker closed the connection", was_online=True)
    assert bench.bridge.status.state is State.OFFLINE
    bench.read(input_voltage_r=7.0, mains_abnormal=True)
    assert bench.bridge.queues["changed"].length == 0
    bench.clock.advance(2)
    assert len(bench.sessions) == 2
    bench.online()
    assert bench.state("ups1/input_voltage_r")["value"] == 7.0
    assert bench.state("alarms/ups1.mains-abnormal")["active"] is True


def test_a_refusal_is_told_and_there_is_no_hot_loop() -> None:
    """A broker that refuses the password is asked again after a long pause, which grows."""
    bench = MqttBench()
    reason = "the broker refuses the user or the password (code 4)"
    for _ in range(3):
        bench.session.end(reason, hurry=False)
        assert (bench.bridge.status.state, bench.bridge.status.last_error) == (
            State.OFFLINE,
            reason,
        )
        attempts = len(bench.sessions)
        bench.clock.advance(REFUSED_S / 2 - 1)
        assert len(bench.sessions) == attempts
        for _ in range(130):
            bench.clock.advance(1)
        assert len(bench.sessions) == attempts + 1
    bench.close()


def test_a_broker_that_lets_us_in_and_closes_is_not_asked_every_second() -> None:
    """Two gantries with one client_id drive each other away: the pauses grow all the same."""
    bench = MqttBench()
    for _ in range(120):
        if bench.sessions and not bench.session.closed and bench.bridge.peers == 0:
            session = bench.session
            if not session.sent:
                bench.session.driver.connected()
                bench.clock.advance(0)
                session.end("the broker closed the connection", was_online=True)
        bench.clock.advance(1)
    assert len(bench.sessions) <= 9
    bench.close()


def test_the_stop_says_offline(bench: MqttBench) -> None:
    """The retained status is offline, then the session ends; a goodbye waits for the broker."""
    stopped = fired(bench.bridge.stopService())  # type: ignore[arg-type]
    assert bench.session.sent[-1] == (STATUS, b"offline", True)
    assert bench.session.closed
    assert stopped == []
    bench.session.end("goodbye")
    assert stopped == [None]
    assert bench.bridge.status.state is State.ONLINE  # nothing went wrong


def test_a_broker_that_hangs_does_not_hold_the_stop(bench: MqttBench) -> None:
    """The stop is over after some seconds, whatever the thread of the session does."""
    stopped = fired(bench.bridge.stopService())  # type: ignore[arg-type]
    bench.clock.advance(STOP_S)
    assert stopped == [None]
    bench.session.end("late")
    bench.bridge.startService()  # for the end of the test
    bench.online()


def test_quiet_points_are_sent_again_before_they_expire(bench: MqttBench) -> None:
    """No point is silent for as long as Home Assistant waits, half of that at most."""
    last: dict[str, float] = {}
    for _ in range(2 * EXPIRE_S):
        before = len(bench.session.sent)
        bench.passes(1)
        now = bench.clock.seconds()
        for topic in bench.topics(before):
            assert now - last.get(topic, now) < EXPIRE_S / 2
            last[topic] = now
    assert {f"{BASE}/ups1/{point.name}" for point in POINTS} <= last.keys()


def test_a_period_repeats_without_discovery() -> None:
    """With `period` each point comes again after so many seconds; with 0 and no discovery never."""
    told = []
    for period in (0.0, 10.0):
        bench = MqttBench(discovery="", period=period)
        bench.read(input_voltage_r=1.0)
        bench.online()
        before = len(bench.session.sent)
        bench.passes(65, step=0.1)
        told.append(bench.topics(before).count(f"{BASE}/ups1/input_voltage_r"))
        bench.close()
    assert told == [0, 6]


def test_what_is_not_retained(bench: MqttBench) -> None:
    """With `retain = false` the states are not; the status and the entities still are."""
    loose = MqttBench(retain=False)
    loose.read(input_voltage_r=221.5)
    loose.online()
    kept = loose.retained()
    assert not [topic for topic in kept if topic.startswith(BASE) and topic != STATUS]
    assert f"{BASE}/ups1/input_voltage_r" in loose.topics()
    assert f"homeassistant/sensor/{GANTRY}__ups1__input_voltage_r/config" in kept
    # Home Assistant then asks by its birth, once a minute at most.
    assert loose.session.filters == [BIRTH]
    for _ in range(3):
        before = len(loose.session.sent)
        loose.session.driver.received(Message(BIRTH, b"online"))
        loose.settle()
    assert len(loose.session.sent) == before
    loose.passes(BIRTHS_S)
    loose.session.driver.received(Message(BIRTH, b"online"))
    loose.settle()
    assert f"{BASE}/ups1/input_voltage_r" in loose.topics(before)
    loose.close()


# -- what is gone


def test_a_device_that_is_taken_away_leaves_nothing(bench: MqttBench) -> None:
    """Its states, alarms and entities are removed from the broker; those of others stay."""
    bench.device("ups2")
    bench.passes(2)
    kept = bench.retained()
    assert f"{BASE}/ups2/state" in kept
    bench.remove("ups2")
    bench.passes(GONE_S + 3)
    left = bench.retained()
    assert left.keys() == {topic for topic in kept if "ups2" not in topic}
    assert f"{BASE}/alarms/ups1.mains-abnormal" in left


def test_a_device_that_is_made_anew_stays(bench: MqttBench) -> None:
    """A reload takes a changed device away for a moment: nothing is removed."""
    bench.remove("ups1")
    bench.passes(GONE_S / 2)
    bench.device("ups1")
    before = len(bench.session.sent)
    bench.passes(2 * GONE_S)
    assert (b"", True) not in [(payload, kept) for _, payload, kept in bench.session.sent[before:]]
    assert bench.state("ups1/input_voltage_r")["quality"] == "no-data"


def test_a_part_that_is_gone_is_removed_while_its_device_is_online(bench: MqttBench) -> None:
    """A point that its online device has no more is removed after a minute, and not before."""
    bench.points.retract("ups1", ["battery_charge"])
    bench.ups.status.offline("no answer")
    bench.passes(2 * PART_GONE_S)
    assert f"{BASE}/ups1/battery_charge" in bench.retained()
    bench.ups.status.online()
    bench.passes(PART_GONE_S + 2)
    assert f"{BASE}/ups1/battery_charge" not in bench.retained()
    assert f"{BASE}/ups1/state" in bench.retained()


def test_a_device_that_went_while_the_gantry_was_off(bench: MqttBench) -> None:
    """After a restart the broker is rid of what the configuration has no more."""
    bench.passes(11)  # the names are kept
    first = bench.session.sent
    bench.bridge.stopService()
    bench.session.end()
    bench.remove("ups1")
    bench.device("ups9")
    bench.bridge = bench.made()
    bench.bridge.startService()
    bench.online()
    bench.passes(GONE_S + 3)
    kept = bench_kept(first, bench.session)
    assert not [topic for topic in kept if "ups1" in topic]
    assert f"{BASE}/ups9/state" in kept


def bench_kept(first: list[tuple[str, bytes, bool]], session: FakeSession) -> set[str]:
    """Return the topics that a broker keeps after two sessions."""
    return set(retained([*first, *session.sent]))


def test_another_topic_moves_everything(bench: MqttBench) -> None:
    """With another `topic` nothing stays at the old one but the status, which says offline."""
    bench.passes(11)
    first = list(bench.session.sent)
    bench.bridge.stopService()
    first.append((STATUS, b"offline", True))
    bench.session.end()
    bench.settings = type(bench.settings)(address="tcp:127.0.0.1:1883", topic="road/{id}")
    bench.bridge = bench.made()
    bench.bridge.startService()
    bench.online()
    kept = bench_kept(first, bench.session)
    assert {topic for topic in kept if topic.startswith("gantry/")} == {STATUS}
    assert f"road/{GANTRY}/ups1/state" in kept


def test_what_a_lost_session_did_not_remove_the_next_one_does(bench: MqttBench) -> None:
    """A removal counts once the broker has acknowledged it, also across a restart."""
    bench.passes(3)
    bench.remove("ups1")
    for _ in range(20):
        bench.clock.advance(1)  # nothing is acknowledged any more
    assert (f"{BASE}/ups1/state", b"", True) in bench.session.sent
    bench.session.end("the broker closed the connection", was_online=True)
    bench.bridge.stopService()
    bench.bridge = bench.made()
    bench.bridge.startService()
    before = len(bench.session.sent)
    bench.online()
    gone = [topic for topic, payload, _ in bench.session.sent[before:] if payload == b""]
    assert f"{BASE}/ups1/state" in gone
    bench.passes(3)
    bench.session.end("the broker closed the connection", was_online=True)
    bench.clock.advance(2)
    bench.online()
    assert b"" not in [payload for _, payload, _ in bench.session.sent]


def test_alarms_that_ended_with_their_device_are_not_told(bench: MqttBench) -> None:
    """An ended alarm of a device that is gone is history, and no state."""
    bench.device("ups2").status.offline("no answer")
    bench.clock.advance(30)
    bench.remove("ups2")
    bench.alarms.settle(lambda _: False)
    assert "ups2.offline" in ({alarm.name for alarm in bench.alarms.all()} - bench.raised())
    bench.bridge.stopService()
    bench.session.end()
    bench.bridge = bench.made()
    bench.bridge.startService()
    bench.online()
    assert not [topic for topic, payload, _ in bench.session.sent if "ups2" in topic and payload]
