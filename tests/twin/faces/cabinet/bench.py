"""A cabinet as a peer, in memory: its world, its gantry, and a client that commands it."""

import json
from collections import Counter
from random import Random
from typing import Any

from treq.testing import StubTreq
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.interfaces import IReactorTime
from twisted.web.iweb import IResponse
from twisted.web.resource import IResource

from tests.support import TestClock
from tests.twin.helpers import AUTH, GANTRY_ID, Http, http
from twisted_gantry.net.http.client import BoundedClient
from twisted_gantry.twin.faces.cabinet.face import CabinetTwin
from twisted_gantry.twin.faces.etc.platform import Platform
from twisted_gantry.twin.faults.settings import CABINET, Faults
from twisted_gantry.twin.world.cabinet import Cabinet
from twisted_gantry.twin.world.mains import Mains
from twisted_gantry.twin.world.variables import Part
from twisted_gantry.wire.etc import envelope as etc
from twisted_gantry.wire.etc.envelope import Method

CABINET_STATUS, CARDS = Method.CABINET_STATUS.value, Method.CARDS.value


def change(part: Part, **values: object) -> None:
    """Set variables of one part, as the world does, all or none. Raises ValueError."""
    named = dict(part.variables())
    wrong = [
        f"{name}: {why}" for name, value in values.items() if (why := _why(named, name, value))
    ]
    wrong += part.complaints(values)
    if wrong:
        raise ValueError("; ".join(wrong))
    for name, variable in named.items():
        if name in values:
            variable.set(values[name])
    part.settle()


def _why(named: dict[str, Any], name: str, value: object) -> str | None:
    return named[name].complaint(value) if name in named else "there is no such variable"


def shown(part: Part, name: str) -> Any:
    get = dict(part.variables())[name].get
    assert get is not None
    return get()


class Wire:
    """The HTTP client of one peer, and the network to the other; `urls` has what was asked."""

    def __init__(self, resource: IResource) -> None:
        self.reachable = True
        self.urls: list[str] = []
        self._stub = StubTreq(resource)

    def request(self, method: str, url: str, **kwargs: Any) -> Deferred[IResponse]:
        self.urls.append(url)
        if not self.reachable:
            return fail(Refused("refused by the test"))
        stub: Any = self._stub  # it makes its methods when they are asked for
        answered: Deferred[IResponse] = stub.request(method, url, **kwargs)
        return answered

    def flush(self) -> bool:
        self._stub.flush()
        return False

    def client(self, clock: IReactorTime) -> BoundedClient:
        return BoundedClient(self, clock)  # type: ignore[arg-type]


class Bench:
    """A cabinet twin that runs. The platform twin, strict as it is, stands for the gantry."""

    def __init__(self, *, started: bool = True, **settings: Any) -> None:
        self.clock = TestClock()
        self.mains = Mains()
        self.cabinet = Cabinet(self.mains)
        self.faults = Faults(self.clock.seconds, Random(1))
        self.gantry = Platform(
            self.faults, self.clock, self.clock.now, gantry_id=GANTRY_ID, auth=AUTH
        )
        self.wire = Wire(self.gantry.resource())
        self.clock.network = self.wire
        self.twin = CabinetTwin(
            self.cabinet,
            self.faults,
            self.clock,
            self.clock.now,
            self.wire.client(self.clock),
            gantry_id=GANTRY_ID,
            auth=AUTH,
            **settings,
        )
        self.site = self.twin.site()
        if started:
            self.twin.startService()
            self.run(0.1)

    def run(self, seconds: float, step: float = 0.1) -> None:
        """Let time pass for the world and for the peers."""
        for _ in range(round(seconds / step)):
            self.cabinet.step(step)
            self.clock.run(step, step)

    def pass_by(self, seconds: float) -> None:
        self.clock.run(seconds, 0.5)

    def change(self, **values: object) -> None:
        change(self.cabinet, **values)
        self.clock.settle()

    def fail_mains(self) -> None:
        self.mains.voltage_v.update(dict.fromkeys("rst", 0.0))
        self.cabinet.settle()
        self.clock.settle()

    @property
    def counts(self) -> Counter[str]:
        return self.twin.counts

    def reports(self) -> list[dict[str, Any]]:
        """Return the reports that the gantry got, oldest first, whatever it answered."""
        found = self.gantry.requests(CABINET_STATUS)
        return [each["body"]["cabinetStatus"] for each in reversed(found)]

    def codes(self, method: str = CABINET_STATUS) -> list[str | None]:
        """Return what the gantry answered, oldest first; None for no answer of the protocol."""
        found = reversed(self.gantry.requests(method))
        return [each["answer"] and each["answer"]["code"] for each in found]

    def body(
        self,
        fields: dict[str, Any] | None = None,
        *,
        method: Method = Method.CABINET_CONTROL,
        gantry_id: str = GANTRY_ID,
        skew: float = 0.0,
    ) -> bytes:
        return etc.encode_request(gantry_id, method, self.clock.now() + skew, fields or {})

    def post(self, body: bytes, auth: str = AUTH, **headers: str) -> Http:
        signed = etc.signed_headers(body, auth) | headers
        exchange = http(self.site, "POST", "/remotecontrol.do", body, signed)
        self.clock.settle()
        return exchange

    def command(self, **fields: Any) -> dict[str, Any]:
        """Command the cabinet, and return its answer; each command has a second of its own."""
        self.clock.wall_offset += 1
        exchange = self.post(self.body(fields))
        assert exchange.status == 200
        answer: dict[str, Any] = json.loads(exchange.body)
        return answer

    def code(self, **fields: Any) -> int:
        """Command the cabinet, and return the code of its answer."""
        return int(self.command(**fields)["code"])

    def fault(self, **settings: Any) -> None:
        self.faults.put(CABINET, settings)

    def stop(self) -> None:
        self.twin.stopService()
        self.clock.settle()
        assert self.clock.getDelayedCalls() == []
