"""The camera of a cabinet: a picture of the front door, a video of the back door, at each opening.

The document does not say what is shown; here it is the cabinet with its open door, and stripes that
tell one opening from the next.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from twisted_gantry.twin.faces.cabinet.jpeg import Grid, avi, jpeg
from twisted_gantry.twin.world.doors import Doors

KEPT = 32  # files; the oldest goes
WINDOW_S = 10.0  # by so much the time that is asked for may be off
FRAMES, VIDEO_S = 6, 3.0
WIDTH, HEIGHT = 40, 30  # blocks

_SKY, _STEEL, _DARK, _LIGHT = 200, 120, 40, 245


@dataclass(frozen=True)
class Shot:
    """A file of an opening; `at` is Unix seconds by the cabinet's clock."""

    at: float
    extension: str
    content: bytes


class Camera:
    """Watches the doors, and keeps the files of the last openings."""

    def __init__(self, doors: Doors) -> None:
        self.shots: deque[Shot] = deque(maxlen=KEPT)
        self._closed = _closed(doors)
        self._count = 0

    def watch(self, doors: Doors, now: float) -> None:
        """Take a file of each door that has opened since the last call."""
        before, self._closed = self._closed, _closed(doors)
        for name, closed in self._closed.items():
            if before[name] and not closed:
                self._count += 1
                self.shots.append(self._shot(name, now))

    def find(self, moment: float) -> Shot | None:
        """Return the file nearest to a time, within WINDOW_S."""
        near = [shot for shot in self.shots if abs(shot.at - moment) <= WINDOW_S]
        return min(near, key=lambda shot: abs(shot.at - moment), default=None)

    def _shot(self, door: str, now: float) -> Shot:
        if door == "front":
            return Shot(now, "jpg", jpeg(self._scene(1.0)))
        frames = [self._scene(number / (FRAMES - 1)) for number in range(FRAMES)]
        return Shot(now, "avi", avi(frames, VIDEO_S))

    def _scene(self, opened: float) -> Grid:
        """Return the cabinet with its door open by a share of 0 to 1."""
        return [list(self._row(y, round(opened * 14))) for y in range(HEIGHT)]

    def _row(self, y: int, gap: int) -> Iterator[int]:
        for x in range(WIDTH):
            inside = 10 <= x < 26 and 4 <= y < 28
            if y < 2:  # the number of the opening, as bits from the left
                yield _LIGHT if self._count >> (WIDTH - 1 - x) & 1 else _DARK
            elif inside and x - 11 < gap and 5 <= y < 27 and x > 10:
                yield _DARK
            else:
                yield _STEEL if inside else _SKY


def _closed(doors: Doors) -> dict[str, bool]:
    return {name: door.closed for name, door in doors.by_name.items()}
