"""The pid file of twistd, which stops a start after a power cut and in each new container."""

import sys
from typing import Any

OPTION = "--pidfile"


def leave_out_pid_file(options: Any) -> None:
    """Let twistd neither read nor write `twistd.pid`, unless the command line asks for a pid file.

    `options` are those of twistd. A stale or cut `twistd.pid` ends twistd before anything starts.
    The lock of the data folder tells what runs, and ends with its process.
    """
    if not any(each.partition("=")[0] == OPTION for each in sys.argv):
        options["pidfile"] = ""
