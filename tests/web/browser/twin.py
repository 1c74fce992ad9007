"""The twin in a process of its own, on free ports that it tells as JSON, until it is killed.

A test in a browser does not turn the reactor, so that the twin cannot live beside it.
"""

import json
import sys
import time
from typing import Any

from twisted_gantry.twin.service import CONTROL, ON_FREE_PORTS, TwinSettings, build_twin

FACES = ("ups-tcp", "ups-http", "cfos", "ems", "cabinet", "etc", "fogslink", CONTROL)


def main() -> None:
    """Run; the argument is the URL that the cabinet uploads to."""
    from twisted.internet import reactor as imported

    reactor: Any = imported
    twin = build_twin(
        TwinSettings(**{**ON_FREE_PORTS, "monitor_url": sys.argv[1], "seed": 1}), reactor, time.time
    )
    twin.startService()
    sys.stdout.write(json.dumps({face: twin.port(face) for face in FACES}) + "\n")
    sys.stdout.flush()
    reactor.run()


if __name__ == "__main__":
    main()
