"""Pictures of doors: which one is found, how it is sent, and that its folder is never left."""

import gc
import hashlib
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from tests.http_client import Answer, Exchange
from tests.support import in_no_thread
from tests.web.remotecontrol.rig import AUTH, GANTRY, Device, RemoteRig
from tests.wire.material import checked
from twisted_gantry.core.interfaces import ICamera, NotTold, Picture
from twisted_gantry.core.site import Cabinet
from twisted_gantry.web.remotecontrol import picture_files, pictures
from twisted_gantry.web.remotecontrol.picture_files import BeingWritten, PictureFolder
from twisted_gantry.wire.etc.envelope import Method

MOMENT = "2019-08-28 14:11:01.321"
DIGITS = "20190828141101321"
OLD = 1_600_000_000


def name_of(digits: str = DIGITS, extension: str = "jpg", gantry: str = GANTRY) -> str:
    return f"{gantry}_{digits}.{extension}"


def put(folder: Path, name: str, content: bytes = b"\xff\xd8picture", at: float = OLD) -> Path:
    """Write a file that was last changed at `at`, Unix seconds."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(content)
    os.utime(path, (at, at))
    os.utime(folder, (at, at))
    return path


class PictureRig(RemoteRig):
    def __init__(self, folder: Path, **more: Any) -> None:
        super().__init__(images=str(folder), rate=0, **more)

    def want(self, moment: str = MOMENT, cabinet: str = "1") -> Exchange:
        fields = {"cabinetId": cabinet, "doorOpenTime": moment}
        return self.send(self.body(Method.PICTURE, fields))

    def picture(self, moment: str = MOMENT, cabinet: str = "1") -> Answer:
        return self.want(moment, cabinet).ended()


@pytest.fixture
def open_files() -> Iterator[None]:
    """Fail a test that leaves a file open."""

    def now() -> list[str]:
        gc.collect()
        links = []
        for each in Path("/proc/self/fd").iterdir():
            try:
                links.append(str(each.readlink()))
            except OSError:
                continue
        return [link for link in links if "pytest" in link]

    before = now()
    yield
    assert now() == before


@pytest.fixture
def rig(tmp_path: Path, open_files: None) -> Iterator[PictureRig]:
    """Return a site with an empty folder of pictures."""
    rig = PictureRig(tmp_path)
    yield rig
    rig.stop()


def test_a_picture_is_sent(rig: PictureRig, tmp_path: Path) -> None:
    """The exact picture comes with its type, its name, its MD5 and the code."""
    content = os.urandom(300_000)
    put(tmp_path / "1", name_of(), content)
    answer = rig.picture()
    assert answer.status == 200
    assert answer.body == content
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.headers["Content-Disposition"] == f"attachment;filename={name_of()}"
    assert answer.headers["binfile-md5"] == hashlib.md5(content).hexdigest()
    assert answer.headers["binfile-auth"] == AUTH
    assert rig.picture().body == content
    assert rig.control.counts["picture"] == 2


@pytest.mark.parametrize(
    ("extension", "content_type"),
    [
        ("jpeg", "image/jpeg"),
        ("JPG", "image/jpeg"),
        ("png", "image/png"),
        ("avi", "video/avi"),
        ("MP4", "video/mp4"),
    ],
)
def test_types(rig: PictureRig, tmp_path: Path, extension: str, content_type: str) -> None:
    """The type follows the extension, in small letters or large ones."""
    put(tmp_path / "1", name_of(extension=extension))
    answer = rig.picture()
    assert answer.headers["Content-Type"] == content_type
    assert answer.headers["Content-Disposition"].endswith(f".{extension}")


@pytest.mark.parametrize(
    "name",
    [
        name_of(gantry="G000211001002110011"),
        name_of(extension="txt"),
        name_of(extension="jpg.part"),
        name_of(extension="Jpg"),
        name_of("2019082814110132"),
        name_of("201908281411013210"),
        name_of("2019082814110132x"),
        name_of("２0190828141101321"),
        f".{name_of()}",
        f"{GANTRY}_.jpg",
        f"{GANTRY}.jpg",
        name_of("20191328141101321"),
    ],
)
def test_what_is_no_picture(rig: PictureRig, tmp_path: Path, name: str) -> None:
    """A file that is not named as a picture of this gantry is none: 1009, as JSON."""
    put(tmp_path / "1", name)
    assert rig.picture().json == {"code": "1009", "msg": "无对应图像/视频"}


def test_the_nearest_is_found(rig: PictureRig, tmp_path: Path) -> None:
    """Without the exact millisecond the nearest within the window is sent, before or after."""
    folder = tmp_path / "1"
    for digits in ("20190828141051322", "20190828141111320", "20190828141101300"):
        put(folder, name_of(digits), digits.encode())
    assert rig.picture().body == b"20190828141101300"
    (folder / name_of("20190828141101300")).unlink()
    assert rig.picture("2019-08-28 14:11:01.321").body == b"20190828141051322"
    assert rig.picture("2019-08-28 14:11:01.322").body == b"20190828141111320"
    assert rig.picture("2019-08-28 14:10:41.322").body == b"20190828141051322"
    assert rig.picture("2019-08-28 14:10:41.321").code == "1009"
    assert rig.picture("2019-08-28 14:11:21.321").code == "1009"


def test_over_midnight(rig: PictureRig, tmp_path: Path) -> None:
    """Near is a matter of time, not of digits."""
    put(tmp_path / "1", name_of("20181231235959900"))
    put(tmp_path / "1", name_of("20190101000005000"))
    answer = rig.picture("2019-01-01 00:00:00.100")
    assert "20181231235959900" in answer.headers["Content-Disposition"]


def test_a_picture_before_a_video_of_the_same_moment(rig: PictureRig, tmp_path: Path) -> None:
    """Of two files of one moment the picture is sent."""
    put(tmp_path / "1", name_of(extension="avi"), b"video")
    put(tmp_path / "1", name_of(), b"picture")
    assert rig.picture().body == b"picture"
    assert rig.picture("2019-08-28 14:11:01.320").body == b"picture"


@given(
    st.lists(st.integers(min_value=0, max_value=40_000), max_size=30),
    st.integers(min_value=0, max_value=40_000),
)
@checked
def test_the_nearest_of_many(tmp_path_factory: Any, offsets: list[int], wanted: int) -> None:
    """What is found is what a search through all of them finds."""
    folder = tmp_path_factory.mktemp("pictures")
    begin = datetime(2019, 12, 31, 23, 59, 40, tzinfo=UTC)

    def digits(milliseconds: int) -> str:
        moment = begin + timedelta(milliseconds=milliseconds)
        return moment.strftime("%Y%m%d%H%M%S%f")[:17]

    for offset in offsets:
        put(folder, name_of(digits(offset)))
    found = PictureFolder(folder, GANTRY, 10.0).find(digits(wanted), OLD + 10, OLD + 10)
    best = min(offsets, key=lambda each: (abs(each - wanted), each), default=None)
    if best is None or abs(best - wanted) > 10_000:
        assert found is None
    else:
        assert found is not None
        os.close(found.descriptor)
        assert found.name == name_of(digits(best))


# -- the folder is never left


@pytest.mark.parametrize(
    "cabinet", ["..", ".", "../2", "/etc", "1/../../etc", "2", "1\x00", "%2e%2e", "1/", "～"]
)
def test_cabinets_that_there_are_not(rig: PictureRig, tmp_path: Path, cabinet: str) -> None:
    """Whatever stands in `cabinetId`, only the folders of the configured cabinets are looked at."""
    put(tmp_path, name_of(), b"outside")
    put(tmp_path / "2", name_of(), b"outside")
    assert rig.picture(cabinet=cabinet).code == "1002"


@pytest.mark.parametrize("cabinet", ["..", ".", "1/../..", "/"])
def test_a_cabinet_whose_id_leads_elsewhere(tmp_path: Path, open_files: None, cabinet: str) -> None:
    """Not even the configuration leads out of the folder."""
    put(tmp_path, name_of(), b"outside")
    rig = PictureRig(tmp_path / "images", cabinets=(Cabinet(cabinet),))
    (tmp_path / "images").mkdir()
    assert rig.picture(cabinet=cabinet).code == "1009"


@pytest.mark.parametrize("moment", ["../../etc/passwd", "2019-08-28 14:11:01.321/../x", "", "%"])
def test_times_that_are_none(rig: PictureRig, moment: str) -> None:
    """A time that is none is 1002."""
    assert rig.picture(moment).code == "1002"


def test_links_pipes_and_folders_are_no_pictures(rig: PictureRig, tmp_path: Path) -> None:
    """What is no regular file is passed over, for the next nearest that is one."""
    outside = put(tmp_path / "outside", "secret", b"secret")
    folder = tmp_path / "1"
    folder.mkdir()
    (folder / name_of()).symlink_to(outside)
    (folder / name_of(extension="png")).mkdir()
    os.mkfifo(folder / name_of("20190828141101322"))
    (folder / name_of("20190828141101323")).symlink_to("nowhere")
    os.utime(folder, (OLD, OLD))
    assert rig.picture().code == "1009"
    put(folder, name_of("20190828141105000"), b"inside")
    os.utime(folder, (OLD + 1, OLD + 1))
    assert rig.picture().body == b"inside"


def test_a_folder_that_is_a_link(rig: PictureRig, tmp_path: Path) -> None:
    """The folder of a cabinet is not followed elsewhere."""
    put(tmp_path / "outside", name_of())
    (tmp_path / "1").symlink_to(tmp_path / "outside")
    assert rig.picture().code == "1009"


def test_no_folder(rig: PictureRig, tmp_path: Path) -> None:
    """Without a folder, or without the setting, there are no pictures."""
    assert rig.picture().code == "1009"
    (tmp_path / "1").write_text("no folder")
    assert rig.picture().code == "1009"
    assert RemoteRig().ask(Method.PICTURE, {"doorOpenTime": MOMENT}).code == "1009"


def test_files_that_cannot_be_read(rig: PictureRig, tmp_path: Path) -> None:
    """An empty file is no picture; one that vanished is none either."""
    put(tmp_path / "1", name_of(), b"")
    put(tmp_path / "1", name_of("20190828141102000"), b"near")
    assert rig.picture().body == b"near"
    (tmp_path / "1" / name_of("20190828141102000")).unlink()
    assert rig.picture().code == "1009"


# -- files that come while we look


def test_a_file_that_is_being_written(rig: PictureRig, tmp_path: Path) -> None:
    """A file that changed less than 2 s ago is not sent, nor another in its place."""
    put(tmp_path / "1", name_of(), at=rig.clock.now() - 1.9)
    put(tmp_path / "1", name_of("20190828141101320"), b"another")
    assert rig.picture().code == "1009"
    rig.clock.advance(0.2)
    assert rig.picture().status == 200
    assert "Content-Disposition" in rig.picture().headers


def test_a_file_from_a_clock_that_is_ahead(rig: PictureRig, tmp_path: Path) -> None:
    """Where the camera's clock is ahead, a file is sent once it stayed as it is for 2 s."""
    path = put(tmp_path / "1", name_of(), b"half", at=rig.clock.now() + 5000)
    assert rig.picture().code == "1009"
    rig.clock.advance(1.9)
    assert rig.picture().code == "1009"
    put(tmp_path / "1", name_of(), b"whole", at=rig.clock.now() + 5001)
    rig.clock.advance(0.2)
    assert rig.picture().code == "1009"
    rig.clock.advance(2.01)
    assert rig.picture().body == b"whole"
    assert path.exists()


def test_a_step_of_the_clock_does_not_hold_a_picture_back(tmp_path: Path) -> None:
    """A file from "tomorrow" is complete when it did not change for two seconds, not two of the
    time of day: the clock was set back an hour.
    """
    put(tmp_path, name_of(), at=OLD + 86_400)
    folder = PictureFolder(tmp_path, GANTRY, 10.0)
    with pytest.raises(BeingWritten):
        folder.find(DIGITS, OLD, 100.0)
    with pytest.raises(BeingWritten):
        folder.find(DIGITS, OLD + 3600, 101.0)
    found = folder.find(DIGITS, OLD - 3600, 102.0)
    assert found is not None
    os.close(found.descriptor)


def test_a_file_that_changes_while_it_is_read(tmp_path: Path) -> None:
    """A digest of two halves of different files is none."""
    path = put(tmp_path, name_of(), b"x" * 3_000_000)
    folder = PictureFolder(tmp_path, GANTRY, 10.0)
    found = folder.find(DIGITS, OLD + 10, OLD + 10)
    assert found is not None

    def change() -> bool:
        path.write_bytes(b"y" * 3_000_000)
        return False

    with pytest.raises(BeingWritten):
        folder.digest(found, change)
    assert folder.digest(found, lambda: True) == ""
    os.close(found.descriptor)


def test_new_pictures_are_found(rig: PictureRig, tmp_path: Path) -> None:
    """A folder that changed is read again; one that did not is not."""
    folder = tmp_path / "1"
    put(folder, name_of("20190828141105000"), b"first")
    assert rig.picture().body == b"first"
    put(folder, name_of("20190828141103000"), b"second")
    os.utime(folder, (OLD + 1, OLD + 1))
    assert rig.picture().body == b"second"


def test_a_folder_is_read_once(
    rig: PictureRig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While nothing changes, names and digests are remembered."""
    read: list[object] = []
    listdir = os.listdir

    def counting(folder: Any) -> list[str]:
        read.append(folder)
        return listdir(folder)

    put(tmp_path / "1", name_of("20190828141105000"), b"x" * 10)
    monkeypatch.setattr(os, "listdir", counting)
    assert {rig.picture().status for _ in range(5)} == {200}
    assert len(read) == 1
    # A folder that changed this very moment may change again within one tick of its clock.
    os.utime(tmp_path / "1", (rig.clock.now(), rig.clock.now()))
    assert {rig.picture().status for _ in range(3)} == {200}
    assert len(read) == 4


def test_digests_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The digests of the last files are kept, no more; so are the files seen half-written."""
    monkeypatch.setattr(picture_files, "_MAX_DIGESTS", 2)
    monkeypatch.setattr(picture_files, "_MAX_SEEN", 2)
    folder = PictureFolder(tmp_path, GANTRY, 0.0)
    for n in range(4):
        digits = f"2019082814110132{n}"
        put(tmp_path, name_of(digits))
        found = folder.find(digits, OLD + 10, OLD + 10)
        assert found is not None
        folder.digest(found, lambda: False)
        os.close(found.descriptor)
        put(tmp_path, name_of(digits), at=OLD + 20)
        with pytest.raises(BeingWritten):
            folder.find(digits, OLD + 20, OLD + 20)
    assert (len(folder._digests), len(folder._seen)) == (2, 2)


# -- what the cabinet has itself


@implementer(ICamera)
class CameraDevice(Device):
    """A cabinet that has `shot`, or fails."""

    def __init__(self, rig: RemoteRig, name: str, shot: Picture | Exception | None) -> None:
        super().__init__(rig.bench, name, {})
        self.shot, self.asked = shot, list[str]()

    def picture(self, opened: str) -> Deferred[Picture | None]:
        self.asked.append(opened)
        return fail(self.shot) if isinstance(self.shot, Exception) else succeed(self.shot)


def with_doors(rig: PictureRig, *names: str) -> None:
    """Let these devices be the doors of cabinet 1."""
    rig.bench.site.cabinets = (Cabinet("1", {"doors": names}), *rig.bench.site.cabinets[1:])


@pytest.mark.parametrize(
    ("extension", "content_type"), [("jpg", "image/jpeg"), ("avi", "video/avi")]
)
def test_a_picture_of_the_cabinet_is_passed_on(
    rig: PictureRig, extension: str, content_type: str
) -> None:
    """Without one of our own, the cabinet's file is sent, with our code and the file's MD5."""
    content = os.urandom(200_000)
    camera = CameraDevice(rig, "cam1", Picture(name_of(extension=extension), content))
    with_doors(rig, "cam1")
    answer = rig.picture()
    assert answer.body == content
    assert camera.asked == [MOMENT]
    assert answer.headers["Content-Type"] == content_type
    assert answer.headers["Content-Disposition"].endswith(name_of(extension=extension))
    assert answer.headers["binfile-md5"] == hashlib.md5(content).hexdigest()
    assert answer.headers["binfile-auth"] == AUTH


def test_our_own_picture_comes_first(rig: PictureRig, tmp_path: Path) -> None:
    """A cabinet is asked only for what we do not have."""
    put(tmp_path / "1", name_of(), b"ours")
    camera = CameraDevice(rig, "cam1", Picture(name_of(), b"theirs"))
    with_doors(rig, "cam1")
    assert rig.picture().body == b"ours"
    assert camera.asked == []


def test_a_site_without_a_folder_has_the_pictures_of_its_cabinets() -> None:
    """`images` need not be set."""
    made = RemoteRig(rate=0)
    CameraDevice(made, "cam1", Picture(name_of(), b"theirs"))
    made.bench.site.cabinets = (Cabinet("1", {"doors": ("cam1",)}),)
    fields = {"cabinetId": "1", "doorOpenTime": MOMENT}
    assert made.send(made.body(Method.PICTURE, fields)).ended().body == b"theirs"
    made.stop()


@pytest.mark.parametrize("shot", [None, NotTold("offline")])
def test_a_cabinet_without_one_is_1009(rig: PictureRig, shot: Exception | None) -> None:
    """A cabinet that has none, and one that cannot be asked; the next device is asked."""
    CameraDevice(rig, "cam1", shot)
    with_doors(rig, "cam1")
    assert rig.picture().code == "1009"
    CameraDevice(rig, "cam2", Picture(name_of(), b"of the second"))
    with_doors(rig, "cam1", "cam2")
    assert rig.picture().body == b"of the second"


# -- streams


class Threads:
    """Runs blocking functions when the test says so; while `broken`, each fails."""

    def __init__(self) -> None:
        self.broken = False
        self.waiting: list[tuple[Callable[..., Any], tuple[Any, ...], Deferred[Any]]] = []

    def __call__(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        deferred: Deferred[Any] = Deferred()
        self.waiting.append((function, args, deferred))
        return deferred

    def run(self, most: int = 1_000_000) -> int:
        """Run what waits, and what comes of it; returns how many."""
        count = 0
        while self.waiting and count < most:
            function, args, deferred = self.waiting.pop(0)
            if self.broken:
                deferred.errback(OSError("the disk is ill"))
            else:
                in_no_thread(function, *args).chainDeferred(deferred)
            count += 1
        return count


def test_a_slow_client_gets_it_all(tmp_path: Path, open_files: None) -> None:
    """While the client takes nothing, nothing is read; what it gets in the end is whole."""
    threads = Threads()
    rig = PictureRig(tmp_path, in_thread=threads)
    content = os.urandom(400_000)
    put(tmp_path / "1", name_of(), content)
    exchange = rig.want()
    producer: Any = exchange.transport.producer
    threads.run(3)  # the look-up, the digest, the first piece
    while threads.waiting:
        producer.pauseProducing()
        threads.run(1)
        assert not threads.waiting
        rig.clock.advance(29)
        producer.resumeProducing()
    threads.run()
    assert exchange.ended().body == content
    assert not exchange.aborted
    rig.stop()


def test_a_client_that_takes_nothing_is_cut_off(tmp_path: Path, open_files: None) -> None:
    """After 30 s without a byte taken, the connection and the file are closed."""
    threads = Threads()
    rig = PictureRig(tmp_path, in_thread=threads)
    put(tmp_path / "1", name_of(), b"x" * 400_000)
    exchange = rig.want()
    threads.run(2)
    producer: Any = exchange.transport.producer
    producer.pauseProducing()
    threads.run()
    cut = []
    for seconds in (29.9, 0.2):
        rig.clock.advance(seconds)
        cut.append(exchange.aborted)
    assert cut == [False, True]
    assert rig.control.counts["picture-cut"] == 1
    threads.run()
    rig.stop()


@pytest.mark.parametrize("steps", range(6))
def test_a_client_that_leaves(tmp_path: Path, open_files: None, steps: int) -> None:
    """A client that leaves at any moment leaves no open file, and room for the next."""
    threads = Threads()
    rig = PictureRig(tmp_path, in_thread=threads)
    put(tmp_path / "1", name_of(), b"x" * 3_000_000)
    for _ in range(pictures.MAX_AT_ONCE + 1):
        exchange = rig.want()
        threads.run(steps)
        exchange.hang_up()
        assert threads.run() <= 1
    last = rig.want()
    threads.run()
    assert last.ended().status == 200
    rig.stop()


def test_a_file_that_is_cut_short(tmp_path: Path, open_files: None) -> None:
    """A file that loses its end while it is sent ends the connection: no false success."""
    threads = Threads()
    rig = PictureRig(tmp_path, in_thread=threads)
    path = put(tmp_path / "1", name_of(), b"x" * 400_000)
    exchange = rig.want()
    threads.run(3)
    os.truncate(path, 70_000)
    threads.run()
    assert exchange.aborted
    assert b"code" not in exchange.transport.value()
    rig.stop()


def test_a_disk_that_fails_in_the_middle(
    tmp_path: Path, open_files: None, logged_failures: list[Any]
) -> None:
    """Half a picture is followed by no answer; before it began there is 1008."""
    threads = Threads()
    rig = PictureRig(tmp_path, in_thread=threads)
    put(tmp_path / "1", name_of(), b"x" * 400_000)
    for steps, answered in ((3, False), (1, True)):
        exchange = rig.want()
        threads.run(steps)
        threads.broken = True
        threads.run()
        threads.broken = False
        assert exchange.aborted != answered
        if answered:
            assert exchange.ended().code == "1008"
        rig.clock.advance(61)
    assert {each.type for each in logged_failures} == {OSError}
    logged_failures.clear()
    rig.stop()


def test_few_at_a_time(tmp_path: Path, open_files: None) -> None:
    """More pictures at once than there are threads for them are 1005."""
    threads = Threads()
    rig = PictureRig(tmp_path, in_thread=threads)
    put(tmp_path / "1", name_of(), b"x")
    waiting = [rig.want() for _ in range(pictures.MAX_AT_ONCE)]
    assert rig.picture().code == "1005"
    assert rig.cabinet(updateNow="1").code == "1000"
    threads.run()
    assert {each.ended().status for each in waiting} == {200}
    again = rig.want()
    threads.run()
    assert again.ended().status == 200
    rig.stop()
