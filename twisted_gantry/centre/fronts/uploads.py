"""What `monitor.do` of the centre takes: reports of gantries, and their questions for white lists.

The order of the checks: a code that the registry has, else 1001; the digest, 1004; JSON, 1002; the
code is that of this gantry, 1001; the version, 1006; what makes the envelope, 1002; a time stamp in
the future, 1003. A report is acknowledged once its transaction is committed, and not before.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection
from hashlib import md5
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from twisted_gantry.centre.clean import read_clean
from twisted_gantry.centre.control.cards import CardAnswers
from twisted_gantry.centre.fronts.refused import RefusedRequests
from twisted_gantry.centre.interfaces import IReportStore, NotStored, QueueFull
from twisted_gantry.centre.model import Received
from twisted_gantry.centre.reading import told
from twisted_gantry.centre.registry import Entry, Registry, digest_of
from twisted_gantry.centre.settings import MonitorSettings
from twisted_gantry.centre.store.registry import LONGEST_CODE, LONGEST_ID
from twisted_gantry.net.addresses import parsed
from twisted_gantry.net.budget import Budget
from twisted_gantry.net.http.lean.request import Answer, LeanRequest
from twisted_gantry.net.http.multipart import NotOnePart, content_of, is_form
from twisted_gantry.net.http.seldom_log import SeldomLog
from twisted_gantry.net.slots import Allowed
from twisted_gantry.net.throttle import Throttle, Throttled
from twisted_gantry.wire.etc import envelope as etc
from twisted_gantry.wire.etc.envelope import EtcCode, EtcRefused, Method
from twisted_gantry.wire.numbers import text

PATH = b"/monitor.do"
PEEK = 2048
"""Bytes that are kept of a body without a code of the registry: enough to name the gantry in it."""
WRONG_CODES, WRONG_RATE = 300, 20.0
"""Wrong codes of one address in 60 s, and a second; then 1005. Many gantries may share an address,
and all of them have a wrong code after a change in the registry.
"""
MOST_BYTES = 256 * 1024 * 1024  # of the bodies that wait for their commit
MOST_OF_ONE = 2000  # reports of one gantry that wait for their commit
OFFERS = 0.02
"""Gantries of one address that may register themselves in a second, after the first hundred: one
address cannot take all the places of those that wait.
"""
_LATEST = 1e11
"""Unix seconds: what is later is no time in seconds, but one in milliseconds, for example."""
REGISTERED_BURST = 20.0  # gantries that may register themselves at once; then one a second

_AUTH, _MD5 = etc.AUTH_HEADER.encode(), etc.MD5_HEADER.encode()
_TYPE, _FORWARDED, _REAL = b"content-type", b"x-forwarded-for", b"x-real-ip"
_ANSWERS = {code: etc.answer(code).encode() for code in EtcCode}
_CABINET = Method.CABINET_STATUS.value
_DONE = _ANSWERS[EtcCode.SUCCESS]
_NAMED = re.compile(rb'"\s*gantryId\s*"\s*:\s*"\s*([0-9A-Za-z_-]{1,%d})\s*"' % LONGEST_ID)


class Uploads:
    """Answers requests to `monitor.do`. `clock` is for how often an address may come, `now` returns
    Unix seconds. `counts` gains `code-1000` …, the methods by their names, and `failed`.
    """

    path = PATH
    wanted: Collection[bytes] = (_AUTH, _MD5, _TYPE, _FORWARDED, _REAL)
    late = _ANSWERS[EtcCode.UNKNOWN_EXCEPTION]

    def __init__(
        self,
        settings: MonitorSettings,
        store: IReportStore,
        registry: Registry,
        refusals: RefusedRequests,
        clock: IReactorTime,
        now: Callable[[], float],
    ) -> None:
        self._store, self._registry, self._now = store, registry, now
        self._skew = settings.max_clock_skew
        self._registers = settings.unknown_gantries == "register"
        self._allowed = Allowed(settings.allowed_clients)
        self._proxies = Allowed(settings.proxies) if settings.proxies else ()
        self._throttle = Throttle(clock, rate=WRONG_RATE, failures=WRONG_CODES)
        self._registering = Budget(clock, 1.0, REGISTERED_BURST)
        self._offers = Throttle(clock, rate=OFFERS)
        self._refusals = refusals
        self._cards = CardAnswers(store)
        self._log = SeldomLog("monitor.do", clock)
        self._bytes = 0
        self._waiting: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()

    def is_proxy(self, host: str) -> bool:
        return host in self._proxies

    # -- the HTTP server

    def most_body(self, request: LeanRequest) -> int:
        given = request.headers.get(_AUTH, b"").strip()
        request.mark = digest_of(given.decode("utf-8", "surrogateescape"))
        return etc.MAX_BODY if self._registry.knows_code(request.mark) else PEEK

    def answer(self, request: LeanRequest) -> Answer:
        try:
            return self._take(request)
        except EtcRefused as refused:
            return self._refused(refused, request)
        except Exception:
            self._log.fault(Failure())
            self.counts["failed"] += 1
            unknown = EtcRefused(EtcCode.UNKNOWN_EXCEPTION, "a fault of the centre; see its log")
            return self._refused(unknown, request)

    # -- the checks

    def _take(self, request: LeanRequest) -> Answer:
        code = request.mark
        self._check_code(request, code)
        request.proved()
        body, digest = _checked_content(request)
        clean = read_clean(body)
        if clean is not None:  # most reports
            entry, method = self._entry(clean.gantry_id, code, request), _CABINET
            stamp, tells = self._stamp_of(clean.time_stamp), clean.told
        else:
            entry, checked = self._checked(body, code, request)
            stamp, method = self._stamp_of(checked.time_stamp), checked.method.value
            if checked.method is Method.CARDS:
                return self._cards_for(entry, checked.fields, request)
            tells = told(checked.method, checked.fields)
        self.counts[method] += 1
        return self._put(
            Received(entry.gantry.id, method, stamp, self._now(), body, digest, tells), request
        )

    def _checked(self, body: bytes, code: bytes, request: LeanRequest) -> tuple[Entry, etc.Request]:
        """Check a body of any kind. Raises EtcRefused."""
        entries: list[Entry] = []
        checked = etc.check_body(
            body,
            methods=etc.MONITOR,
            gantry_id=None,
            reports=True,
            may=lambda gantry_id: entries.append(self._entry(gantry_id, code, request)),
            numbers_as_text=False,
        )
        return entries[0], checked

    def _stamp_of(self, time_stamp: float | None) -> float | None:
        """Return a time stamp, None for one that means nothing. Raises EtcRefused for the future,
        and never for the past: backlogs may be old.
        """
        if time_stamp is None or not 0 < time_stamp < _LATEST:
            return None  # a device without a clock may write 0 each time: that names no report
        ahead = time_stamp - self._now()
        if ahead > self._skew:
            raise EtcRefused(EtcCode.CLOCK_SKEW, f"timeStamp is {ahead:.0f} s ahead")
        return time_stamp

    def _check_code(self, request: LeanRequest, code: bytes) -> None:
        if not self._registry.ready:
            why = f"the registry is not read yet: {self._registry.trouble or 'starting'}"
            raise EtcRefused(EtcCode.UNKNOWN_EXCEPTION, why)
        client = self.client_of(request)
        if request.peer != client and client not in self._allowed:
            raise EtcRefused(EtcCode.NOT_ALLOWED, "the address is not among allowed_clients")
        if self._registry.knows_code(code):
            return
        try:
            self._throttle.failed(client)
        except Throttled as error:
            raise EtcRefused(EtcCode.TOO_FREQUENT, str(error)) from None
        self._offer(_named(request.body), request)
        raise EtcRefused(EtcCode.NOT_ALLOWED, f"wrong or missing {etc.AUTH_HEADER}")

    def _entry(self, gantry_id: str, code: bytes, request: LeanRequest) -> Entry:
        entry = self._registry.by_id(gantry_id)
        if entry is None:
            self._offer(gantry_id, request)
            raise EtcRefused(EtcCode.NOT_ALLOWED, "the registry does not have this gantryId")
        if entry.gantry.pending:
            raise EtcRefused(EtcCode.NOT_ALLOWED, "the gantry waits for a person to approve it")
        if not entry.has_code(code):
            raise EtcRefused(
                EtcCode.NOT_ALLOWED, f"the {etc.AUTH_HEADER} is that of another gantry"
            )
        return entry

    def _offer(self, gantry_id: str, request: LeanRequest) -> None:
        """Let an unknown gantry register itself, if that is allowed."""
        given = request.headers.get(_AUTH, b"").strip().decode("utf-8", "replace")
        fits = 0 < len(gantry_id) <= LONGEST_ID and 0 < len(given) <= LONGEST_CODE
        if not (self._registers and fits) or self._registry.by_id(gantry_id) is not None:
            return
        if not (given.isprintable() and gantry_id.isprintable()):
            return
        try:
            self._offers.admit(self.client_of(request))
        except Throttled:
            return
        if self._registering.spend():
            registering = self._registry.register(gantry_id, given)
            registering.addErrback(self._not_registered)

    def _not_registered(self, failure: Failure) -> None:
        if not failure.check(NotStored):
            self._log.fault(failure)

    def client_of(self, request: LeanRequest) -> str:
        """Return the address of the client: that which a trusted proxy names, else the peer."""
        peer = request.peer
        if not self._proxies or peer not in self._proxies:
            return peer
        named = request.headers.get(_FORWARDED) or request.headers.get(_REAL) or b""
        for each in reversed(named.decode("latin-1").split(",")):
            address = parsed(each.strip())
            if address is None:
                break
            if str(address) not in self._proxies:
                return str(address)
        return peer

    # -- what becomes of a request

    def _put(self, report: Received, request: LeanRequest) -> Answer:
        size = len(report.body)
        if self._bytes + size > MOST_BYTES:
            raise EtcRefused(
                EtcCode.TOO_FREQUENT, "the reports that wait for the disk are too large"
            )
        if self._waiting[report.gantry] >= MOST_OF_ONE:
            raise EtcRefused(
                EtcCode.TOO_FREQUENT, "too many reports of this gantry wait for the disk"
            )
        self._bytes += size
        self._waiting[report.gantry] += 1
        putting: Deferred[Any] = self._store.put(report)
        return putting.addBoth(self._put_done, report, request)

    def _put_done(self, result: Any, report: Received, request: LeanRequest) -> bytes:
        self._bytes -= len(report.body)
        self._waiting[report.gantry] -= 1
        if not self._waiting[report.gantry]:
            del self._waiting[report.gantry]
        if isinstance(result, Failure):
            return self._not_taken(result, request)
        self.counts["code-1000"] += 1
        return _DONE

    def _not_taken(self, failure: Failure, request: LeanRequest) -> bytes:
        if failure.check(QueueFull):
            why = str(failure.value) or "no room for a report now"
            return self._refused(EtcRefused(EtcCode.TOO_FREQUENT, why), request)
        if not failure.check(NotStored):
            self._log.fault(failure)
            self.counts["failed"] += 1
        why = f"not stored: {failure.getErrorMessage()}"
        return self._refused(EtcRefused(EtcCode.UNKNOWN_EXCEPTION, why), request)

    def _cards_for(self, entry: Entry, fields: Any, request: LeanRequest) -> Answer:
        self.counts[Method.CARDS.value] += 1
        has = fields.get("curVersion") if isinstance(fields, dict) else None
        gantry = entry.gantry
        offer = self._cards.list_for(gantry.id, gantry.road, text(has) or "")
        return offer.addCallbacks(self._offered, lambda why: self._not_taken(why, request))

    def _offered(self, answer: bytes) -> bytes:
        self.counts["code-1000"] += 1
        return answer

    def _refused(self, refused: EtcRefused, request: LeanRequest) -> bytes:
        code, client = str(refused.code.value), self.client_of(request)
        self.counts[f"code-{code}"] += 1
        self._store.refused(code)
        named = _named(request.body)
        self._refusals.add(named, client, code, refused.why)
        self._log.refused(refused.code, client, f"{refused} ({named!r})")
        return _ANSWERS[refused.code]


def _checked_content(request: LeanRequest) -> tuple[bytes, bytes]:
    """Return the body, out of its form if it is one, and its digest. Raises EtcRefused."""
    body = request.body
    made = md5(body, usedforsecurity=False)
    given = request.headers.get(_MD5, b"")
    fits = given == made.hexdigest().encode() or _same_digest(given, made.hexdigest())
    kind = request.headers.get(_TYPE, b"")
    if kind[:1] not in b"mM \t" or not is_form(kind.decode("latin-1")):
        if not fits:
            raise _wrong_digest()
        return body, made.digest()
    try:
        content = content_of(kind.decode("latin-1"), body)
    except NotOnePart as error:
        raise EtcRefused(EtcCode.BAD_PARAMETERS, str(error)) if fits else _wrong_digest() from None
    made = md5(content, usedforsecurity=False)
    if not fits and not _same_digest(given, made.hexdigest()):
        raise _wrong_digest()
    return content, made.digest()


def _same_digest(given: bytes, digest: str) -> bool:
    return given.strip().lower() == digest.encode()


def _wrong_digest() -> EtcRefused:
    return EtcRefused(
        EtcCode.INVALID_SIGNATURE, f"{etc.MD5_HEADER} does not match the body, or is missing"
    )


def _named(body: bytes) -> str:
    """Return the gantryId that the beginning of a body names, unread; empty for none."""
    found = _NAMED.search(body, 0, PEEK)
    return found[1].decode() if found else ""
