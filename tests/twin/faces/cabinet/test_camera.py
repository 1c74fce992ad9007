"""The camera of the cabinet twin: files that a decoder reads, one for each opening."""

import struct
from random import Random

import pytest

from tests.twin.faces.cabinet.bench import Bench
from twisted_gantry.twin.faces.cabinet.camera import KEPT, WINDOW_S, Camera
from twisted_gantry.twin.faces.cabinet.jpeg import BLOCK, Grid, avi, jpeg
from twisted_gantry.twin.world.doors import Doors
from twisted_gantry.wire.etc import envelope as etc


def segments(data: bytes) -> tuple[dict[int, list[bytes]], bytes]:
    """Return the segments of a JPEG by their marker, and its entropy-coded data, unstuffed."""
    assert data[:2] == b"\xff\xd8"
    assert data[-2:] == b"\xff\xd9"
    found: dict[int, list[bytes]] = {}
    at = 2
    while True:
        start, marker, length = struct.unpack(">BBH", data[at : at + 4])
        assert start == 0xFF
        found.setdefault(marker, []).append(data[at + 4 : at + 2 + length])
        at += 2 + length
        if marker == 0xDA:
            return found, data[at:-2].replace(b"\xff\x00", b"\xff")


def codes(table: bytes) -> dict[str, int]:
    """Return the code words of a Huffman table (ITU-T T.81, annex C)."""
    words: dict[str, int] = {}
    code, symbols = 0, iter(table[17:])
    for length, count in enumerate(table[1:17], 1):
        for _ in range(count):
            words[f"{code:0{length}b}"] = next(symbols)
            code += 1
        code <<= 1
    return words


def greys(data: bytes) -> list[list[int]]:
    """Decode a picture of one grey a block: what any decoder does, written the other way round."""
    found, coded = segments(data)
    [quantisation], [frame] = found[0xDB], found[0xC0]
    dc, ac = (codes(table) for table in found[0xC4])
    _, height, width, components = struct.unpack(">BHHB", frame[:6])
    assert components == 1
    bits = "".join(f"{byte:08b}" for byte in coded)
    at, level, rows = 0, 0, []

    def symbol(table: dict[str, int]) -> int:
        nonlocal at
        end = at + 1
        while bits[at:end] not in table:
            end += 1
            assert end - at <= 16
        word, at = bits[at:end], end
        return table[word]

    for _ in range(height // BLOCK):
        row = []
        for _ in range(width // BLOCK):
            size = symbol(dc)
            value = int(bits[at : at + size] or "0", 2)
            at += size
            level += value if not size or value >> (size - 1) else value - (1 << size) + 1
            assert symbol(ac) == 0  # the end of the block
            row.append(level * quantisation[1] // 8 + 128)
        rows.append(row)
    assert set(bits[at:]) <= {"1"}
    assert len(bits) - at < 8
    return rows


def noise(seed: int) -> Grid:
    random = Random(seed)
    return [[random.randrange(256) for _ in range(17)] for _ in range(9)]


@pytest.mark.parametrize(
    "grid", [[[0]], [[255]], [[128]], [[0, 255, 0, 255, 127, 128]], noise(1), noise(2)]
)
def test_a_picture_is_read_as_it_was_drawn(grid: Grid) -> None:
    """Every grey comes back, with the largest steps as well."""
    assert greys(jpeg(grid)) == [list(row) for row in grid]


def test_a_video_is_its_frames() -> None:
    """The RIFF lengths fit, the index leads to the frames, and each frame is a picture."""
    frames = [noise(seed) for seed in range(3)]
    data = avi(frames, 3.0)
    assert data[:4] == b"RIFF"
    assert struct.unpack("<I", data[4:8]) == (len(data) - 8,)
    assert data[8:12] == b"AVI "
    movie, index = data.index(b"movi"), data.index(b"idx1")
    for number, grid in enumerate(frames):
        entry = data[index + 8 + 16 * number :][:16]
        name, _, offset, length = struct.unpack("<4s3I", entry)
        chunk = data[movie + offset :]
        assert (name, chunk[:4]) == (b"00dc", b"00dc")
        assert greys(chunk[8 : 8 + length]) == [list(row) for row in grid]


def test_each_opening_is_a_file() -> None:
    """The front door has a picture, the back door a video; a closing has none."""
    doors = Doors(lambda: 0.0)
    camera = Camera(doors)
    doors.front.force(armed=False)
    camera.watch(doors, 100.0)
    camera.watch(doors, 101.0)
    doors.front.close()
    camera.watch(doors, 102.0)
    doors.back.force(armed=False)
    camera.watch(doors, 103.0)
    assert [(shot.at, shot.extension) for shot in camera.shots] == [(100.0, "jpg"), (103.0, "avi")]
    assert camera.find(101.4) is camera.shots[0]
    assert camera.find(101.6) is camera.shots[1]
    assert camera.find(103.0 + WINDOW_S) is camera.shots[1]
    assert camera.find(103.1 + WINDOW_S) is None


def test_the_files_are_bounded_and_tell_openings_apart() -> None:
    """The oldest goes; no two pictures are equal."""
    doors = Doors(lambda: 0.0)
    camera = Camera(doors)
    for number in range(KEPT + 5):
        doors.front.force(armed=False)
        camera.watch(doors, float(number))
        doors.front.close()
        camera.watch(doors, float(number))
    assert len(camera.shots) == KEPT
    assert len({shot.content for shot in camera.shots}) == KEPT


@pytest.mark.parametrize(("door", "kind"), [("front", "image/jpeg"), ("back", "video/avi")])
def test_the_file_is_found_by_the_time_that_was_reported(door: str, kind: str) -> None:
    """The platform asks with the time of the report, and gets the file of section 3.3."""
    bench = Bench()
    bench.run(12.0)
    bench.change(**{f"force_{door}_door": True})
    bench.run(1.0)
    opened = bench.reports()[-1]["doors"][f"{door}DoorChangeTime"]
    wanted = {"cabinetId": "1", "doorOpenTime": opened}
    answer = bench.post(bench.body(wanted, method=etc.Method.PICTURE))
    head = answer.raw.partition(b"\r\n\r\n")[0].decode().lower()
    assert f"content-type: {kind}" in head
    digits = "".join(c for c in opened if c.isdigit())
    assert f"_{digits}." in head
    assert f"{etc.MD5_HEADER}: {etc.digest(answer.body)}" in head
    assert bench.counts["pictures"] == 1
    bench.stop()
