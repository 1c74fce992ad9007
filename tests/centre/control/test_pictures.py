"""Pictures of doors: fetched when they are wanted, once by themselves, and kept within bounds."""

import os
from hashlib import md5
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from tests.centre.control.rig import AUTH, ME, CentreRig
from tests.support import fired
from tests.web.remotecontrol.rig import GANTRY, RemoteRig
from twisted_gantry.centre.control.channels import CannotAsk
from twisted_gantry.centre.control.desk import NoGantry
from twisted_gantry.centre.control.order import Asker
from twisted_gantry.centre.control.pictures import (
    MOST_AT_ONCE,
    NoPicture,
    NotAnswered,
    Pictures,
    TooManyPictures,
)
from twisted_gantry.centre.model import Gantry, Received
from twisted_gantry.centre.reading import told
from twisted_gantry.centre.store import pictures as stored
from twisted_gantry.centre.store import registry
from twisted_gantry.centre.store.pictures import Opening
from twisted_gantry.centre.workers.gantry_work import GantryWork
from twisted_gantry.centre.workers.pictures import DELAY, LASTING, PERIOD
from twisted_gantry.testing.centre_store import InlineStore, open_memory
from twisted_gantry.testing.clock import START, ManualClock
from twisted_gantry.wire.etc.commands import file_time
from twisted_gantry.wire.etc.envelope import EtcCode, Method, digest, encode_request, local_time
from twisted_gantry.wire.etc.pictures import PictureFile
from twisted_gantry.wire.secret import Secret

ZONE = ZoneInfo("Asia/Shanghai")
JPEG = b"\xff\xd8\xff picture"
FILE = "attachment;filename=G1_20231115061320123.jpg"
HEADERS = {"Content-Type": "image/jpeg", "Content-Disposition": FILE}


def made(rig: CentreRig) -> Pictures:
    return Pictures(rig.store, rig.sealing, rig.channels(), ZONE, rig.clock.now)


async def got(rig: CentreRig, pictures: Pictures, *args: Any) -> PictureFile:
    result = fired(pictures.get(*args))
    rig.clock.run(1)
    if not isinstance(result[0], PictureFile):
        result[0].raiseException()
    picture: PictureFile = result[0]
    return picture


async def test_a_real_gantry_gives_its_picture(tmp_path: Path) -> None:
    """The file of the gantry's camera comes with its type, and is asked for once."""
    site = RemoteRig(images=str(tmp_path))
    rig = CentreRig(open_memory(site.clock.now), site.clock, 0)
    rig.wire.serve("site.test", site.control.resource())
    gantry = Gantry(GANTRY, remote_control="site.test:3699/remotecontrol.do", auth=Secret(AUTH))
    rig.write(lambda session: registry.put(session, [gantry], rig.sealing))
    at = START - 60.0
    (tmp_path / "1").mkdir()
    file = tmp_path / "1" / f"{GANTRY}_{file_time(at, ZONE)}.jpg"
    file.write_bytes(JPEG)
    os.utime(file, (at, at))
    pictures = made(rig)
    site.clock.run(30)
    picture = await got(rig, pictures, GANTRY, at, ME)
    assert (picture.content_type, picture.content) == ("image/jpeg", JPEG)
    assert len(rig.wire.sent) == 1
    assert await got(rig, pictures, GANTRY, at, ME) == picture
    assert len(rig.wire.sent) == 1
    with pytest.raises(NoPicture):
        await got(rig, pictures, GANTRY, at - 1000, ME)
    rig.stop()
    site.stop()


@pytest.mark.parametrize(
    ("how", "error", "why"),
    [
        (EtcCode.NO_PICTURE, NoPicture, "no picture"),
        (EtcCode.NOT_ALLOWED, NotAnswered, "1001"),
        ((200, b"<script>", {"Content-Type": "text/html"}), NotAnswered, "answers"),
        ((200, b"", HEADERS), NotAnswered, "answers"),
        ((200, JPEG, {**HEADERS, "binfile-md5": "0" * 32}), NotAnswered, "binfile-md5"),
        ((500, b"", {}), NotAnswered, "500"),
        ((302, b"", {"location": "http://elsewhere/"}), NotAnswered, "302"),
        (None, NotAnswered, "30 s"),
    ],
    ids=repr,
)
async def test_what_is_no_picture(
    rig: CentreRig, how: Any, error: type[Exception], why: str
) -> None:
    """A gantry that has none, refuses, or answers anything else costs an error in two languages;
    nothing is kept, and no page of its own reaches a browser.
    """
    rig.peers["G1"].how = how
    pictures = made(rig)
    result = fired(pictures.get("G1", START, ME))
    rig.clock.run(35, 1.0)
    assert result[0].check(error)
    assert why in result[0].value.en
    assert result[0].value.zh
    assert await rig.store.read(lambda s: stored.of_gantry(s, "G1")) == []
    assert pictures.busy == 0


async def test_the_types_are_those_of_the_document(rig: CentreRig) -> None:
    """A picture has its type by the table, whatever the gantry writes behind it."""
    headers = {"Content-Type": "image/jpeg; charset=text/html", "Content-Disposition": FILE}
    rig.peers["G1"].how = (200, JPEG, {**headers, "binfile-md5": digest(JPEG)})
    picture = await got(rig, made(rig), "G1", START, ME)
    assert picture == PictureFile("G1_20231115061320123.jpg", "image/jpeg", JPEG)


async def test_a_gantry_must_be_known_and_reachable(rig: CentreRig) -> None:
    """Unknown gantries, those of other roads, and those without URL or code are not asked."""
    rig.add("G-no-url", remote_control="")
    pictures = made(rig)
    for gantry, asker in (("G9", ME), ("G1", Asker("wang", frozenset({"G4"})))):
        with pytest.raises(NoGantry):
            await got(rig, pictures, gantry, START, asker)
    with pytest.raises(CannotAsk):
        await got(rig, pictures, "G-no-url", START, ME)
    assert rig.wire.sent == []


async def test_few_pictures_are_asked_for_at_once(rig: CentreRig) -> None:
    """Each may be large: beyond the bound a request is refused at once."""
    rig.peers["G1"].how = None
    pictures = made(rig)
    waiting = [fired(pictures.get("G1", START + each, ME)) for each in range(MOST_AT_ONCE)]
    with pytest.raises(TooManyPictures):
        await got(rig, pictures, "G1", START - 1, ME)
    rig.clock.run(35, 1.0)
    assert all(each[0].check(NotAnswered) for each in waiting)
    assert pictures.busy == 0


async def test_pictures_have_a_bound_in_bytes(store: InlineStore) -> None:
    """Both engines keep bytes as they are; the oldest picture goes first."""
    for number in range(4):
        opening = Opening("G1", "1", START + number / 1000)
        picture = PictureFile(f"{number}.jpg", "image/jpeg", bytes([number, 0, 255]) * 100)
        await store.write(lambda s, o=opening, p=picture: stored.keep(s, o, p))  # type: ignore[misc]
    assert await store.write(lambda s: stored.trim(s, 100, 700)) == 2
    kept = await store.read(lambda s: stored.of_gantry(s, "G1"))
    assert [each.opened_at for each in kept] == [START + 0.003, START + 0.002]
    found = await store.read(lambda s: stored.find(s, kept[0]))
    assert found == PictureFile("3.jpg", "image/jpeg", bytes([3, 0, 255]) * 100)
    assert await store.write(lambda s: stored.first_question(s, kept[0]))
    assert not await store.write(lambda s: stored.first_question(s, kept[0]))


# -- by itself


def upload(clock: ManualClock, opened: float | str | None, gantry: str = "G1") -> Received:
    """Return a report: with a door that was opened illegally at a time, or with all well."""
    times = opened if isinstance(opened, str) else local_time(opened or START, ZONE)
    doors = {
        "status": "1",
        "defendMode": "1",
        "frontDoorClosed": "1" if opened is None else "0",
        "frontDoorLocked": "1",
        "frontDoorUnlockType": "0",
        "frontDoorUnlockCardId": "NoData",
        "frontDoorOpenIllegally": "0" if opened is None else "1",
        "frontDoorChangeTime": times,
    }
    now = clock.now()
    body = encode_request(gantry, Method.CABINET_STATUS, now, {"id": "2", "doors": doors})
    fields = msgspec.json.decode(body)["cabinetStatus"]
    facts = told(Method.CABINET_STATUS, fields)
    return Received(
        gantry, Method.CABINET_STATUS, float(int(now)), now, body, md5(body).digest(), facts
    )


class Watch:
    """The work of a worker, on a rig."""

    def __init__(self, rig: CentreRig) -> None:
        self._work = GantryWork(
            *("worker", rig.store, rig.sealing, rig.channels(), rig.clock, ZONE, rig.clock.now)
        )
        self._work.startService()

    def stop(self) -> None:
        self._work.stopService()


async def test_an_illegal_opening_is_photographed_once(rig: CentreRig) -> None:
    """The picture is asked for by the change time of the door, once the camera had time to write
    it; a second report of the same opening asks nothing, a second opening does.
    """
    peer = rig.peers["G1"]
    peer.how = (200, JPEG, HEADERS)
    watch = Watch(rig)
    rig.clock.run(PERIOD)
    opened = rig.clock.now() - 2.25
    await rig.store.put(upload(rig.clock, None))
    rig.clock.run(1)
    await rig.store.put(upload(rig.clock, opened))
    rig.clock.run(DELAY - 2)
    assert peer.bodies == []
    await rig.store.put(upload(rig.clock, opened))
    rig.clock.run(2 * PERIOD)
    asked = {"cabinetId": "2", "doorOpenTime": local_time(opened, ZONE)}
    assert [each["getCabinetImageVedio"] for each in peer.bodies] == [asked]
    kept = await rig.store.read(lambda s: stored.of_gantry(s, "G1"))
    assert kept == [Opening("G1", "2", round(opened, 3))]
    again = rig.clock.now()
    await rig.store.put(upload(rig.clock, again))
    rig.clock.run(LASTING + DELAY + 2 * PERIOD)
    times = [each["getCabinetImageVedio"]["doorOpenTime"] for each in peer.bodies]
    assert times == [local_time(opened, ZONE), local_time(again, ZONE)]
    watch.stop()


async def test_a_new_worker_does_not_ask_again(rig: CentreRig) -> None:
    """What was asked is in the database, also where the gantry had no picture. A change time that
    cannot be read is that of the report.
    """
    peer = rig.peers["G1"]
    peer.how = EtcCode.NO_PICTURE
    await rig.store.put(upload(rig.clock, "NoData"))
    stamp = float(int(rig.clock.now()))
    first = Watch(rig)
    rig.clock.run(DELAY + 2 * PERIOD)
    times = [each["getCabinetImageVedio"]["doorOpenTime"] for each in peer.bodies]
    assert times == [local_time(stamp, ZONE)]
    first.stop()
    rig.clock.run(1)
    second = Watch(rig)
    rig.clock.run(DELAY + 2 * PERIOD)
    assert len(peer.bodies) == 1
    second.stop()
    [(answer,)] = await rig.store.read(lambda s: s.rows("SELECT answer FROM picture_questions"))
    assert answer == "1009"


async def test_what_waits_for_a_picture_is_bounded(
    rig: CentreRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gantries that open their doors without end get no more questions than there is room for."""
    monkeypatch.setattr("twisted_gantry.centre.workers.pictures.MOST_WAITING", 6)
    names = [f"G1{number}" for number in range(9)]
    rig.add(*names)
    for name in names:
        rig.peers[name].how = EtcCode.NO_PICTURE
        await rig.store.put(upload(rig.clock, START, name))
    watch = Watch(rig)
    rig.clock.run(DELAY + 4 * PERIOD)
    assert sum(len(rig.peers[name].bodies) for name in names) == 6
    watch.stop()
