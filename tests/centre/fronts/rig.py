"""A front for `monitor.do` without sockets, over a store whose commits a test decides."""

import json
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail
from zope.interface import implementer

from twisted_gantry.centre.fronts.refused import RefusedRequests
from twisted_gantry.centre.fronts.uploads import Uploads
from twisted_gantry.centre.interfaces import IReportStore, Job, QueueFull
from twisted_gantry.centre.model import Gantry, Received, Verdict
from twisted_gantry.centre.registry import Registry
from twisted_gantry.centre.settings import MonitorSettings
from twisted_gantry.centre.store import registry as stored
from twisted_gantry.centre.store.sealing import Sealing
from twisted_gantry.net.http.lean.request import LeanRequest
from twisted_gantry.testing.centre_store import open_memory
from twisted_gantry.testing.clock import ManualClock
from twisted_gantry.wire.etc import envelope as etc
from twisted_gantry.wire.secret import Secret

KEY = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
ONE, TWO, WAITS = "G000211001002110010", "G000211001002110020", "G000211001002110030"
CODE, OTHER_CODE = "code-of-one", "code-of-two"
GANTRIES = (
    Gantry(ONE, road="G2", auth=Secret(CODE), eq_sn="E1", api_key=Secret("key-of-one")),
    Gantry(TWO, road="G4", auth=Secret(OTHER_CODE)),
    Gantry(WAITS, auth=Secret("code-that-waits"), pending=True),
)


@implementer(IReportStore)
class HeldStore:
    """A store in memory; reports wait until a test commits or fails them."""

    def __init__(self, clock: ManualClock) -> None:
        self._inner = open_memory(clock.now)
        self.reports: list[Received] = []
        self.puts: list[Deferred[Verdict]] = []
        self.codes: list[str] = []
        self.trouble: str | None = None
        self.waiting = 0
        self.full = False
        self.verdict: Verdict | None = Verdict.STORED
        """What becomes of a report at once; None: the test decides."""

    def put(self, report: Received) -> Deferred[Verdict]:
        if self.full:
            return fail(QueueFull("20000 reports wait"))
        self.reports.append(report)
        made: Deferred[Verdict] = Deferred()
        self.puts.append(made)
        if self.verdict is not None:
            made.callback(self.verdict)
        return made

    def refused(self, code: str) -> None:
        self.codes.append(code)

    def write(self, job: Job[Any]) -> Deferred[Any]:
        return self._inner.write(job)

    def read(self, job: Job[Any]) -> Deferred[Any]:
        return self._inner.read(job)

    def close(self) -> Deferred[None]:
        return self._inner.close()


class FrontRig:
    """`settings` are those of `[monitor]`."""

    def __init__(self, gantries: Sequence[Gantry] = GANTRIES, **settings: Any) -> None:
        self.clock = ManualClock()
        self.store: Any = HeldStore(self.clock)
        self.sealing = Sealing(KEY)
        self.registry = Registry(self.store, self.sealing, self.clock)
        self.refusals = RefusedRequests(self.store, self.clock, self.clock.now)
        self.uploads = Uploads(
            MonitorSettings(**settings),
            self.store,
            self.registry,
            self.refusals,
            self.clock,
            self.clock.now,
        )
        self.put(*gantries)
        self.registry.startService()
        self.refusals.startService()

    def put(self, *gantries: Gantry) -> None:
        self.store.write(lambda session: stored.put(session, gantries, self.sealing))

    def body(self, gantry: str = ONE, method: str = "cabinetStatusUpdate", **fields: Any) -> bytes:
        """Return the body of a report; a field that is None is left out."""
        whole = {
            "gantryId": gantry,
            "method": method,
            "timeStamp": str(int(self.clock.now())),
            "version": "1001",
            "cabinetStatus": {"id": "1", "smokeSensor": {"status": "1", "isWarning": "0"}},
        } | fields
        kept = {key: value for key, value in whole.items() if value is not None}
        return json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode()

    def ask(
        self,
        body: bytes,
        code: str | None = CODE,
        digest: str | None = None,
        peer: str = "192.0.2.1",
        **headers: str,
    ) -> "Asked":
        """Send a request; headers have `_` for `-`."""
        given = {key.replace("_", "-").encode(): value.encode() for key, value in headers.items()}
        given[b"binfile-md5"] = (etc.digest(body) if digest is None else digest).encode()
        if code is not None:
            given[b"binfile-auth"] = code.encode()
        request = LeanRequest(given, peer, None)
        most = self.uploads.most_body(request)
        request.body = body[:most]
        return Asked(self.uploads.answer(request))


class Asked:
    """A request; `code` is that of the answer, None while there is none."""

    def __init__(self, answer: bytes | Deferred[bytes]) -> None:
        self.body = answer if isinstance(answer, bytes) else None
        if isinstance(answer, Deferred):
            answer.addCallback(self._came)

    def _came(self, body: bytes) -> None:
        self.body = body

    @property
    def code(self) -> str | None:
        return None if self.body is None else str(json.loads(self.body)["code"])
