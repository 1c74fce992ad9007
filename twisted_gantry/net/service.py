"""Twisted's services with annotations."""

from typing import Any

from twisted.application.service import IService, MultiService, Service
from twisted.internet.defer import Deferred


class NamedService(Service):
    """A service with a name; `running` is 1 between start and stop."""

    running: int

    def __init__(self, name: str) -> None:
        self.setName(name)  # type: ignore[no-untyped-call]

    def startService(self) -> None:
        super().startService()  # type: ignore[no-untyped-call]

    def stopService(self) -> Deferred[Any] | None:
        super().stopService()  # type: ignore[no-untyped-call]
        return None


class ServiceGroup(MultiService):
    running: int

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def add(self, service: IService) -> None:
        """Add a service; it starts with the group, or now if the group runs."""
        service.setServiceParent(self)

    def startService(self) -> None:
        super().startService()  # type: ignore[no-untyped-call]

    def stopService(self) -> Deferred[Any]:
        stopped: Deferred[Any] = super().stopService()  # type: ignore[no-untyped-call]
        return stopped
