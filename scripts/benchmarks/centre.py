"""The centre: each part beside a peer that other people would write, in the same run.

A row of figures is a module of its own, `centre_….py`, whose `work` measures and prints.
"""

from scripts.benchmarks.process import again

ROWS = ("centre_monitor", "centre_cloud", "centre_backlog", "centre_days")


def main() -> bool:
    """Run each row in a process of its own."""
    met = [again(row) for row in ROWS]
    return all(met)
