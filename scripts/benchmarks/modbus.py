"""Reads of 125 registers from the Modbus server of 500 points, beside the server of pymodbus."""

import asyncio
import socket
import struct
import subprocess
import sys
import time
from contextlib import ExitStack
from random import Random
from typing import Any

from scripts.benchmarks.report import bar, figure

BAR = 2000.0  # reads a second
POINTS, CLIENTS, SECONDS = 500, 4, 4.0
REQUEST = struct.pack(">HHHBBHH", 1, 0, 6, 1, 3, 0, 125)
REPLY = 9 + 250


def main() -> bool:
    """Return True when the bar is met."""
    print(f"modbus: {CLIENTS} clients read 125 registers (25 points) each, for {SECONDS:g} s")
    reference = reads("reference")
    figure("the server of pymodbus, a list of numbers", reference, "1/s")
    ours = reads("ours")
    figure("in proportion to it", ours / reference, "×")
    return bar("our server: values, qualities and ages", ours, "1/s", BAR, least=True)


def reads(which: str) -> float:
    """Return the reads a second of a server in a process of its own."""
    child = subprocess.Popen(
        (sys.executable, "-m", "scripts.benchmarks.modbus", which),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    try:
        return ask(int(child.stdout.readline()))
    finally:
        child.terminate()
        child.wait(10)


def ask(port: int) -> float:
    with ExitStack() as stack:
        clients = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), 5))
            for _ in range(CLIENTS)
        ]
        for client in clients:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        done, began = 0, time.monotonic()
        while time.monotonic() - began < SECONDS:
            for client in clients:
                client.sendall(REQUEST)
            for client in clients:
                left = REPLY
                while left:
                    left -= len(client.recv(left))
            done += len(clients)
        return done / (time.monotonic() - began)


def serve_ours() -> None:
    from twisted.internet import reactor

    from twisted_gantry.bridges.modbus.bridge import ModbusBridge
    from twisted_gantry.bridges.modbus.settings import ModbusTable
    from twisted_gantry.core.bounds import VOLTS
    from twisted_gantry.core.catalogue import PointType
    from twisted_gantry.core.site import BridgeContext
    from twisted_gantry.testing.site import FakeSite, in_no_thread
    from twisted_gantry.wire.reading import Quality

    site, running = FakeSite(), reactor
    names = [f"p{n}" for n in range(POINTS)]
    site.points.declare("d", [PointType(name, "V", name, name, VOLTS) for name in names])
    site.points.update("d", dict.fromkeys(names, (220.5, Quality.GOOD)))
    means = (site.site, running, time.time, Random(1), in_no_thread)
    bridge = ModbusBridge(ModbusTable(listen="tcp:0"), BridgeContext(*means))
    bridge.startService()
    print(bridge.listening.port, flush=True)
    anyhow: Any = running
    anyhow.run()


async def serve_reference() -> None:
    from pymodbus.server import ModbusTcpServer
    from pymodbus.simulator import DataType, SimData, SimDevice

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = SimData(0, values=[7] * (5 * POINTS), datatype=DataType.REGISTERS)
    server = ModbusTcpServer(SimDevice(1, simdata=[data]), address=("127.0.0.1", port))
    await server.serve_forever(background=True)
    print(port, flush=True)
    await asyncio.sleep(3600)


if __name__ == "__main__":
    if sys.argv[1:] == ["ours"]:
        serve_ours()
    elif sys.argv[1:] == ["reference"]:
        asyncio.run(serve_reference())
    else:
        sys.exit(0 if main() else 1)
