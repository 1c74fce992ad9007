"""Commands are handed in: checked, confirmed, previewed, and once."""

from typing import Any

import pytest

from tests.centre.control.rig import ME, UNLOCK, UPDATE, CentreRig, unlock
from twisted_gantry.centre.control.desk import CommandDesk, ConfirmNeeded, NoGantry
from twisted_gantry.centre.control.order import Asker, Choice, order_of
from twisted_gantry.centre.store import audit, mutes, retention
from twisted_gantry.centre.store.commands import OrderState, OtherCommand
from twisted_gantry.centre.store.retention import YEAR
from twisted_gantry.wire.errors import BadMessage
from twisted_gantry.wire.etc.controls import CONTROLS, names_of
from twisted_gantry.wire.secret import Secret

NEIGHBOUR = Asker("wang", frozenset({"G4"}))


@pytest.mark.parametrize(
    ("method", "fields", "why"),
    [
        ("unlock", UNLOCK, "the method 'unlock' is not"),
        ("getCabinetImageVedio", {"cabinetId": "1"}, "is not cabinetControl"),
        ("cabinetControl", {**UNLOCK, "door": "1"}, "unknown field 'door'"),
        ("cabinetControl", {"cmd": "2"}, "needs unlockDoorId"),
        ("cabinetControl", {"cmd": "7"}, "unknown"),
        ("cabinetControl", {"cabinetControl": UNLOCK, "cmd": "1"}, "no field stands beside"),
        ("cabinetControl", {"cabinetControl": "2"}, "is an object"),
        ("computerControl", UNLOCK, "cmd is a field of cabinetControl"),
        ("computerControl", {"setFrequency": "1"}, "setFrequency"),
        ("computerControl", {}, "nothing is asked for"),
    ],
)
def test_half_a_command_is_refused(method: str, fields: dict[str, Any], why: str) -> None:
    """What the document does not have is refused, and the error names it."""
    with pytest.raises(BadMessage, match=why):
        order_of(method, fields)


def test_fields_may_stand_beside_the_method_or_in_its_object() -> None:
    """Both are one command, in one spelling."""
    flat = order_of("cabinetControl", {"cmd": 2, "unlockDoorId": "01"})
    assert flat.fields == {"cmd": "2", "unlockDoorId": "1", "cabinetId": "1"}
    assert order_of("cabinetControl", {"cabinetControl": UNLOCK}) == flat
    assert flat.names == ("unlock-door",)


def test_every_cmd_has_a_name_and_its_dangers_in_both_languages() -> None:
    """All that switches, opens or loads asks; questions and reports do not."""
    harmless = {name for name, each in CONTROLS.items() if not each.endangers}
    assert harmless == {"update-now", "battery-test-result"}
    for name, each in CONTROLS.items():
        assert name in harmless or (each.danger and each.danger_zh)
    several = order_of("cabinetControl", {**UNLOCK, "setFrequency": "60", "updateNow": "1"})
    assert names_of(several.control) == ("set-frequency", "unlock-door", "update-now")
    assert list(several.dangers) == ["set-frequency", "unlock-door"]


async def test_a_command_that_can_hurt_asks_first(rig: CentreRig) -> None:
    """Without a confirmation nothing is noted; the error says what follows, and for how many."""
    rig.add("G8", "G9")
    with pytest.raises(ConfirmNeeded) as caught:
        await rig.desk.submit(Choice(everything=True), unlock(), ME)
    asked = caught.value
    assert asked.preview.able == 3
    assert asked.preview.endangers == "access"
    assert "unlock-door opens the cabinet" in asked.en
    assert "3 gantries" in asked.en
    assert "会打开机柜门" in asked.zh
    assert "3个门架" in asked.zh
    assert await rig.desk.list(ME) == []
    assert await rig.desk.submit(Choice(everything=True), UPDATE, ME)


async def test_a_preview_tells_where_people_work(rig: CentreRig) -> None:
    """They get the command as all others do; who confirms knows of them."""
    rig.add("G41", road="G4")
    place = mutes.place(road="G4")
    await rig.store.write(lambda session: mutes.begin(session, place, 60.0, "li"))
    choice = Choice(everything=True)
    preview = await rig.desk.preview(choice, unlock(), ME)
    assert (preview.able, preview.maintenance) == (2, ["G41"])
    with pytest.raises(ConfirmNeeded) as caught:
        await rig.desk.submit(choice, unlock(), ME)
    assert "people work at 1 of them" in caught.value.en
    assert "其中1个正在检修" in caught.value.zh


async def test_the_worst_danger_is_told(rig: CentreRig) -> None:
    """Of several dangers the one to tolling comes first."""
    order = order_of("cabinetControl", {"cmd": "5", "mode": "3", "setFrequency": "60"})
    preview = await rig.desk.preview(Choice(("G1",)), order, ME)
    assert preview.endangers == "tolling"
    assert "stop toll equipment" in preview.danger
    assert "模式2和3会停收费设备" in preview.danger_zh


async def test_a_preview_tells_who_would_not_get_it(rig: CentreRig) -> None:
    """Each gantry that cannot be commanded has its reason; its order is refused, and not sent."""
    rig.add("G-no-url", remote_control="")
    rig.add("G-bad-url", remote_control="ftp://x")
    rig.add("G-pending", pending=True)
    rig.add("G-no-code", auth=Secret(""))
    choice = Choice(("G1", "G-no-url", "G-bad-url", "G-pending", "G-no-code", "G-none", "G1"))
    preview = await rig.desk.preview(choice, unlock(), ME)
    assert (preview.able, preview.gantries) == (1, 6)
    assert {each.id: each.cannot for each in preview.cannot} == {
        "G-bad-url": "bad-url",
        "G-no-code": "no-code",
        "G-no-url": "no-url",
        "G-none": "unknown",
        "G-pending": "pending",
    }
    rig.sender()
    command = await rig.submit(unlock(), choice.gantries)
    rig.clock.run(2)
    seen = await rig.seen(command)
    assert seen.counts == {OrderState.DONE: 1, OrderState.REFUSED: 5}
    assert seen.over
    refused = await rig.outcome(command, "G-no-url")
    assert (refused.state, refused.sent_at) == (OrderState.REFUSED, None)
    assert "URL" in refused.message
    assert "未登记" in refused.message_zh


async def test_a_choice_without_any_gantry_is_an_error(rig: CentreRig) -> None:
    """A typing mistake makes no command, also with a confirmation."""
    for choice in (Choice(("G999",)), Choice(road="S1"), Choice(road="G2", section="none")):
        with pytest.raises(NoGantry):
            await rig.desk.submit(choice, unlock(), ME, confirmed=True)
    assert await rig.desk.list(ME) == []


async def test_an_id_counts_in_any_spelling(rig: CentreRig) -> None:
    """A gantry is found by its number, however that is written."""
    rig.add("0012")
    command = await rig.submit(UPDATE, ["12"])
    assert [each.gantry for each in (await rig.seen(command)).orders] == ["0012"]


async def test_the_same_request_is_the_same_command(rig: CentreRig) -> None:
    """A POST that is repeated is sent once; another command under its id is refused."""
    rig.sender()
    first = await rig.submit(unlock(), request="r-1")
    rig.clock.run(2)
    assert await rig.submit(unlock(), request="r-1") == first
    rig.clock.run(2)
    assert len(rig.peers["G1"].bodies) == 1
    with pytest.raises(OtherCommand):
        await rig.submit(unlock(cabinetId="2"), request="r-1")
    assert await rig.submit(unlock(), request="r-2") != first
    assert await rig.submit(unlock(), asker=Asker("wang"), request="r-1") != first


async def test_the_audit_has_who_commanded_what(rig: CentreRig) -> None:
    """One entry a command, with its road; none for one that was not confirmed, or came again."""
    rig.add("G41", road="G4")
    with pytest.raises(ConfirmNeeded):
        await rig.desk.submit(Choice(("G1",)), unlock(), ME)
    first = await rig.submit(unlock(), request="r")
    await rig.submit(unlock(), request="r")
    await rig.desk.submit(Choice(everything=True), UPDATE, ME)
    every, one = await rig.store.read(audit.entries)
    assert (one.who, one.action, one.target) == (ME.who, "runCommand", "G1")
    assert one.details == {
        "id": first,
        "does": ["unlock-door"],
        "cmd": "2",
        "cabinetId": "1",
        "unlockDoorId": "1",
    }
    assert every.target == "all"
    assert [e.target for e in await rig.store.read(lambda s: audit.entries(s, roads={"G2"}))] == [
        "G1"
    ]


async def test_a_transaction_that_runs_again_makes_one_command(rig: CentreRig) -> None:
    """The store runs a job once more when the connection is lost: the command stays one."""
    store: Any = rig.store

    class Twice:
        def write(self, job: Any) -> Any:
            first = rig.write(job)
            rig.clock.advance(0.5)
            return store.write(job).addCallback(lambda again: (first, again))

    twice: Any = Twice()
    desk = CommandDesk(twice, lambda: "00")
    both: Any = await desk.submit(Choice(("G1",)), UPDATE, ME)
    assert both[0] == both[1]
    assert len(await rig.desk.list(ME)) == 1


async def test_a_person_commands_the_gantries_of_their_roads(rig: CentreRig) -> None:
    """Gantries of other roads are unknown to the person, and so are commands for them."""
    rig.add("G41", road="G4")
    theirs = await rig.submit(UPDATE, ["G1"])
    with pytest.raises(NoGantry):
        await rig.submit(UPDATE, ["G1"], NEIGHBOUR)
    both = await rig.desk.submit(Choice(everything=True), UPDATE, NEIGHBOUR)
    assert [each.gantry for each in (await rig.seen(both)).orders] == ["G41"]
    mixed = await rig.submit(UPDATE, ["G1", "G41"])
    assert [each.gantry for each in (await rig.seen(mixed, NEIGHBOUR)).orders] == ["G41"]
    assert await rig.desk.get(theirs, NEIGHBOUR) is None
    assert [each.id for each in await rig.desk.list(NEIGHBOUR)] == [mixed, both]
    assert await rig.desk.list(Asker("nobody", frozenset())) == []
    named = await rig.submit(UPDATE, ["G1", "G41"], NEIGHBOUR)
    seen = await rig.seen(named, NEIGHBOUR)
    assert [(each.gantry, each.state) for each in seen.orders] == [
        ("G1", OrderState.REFUSED),
        ("G41", OrderState.QUEUED),
    ]
    assert seen.counts == {OrderState.REFUSED: 1, OrderState.QUEUED: 1}
    other = Asker("another", NEIGHBOUR.roads)
    assert [each.gantry for each in (await rig.seen(named, other)).orders] == ["G41"]


async def test_commands_and_outcomes_come_in_pages(rig: CentreRig) -> None:
    """Commands are listed newest first, outcomes by gantry; a page tells where the next begins."""
    rig.add("G2", "G3")
    ids = []
    for _ in range(3):
        ids.append(await rig.submit(UPDATE, ["G1", "G2", "G3"]))
        rig.clock.advance(1)
    first = await rig.desk.list(ME, limit=2)
    assert [each.id for each in first] == ids[:0:-1]
    assert [each.id for each in await rig.desk.list(ME, after=first[-1].id)] == ids[:1]
    page = await rig.desk.get(ids[0], ME, limit=2)
    assert page is not None
    assert ([each.gantry for each in page.orders], page.after) == (["G1", "G2"], "G2")
    rest = await rig.desk.get(ids[0], ME, limit=2, after="G2")
    assert rest is not None
    assert ([each.gantry for each in rest.orders], rest.after) == (["G3"], None)
    done = await rig.desk.get(ids[0], ME, state=OrderState.DONE)
    assert done is not None
    assert done.orders == []
    assert done.counts == {OrderState.QUEUED: 3}


async def test_old_commands_are_forgotten(rig: CentreRig) -> None:
    """Commands are kept for a year, with their outcomes."""
    rig.sender()
    old = await rig.submit(UPDATE)
    rig.clock.run(2)
    rig.clock.rightNow += (YEAR + 1) * 86_400
    young = await rig.submit(UPDATE)
    rig.clock.run(2)
    assert await rig.store.write(lambda session: retention.step(session, 90)) is False
    assert [each.id for each in await rig.desk.list(ME)] == [young]
    assert (await rig.outcome(young)).state is OrderState.DONE
    assert await rig.desk.get(old, ME) is None
