"""A command reaches a gantry at most once, and whatever the gantry does costs one outcome."""

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from tests.centre.control.rig import AUTH, ME, UPDATE, CentreRig, CutStore, unlock
from tests.web.remotecontrol.rig import GANTRY, RemoteRig
from twisted_gantry.centre.control.order import Choice, order_of
from twisted_gantry.centre.model import Gantry
from twisted_gantry.centre.store import commands, registry
from twisted_gantry.centre.store.commands import Ending, OrderState
from twisted_gantry.centre.workers.commands import GRACE, LEASE, SEND_WITHIN
from twisted_gantry.testing.centre_store import open_memory
from twisted_gantry.wire.etc.envelope import EtcCode, answer
from twisted_gantry.wire.secret import Secret


async def test_a_real_gantry_does_it_once() -> None:
    """The gantry of this project accepts the signed command, executes it, and answers 1000."""
    site = RemoteRig()
    rig = CentreRig(open_memory(site.clock.now), site.clock, 0)
    rig.wire.serve("site.test", site.control.resource())
    gantry = Gantry(
        GANTRY,
        road="G2",
        remote_control="http://site.test:3699/remotecontrol.do",
        auth=Secret(AUTH),
    )
    rig.write(lambda session: registry.put(session, [gantry], rig.sealing))
    rig.sender()
    command = await rig.submit(unlock(), [GANTRY])
    rig.clock.run(3)
    assert site.cab.told == [("unlock-door", {"unlockDoorId": "1"})]
    done = await rig.outcome(command, GANTRY)
    assert (done.state, done.code) == (OrderState.DONE, "1000")
    # An equal command later is another one: the gantry does not take it for a replay.
    again = await rig.submit(unlock(), [GANTRY])
    rig.clock.run(3)
    assert (await rig.outcome(again, GANTRY)).state is OrderState.DONE
    assert len(site.cab.told) == 2
    refused = await rig.submit(order_of("cabinetControl", {"cmd": "5", "mode": "3"}), [GANTRY])
    rig.clock.run(3)
    told = await rig.outcome(refused, GANTRY)
    assert (told.state, told.code) == (OrderState.FAILED, "1007")
    assert "未允许远程设置电源模式3" in told.message
    asked = await rig.submit(order_of("cabinetControl", {"cmd": "10"}), [GANTRY])
    rig.clock.run(3)
    result = (await rig.outcome(asked, GANTRY)).result
    assert result is not None
    assert result["testResult"] == "1"
    rig.stop()
    site.stop()


LONG = b'{"code": "1000", "msg": "' + b"x" * 200_000 + b'"}'


@pytest.mark.parametrize(
    ("how", "state", "code"),
    [
        (EtcCode.SUCCESS, OrderState.DONE, "1000"),
        (b'{"code": 1000}', OrderState.DONE, "1000"),
        (LONG, OrderState.DONE, "1000"),  # a code that can be read counts
        (EtcCode.CONTROL_FAILED, OrderState.FAILED, "1007"),
        (EtcCode.NOT_ALLOWED, OrderState.FAILED, "1001"),
        (answer(EtcCode.CONTROL_FAILED, msg="执行超时，结果未知").encode(), "unknown", "1007"),
        (b'{"code": "4711", "msg": "?"}', OrderState.UNKNOWN, "4711"),
        (b'{"msg": "no code"}', OrderState.UNKNOWN, ""),
        (b"<html>login</html>", OrderState.UNKNOWN, ""),
        (b"\xff\x00" * 2000, OrderState.UNKNOWN, ""),
        (b"z" * 300_000, OrderState.UNKNOWN, ""),
        (b"", OrderState.UNKNOWN, ""),
        ((404, b"", {}), OrderState.FAILED, ""),
        ((302, b"", {"location": "http://g1.test/elsewhere"}), OrderState.FAILED, ""),
        ((500, b"", {}), OrderState.UNKNOWN, ""),
        (None, OrderState.UNKNOWN, ""),
    ],
    ids=repr,
)
async def test_any_answer_costs_one_outcome(
    rig: CentreRig, how: Any, state: OrderState, code: str
) -> None:
    """Done is what the gantry says it did, failed what it did not do; all else is unknown. Nothing
    is sent twice, no redirection is followed, and the next command goes out.
    """
    rig.sender()
    peer = rig.peers["G1"]
    peer.how = how
    command = await rig.submit(unlock())
    rig.clock.run(40, 1.0)
    found = await rig.outcome(command)
    assert (found.state, found.code) == (state, code)
    assert bool(found.message) == bool(found.message_zh) == (state is not OrderState.DONE)
    assert len(found.message) < 500
    assert found.sent_at is not None
    assert found.ended_at is not None
    peer.how = EtcCode.SUCCESS
    following = await rig.submit(UPDATE)
    rig.clock.run(3)
    assert (await rig.outcome(following)).state is OrderState.DONE
    assert len(peer.bodies) == len(rig.wire.sent) == 2


async def test_a_refused_connection_is_a_failure(rig: CentreRig) -> None:
    """Nothing was sent: the outcome is known."""
    rig.sender()
    rig.wire.reachable = False
    command = await rig.submit(unlock())
    rig.clock.run(2)
    found = await rig.outcome(command)
    assert found.state is OrderState.FAILED
    assert found.message.startswith("not sent: ")
    assert found.message_zh.startswith("未发送：")


async def test_a_gantry_that_says_the_code_back_does_not_put_it_on_the_page(rig: CentreRig) -> None:
    """The secret is masked in what people see."""
    rig.sender()
    rig.peers["G1"].how = answer(EtcCode.CONTROL_FAILED, msg=f"wrong {AUTH}").encode()
    command = await rig.submit(unlock())
    rig.clock.run(2)
    found = await rig.outcome(command)
    assert "wrong" in found.message
    assert AUTH not in repr(found)


async def test_one_command_at_a_time_to_a_gantry(rig: CentreRig) -> None:
    """The commands of a gantry are sent in their order, each after the end of the one before."""
    peer = rig.peers["G1"]
    rig.sender("worker-1")
    rig.sender("worker-2")
    peer.how = None
    ids = []
    for door in ("1", "2", "1"):
        ids.append(await rig.submit(unlock(unlockDoorId=door)))
        rig.clock.advance(0.01)
    rig.clock.run(5)
    assert len(peer.bodies) == 1
    peer.release()
    rig.clock.run(5)
    assert [each["cabinetControl"]["unlockDoorId"] for each in peer.bodies] == ["1", "2", "1"]
    assert len({each["timeStamp"] for each in peer.bodies}) == 3
    for each in ids:
        assert (await rig.outcome(each)).state is OrderState.DONE


async def test_a_slow_gantry_holds_up_no_other(rig: CentreRig) -> None:
    """A worker has a bounded number of orders under way; the rest go out as these end."""
    names = [f"G1{number}" for number in range(6)]
    rig.add(*names)
    sender = rig.sender(most=4)
    for name in names[:3]:
        rig.peers[name].how = None
    command = await rig.submit(UPDATE, names)
    rig.clock.run(1)
    counts = (await rig.seen(command)).counts
    assert counts == {OrderState.SENT: 3, OrderState.DONE: 3}
    assert sender.under_way == 3
    for name in names[:3]:
        rig.peers[name].release()
    rig.clock.run(2)
    assert (await rig.seen(command)).counts == {OrderState.DONE: 6}


async def test_what_waits_too_long_expires_and_is_never_sent(rig: CentreRig) -> None:
    """An order that had no turn within its expiry is expired; a switch does not come hours late."""
    command = await rig.submit(unlock(), expiry=60.0)
    rig.clock.advance(61)
    rig.sender()
    rig.clock.run(2)
    found = await rig.outcome(command)
    assert (found.state, found.sent_at) == (OrderState.EXPIRED, None)
    assert rig.wire.sent == []


async def test_a_claim_that_was_stored_late_is_not_sent(rig: CentreRig) -> None:
    """A worker that stood still between the claim and the sending sends nothing."""
    slow: Any = CutStore(rig.store)
    write = slow.write

    def stand_still(job: Any) -> Any:
        done = write(job)
        rig.clock.rightNow += SEND_WITHIN  # as a stopped process: no timer runs
        return done

    slow.write = stand_still
    command = await rig.submit(unlock())
    rig.sender(store=slow)
    rig.clock.run(1)
    found = await rig.outcome(command)
    assert found.state is OrderState.EXPIRED
    assert rig.wire.sent == []


async def test_after_the_death_of_a_worker_the_outcome_is_unknown(rig: CentreRig) -> None:
    """What a killed worker had sent is never sent again: another one finds it unknown, once the
    lease is over, and goes on with the next command.
    """
    peer = rig.peers["G1"]
    peer.how = None
    dead: Any = CutStore(rig.store)
    rig.sender("worker-1", dead)
    first = await rig.submit(unlock())
    rig.clock.run(1)
    dead.away = True
    assert len(peer.bodies) == 1
    rig.sender("worker-2")
    second = await rig.submit(UPDATE)
    peer.how = EtcCode.SUCCESS
    rig.clock.run(LEASE - 5, 1.0)
    assert (await rig.outcome(first)).state is OrderState.SENT
    rig.clock.run(10, 1.0)
    lost = await rig.outcome(first)
    assert lost.state is OrderState.UNKNOWN
    assert "unknown" in lost.message
    assert "结果未知" in lost.message_zh
    assert (await rig.outcome(second)).state is OrderState.DONE
    assert len(peer.bodies) == 2


async def test_a_death_between_the_mark_and_the_sending_sends_nothing(rig: CentreRig) -> None:
    """The mark is in the database first: who died behind it may have sent, so nobody sends."""
    command = await rig.submit(unlock())
    rig.write(lambda session: commands.claim(session, "dead", 9, LEASE))
    rig.sender()
    rig.clock.run(LEASE + 2, 1.0)
    assert (await rig.outcome(command)).state is OrderState.UNKNOWN
    assert rig.wire.sent == []


async def test_an_outcome_waits_for_the_database(rig: CentreRig) -> None:
    """The answer of a gantry is not lost with the connection to the database."""
    peer = rig.peers["G1"]
    peer.how = None
    store: Any = CutStore(rig.store)
    rig.sender(store=store)
    command = await rig.submit(unlock())
    rig.clock.run(1)
    store.away = True
    peer.release()
    rig.clock.run(5)
    assert (await rig.outcome(command)).state is OrderState.SENT
    store.away = False
    rig.clock.run(10)
    assert (await rig.outcome(command)).state is OrderState.DONE


async def test_what_is_known_replaces_unknown_for_its_sender_alone(rig: CentreRig) -> None:
    """The sender's answer counts even after its lease; nobody else may end the order."""
    command = await rig.submit(unlock())
    [claim] = rig.write(lambda session: commands.claim(session, "a", 9, 0.0))
    assert rig.write(commands.sweep) == 1
    done = Ending(OrderState.DONE, code="1000")
    assert not rig.write(lambda s: commands.end(s, "b", claim.id, done))
    assert rig.write(lambda s: commands.end(s, "a", claim.id, done))
    assert (await rig.outcome(command)).state is OrderState.DONE
    late = Ending(OrderState.FAILED)
    assert not rig.write(lambda s: commands.end(s, "a", claim.id, late))


async def test_a_worker_that_stops_waits_for_answers_a_moment(rig: CentreRig) -> None:
    """An answer within the grace counts; what has none by then is stored as unknown."""
    rig.add("G2")
    sender = rig.sender()
    quick, slow = rig.peers["G1"], rig.peers["G2"]
    quick.how = slow.how = None
    command = await rig.submit(unlock(), ["G1", "G2"])
    rig.clock.run(1)
    stopped: list[Any] = []
    sender.stopService().addBoth(stopped.append)
    quick.release()
    rig.clock.run(GRACE - 1)
    assert stopped == []
    rig.clock.run(2)
    assert stopped == [None]
    assert (await rig.outcome(command, "G1")).state is OrderState.DONE
    assert (await rig.outcome(command, "G2")).state is OrderState.UNKNOWN


async def test_a_worker_that_stops_within_a_claim_gives_it_back(rig: CentreRig) -> None:
    """What was claimed and not begun was not sent for certain: another worker sends it at once."""
    held: Any = CutStore(rig.store)
    write = held.write
    claimed: list[Any] = []

    def hold(job: Any) -> Any:  # the answer of the database comes after the stop
        if claimed:
            return write(job)
        claimed.append(write(job))
        return Deferred()

    held.write = hold
    command = await rig.submit(unlock())
    sender = rig.sender(store=held)
    assert (await rig.outcome(command)).state is OrderState.SENT
    sender.stopService()
    assert (await rig.outcome(command)).state is OrderState.QUEUED
    rig.sender("worker-2")
    rig.clock.run(1)
    assert (await rig.outcome(command)).state is OrderState.DONE
    assert len(rig.peers["G1"].bodies) == 1


async def test_a_gantry_that_left_the_registry_gets_nothing(rig: CentreRig) -> None:
    """The entry counts that is there when it is sent."""
    command = await rig.submit(unlock())
    rig.write(lambda session: registry.remove(session, "G1"))
    rig.sender()
    rig.clock.run(2)
    assert (await rig.outcome(command)).state is OrderState.REFUSED
    assert rig.wire.sent == []


async def test_a_command_for_a_road(rig: CentreRig) -> None:
    """A road, or one section of it, is a choice; each gantry has its outcome."""
    rig.add("G31", "G32", road="G3", section="north")
    rig.add("G33", road="G3", section="south")
    rig.sender()
    road = await rig.desk.submit(Choice(road="G3"), UPDATE, ME)
    section = await rig.desk.submit(Choice(road="G3", section="north"), UPDATE, ME)
    rig.clock.run(5)
    assert (await rig.seen(road)).counts == {OrderState.DONE: 3}
    assert [each.gantry for each in (await rig.seen(section)).orders] == ["G31", "G32"]
    assert (await rig.seen(section)).counts == {OrderState.DONE: 2}


async def test_a_damaged_secret_costs_its_gantry_alone(rig: CentreRig) -> None:
    """A row that cannot be opened keeps no other gantry from its command."""
    rig.add("G2")
    rig.write(lambda s: s.run("UPDATE gantries SET auth = ? WHERE id = 'G1'", b"damaged"))
    rig.sender()
    command = await rig.submit(UPDATE, ["G1", "G2"])
    rig.clock.run(2)
    assert (await rig.outcome(command, "G1")).state is OrderState.REFUSED
    assert (await rig.outcome(command, "G2")).state is OrderState.DONE
