"""A centre that commands gantries in memory: a store, the desk, workers, and peers by host."""

from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

from cryptography.fernet import Fernet
from twisted.internet.defer import Deferred, fail
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from tests.devices.rig import Wire
from twisted_gantry.centre.control.channels import DEADLINE, Channels
from twisted_gantry.centre.control.desk import CommandDesk
from twisted_gantry.centre.control.order import Asker, Choice, Order, order_of
from twisted_gantry.centre.interfaces import Job, NotStored
from twisted_gantry.centre.model import Gantry
from twisted_gantry.centre.store import registry
from twisted_gantry.centre.store.commands import CommandSeen, OrderSeen
from twisted_gantry.centre.store.sealing import Sealing
from twisted_gantry.centre.workers.commands import CommandSender
from twisted_gantry.net.http.client import BoundedClient
from twisted_gantry.testing.centre_store import InlineStore
from twisted_gantry.testing.clock import ManualClock
from twisted_gantry.wire.etc.envelope import EtcCode, answer
from twisted_gantry.wire.json import loads_text
from twisted_gantry.wire.secret import Secret

AUTH = "8d2f-secret"
ME = Asker("li from 192.0.2.1")
UNLOCK = {"cmd": "2", "unlockDoorId": "1"}
KEY = Fernet.generate_key().decode()


def unlock(**more: str) -> Order:
    return order_of("cabinetControl", {**UNLOCK, **more})


UPDATE = order_of("cabinetControl", {"updateNow": "1"})


class Peer(Resource):
    """A `remotecontrol.do` that answers with `how`: a code, the bytes of an answer, or a status
    with bytes and headers; None never answers. `bodies` has the requests.
    """

    isLeaf = True

    def __init__(self, how: Any = EtcCode.SUCCESS) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.how = how
        self.bodies: list[dict[str, Any]] = []
        self.waiting: list[Request] = []

    def render_POST(self, request: Request) -> Any:
        """Take a request."""
        assert request.content is not None
        self.bodies.append(loads_text(request.content.read()))
        how = self.how
        if how is None:
            request.notifyFinish().addErrback(lambda _: None)
            self.waiting.append(request)
            return NOT_DONE_YET
        if isinstance(how, EtcCode):
            return answer(how).encode()
        if isinstance(how, tuple):
            status, body, headers = how
            request.setResponseCode(status)
            for name, value in headers.items():
                request.setHeader(name, value)
            return body
        return how

    def release(self) -> None:
        """Answer all that wait, and answer at once from now on."""
        self.how = EtcCode.SUCCESS
        waiting, self.waiting = self.waiting, []
        for each in waiting:
            each.write(answer(EtcCode.SUCCESS).encode())
            each.finish()


class CutStore:
    """The store behind a connection that is `away` at times, or for good for a killed process."""

    def __init__(self, store: InlineStore) -> None:
        self._store: Any = store
        self.away = False

    def write(self, job: Job[Any]) -> Deferred[Any]:
        return fail(NotStored("away")) if self.away else self._store.write(job)

    def read(self, job: Job[Any]) -> Deferred[Any]:
        return fail(NotStored("away")) if self.away else self._store.read(job)


class CentreRig:
    """Gantries `G1`, `G2` … on road G2, each with a peer; `add` makes others."""

    def __init__(self, store: InlineStore, clock: ManualClock, gantries: int = 1) -> None:
        self.store, self.clock = store, clock
        self.sealing = Sealing(KEY)
        self.wire = Wire(clock)
        self.peers: dict[str, Peer] = {}
        numbers = count()
        self.desk = CommandDesk(store, lambda: f"{next(numbers):08x}")
        self.add(*(f"G{number}" for number in range(1, gantries + 1)))
        self.senders: list[CommandSender] = []

    def add(self, *names: str, road: str = "G2", **more: Any) -> None:
        given = []
        for name in names:
            self.peers[name] = peer = Peer()
            host = f"{name.lower()}.test"
            self.wire.serve(host, peer)
            url = f"http://{host}:3699/remotecontrol.do"
            fields = {"remote_control": url, "auth": Secret(AUTH), **more}
            given.append(Gantry(name, road=road, **fields))
        self.write(lambda session: registry.put(session, given, self.sealing))

    def write(self, job: Callable[[Any], Any]) -> Any:
        results: list[Any] = []
        self.store.write(job).addBoth(results.append)
        return results[0]

    def channels(self) -> Channels:
        stub: Any = self.wire
        return Channels(BoundedClient(stub, self.clock, deadline=DEADLINE))

    def sender(self, owner: str = "worker-1", store: Any = None, **more: Any) -> CommandSender:
        """Start a worker."""
        made = CommandSender(
            store or self.store, self.sealing, self.channels(), self.clock, owner, **more
        )
        made.startService()
        self.senders.append(made)
        return made

    async def submit(
        self, order: Order, gantries: Iterable[str] = ("G1",), asker: Asker = ME, **more: Any
    ) -> str:
        """Hand in a confirmed command, and return its id."""
        choice = Choice(tuple(gantries))
        return await self.desk.submit(choice, order, asker, confirmed=True, **more)

    async def seen(self, command: str, asker: Asker = ME) -> CommandSeen:
        found = await self.desk.get(command, asker)
        assert found is not None
        return found

    async def outcome(self, command: str, gantry: str = "G1") -> OrderSeen:
        found = await self.seen(command)
        return next(each for each in found.orders if each.gantry == gantry)

    def stop(self) -> None:
        for each in self.senders:
            each.stopService()
        self.clock.run(40, 1.0)
        assert self.clock.getDelayedCalls() == []
