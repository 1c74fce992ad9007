"""Twisted's Service, with types."""

from typing import Any

from twisted.application.service import Service
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
