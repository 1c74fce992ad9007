"""Simulated gantries: each sends its reports in order, again and again until it has an answer."""

import http.client
import json
from collections.abc import Sequence
from contextlib import suppress
from threading import Event, Lock, Thread

from tests.centre.drills.script import Upload, shares
from twisted_gantry.wire.etc.envelope import signed_headers

CODE = "code-of-all"
SENDERS = 6
_PAUSE = 0.02  # seconds after a refusal
_TIMEOUT = 15.0
LONGEST = 90.0
"""Seconds within which all must be acknowledged: faults last a few."""


class Senders:
    """Sends `uploads` to the fronts at `ports`, of which each sender changes after a failure. What
    is acknowledged is noted in `acknowledged`; codes other than 1000 are counted.
    """

    def __init__(self, uploads: Sequence[Upload], ports: Sequence[int]) -> None:
        self.acknowledged: list[Upload] = []
        self.refusals: dict[str, int] = {}
        self._total, self._ports = len(uploads), ports
        self._lock, self._more, self._stop = Lock(), Event(), Event()
        self._goes = Event()
        self._goes.set()
        self._threads = [
            Thread(target=self._send_all, args=(number, share), daemon=True)
            for number, share in enumerate(shares(uploads, SENDERS))
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def reach(self, share: float) -> None:
        """Wait until a share of all reports, 0 to 1, is acknowledged."""
        while len(self.acknowledged) < self._total * share:
            self._more.clear()
            assert self._more.wait(LONGEST), (len(self.acknowledged), self.refusals)

    @property
    def finished(self) -> bool:
        return len(self.acknowledged) == self._total

    def pass_time(self, seconds: float) -> None:
        """Let the senders try for a while."""
        self._stop.wait(seconds)

    def hold(self, seconds: float) -> None:
        """Begin no report for a while: a fast computer would have sent all of them meanwhile."""
        self._goes.clear()
        self._stop.wait(seconds)
        self._goes.set()

    def finish(self) -> None:
        """Wait until all reports are acknowledged."""
        self.reach(1.0)
        for thread in self._threads:
            thread.join()

    def stop(self) -> None:
        """Give up what is not acknowledged yet."""
        self._stop.set()

    def _send_all(self, number: int, share: Sequence[Upload]) -> None:
        line: http.client.HTTPConnection | None = None
        for upload in share:
            code = ""
            while code != "1000" and not self._stop.is_set():
                self._goes.wait()
                if line is None:
                    number += 1
                    port = self._ports[number % len(self._ports)]
                    line = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT)
                code = _send(line, upload)
                if code != "1000":
                    with self._lock:
                        self.refusals[code] = self.refusals.get(code, 0) + 1
                    line.close()
                    line = None
                    self._stop.wait(_PAUSE)
            if code == "1000":
                self.acknowledged.append(upload)
                self._more.set()
        if line is not None:
            line.close()


def _send(line: http.client.HTTPConnection, upload: Upload) -> str:
    """Return the code of the answer, or `lost` if none came."""
    body = upload.body
    with suppress(OSError, http.client.HTTPException, ValueError):
        line.request("POST", "/monitor.do", body, signed_headers(body, CODE))
        return str(json.loads(line.getresponse().read())["code"])
    return "lost"
