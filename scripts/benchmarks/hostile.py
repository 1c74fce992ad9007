"""How long the reactor is held, and what the API takes, under each flood beside a quiet run."""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from scripts.benchmarks import attackers
from scripts.benchmarks.report import bar, figure
from scripts.benchmarks.site_peers import AUTH, GANTRY, Cards, Ports, ask, browser
from scripts.benchmarks.watched import WatchedGantry
from twisted_gantry.wire.etc.envelope import signed_headers

FLOOD_S, QUIET_S, SETTLE_S = 6.0, 4.0, 2.0
HOLD_MS, TIMES, RESIDENT_MIB = 50.0, 3.0, 150.0
_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
_EMPTY = b'{"code":"1000","x":[' + b"[]," * 2_700_000 + b"[]]}"  # 8 MB

_LIST = (
    b'{"code":"1000","data":{"isExistLatestVersion":"1","latestVersion":"20260101000000",'
    b'"cardInfos":['
    + b",".join(
        b'{"cardId":"%020d","validTime":"2020-01-01 00:00:00","invalidTime":"2030-01-01 00:00:00"}'
        % number
        for number in range(100_000)
    )
    + b"]}}"
)


def devices(ports: Ports) -> str:
    """Return the part of the configuration that connects to hostile servers."""
    return f"""
[[device]]
name = "card"
kind = "ups-card"
address = "tcp:127.0.0.1:{ports.card}"
[[device]]
name = "cfos"
kind = "cfos"
url = "http://127.0.0.1:{ports.server}"
user = "admin"
password = "x"
poll = 0.5
[[device]]
name = "cab1"
kind = "cabinet"
url = "http://127.0.0.1:{ports.server}/remotecontrol.do"
auth = "{AUTH}"
gantry_id = "{GANTRY}"
[[cabinet]]
id = "1"
elec = ["card"]
ups = ["card"]
doors = "cab1"
[uplink.fogslink]
address = "tcp:127.0.0.1:{ports.cloud}"
eq_sn = "12345678"
api_key = "1234567890123456"
[uplink.fogslink.channels]
"P0-C1" = "card.input_voltage_r"
"""


def uploads(port: int) -> None:
    """Uploads of 1 MiB with the right code, of as many nodes as there is room for."""
    body = b'{"gantryId":"' + GANTRY.encode() + b'","x":[' + b"[]," * 349_000 + b"0]}"
    headers = signed_headers(body, AUTH)
    while True:
        ask(port, "POST", "/monitor.do", body, headers)


def floods(ports: Ports) -> dict[str, tuple[Callable[..., None], tuple[Any, ...]]]:
    """Return what is done to the gantry, by its name."""
    remote, web = "/remotecontrol.do", "/api/v1/site"
    res300 = b'{"res300":{"eqSN":"12345678","eChan":"P0-C1","sPeriod":"1"}}\n'
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(_EMPTY)
    login = (
        b'{"res001":{"eqSN":"12345678","code":"0","tKey":"k"}}\n'
        b'{"res002":{"eqSN":"12345678","code":"0"}}\n'
    )
    return {
        "40 bodies/s of 1 MiB without a code": (attackers.bodies, (ports.remote, remote)),
        "uploads of 1 MiB in empty arrays": (uploads, (ports.monitor,)),
        "chunks of one byte": (attackers.chunks, (ports.remote, remote)),
        "long heads in a row": (attackers.heads, (ports.web, web)),
        "small requests in a row": (attackers.pipelined, (ports.web, web)),
        "wrong passwords": (attackers.passwords, (ports.web,)),
        "forged results": (attackers.results, (ports.callback,)),
        "a card sends objects": (attackers.serve, (ports.card, b"", b'{"uid":"1"}' * 5000)),
        "a card sends {": (attackers.serve, (ports.card, b"", b"{" * 60_000)),
        "a server sends 100 Continue": (
            attackers.serve,
            (ports.server, b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 2000),
        ),
        "a server sends heads": (
            attackers.serve,
            (ports.server, b"HTTP/1.1 200 OK\r\n", b"a: b\r\n" * 5000),
        ),
        "a server sends chunks of one byte": (
            attackers.serve,
            (ports.server, _CHUNKED, b"1\r\nx\r\n" * 5000),
        ),
        "a platform answers 8 MB of empty arrays": (
            attackers.serve,
            (ports.platform, answer + _EMPTY, b""),
        ),
        "a platform sends 100,000 cards": (
            attackers.serve,
            (
                ports.platform,
                b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(_LIST) + _LIST,
                b"",
            ),
        ),
        "a cloud sends res300": (attackers.serve, (ports.cloud, login, res300 * 1000)),
    }


def measure(ports: Ports, seconds: float) -> list[float]:
    """Return the ms of each request to the API in so many seconds; a failed one is 10 s."""
    took = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.perf_counter()
        told = browser(ports)
        took.append((time.perf_counter() - began) * 1000 if told else 10_000.0)
        time.sleep(0.02)
    return took


def under(
    flood: tuple[Callable[..., None], tuple[Any, ...]], ports: Ports, gantry: WatchedGantry
) -> tuple[float, float]:
    """Return the longest hold and the API's median under a flood, both in ms."""
    act, arguments = flood
    process: BaseProcess = get_context("spawn").Process(target=act, args=arguments, daemon=True)
    process.start()
    try:
        time.sleep(SETTLE_S)
        gantry.longest_hold()
        took = measure(ports, FLOOD_S)
        return gantry.longest_hold(), statistics.median(took)
    finally:
        process.terminate()
        process.join()


def main() -> bool:
    """Measure each flood, behind a quiet run."""
    print(f"hostile: {FLOOD_S:g} s of each flood")
    ports = Ports()
    cards = Cards(ports)
    met = []
    only = sys.argv[1:] if __name__ == "__main__" else []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data").mkdir()
        gantry = WatchedGantry(folder, ports.config(devices(ports), manhole=False))
        try:
            for title, flood in floods(ports).items():
                if only and title not in only:
                    continue
                time.sleep(SETTLE_S)
                gantry.longest_hold()
                quiet = statistics.median(measure(ports, QUIET_S))
                figure("quiet: longest hold of the reactor (CPU)", gantry.longest_hold(), "ms")
                figure("quiet: median of the API", quiet, "ms")
                hold, median = under(flood, ports, gantry)
                met.append(bar(f"{title}: longest hold", hold, "ms", HOLD_MS))
                met.append(bar(f"{title}: the API's median to quiet", median / quiet, "×", TIMES))
            met.append(bar("resident at the end", gantry.resident(), "MiB", RESIDENT_MIB))
        finally:
            gantry.stop()
            cards.stop()
    return all(met)


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
