"""A command for one device, as the platform wishes it, and the error when there can be none."""

from collections.abc import Mapping
from dataclasses import dataclass


class CannotDo(Exception):
    """The site cannot or may not do what is asked: 1007 with the reason `msg`."""

    def __init__(self, msg: str) -> None:
        super().__init__(msg)
        self.msg = msg


@dataclass(frozen=True)
class Wish:
    """A command of the device `target` with its arguments."""

    target: str
    command: str
    args: Mapping[str, str]


def device_of(source: str) -> str:
    """Return the device of a source, which may be a part of a device (`cfos.M1`)."""
    return source.partition(".")[0]
