"""A process that stores reports until it is killed, and prints the number of each that is kept.

Run by `test_kill`: `python -m tests.store.kill_child FOLDER`.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from twisted.internet.defer import Deferred

from tests.store.material import PLENTY, Calls
from tests.support import moments
from twisted_gantry.store.opening import open_store

# So many reports wait for the disk at any time.
IN_FLIGHT = 20


def main(folder: Path) -> None:
    """Store reports for good; the parent ends it."""
    calls = Calls()
    store = open_store(folder, calls, moments(time.time))

    def told(result: tuple[int, Sequence[int]]) -> None:
        sys.stdout.write(f"{result[0]}\n")
        sys.stdout.flush()
        add()

    def add() -> None:
        stored = store.add_report("etc", "kind", "subject", b"x" * 500, False, PLENTY)
        stored.addCallbacks(told, lambda failure: failure.printTraceback())

    for _ in range(IN_FLIGHT):
        add()
    never: Deferred[None] = Deferred()
    calls.run(never)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
