"""The registry in the memory of a front: who a gantry is, and whether a code is known at all.

A moment later than the database, and as it was while the database cannot be read.
"""

import hmac
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from hashlib import blake2b
from secrets import token_bytes
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IReactorTime

from twisted_gantry.centre.interfaces import IReportStore, NotStored, Session
from twisted_gantry.centre.model import Gantry
from twisted_gantry.centre.store import registry as stored
from twisted_gantry.centre.store.registry import LONGEST_CODE, Changes, same
from twisted_gantry.centre.store.sealing import Sealing
from twisted_gantry.net.service import NamedService
from twisted_gantry.net.timers import GuardedLoop
from twisted_gantry.wire.secret import Secret

LOOK_S = 0.1  # seconds between two looks at the version in the database
KNOWN_S = 0.3
"""Seconds after a change of the registry in which every front whose database answers has seen it: a
change is answered after that, so that a gantry may upload at once.
"""
_NONE = b""  # the digest of a secret that a gantry does not have
# Digests by which codes are compared: no time tells how much of a guess was right.
_KEY = token_bytes(32)


def digest_of(given: str | Secret | None) -> bytes:
    """Return the keyed digest of a code or key; empty for none."""
    text = given.reveal() if isinstance(given, Secret) else given
    if not text or len(text) > LONGEST_CODE:
        return _NONE
    return blake2b(text.encode("utf-8", "surrogatepass"), key=_KEY, digest_size=32).digest()


@dataclass(frozen=True, slots=True)
class Entry:
    """A gantry as a front knows it, with the digests of its code and of its API key."""

    gantry: Gantry
    code: bytes = field(repr=False)
    key: bytes = field(repr=False)

    def has_code(self, given: bytes) -> bool:
        """Tell whether a digest is that of the gantry's code; a gantry without a code has none."""
        return self.code != _NONE and hmac.compare_digest(given, self.code)

    def has_key(self, given: bytes) -> bool:
        """Tell whether a digest is that of the gantry's API key; as `has_code`."""
        return self.key != _NONE and hmac.compare_digest(given, self.key)


def _entry(gantry: Gantry) -> Entry:
    return Entry(gantry, digest_of(gantry.auth), digest_of(gantry.api_key))


_SPELT = "\0"  # before an `eqSN` in its one spelling: no text of the registry begins so


def _spellings(entry: Entry) -> Collection[str]:
    """Return an `eqSN` as it is written and in its one spelling; nothing without one."""
    eq_sn = entry.gantry.eq_sn
    return (eq_sn, _SPELT + same(eq_sn)) if eq_sn else ()


class Registry(NamedService):
    """The gantries by their ids and eqSNs.

    `known` is the registry as it was read before the start. Without it `ready` is false until the
    first load has succeeded, and no code and no gantry is known: a front must not refuse anyone for
    that.
    """

    def __init__(
        self,
        store: IReportStore,
        sealing: Sealing,
        clock: IReactorTime,
        known: Changes | None = None,
    ) -> None:
        super().__init__("registry")
        self._store, self._sealing = store, sealing
        self._version = stored.NO_VERSION
        self._by_id: dict[str, Entry] = {}
        self._by_spelling: dict[str, Entry] = {}
        self._by_eq_sn: dict[str, Entry] = {}
        self._codes: Counter[bytes] = Counter()
        self._unreadable: set[str] = set()
        self._trouble: str | None = None
        self._loop = GuardedLoop(clock, self._look, "the look at the registry", self._failing)
        if known is not None:
            self._take(known, [_entry(each) for each in known.gantries])

    def startService(self) -> None:
        super().startService()
        self._loop.start(LOOK_S)

    def stopService(self) -> Deferred[Any] | None:
        self._loop.stop()
        return super().stopService()

    @property
    def trouble(self) -> str | None:
        """Why the registry here is not that of the database, or why it lacks codes."""
        if self._trouble is None and self._unreadable:
            some = ", ".join(sorted(self._unreadable)[:5])
            return f"codes that the key file cannot open, set them anew: {some}"
        return self._trouble

    @property
    def ready(self) -> bool:
        return self._version != stored.NO_VERSION

    @property
    def version(self) -> int:
        """The version of the registry that is known here."""
        return self._version

    @property
    def entries(self) -> Collection[Entry]:
        return self._by_id.values()

    def refresh(self) -> Deferred[None]:
        """Load what changed. Fails with what the store fails with, or with WrongKey."""
        return ensureDeferred(self._refresh())

    async def _look(self) -> None:
        try:
            await self._refresh()
        except NotStored as error:  # the store tells people of it
            self._trouble = str(error)
        else:
            self._trouble = None

    async def _refresh(self) -> None:
        since = self._version
        found = await self._store.read(lambda session: self._changes(session, since))
        if found is not None:
            self._take(*found)

    def _changes(self, session: Session, since: int) -> tuple[Changes, list[Entry]] | None:
        changes = stored.changes(session, since, self._sealing)
        # The digests are made in this thread as well: an import brings thousands.
        return None if changes is None else (changes, [_entry(each) for each in changes.gantries])

    def _take(self, changes: Changes, entries: Collection[Entry]) -> None:
        gone = list(self._by_id) if changes.whole else changes.removed
        for each in (*gone, *(entry.gantry.id for entry in entries)):
            self._forget(each)
        for entry in entries:
            self._by_id[entry.gantry.id] = self._by_spelling[same(entry.gantry.id)] = entry
            for spelling in _spellings(entry):
                self._by_eq_sn[spelling] = entry
            if entry.code != _NONE and not entry.gantry.pending:
                self._codes[entry.code] += 1
        self._unreadable.update(changes.unreadable)
        self._version = changes.version

    def _forget(self, gantry_id: str) -> None:
        self._unreadable.discard(gantry_id)
        entry = self._by_id.pop(gantry_id, None)
        if entry is None:
            return
        self._by_spelling.pop(same(gantry_id), None)
        for spelling in _spellings(entry):
            if self._by_eq_sn.get(spelling) is entry:
                del self._by_eq_sn[spelling]
        if entry.code != _NONE and not entry.gantry.pending:
            self._codes[entry.code] -= 1
            if not self._codes[entry.code]:
                del self._codes[entry.code]

    def _failing(self, error: Exception | None) -> None:
        if error is not None:
            self._trouble = str(error) or type(error).__name__

    def knows_code(self, digest: bytes) -> bool:
        """Tell whether a digest is that of the code of any gantry that is not pending."""
        return digest in self._codes

    def by_id(self, gantry_id: str) -> Entry | None:
        """Return a gantry by its `gantryId` in any spelling, None for an unknown one."""
        return self._by_id.get(gantry_id) or self._by_spelling.get(same(gantry_id))

    def by_eq_sn(self, eq_sn: str) -> Entry | None:
        """Return a gantry by the `eqSN` of its Fogslink device in any spelling, None for an unknown
        one.
        """
        return self._by_eq_sn.get(eq_sn) or self._by_eq_sn.get(_SPELT + same(eq_sn))

    def register(self, gantry_id: str, code: str) -> Deferred[bool]:
        """Note an unknown gantry with the code that it gave, as pending; returns whether there was
        room for it. Fails as `IReportStore.write` does.
        """
        return self._store.write(
            lambda session: stored.register(session, gantry_id, Secret(code), self._sealing)
        )
