"""A process that is killed: what it was told to be kept is kept."""

import subprocess
import sys
from pathlib import Path

from tests.store.material import Calls, result_of
from tests.support import moments
from twisted_gantry.store.opening import open_store

_ROOT = Path(__file__).parents[2]
_ROUNDS = 4


def _run_and_kill(folder: Path, after: int) -> list[int]:
    """Let a process store reports, kill it after so many; returns the numbers it printed."""
    command = [sys.executable, "-m", "tests.store.kill_child", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=_ROOT) as child:
        assert child.stdout is not None
        try:
            lines = [child.stdout.readline() for _ in range(after)]
        finally:
            child.kill()
        lines += child.stdout.readlines()
    # The last line may have been cut in two by the signal.
    return [int(line) for line in lines if line.endswith("\n")]


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    """However often the process is killed, each report whose Deferred has fired is in the file."""
    acknowledged: set[int] = set()
    for number in range(_ROUNDS):
        told = _run_and_kill(tmp_path, after=60 + 45 * number)
        assert len(told) >= 60
        assert acknowledged.isdisjoint(told)
        acknowledged.update(told)
        calls = Calls()
        store = open_store(tmp_path, calls, moments(lambda: 0.0))
        with calls.closing(store):
            [(text, _)] = store.found
            assert "did not end in order" in text
            reports, ledger = store.reports("etc", None, 1_000_000), store.ledger("etc")
            calls.run(reports, ledger)
            kept = {report.id for report in result_of(reports)}
            assert acknowledged <= kept
            counts = result_of(ledger)
            assert counts.created == counts.queued == len(kept)
            assert counts.size == 500 * len(kept)
