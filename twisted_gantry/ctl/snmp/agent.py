"""The agent behind `pass_persist`: one line of `snmpd` after another, answered at once.

`snmpd` waits for each answer and serves nobody meanwhile. Requests are therefore answered from the
last look at the gantry; a thread looks anew while requests come. Protocol: snmpd.conf(5).
"""

import threading
import traceback
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Protocol, TextIO

from twisted_gantry.ctl.client import ApiError
from twisted_gantry.ctl.snmp.gantry_mib import GANTRY_MIB, mirror, site_objects
from twisted_gantry.ctl.snmp.snapshot import Snapshot
from twisted_gantry.ctl.snmp.tree import Oid, SnmpTree, SnmpValue, read_oid, show_oid
from twisted_gantry.ctl.snmp.ups_mib import UPS_MIB, lost_objects, ups_objects

ROOTS = (UPS_MIB, GANTRY_MIB)
FRESH_S = 2.0
"""Seconds for which a look at the gantry serves all requests: a walk has hundreds."""
WAIT_S = 1.0
"""Seconds for which a request waits for a fresh look; `snmpd` serves nobody meanwhile."""
GONE_S = 15.0
"""Seconds after the last good look after which the gantry counts as gone: what was known then is
not told as the present state, also when nobody asked meanwhile.
"""


class Trees(Protocol):
    def current(self) -> SnmpTree:
        """Return what is known now, at once or nearly."""


def built(
    snapshot: Snapshot | None,
    ups: str,
    known: Iterable[str],
    now: float,
    started: float,
    lost_since: float = 0.0,
) -> SnmpTree:
    """Return all objects. `ups` is the UPS at the standard place, empty for the first; `known` are
    the UPSes of the last good look; the times are Unix seconds.
    """
    objects: dict[Oid, SnmpValue] = dict(site_objects(snapshot, now))
    names = list(known) if snapshot is None else snapshot.upses
    if ups and not names:
        names = [ups]  # not seen yet
    first = ups or (names[0] if names else "")
    for name in names:
        if snapshot is None:
            own = dict(lost_objects(name, lost_since, started))
        else:
            own = dict(ups_objects(snapshot, name, now, started))
        places = (mirror(name), UPS_MIB) if name == first else (mirror(name),)
        objects |= {(*place, *arcs): value for place in places for arcs, value in own.items()}
    return SnmpTree(objects)


class Looking:
    """Looks at the gantry in a thread of its own, while somebody asks. `look` raises ApiError."""

    def __init__(
        self, look: Callable[[], Snapshot], ups: str, now: Callable[[], float], started: float
    ) -> None:
        self._look, self._ups, self._now, self._started = look, ups, now, started
        self._wanted, self._looked = threading.Event(), threading.Condition()
        self._known: list[str] = []
        self._good_at, self._at = -GONE_S, -FRESH_S
        self._lost_since: float | None = now()
        self._tree = self._build(None)
        threading.Thread(target=self._run, name="gantry", daemon=True).start()

    def current(self) -> SnmpTree:
        asked = monotonic()
        with self._looked:
            if asked - self._at >= FRESH_S:
                self._wanted.set()
                if not self._looked.wait_for(lambda: self._at >= asked, WAIT_S):
                    self._at = monotonic()  # others do not wait for the same look
                    if self._at - self._good_at >= GONE_S:  # nobody asked for long
                        self._tree = self._build(None, self._now())
            return self._tree

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            tree = self._looked_at()
            with self._looked:
                self._tree, self._at = tree, monotonic()
                self._looked.notify_all()

    def _looked_at(self) -> SnmpTree:
        """Look once; a gantry that does not answer is forgotten after `GONE_S`."""
        try:
            snapshot = self._look()
            tree = self._build(snapshot)
        except Exception as error:  # whatever it is, the next request must not wait for a thread
            if not isinstance(error, ApiError):
                traceback.print_exc()
            if monotonic() - self._good_at < GONE_S:
                return self._tree
            if self._lost_since is None:
                self._lost_since = self._now()
            return self._build(None)
        self._known, self._good_at, self._lost_since = snapshot.upses, monotonic(), None
        return tree

    def _build(self, snapshot: Snapshot | None, lost_since: float = 0.0) -> SnmpTree:
        times = (self._now(), self._started, self._lost_since or lost_since)
        return built(snapshot, self._ups, self._known, *times)


def serve(lines: TextIO, out: TextIO, trees: Trees) -> None:
    """Answer the requests of `snmpd` until it closes its end, or sends an empty line."""
    while request := lines.readline().strip():
        word = request.lower()
        if word == "ping":
            out.write("PONG\n")
        elif word == "set":
            lines.readline()
            lines.readline()
            out.write("not-writable\n")
        elif word in ("get", "getnext"):
            out.write(_answer(lines.readline(), trees.current(), following=word == "getnext"))
        else:
            out.write("NONE\n")
        out.flush()


def _answer(asked: str, tree: SnmpTree, *, following: bool) -> str:
    try:
        oid = read_oid(asked)
    except ValueError:
        return "NONE\n"
    value: SnmpValue | None
    if following:
        found = tree.after(oid, next((r for r in ROOTS if oid[: len(r)] == r), ()))
        if found is None:
            return "NONE\n"
        oid, value = found
    else:
        value = tree.get(oid)
    return "NONE\n" if value is None else f"{show_oid(oid)}\n{value.type}\n{value.text}\n"
