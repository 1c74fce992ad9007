"""A kind of device: the keys of its settings, and how one is built."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from attrs import define
from zope.interface import implementer

from twisted_gantry.core.interfaces import DeviceContext, IDevice, IDeviceKind

_D = TypeVar("_D", bound=IDevice)


@implementer(IDeviceKind)
@define(eq=False)
class DeviceKind(Generic[_D]):
    """A kind without groups and parts, unless they are given. See IDeviceKind."""

    kind: str
    settings: type
    _build: Callable[[str, Any, DeviceContext], _D]
    groups: frozenset[str] = frozenset()
    parts: str = ""
    part_points: Callable[[str], frozenset[str]] | None = None

    def build(self, name: str, settings: Any, context: DeviceContext) -> _D:
        return self._build(name, settings, context)
