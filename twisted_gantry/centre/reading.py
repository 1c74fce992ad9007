"""What a report tells: the conditions that hold, by subject, and how long the batteries last."""

from typing import Any

from twisted_gantry.centre.model import Told
from twisted_gantry.wire.etc.envelope import Method


def told(method: Method, fields: Any) -> tuple[Told, ...]:
    """Return what an upload tells of each of its subjects: `cabinet-ID`, `computer-ID`.

    `fields` is the value under the method's own key (`FIELDS_KEY`), decoded by `wire.json` with
    numbers as text or not. Never raises: what cannot be read makes its conditions unknown.
    """
    raise NotImplementedError
