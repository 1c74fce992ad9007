"""A report in the transaction that stores it."""

from dataclasses import dataclass

import msgspec

from twisted_gantry.centre.model import Received, Told


@dataclass(frozen=True, slots=True)
class Filed:
    """A new report, in the order in which it is folded.

    `stamp` is the effective one, Unix seconds: of the gantry, or of the reception if that is
    earlier or the report has none. `arrival` orders reports of equal stamps, also of two fronts: a
    report is newer than another one if `order` is greater.
    """

    report: Received
    stamp: float
    arrival: int

    @property
    def order(self) -> tuple[float, int]:
        return self.stamp, self.arrival


_encoder = msgspec.msgpack.Encoder()


def told_bytes(told: tuple[Told, ...]) -> bytes:
    """Return what a report tells, for the column `told`: late folding reads it, with `told_of`."""
    return _encoder.encode(
        [
            (each.subject, sorted(each.raised), sorted(each.unknown), each.battery_minutes,
             each.on_battery)
            for each in told
        ]
    )  # fmt: skip


_Row = tuple[str, list[str], list[str], float | None, bool | None]
_decoder = msgspec.msgpack.Decoder(list[_Row])


def told_of(column: bytes) -> tuple[Told, ...]:
    """Return what the column `told` of a report says."""
    return tuple(
        Told(subject, frozenset(raised), frozenset(unknown), minutes, on_battery)
        for subject, raised, unknown, minutes, on_battery in _decoder.decode(column)
    )
