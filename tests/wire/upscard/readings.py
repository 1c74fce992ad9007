"""The readings of a card's answers, without what could not be read."""

from twisted_gantry.wire.reading import Reading
from twisted_gantry.wire.upscard.values import read_live, read_ratings


def decode_live(value: str, *, runtime_unit: str = "s") -> dict[str, Reading]:
    return dict(read_live(value, runtime_unit=runtime_unit).readings)


def decode_ratings(value: str) -> dict[str, Reading]:
    return dict(read_ratings(value).readings)
