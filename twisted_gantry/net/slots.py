"""Who may hold the connections of a listener, and who goes when they are crowded.

A stranger is an address that has never proved itself with an authenticated request. The protocol
tells how far each connection has come. When a connection needs the place of another, the first to
go is one that has sent nothing, then one with half a request, then one without a proof.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Collection
from enum import IntEnum

from twisted.internet.interfaces import IReactorTime

from twisted_gantry.net.addresses import Network, group_of, network, parsed
from twisted_gantry.net.budget import Budget

KNOWN = 1024
"""Addresses with a proof that are remembered, and addresses whose turnover is; the one that was
silent longest is forgotten.
"""
TURNOVER, KNOWN_TURNOVER = 20.0, 200.0
"""Connections a second for which a stranger, or a known address, may have another one closed. More
are closed when they are accepted, which costs a tenth.
"""
BARRED_FIRST_S, BARRED_MOST_S = 1.0, 60.0
"""Seconds for which an address that flooded is closed at accept: doubled each time."""
SMALL_S = 0.005
"""CPU seconds that a connection of a known address may cost although others of that address have
used up its budget: enough for a request that proves itself.
"""


class Progress(IntEnum):
    """How far a connection has come: nothing sent, half a request, a whole one, a proof."""

    SILENT = 0
    BEGUN = 1
    WHOLE = 2
    PROVED = 3


class Allowed:
    """The clients that may connect: addresses and networks, none for all. Raises ValueError for a
    text that is no network.
    """

    def __init__(self, texts: Collection[str] = ()) -> None:
        self._networks: list[Network] = [network(each) for each in texts]

    def __contains__(self, host: str) -> bool:
        if not self._networks:
            return True
        address = parsed(host)
        return address is not None and any(address in each for each in self._networks)


EVERYBODY = Allowed()


class _Group:
    """The connections of one address, by their progress, oldest first."""

    def __init__(self, clock: IReactorTime, work: float) -> None:
        self.slots: tuple[dict[Slot, None], ...] = tuple({} for _ in Progress)
        self.turnover = Budget(clock, TURNOVER, TURNOVER)
        self.work = Budget(clock, work, work)
        self.known = False
        self.strikes, self.barred_until = 0, 0.0

    @property
    def unproved(self) -> int:
        silent, begun, whole, _ = self.slots
        return len(silent) + len(begun) + len(whole)

    @property
    def proved(self) -> int:
        return len(self.slots[Progress.PROVED])

    def oldest(self, *which: Progress) -> "Slot | None":
        """Return the oldest connection of the first progress that has one without an answer."""
        for progress in which:
            for slot in self.slots[progress]:
                if not slot.answering:
                    return slot
        return None


_UNPROVED = (Progress.SILENT, Progress.BEGUN, Progress.WHOLE)


class Slot:
    """The place of one connection; the protocol sets `close`, which drops it. A connection with
    `answering` is not closed for another.
    """

    __slots__ = ("_group", "_progress", "_slots", "_spent", "answering", "close", "host")

    def __init__(self, slots: "Slots", group: _Group, host: str) -> None:
        self.host = host
        self.close: Callable[[], object] = _nothing
        self.answering = False
        self._slots: Slots | None = slots
        self._group = group
        self._spent = 0.0
        self._progress = Progress.SILENT
        group.slots[self._progress][self] = None

    @property
    def is_proved(self) -> bool:
        return self._progress is Progress.PROVED

    def pay(self, seconds: float) -> bool:
        """Take CPU seconds from the budget that the connections without a proof of one address
        share; returns whether the connection may go on.
        """
        if self._progress is Progress.PROVED:
            return True
        self._spent += seconds
        if self._group.work.charge(seconds):
            return True
        return self._group.known and self._spent < SMALL_S

    def reached(self, progress: Progress) -> None:
        """Note how far the connection has come; it never falls back."""
        if self._slots is None:
            return
        if progress is Progress.PROVED:
            self._slots.knows(self.host)
        if progress > self._progress:
            del self._group.slots[self._progress][self]
            self._progress = progress
            self._group.slots[progress][self] = None

    def flooded(self) -> None:
        """Note that the peer used up its budget of work. A stranger is closed at accept for a
        while; the caller closes this connection.
        """
        if self._slots is not None:
            self._slots.bar(self._group)

    def free(self) -> None:
        """Give the place back; a second call does nothing."""
        slots, self._slots = self._slots, None
        if slots is not None:
            del self._group.slots[self._progress][self]
            slots.freed()


def _nothing() -> None:
    """Close nothing: the connection is not made yet."""


class Slots:
    """At most `connections` at a time. One address has at most `per_address` without a proof (0: no
    bound), all strangers together at most `connections - reserved`. `work` is the CPU time a second
    that the connections of an address may cost without a proof.

    `counts` gains `connections`, `refused` and `not-allowed` at accept, `evicted` and `flooded`.
    `crowded(address)` is called for each that was refused, evicted, or flooded. `is_known(host)`
    tells whether a host is no stranger from the start. `remembered` addresses are, as `KNOWN` says.
    """

    def __init__(
        self,
        clock: IReactorTime,
        *,
        connections: int,
        per_address: int,
        reserved: int,
        work: float = 1.0,
        counts: Counter[str],
        allowed: Allowed = EVERYBODY,
        crowded: Callable[[str], object] = lambda address: None,
        is_known: Callable[[str], bool] = lambda host: False,
        remembered: int = KNOWN,
    ) -> None:
        self._clock, self._connections = clock, connections
        self._remembered = remembered
        self._per_address, self._reserved, self._work = per_address, reserved, work
        self._counts, self._allowed, self._crowded = counts, allowed, crowded
        self._is_known = is_known
        self._groups: OrderedDict[str, _Group] = OrderedDict()
        self._known: OrderedDict[str, None] = OrderedDict()
        self._open = 0

    @property
    def open(self) -> int:
        """How many places are taken."""
        return self._open

    def admit(self, host: str) -> Slot | None:
        """Return the place of a new connection; None when it must be closed without an answer."""
        if host not in self._allowed:
            self._counts["not-allowed"] += 1
            return None
        name = group_of(host)
        group = self._group(name)
        if not group.known and self._is_known(host):
            self.knows(host)
        if not group.known and self._clock.seconds() < group.barred_until:
            self._counts["refused"] += 1
            return None
        if self._is_full(group):
            victim = self._victim(group) if group.turnover.left >= 1 else None
            if victim is None:
                self._counts["refused"] += 1
                self._crowded(name)
                return None
            group.turnover.spend()
            self._evict(victim)
        self._open += 1
        self._counts["connections"] += 1
        return Slot(self, group, host)

    def knows(self, host: str) -> None:
        """Note that an address has proved itself: it is no stranger from now on."""
        name = group_of(host)
        if name not in self._known:
            self._known[name] = None
            group = self._group(name)
            group.known, group.strikes, group.barred_until = True, 0, 0.0
            group.turnover = Budget(self._clock, KNOWN_TURNOVER, KNOWN_TURNOVER)
        self._known.move_to_end(name)
        if len(self._known) > self._remembered:
            forgotten, _ = self._known.popitem(last=False)
            if forgotten in self._groups:
                self._groups[forgotten].known = False

    def bar(self, group: _Group) -> None:
        self._counts["flooded"] += 1
        for name, each in self._groups.items():
            if each is group:
                self._crowded(name)
        if not group.known:
            pause = min(BARRED_MOST_S, BARRED_FIRST_S * 2.0**group.strikes)
            group.strikes = min(group.strikes + 1, 16)
            group.barred_until = self._clock.seconds() + pause

    def freed(self) -> None:
        self._open -= 1

    def _group(self, name: str) -> _Group:
        group = self._groups.get(name)
        if group is None:
            group = self._groups[name] = _Group(self._clock, self._work)
            group.known = name in self._known
            if len(self._groups) > self._remembered:
                self._forget()
        self._groups.move_to_end(name)
        return group

    def _forget(self) -> None:
        for name, group in self._groups.items():
            if not group.unproved and not group.proved:
                del self._groups[name]
                return

    def _is_full(self, group: _Group) -> bool:
        if 0 < self._per_address <= group.unproved or self._open >= self._connections:
            return True
        if group.known or self._open < self._connections - self._reserved:
            return False
        strangers = sum(each.unproved for each in self._groups.values() if not each.known)
        return strangers >= self._connections - self._reserved

    def _victim(self, group: _Group) -> Slot | None:
        """Return the connection that makes room for one of `group`, None when none must."""
        if 0 < self._per_address <= group.unproved:
            return group.oldest(*_UNPROVED)
        groups = [each for each in self._groups.values() if each.unproved or each.proved]
        strangers = [each for each in groups if not each.known]
        if (slot := _of_most(strangers, lambda each: each.unproved, _UNPROVED)) is not None:
            return slot
        if not group.known:
            return None
        if (slot := _of_most(groups, lambda each: each.unproved, _UNPROVED)) is not None:
            return slot
        fuller = [each for each in groups if each.proved > group.proved]
        return _of_most(fuller, lambda each: each.proved, (Progress.PROVED,))

    def _evict(self, slot: Slot) -> None:
        self._counts["evicted"] += 1
        self._crowded(group_of(slot.host))
        close = slot.close
        slot.free()
        close()


def _of_most(
    groups: Collection[_Group], number: Callable[[_Group], int], which: tuple[Progress, ...]
) -> Slot | None:
    """Return the connection to close of the address that has most of them."""
    for group in sorted(groups, key=number, reverse=True):
        if (slot := group.oldest(*which)) is not None:
            return slot
    return None
