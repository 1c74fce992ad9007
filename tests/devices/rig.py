"""What the tests of drivers share: HTTP in memory, and a driver in a site on a Clock."""

from io import StringIO
from typing import Any

from treq.testing import StubTreq
from twisted.internet.defer import Deferred, ensureDeferred, fail, succeed
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.logger import globalLogPublisher, textFileLogObserver

from tests.support import Bench, TestClock, fired
from twisted_gantry.core.commands.door import Request
from twisted_gantry.core.commands.types import CommandResult


class Wire:
    """A treq that reaches resources in memory, by host.

    Hosts in `unreachable` refuse connections, and all while `reachable` is False. `sent` has the
    method and the time of each request.
    """

    def __init__(self, clock: TestClock, **resources: Any) -> None:
        self.reachable = True
        self.unreachable: set[str] = set()
        self.sent: list[tuple[str, float]] = []
        self._stubs: dict[str, Any] = {}
        self._clock, self._flushed = clock, 0
        network: Any = self
        clock.network = network
        for name, resource in resources.items():
            self.serve(f"{name}.test", resource)

    def serve(self, host: str, resource: Any) -> None:
        """Let `resource` answer for a host."""
        self._stubs[host] = StubTreq(resource)

    def request(self, method: str, url: str, **more: Any) -> Deferred[Any]:
        """Send a request; the resource has it at once."""
        self.sent.append((method, self._clock.seconds()))
        host = url.split("/")[2].split(":")[0]
        if not self.reachable or host in self.unreachable or host not in self._stubs:
            return fail(Refused("refused by the test"))
        response: Deferred[Any] = self._stubs[host].request(method, url, **more)
        return response

    def flush(self) -> bool:
        """Deliver answers; True if that brought another request."""
        for stub in self._stubs.values():
            stub.flush()
        before, self._flushed = self._flushed, len(self.sent)
        return self._flushed > before


class DriverRig:
    """A driver, the `device`, in a site; `log` has what is logged until the stop."""

    device: Any

    def __init__(self, bench: Bench | None = None) -> None:
        self.bench = bench or Bench()
        self.clock = self.bench.clock
        self.closed = 0
        self.log = StringIO()
        self._observer = textFileLogObserver(self.log)
        globalLogPublisher.addObserver(self._observer)

    def close(self) -> Deferred[None]:
        """Count that the driver closes its connections."""
        self.closed += 1
        return succeed(None)

    def start(self, seconds: float = 0.5) -> Any:
        self.device.startService()
        self.clock.run(seconds)
        return self

    def stop(self) -> None:
        """Stop, and see that no timer is left."""
        globalLogPublisher.removeObserver(self._observer)
        if self.device.running:
            self.device.stopService()
        self.bench.alarms.stop()
        self.settle()
        assert self.clock.getDelayedCalls() == []

    def settle(self) -> None:
        """Let the other side end what it has under way."""

    @property
    def state(self) -> str:
        state: str = self.device.status.state.value
        return state

    def good(self, name: str) -> Any:
        """Return the value of a point that is good, else its quality."""
        return self.bench.good(f"{self.device.name}.{name}")

    def raised(self) -> set[str]:
        """Return the raised alarms, without the device's name."""
        return {name.removeprefix(f"{self.device.name}.") for name in self.bench.raised()}

    def ask(
        self, command: str, *, confirmed: bool = True, expiry: float = 30.0, **args: Any
    ) -> Any:
        """Ask for a command through the door; the list gains its outcome."""
        door = self.bench.door
        request = Request(self.device.name, command, args, "test", door.new_id(), confirmed, expiry)
        return fired(ensureDeferred(door.run(request)))

    def do(self, command: str, seconds: float = 12.0, **args: Any) -> CommandResult:
        """Ask for a command, let time pass, and return its outcome."""
        ended = self.ask(command, **args)
        self.clock.run(seconds)
        [result] = ended
        assert isinstance(result, CommandResult), result
        return result
