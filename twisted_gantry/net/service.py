"""Twisted's services, with types."""

from typing import Any

from twisted.application.service import IService, MultiService, Service
from twisted.internet.defer import Deferred


class NamedService(Service):
    """A service with a name, whose methods are annotated; `running` is 1 between start and stop."""

    running: int

    def __init__(self, name: str) -> None:
        self.setName(name)  # type: ignore[no-untyped-call]

    def startService(self) -> None:
        """Begin."""
        super().startService()  # type: ignore[no-untyped-call]

    def stopService(self) -> Deferred[Any] | None:
        """End; the Deferred, if there is one, fires when it has."""
        super().stopService()  # type: ignore[no-untyped-call]
        return None


class ServiceGroup(MultiService):
    """A service that is made of others, whose methods are annotated."""

    running: int

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def add(self, service: IService) -> None:
        """Take a service in; it starts with the group, or now if that runs already."""
        service.setServiceParent(self)

    def startService(self) -> None:
        """Start them, in the order in which they were taken in."""
        super().startService()  # type: ignore[no-untyped-call]

    def stopService(self) -> Deferred[Any]:
        """Stop them, the last first; the Deferred fires when all have stopped."""
        stopped: Deferred[Any] = super().stopService()  # type: ignore[no-untyped-call]
        return stopped
