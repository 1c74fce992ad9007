"""Each benchmark that needs the reactor runs in a process of its own: a reactor runs once."""

import subprocess
import sys


def again(name: str) -> bool:
    """Run this benchmark's module as a program; True if it met its bars."""
    return (
        subprocess.run([sys.executable, f"scripts/benchmarks/{name}.py"], check=False).returncode
        == 0
    )
